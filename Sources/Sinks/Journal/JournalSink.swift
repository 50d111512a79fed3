import CSystemd
import Glibc
import Tagging

/// Events, gaps and changes of state to the systemd journal by its native protocol (sd_journal_sendv(3)); scores are
/// not logged. Where no journal listens, that is said and the same sentences go to standard error, with a `<N>` priority
/// (sd-daemon(3)) unless a person reads it.
///
///     journalctl -t aumd AUMD_LABEL=Bark -o json
///     journalctl -t aumd AUMD_PARENT=Dog
public struct JournalSink: RecordSink {
    /// Labels whose events are warnings: sounds that ask for somebody to come. Names of AudioSet.
    public static let defaultAlarms: Set<String> = [
        "Alarm", "Smoke detector, smoke alarm", "Fire alarm", "Carbon monoxide detector, CO detector", "Siren",
        "Civil defense siren", "Glass", "Shatter", "Gunshot, gunfire", "Explosion", "Screaming",
    ]

    private let alarms: Set<String>
    private let socketPath: String
    private let fallback: Int32
    private let hasPriorities: Bool
    private let onNotice: @Sendable (SinkNotice) -> Void
    private var isAway = false
    private var encoder = RecordEncoder()
    /// The last status record of each source.
    private var statuses: [String: StatusRecord] = [:]
    private var fields = JournalFields()

    /// - Parameters:
    ///   - alarms: Labels whose events have priority 4 (warning) in place of 6 (info); a label counts with its parents.
    ///   - socketPath: Where the journal is looked for. libsystemd itself always writes to the default.
    ///   - fallback: Descriptor for lines where there is no journal.
    ///   - hasPriorities: Whether what reads those lines takes a priority from their beginning.
    ///   - onNotice: Called on the sink's thread.
    public init(
        alarms: Set<String> = defaultAlarms, socketPath: String = "/run/systemd/journal/socket",
        fallback: Int32 = STDERR_FILENO, hasPriorities: Bool = true,
        onNotice: @escaping @Sendable (SinkNotice) -> Void = { _ in }
    ) {
        self.alarms = alarms
        self.socketPath = socketPath
        self.fallback = fallback
        self.hasPriorities = hasPriorities
        self.onNotice = onNotice
    }

    /// Always true: a journal that is away may come back.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        var previous: StatusRecord?
        if case .status(let status) = record.record { previous = statuses.updateValue(status, forKey: status.source) }
        guard let message = JournalMessage(record.record, previous: previous),
            let sentence = Sentence.text(record.record)
        else { return true }
        let priority = message.priority(isAlarm: isAlarm(record.record))
        if access(socketPath, W_OK) == 0 {
            fields.clear()
            fields.add("MESSAGE", sentence)
            fields.add("MESSAGE_ID", message.id)
            fields.add("PRIORITY", String(priority.rawValue))
            fields.add("SYSLOG_IDENTIFIER", "aumd")
            addFields(of: record.record)
            // The journal takes any bytes; the line goes in without its newline.
            fields.add("AUMD_JSON", encoder.line(record.record, sequence: record.sequence, dropped: dropped).dropLast())
            if fields.send() {
                isAway = false
                return true
            }
        }
        if !isAway { onNotice(.journalAway) }
        isAway = true
        let line = Array("\(hasPriorities ? "<\(priority.rawValue)>" : "")\(sentence.printable)\n".utf8)
        _ = writeAll(line, to: fallback)
        return true
    }

    private func isAlarm(_ record: Record) -> Bool {
        guard case .event(let event) = record else { return false }
        return alarms.contains(event.label) || event.parents.contains { alarms.contains($0) }
    }

    private mutating func addFields(of record: Record) {
        switch record {
        case .event(let event):
            fields.add("AUMD_EVENT_ID", event.id.description)
            fields.add("AUMD_PHASE", event.phase.rawValue)
            fields.add("AUMD_REV", String(event.revision))
            fields.add("AUMD_STATUS", event.status.rawValue)
            fields.add("AUMD_SOURCE", event.source)
            fields.add("AUMD_LABEL", event.label)
            fields.add("AUMD_MID", event.mid)
            // One field each, so that a match on an ancestor finds the event.
            for parent in event.parents { fields.add("AUMD_PARENT", parent) }
            if let group = event.group { fields.add("AUMD_GROUP", group) }
            fields.add("AUMD_SCORE", event.score.description)
            fields.add("AUMD_PEAK", event.peak.description)
            fields.add("AUMD_ONSET", event.onset.text)
            if let offset = event.offset {
                fields.add("AUMD_OFFSET", offset.text)
                fields.add("AUMD_DURATION_MS", String(offset.milliseconds - event.onset.milliseconds))
            }
            if let reason = event.reason { fields.add("AUMD_REASON", reason.rawValue) }
            if let partOf = event.partOf { fields.add("AUMD_PART_OF", partOf.id.description) }
            fields.add("AUMD_MODEL", event.model)
        case .gap(let gap):
            fields.add("AUMD_SOURCE", gap.source)
            fields.add("AUMD_ONSET", gap.from.text)
            fields.add("AUMD_OFFSET", gap.to.text)
            fields.add("AUMD_DURATION_MS", String(gap.to.milliseconds - gap.from.milliseconds))
            fields.add("AUMD_SAMPLES", String(gap.samples))
            fields.add("AUMD_CAUSE", gap.cause.rawValue)
        case .status(let status):
            fields.add("AUMD_SOURCE", status.source)
            fields.add("AUMD_STATE", status.state.rawValue)
            if let level = status.levelDBFS { fields.add("AUMD_LEVEL_DBFS", Sentence.decimal(level, 1)) }
            if let device = status.device { fields.add("AUMD_DEVICE", device) }
        case .recording(let recording):
            fields.add("AUMD_EVENT_ID", recording.id.description)
            fields.add("AUMD_SOURCE", recording.source)
            if let label = recording.label { fields.add("AUMD_LABEL", label) }
            for parent in recording.parents { fields.add("AUMD_PARENT", parent) }
            fields.add("AUMD_FILE", recording.file)
            fields.add("AUMD_ONSET", recording.from.text)
            fields.add("AUMD_OFFSET", recording.to.text)
            fields.add("AUMD_DURATION_MS", String(recording.to.milliseconds - recording.from.milliseconds))
        case .scores: break
        }
    }
}

/// The fields of one entry, side by side in one buffer that keeps its capacity.
private struct JournalFields {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    mutating func add(_ name: String, _ value: String) { add(name, value.utf8) }

    mutating func add(_ name: String, _ value: some Sequence<UInt8>) {
        bytes.append(contentsOf: name.utf8)
        bytes.append(0x3D)
        bytes.append(contentsOf: value)
        ends.append(bytes.count)
    }

    /// Returns whether the journal took the entry. libsystemd escapes what needs it, and passes an entry that is too
    /// large for a datagram as a sealed memory file.
    func send() -> Bool {
        bytes.withUnsafeBytes { buffer in
            var start = 0
            let vectors = ends.map { end in
                defer { start = end }
                return iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress! + start), iov_len: end - start)
            }
            return sd_journal_sendv(vectors, Int32(vectors.count)) == 0
        }
    }
}
