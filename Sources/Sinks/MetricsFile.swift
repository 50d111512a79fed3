import Glibc
import Tagging

/// Counts and the state as metrics, in a file that is written anew when they change: Prometheus' text format 0.0.4, as the textfile
/// collector of its node exporter reads it. Counters begin at 0 with the program, and are all there from then on: Prometheus takes no notice of
/// a counter's first value.
public struct MetricsFile: RecordSink {
    private let path: String
    private let onNotice: @Sendable (SinkNotice) -> Void
    private var source = ""
    private var status: StatusRecord?
    private var events: [String: Int]
    private var retractions: [Action.Reason: Int]
    private var gaps: [GapRecord.Cause: (count: Int, seconds: Double)]
    /// Labels of the confirmed events that have not ended.
    private var sounding: [ULID: String] = [:]
    private var dropped: UInt64 = 0
    private var isStale = false
    /// Writings that failed since one went well.
    private var failures: UInt64 = 0
    public var isFailing: Bool { failures > 0 }
    /// Of retractions.
    private static let reasons: [Action.Reason] = [.notConfirmed, .absorbed, .interrupted]
    /// Of owner and group: it tells what is heard.
    private static let permissions: mode_t = 0o640

    /// Writes the file for the first time.
    ///
    /// - Parameter labels: those that may have events.
    /// - Throws: `SinkError.open` where that cannot be done.
    public init(path: String, labels: [String], onNotice: @escaping @Sendable (SinkNotice) -> Void) throws(SinkError) {
        self.path = path
        events = Dictionary(labels.map { ($0, 0) }) { first, _ in first }
        retractions = Dictionary(uniqueKeysWithValues: Self.reasons.map { ($0, 0) })
        gaps = Dictionary(uniqueKeysWithValues: GapRecord.Cause.allCases.map { ($0, (0, 0)) })
        self.onNotice = onNotice
        let code = replaceFile(path, with: [], mode: Self.permissions)
        guard code == 0 else { throw .open(path: path, errno: code) }
    }

    /// Counts a record.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        // The end of one may be among what was dropped.
        if dropped != self.dropped { sounding.removeAll() }
        self.dropped = dropped
        switch record.record {
        case .event(let event):
            source = event.source
            switch event.phase {
            case .open, .update: sounding[event.id] = event.status == .confirmed && event.offset == nil ? event.label : nil
            case .close:
                events[event.label, default: 0] += 1
                sounding[event.id] = nil
            case .retract: if let reason = event.reason { retractions[reason, default: 0] += 1 }
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
        let labels = events.keys.sorted(), now = sounding.values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        metric("events_total", "counter", "Events that were confirmed and are over.", labels.map { ([("label", $0)], "\(events[$0] ?? 0)") })
        metric("events_active", "gauge", "Events that were confirmed and go on.", labels.map { ([("label", $0)], "\(now[$0] ?? 0)") })
        metric("retractions_total", "counter", "Events that were taken back.", Self.reasons.map { reason in
            ([("reason", reason.rawValue)], "\(retractions[reason] ?? 0)")
        })
        let causes = GapRecord.Cause.allCases.compactMap { cause in gaps[cause].map { (labels: [("cause", cause.rawValue)], gap: $0) } }
        metric("gaps_total", "counter", "Stretches of missing sound.", causes.map { ($0.labels, "\($0.gap.count)") })
        metric("gap_seconds_total", "counter", "How long they were.", causes.map { ($0.labels, "\($0.gap.seconds)") })
        return text
    }

    /// A label's value between quotation marks.
    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
