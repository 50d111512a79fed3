import Glibc

/// One sentence a line, for people: `--format text` where there is no terminal. A line is never torn: see `LineWriter`.
public struct TextSink: RecordSink {
    private var lines: LineWriter
    /// The last status record of each source.
    private var previous: [String: StatusRecord] = [:]
    public var isFailing: Bool { lines.isFailing }

    /// Lines to a descriptor that stays the caller's.
    public init(
        descriptor: Int32 = STDOUT_FILENO, name: String = "standard output",
        onNotice: @escaping @Sendable (SinkNotice) -> Void = { _ in }
    ) {
        lines = LineWriter(descriptor: descriptor, name: name, outlivesReader: false, onNotice: onNotice)
    }

    /// Writes a line for what is worth one. Returns false once the reader has closed its end.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        let time: RecordTime
        switch record.record {
        case .event(let event): time = event.phase == .close ? event.offset ?? event.onset : event.onset
        case .gap(let gap): time = gap.from
        case .status(let status):
            if status.repeats(previous.updateValue(status, forKey: status.source)) { return true }
            time = status.time
        case .recording(let recording): time = recording.from
        case .scores: return true
        }
        guard let sentence = Sentence.text(record.record) else { return true }
        return lines.write(Array("\(time.text)  \(sentence.printable)\n".utf8))
    }

    /// Ends the last line or takes it back.
    public mutating func finish() { lines.finish() }
}
