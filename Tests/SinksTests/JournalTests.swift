import Glibc
import Sinks
import Tagging
import TestSupport
import Testing

@Suite("Journal", .serialized) struct JournalTests {
    private static let catalog = "\(root)/systemd/aumd.catalog"
    private static let standardFields = ["MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"]

    @Test("What was written is read back from a real journal, field for field")
    func readBack() throws {
        let journal = try Journal()
        let source = "test-\(getpid())-\(Int(seconds() * 1000))"
        var sink = JournalSink()
        var expected: [[String]] = []
        var encoder = RecordEncoder()
        var previous: StatusRecord.State?
        for (number, sample) in try Samples.records().enumerated() {
            let record = renamed(sample, source)
            let numbered = NumberedRecord(sequence: UInt64(number), record: record)
            let isOpen = sink.write(numbered, dropped: 7)
            #expect(isOpen)
            let line = String(decoding: encoder.line(record, sequence: UInt64(number), dropped: 7).dropLast(), as: UTF8.self)
            if let fields = fields(of: record, previous) { expected.append((fields + ["AUMD_JSON=\(line)"]).sorted()) }
            if case .status(let status) = record { previous = status.state }
        }
        #expect(expected.count >= 15)
        let entries = journal.entries("AUMD_SOURCE=\(source)", count: expected.count)
        #expect(entries.count == expected.count)
        for (entry, fields) in zip(entries, expected) {
            let ours = entry.filter { $0.key.hasPrefix("AUMD_") || Self.standardFields.contains($0.key) }
            #expect(ours.flatMap { field in field.value.map { "\(field.key)=\($0)" } }.sorted() == fields)
        }
        // All but the smoke detector are barks, and one is recorded, with a dog among the parents of each.
        #expect(journal.entries("AUMD_SOURCE=\(source)", "AUMD_PARENT=Dog", count: 7).count == 7)
    }

    /// The fields that design and manual promise, spelled out on their own.
    private func fields(of record: Record, _ previous: StatusRecord.State?) -> [String]? {
        var fields = ["SYSLOG_IDENTIFIER=aumd"]
        switch record {
        case .event(let event):
            let kinds: [Action.Phase: (String, String)] = [
                .open: ("3345b015447b4d3894d4e18bb40047a5", "began (score 0.71, provisional)"),
                .update: ("b18a313ac1894f2dafa553a16d2fc306", "is confirmed (score 0.93)"),
                .close: ("c86ff2bf47f246c3bfbc59397c3ba830", "ended after 1.18 s (peak 0.93)"),
                .retract: ("20a0b95756e745aa96539ba5baf081fe", "was not confirmed"),
            ]
            guard let kind = kinds[event.phase], event.phase != .update || event.reason == .confirmed else { return nil }
            var words = kind.1
            let isAlarm = event.label.hasPrefix("Smoke")
            if isAlarm, event.phase == .open { words = "began (score 0.60, provisional)" }
            if !isAlarm, event.phase == .open, event.status == .confirmed { words = "began (score 0.93, confirmed)" }
            if event.reason == .absorbed { words = "was part of Dog" }
            if event.reason == .interrupted { words = "ended after 0.67 s (peak 0.93, cut off)" }
            fields += [
                "MESSAGE=\(event.source): \(event.label) \(words)", "MESSAGE_ID=\(kind.0)",
                "PRIORITY=\(isAlarm && event.phase == .open ? 4 : 6)", "AUMD_EVENT_ID=\(event.id)",
                "AUMD_PHASE=\(event.phase.rawValue)", "AUMD_REV=\(event.revision)",
                "AUMD_STATUS=\(event.status.rawValue)", "AUMD_SOURCE=\(event.source)", "AUMD_LABEL=\(event.label)",
                "AUMD_MID=\(event.mid)", "AUMD_SCORE=\(event.score)", "AUMD_PEAK=\(event.peak)",
                "AUMD_ONSET=\(event.onset.text)", "AUMD_MODEL=\(event.model)",
            ]
            fields += event.parents.map { "AUMD_PARENT=\($0)" }
            if let group = event.group { fields.append("AUMD_GROUP=\(group)") }
            if let reason = event.reason { fields.append("AUMD_REASON=\(reason.rawValue)") }
            if event.reason == .absorbed { fields.append("AUMD_PART_OF=0000000005\(event.partOf!.id.description.dropFirst(10))") }
            if let offset = event.offset {
                fields.append("AUMD_OFFSET=\(offset.text)")
                fields.append("AUMD_DURATION_MS=\(offset.milliseconds - event.onset.milliseconds)")
            }
        case .gap(let gap):
            let causes: [GapRecord.Cause: String] = [
                .xrun: "the device's buffer ran over", .suspend: "the machine slept", .stall: "the source delivered nothing",
                .deviceLost: "the device was away", .overflow: "the analysis did not keep up",
                .slip: "they were lost on their way without a word", .paused: "listening was paused",
            ]
            let isAsked = gap.cause == .paused
            fields += [
                "MESSAGE=\(gap.source): 0.300 s of sound are missing, \(causes[gap.cause] ?? "")",
                isAsked ? "MESSAGE_ID=35b97ffedec54824b1e6555ff22fddf2" : "MESSAGE_ID=866b5bfeeb4c4a458be8c69cefb03ca3",
                isAsked ? "PRIORITY=6" : "PRIORITY=4", "AUMD_SOURCE=\(gap.source)",
                "AUMD_ONSET=2026-11-23T04:18:23.000Z", "AUMD_OFFSET=2026-11-23T04:18:23.300Z", "AUMD_DURATION_MS=300",
                "AUMD_SAMPLES=4800", "AUMD_CAUSE=\(gap.cause.rawValue)",
            ]
        case .status(let status):
            guard status.state != previous else { return nil }
            let kinds: [StatusRecord.State: (String, Int, String)] = [
                .starting: ("39e7a030e4ea480c9d3066d812b524fe", 6, "starting"),
                .capturing: ("0152889fa20843baa36e6c4f702fef0d", 6, "listening to the source"),
                .silent: ("f3b26f4d769c46a0abfee2de8672fcb0", 4, "the device delivers only zeros"),
                .stalled: ("256d162244634604b374041c734b2dc3", 4, "the source delivers nothing"),
                .deviceLost: ("f1cff822e3c3406680d524f82823bc72", 3, "the device is away and is tried again"),
                .paused: ("d1807586fa49415095c4e00dbb73dac2", 5, "listening is paused"),
                .stopping: ("a30a0f64840d45bca9bd86abe0c541c2", 6, "stopping"),
            ]
            guard let kind = kinds[status.state] else { return nil }
            var words = kind.2
            if let device = status.device {
                words = "the device \(device) is away and is tried again"
                fields += ["AUMD_DEVICE=\(device)", "AUMD_LEVEL_DBFS=-52.1"]
            }
            if let message = status.message { words += " (\(message))" }
            fields += [
                "MESSAGE=\(status.source): \(words)", "MESSAGE_ID=\(kind.0)", "PRIORITY=\(kind.1)",
                "AUMD_SOURCE=\(status.source)", "AUMD_STATE=\(status.state.rawValue)",
            ]
        case .recording(let recording) where recording.label == nil:
            fields += [
                "MESSAGE=\(recording.source): what was heard last, as was asked, is recorded in /srv/sounds/kept.flac",
                "MESSAGE_ID=34c4755704b849e39a955ed1ab16fbe8", "PRIORITY=6", "AUMD_EVENT_ID=\(recording.id)",
                "AUMD_SOURCE=\(recording.source)", "AUMD_FILE=/srv/sounds/kept.flac",
                "AUMD_ONSET=2026-11-23T04:18:23.000Z", "AUMD_OFFSET=2026-11-23T04:18:25.000Z", "AUMD_DURATION_MS=2000",
            ]
        case .recording(let recording):
            fields += [
                "MESSAGE=\(recording.source): Bark is recorded in /srv/sounds/ü \"b\".flac",
                "MESSAGE_ID=7da7447bde7e44a1b45f75cd4800de38", "PRIORITY=6", "AUMD_EVENT_ID=\(recording.id)",
                "AUMD_SOURCE=\(recording.source)", "AUMD_LABEL=Bark", "AUMD_PARENT=Dog", "AUMD_PARENT=Animal", "AUMD_FILE=/srv/sounds/ü \"b\".flac",
                "AUMD_ONSET=2026-11-23T04:18:23.000Z", "AUMD_OFFSET=2026-11-23T04:18:25.000Z", "AUMD_DURATION_MS=2000",
            ]
        case .scores: return nil
        }
        return fields
    }

    private func renamed(_ record: Record, _ source: String) -> Record {
        switch record {
        case .event(var event):
            event.source = source
            return .event(event)
        case .gap(var gap):
            gap.source = source
            return .gap(gap)
        case .status(var status):
            status.source = source
            // A value of several lines would look like several fields in the comparison.
            status.message = status.message.map { String($0.map { $0 == "\n" ? " " : $0 }) }
            return .status(status)
        case .scores(var scores):
            scores.source = source
            return .scores(scores)
        case .recording(var recording):
            recording.source = source
            return .recording(recording)
        }
    }

    @Test("Without a journal the same sentences are lines with a priority; states are told when they change")
    func fallback() throws {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600)
        var sink = JournalSink(socketPath: folder.file("nothing"), fallback: descriptor)
        let states: [StatusRecord.State] = [
            .starting, .capturing, .capturing, .silent, .silent, .capturing, .deviceLost, .capturing, .stalled, .capturing, .paused, .paused,
            .capturing, .stopping,
        ]
        for state in states { _ = sink.write(NumberedRecord(sequence: 0, record: status(state)), dropped: 0) }
        _ = sink.write(NumberedRecord(sequence: 0, record: scores()), dropped: 0)
        close(descriptor)
        #expect(
            text(folder.file("log")) == """
                <6>kitchen: starting
                <6>kitchen: listening to the source
                <4>kitchen: the device delivers only zeros
                <5>kitchen: listening to the source
                <3>kitchen: the device is away and is tried again
                <5>kitchen: listening to the source
                <4>kitchen: the source delivers nothing
                <5>kitchen: listening to the source
                <5>kitchen: listening is paused
                <6>kitchen: listening to the source
                <6>kitchen: stopping

                """)
    }

    @Test("Why a device is away is an entry, once for every new reason, from the start on")
    func reasons() throws {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600)
        var sink = JournalSink(socketPath: folder.file("nothing"), fallback: descriptor)
        for record in Samples.absences { _ = sink.write(NumberedRecord(sequence: 0, record: record), dropped: 0) }
        close(descriptor)
        #expect(
            text(folder.file("log")) == """
                <6>kitchen: starting
                <3>kitchen: starting (it is not there)
                <3>kitchen: starting (it is busy)
                <5>kitchen: listening to the source
                <3>kitchen: the device is away and is tried again (it is not there)
                <3>kitchen: the device is away and is tried again (it is busy)
                <5>kitchen: listening to the source

                """)
    }

    @Test("That there is no journal is said once, and lines for a person have no priority")
    func away() {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600)
        let notices = Notices()
        var sink = JournalSink(
            socketPath: folder.file("nothing"), fallback: descriptor, hasPriorities: false, onNotice: notices.add)
        for state in [StatusRecord.State.starting, .capturing] {
            _ = sink.write(NumberedRecord(sequence: 0, record: status(state)), dropped: 0)
        }
        close(descriptor)
        #expect(notices.all == [.journalAway])
        #expect(text(folder.file("log")) == "kitchen: starting\nkitchen: listening to the source\n")
    }

    @Test("A journal that came back, and goes away again, is told again")
    func awayAgain() throws {
        let journal = try Journal()
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600), place = folder.file("journal"), notices = Notices()
        var sink = JournalSink(socketPath: place, fallback: descriptor, hasPriorities: false, onNotice: notices.add)
        for (state, isThere) in [(StatusRecord.State.starting, false), (.capturing, true), (.silent, false), (.stopping, false)] {
            if isThere { write("", to: place) } else { unlink(place) }
            _ = sink.write(NumberedRecord(sequence: 0, record: status(state)), dropped: 0)
        }
        close(descriptor)
        withExtendedLifetime(journal) {}
        #expect(notices.all == [.journalAway, .journalAway])
        #expect(text(folder.file("log")) == "kitchen: starting\nkitchen: the device delivers only zeros\nkitchen: stopping\n")
    }

    @Test("A label is an alarm when it, or one of its parents, is listed")
    func alarms() throws {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600)
        var sink = JournalSink(alarms: ["Dog"], socketPath: folder.file("nothing"), fallback: descriptor)
        for record in try Samples.records() where record.kind == .event {
            _ = sink.write(NumberedRecord(sequence: 0, record: record), dropped: 0)
        }
        close(descriptor)
        let lines = text(folder.file("log")).split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("<4>kitchen: Bark") }.count == 3)
        #expect(lines.allSatisfy { !$0.contains("Smoke") || $0.hasPrefix("<6>") })
    }

    @Test("Every MESSAGE_ID is a frozen 128-bit id with an entry in the catalog, and the catalog has no other")
    func catalogEntries() {
        let entries = text(Self.catalog).split(separator: "\n").filter { $0.hasPrefix("-- ") }.map { $0.dropFirst(3) }
        #expect(entries.count == Set(entries).count)
        #expect(Set(entries.map(String.init)) == Set(JournalMessage.allCases.map(\.id)))
        for message in JournalMessage.allCases {
            #expect(message.id.count == 32 && message.id.allSatisfy { "0123456789abcdef".contains($0) })
        }
    }

    @Test("journalctl compiles the catalog without a complaint and lists every entry with its subject")
    func catalogCompiles() {
        let folder = TemporaryFolder()
        let place = folder.file("usr/lib/systemd/catalog")
        #expect(shell("mkdir -p '\(place)' && cp '\(Self.catalog)' '\(place)'").status == 0)
        let update = shell("journalctl --root='\(folder.path)' --update-catalog")
        #expect(update.status == 0 && update.output.isEmpty, "\(update.output)")
        let list = shell("journalctl --root='\(folder.path)' --list-catalog")
        for message in JournalMessage.allCases { #expect(list.output.contains("\(message.id) aumd: "), "\(list.output)") }
        #expect(list.output.split(separator: "\n").count == JournalMessage.allCases.count)
    }
}
