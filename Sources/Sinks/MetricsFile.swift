import Glibc
import Tagging

/// Counts and the state as metrics, in a file that is written anew when they change: Prometheus' text format 0.0.4, as the textfile
/// collector of its node exporter reads it. Counters begin at 0 with the program.
public struct MetricsFile: RecordSink {
    private let path: String
    private let onNotice: @Sendable (SinkNotice) -> Void
    private var source = ""
    private var status: StatusRecord?
    private var events: [String: Int] = [:]
    private var retractions: [String: Int] = [:]
    private var gaps: [GapRecord.Cause: (count: Int, seconds: Double)] = [:]
    private var isStale = false
    /// Writings that failed since one went well.
    private var failures: UInt64 = 0
    public var isFailing: Bool { failures > 0 }
    /// Of owner and group: it tells what is heard.
    private static let permissions: mode_t = 0o640

    /// Writes the file for the first time.
    ///
    /// - Throws: `SinkError.open` where that cannot be done.
    public init(path: String, onNotice: @escaping @Sendable (SinkNotice) -> Void) throws(SinkError) {
        self.path = path
        self.onNotice = onNotice
        let code = replaceFile(path, with: [], mode: Self.permissions)
        guard code == 0 else { throw .open(path: path, errno: code) }
    }

    /// Counts a record.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        switch record.record {
        case .event(let event):
            source = event.source
            switch event.phase {
            case .close: events[event.label, default: 0] += 1
            case .retract: if let reason = event.reason { retractions[reason.rawValue, default: 0] += 1 }
            case .open, .update: return true
            }
        case .gap(let gap):
            source = gap.source
            gaps[gap.cause, default: (0, 0)].count += 1
            gaps[gap.cause]!.seconds += Double(gap.to.milliseconds - gap.from.milliseconds) / 1000
        case .status(let status):
            source = status.source
            self.status = status
        case .scores, .recording: return true
        }
        isStale = true
        return true
    }

    /// Writes the file, once for all records of a batch.
    public mutating func flush() {
        guard isStale else { return }
        isStale = false
        let code = replaceFile(path, with: Array(text.utf8), mode: Self.permissions)
        if code == 0 {
            if isFailing { onNotice(.recovered(name: path, lost: failures)) }
            failures = 0
        } else {
            if !isFailing { onNotice(.failing(name: path, errno: code)) }
            failures += 1
        }
    }

    private var text: String {
        var text = ""
        func metric(_ name: String, _ type: String, _ help: String, _ samples: [(labels: [(String, String)], value: String)]) {
            guard !samples.isEmpty else { return }
            text += "# HELP aumd_\(name) \(help)\n# TYPE aumd_\(name) \(type)\n"
            for sample in samples {
                let labels = ([("source", source)] + sample.labels).map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
                text += "aumd_\(name){\(labels)} \(sample.value)\n"
            }
        }
        if let status {
            metric("state", "gauge", "1 for what the source is doing.", StatusRecord.State.allCases.map {
                ([("state", $0.rawValue)], $0 == status.state ? "1" : "0")
            })
            metric("level_dbfs", "gauge", "RMS level of the newest sound.", status.levelDBFS.map { [([], "\($0)")] } ?? [])
            metric("level_mean_dbfs", "gauge", "RMS level of the sound since the last status.", status.meanLevelDBFS.map { [([], "\($0)")] } ?? [])
            metric("level_max_dbfs", "gauge", "The highest level of a step in it.", status.highestLevelDBFS.map { [([], "\($0)")] } ?? [])
            metric("status_timestamp_seconds", "gauge", "When the last status was told.", [([], "\(Double(status.time.milliseconds) / 1000)")])
            for (name, help, value) in [
                ("xruns", "Overruns of the device.", status.xruns),
                ("lost_samples", "Samples that were overwritten before they could be analysed.", status.lostSamples),
                ("broken_samples", "Samples that were no numbers, or beyond all sound.", status.brokenSamples),
                ("late_windows", "Window passes that had not ended two columns after they began.", status.lateWindows),
                ("unconfirmed_columns", "Columns that were never confirmed.", status.unconfirmedColumns),
            ] {
                metric("\(name)_total", "counter", help, [([], "\(value)")])
            }
        }
        metric("events_total", "counter", "Events that were confirmed and are over.", Self.sorted(events).map { ([("label", $0)], "\($1)") })
        metric("retractions_total", "counter", "Events that were taken back.", Self.sorted(retractions).map { ([("reason", $0)], "\($1)") })
        let causes = GapRecord.Cause.allCases.compactMap { cause in gaps[cause].map { (labels: [("cause", cause.rawValue)], gap: $0) } }
        metric("gaps_total", "counter", "Stretches of missing sound.", causes.map { ($0.labels, "\($0.gap.count)") })
        metric("gap_seconds_total", "counter", "How long they were.", causes.map { ($0.labels, "\($0.gap.seconds)") })
        return text
    }

    private static func sorted(_ counts: [String: Int]) -> [(String, Int)] { counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    /// A label's value between quotation marks.
    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
