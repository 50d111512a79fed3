import Foundation
import Glibc
import Sinks
import Tagging
import TestSupport
import Testing

@Suite("Metrics for Prometheus") struct MetricsFileTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path + "/aumd.prom" }
    private let notices = Notices()

    private func text() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// Value of each sample, by its name and labels.
    private func samples() throws -> [String: Double] {
        let lines = try text().split(separator: "\n").filter { !$0.hasPrefix("#") }
        return try Dictionary(uniqueKeysWithValues: lines.map { line in
            let space = try #require(line.lastIndex(of: " "))
            return (String(line[..<space]), try #require(Double(line[line.index(after: space)...])))
        })
    }

    @Test("Events that closed, retractions, gaps and the last status are counted, by label, reason and cause")
    func counts() throws {
        var file = try MetricsFile(path: path, labels: ["Bark", "Dog"], onNotice: notices.add)
        #expect(try text() == "")
        let records = try Samples.records()
        for (number, record) in records.enumerated() {
            let isOpen = file.write(NumberedRecord(sequence: UInt64(number), record: record), dropped: 0)
            #expect(isOpen)
        }
        #expect(try text() == "")
        file.flush()
        let found = try samples()
        var closed: [String: Double] = [:], retracted: [String: Double] = [:], gaps: [String: Double] = [:], last: StatusRecord?
        for record in records {
            switch record {
            case .event(let event) where event.phase == .close: closed[event.label, default: 0] += 1
            case .event(let event) where event.phase == .retract: retracted[try #require(event.reason).rawValue, default: 0] += 1
            case .gap(let gap): gaps[gap.cause.rawValue, default: 0] += Double(gap.to.milliseconds - gap.from.milliseconds) / 1000
            case .status(let status): last = status
            default: break
            }
        }
        #expect(!closed.isEmpty && !retracted.isEmpty && gaps.count == GapRecord.Cause.allCases.count)
        for (label, count) in closed { #expect(found[#"aumd_events_total{source="kitchen",label="\#(label)"}"#] == count) }
        for (reason, count) in retracted { #expect(found[#"aumd_retractions_total{source="kitchen",reason="\#(reason)"}"#] == count) }
        for (cause, seconds) in gaps { #expect(found[#"aumd_gap_seconds_total{source="kitchen",cause="\#(cause)"}"#] == seconds) }
        let status = try #require(last)
        #expect(found[#"aumd_xruns_total{source="kitchen"}"#] == Double(status.xruns))
        #expect(found[#"aumd_lost_samples_total{source="kitchen"}"#] == Double(status.lostSamples))
        #expect(found[#"aumd_late_windows_total{source="kitchen"}"#] == Double(status.lateWindows))
        #expect(found[#"aumd_unconfirmed_columns_total{source="kitchen"}"#] == Double(status.unconfirmedColumns))
        #expect(found[#"aumd_broken_samples_total{source="kitchen"}"#] == Double(status.brokenSamples))
        #expect(found[#"aumd_level_mean_dbfs{source="kitchen"}"#] == -50 && found[#"aumd_level_max_dbfs{source="kitchen"}"#] == -31.24)
        #expect(found[#"aumd_status_timestamp_seconds{source="kitchen"}"#] == Double(status.time.milliseconds) / 1000)
        for state in StatusRecord.State.allCases {
            #expect(found[#"aumd_state{source="kitchen",state="\#(state.rawValue)"}"#] == (state == status.state ? 1 : 0))
        }
    }

    @Test("Every count is there from the first status on, at 0, since Prometheus sees no rise to a first value")
    func zeros() throws {
        var file = try MetricsFile(path: path, labels: ["Bark", "Smoke detector, smoke alarm"], onNotice: notices.add)
        _ = file.write(NumberedRecord(sequence: 0, record: status()), dropped: 0)
        file.flush()
        let found = try samples()
        for label in ["Bark", "Smoke detector, smoke alarm"] {
            for name in ["events_total", "events_active"] { #expect(found[#"aumd_\#(name){source="kitchen",label="\#(label)"}"#] == 0) }
        }
        for reason in ["not confirmed", "absorbed", "interrupted"] { #expect(found[#"aumd_retractions_total{source="kitchen",reason="\#(reason)"}"#] == 0) }
        for cause in GapRecord.Cause.allCases {
            for name in ["gaps", "gap_seconds"] { #expect(found[#"aumd_\#(name)_total{source="kitchen",cause="\#(cause.rawValue)"}"#] == 0) }
        }
    }

    @Test("An event is active from its confirmation to its end; what was dropped may have been the end")
    func active() throws {
        var file = try MetricsFile(path: path, labels: ["Animal", "Bark"], onNotice: notices.add)
        var sequence: UInt64 = 0
        /// How many events of Animal and of Bark are active after a record.
        func put(_ id: Int, _ phase: Action.Phase, _ label: String, _ status: Event.Status, ends: Bool = false, dropped: UInt64 = 0) throws -> [Double?] {
            var event = try #require(try Samples.records().lazy.compactMap { record -> EventRecord? in
                if case .event(let event) = record { event } else { nil }
            }.first)
            event.id = ULID(milliseconds: 1, source: "kitchen", number: UInt64(id))
            (event.source, event.phase, event.label, event.status) = ("kitchen", phase, label, status)
            event.offset = ends ? .clock(milliseconds: 9) : nil
            _ = file.write(NumberedRecord(sequence: sequence, record: .event(event)), dropped: dropped)
            sequence += 1
            file.flush()
            let found = try samples()
            return ["Animal", "Bark"].map { found[#"aumd_events_active{source="kitchen",label="\#($0)"}"#] }
        }
        #expect(try put(1, .open, "Animal", .provisional) == [0, 0])
        #expect(try put(1, .update, "Animal", .confirmed) == [1, 0])
        #expect(try put(2, .open, "Bark", .confirmed) == [1, 1])
        #expect(try put(1, .update, "Bark", .confirmed) == [0, 2])
        #expect(try put(2, .update, "Bark", .confirmed, ends: true) == [0, 1])
        #expect(try put(2, .close, "Bark", .confirmed, ends: true) == [0, 1])
        #expect(try put(3, .open, "Animal", .provisional) == [0, 1])
        #expect(try put(3, .retract, "Animal", .provisional) == [0, 1])
        #expect(try put(4, .open, "Animal", .confirmed, dropped: 2) == [1, 0])
    }

    @Test("A name with quotation marks and backslashes is escaped; a level that nobody knows is not there")
    func escaped() throws {
        var file = try MetricsFile(path: path, labels: [], onNotice: notices.add)
        let status = StatusRecord(source: "a \"b\\c\"\nd", time: .clock(milliseconds: 1500), state: .deviceLost)
        _ = file.write(NumberedRecord(sequence: 0, record: .status(status)), dropped: 0)
        file.flush()
        #expect(try text().contains(#"aumd_status_timestamp_seconds{source="a \"b\\c\"\nd"} 1.5"# + "\n"))
        #expect(try !text().contains("level"))
    }

    @Test("Whoever reads it sees a whole file, which its group may read; scores alone do not write it")
    func whole() throws {
        var file = try MetricsFile(path: path, labels: [], onNotice: notices.add)
        _ = file.write(NumberedRecord(sequence: 0, record: status()), dropped: 0)
        let before = try FileHandle(forReadingFrom: URL(filePath: folder.path + "/aumd.prom"))
        file.flush()
        #expect(try before.readToEnd() == nil)  // what was opened is the old one, empty
        let permissions = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(permissions == 0o640)
        try FileManager.default.removeItem(atPath: path)
        _ = file.write(NumberedRecord(sequence: 1, record: .scores(ScoresRecord(source: "", time: .clock(milliseconds: 0), status: .confirmed, levelDBFS: nil, tags: []))), dropped: 0)
        file.flush()
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test("A folder that is away is told of once, and once more when it is back; one that is not there at first is an error")
    func failing() throws {
        let nowhere = folder.path + "/nowhere/aumd.prom"
        #expect(throws: SinkError.open(path: nowhere, errno: ENOENT)) { _ = try MetricsFile(path: nowhere, labels: [], onNotice: notices.add) }
        let place = URL(filePath: folder.path + "/place"), away = URL(filePath: folder.path + "/away")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        var file = try MetricsFile(path: place.path + "/aumd.prom", labels: [], onNotice: notices.add)
        func put() {
            _ = file.write(NumberedRecord(sequence: 0, record: status()), dropped: 0)
            file.flush()
        }
        try FileManager.default.moveItem(at: place, to: away)
        put()
        put()
        #expect(file.isFailing && notices.all == [.failing(name: place.path + "/aumd.prom", errno: ENOENT)])
        try FileManager.default.moveItem(at: away, to: place)
        put()
        #expect(!file.isFailing && notices.all.count == 2 && notices.all.last == .recovered(name: place.path + "/aumd.prom", lost: 2))
    }
}
