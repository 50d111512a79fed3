import Glibc

/// One sentence a line, for people: `--format text` where there is no terminal.
public struct TextSink: RecordSink {
    private let descriptor: Int32
    private let name: String
    /// The last status record of each source.
    private var told: [String: StatusRecord] = [:]
    public private(set) var isFailing = false
    private var lost: UInt64 = 0
    private let onNotice: @Sendable (SinkNotice) -> Void

    /// Lines to a descriptor that stays the caller's.
    public init(
        descriptor: Int32 = STDOUT_FILENO, name: String = "standard output",
        onNotice: @escaping @Sendable (SinkNotice) -> Void = { _ in }
    ) {
        self.descriptor = descriptor
        self.name = name
        self.onNotice = onNotice
    }

    /// Writes a line for what is worth one. Returns false once the reader has closed its end.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        let time: RecordTime
        switch record.record {
        case .event(let event): time = event.phase == .close ? event.offset ?? event.onset : event.onset
        case .gap(let gap): time = gap.from
        case .status(let status):
            if status.repeats(told.updateValue(status, forKey: status.source)) { return true }
            time = status.time
        case .scores, .clip: return true
        }
        guard let sentence = Sentence.text(record.record) else { return true }
        let line = Array("\(time.text)  \(sentence)\n".utf8)
        switch writeWhole(line, to: descriptor) {
        case .done:
            if isFailing { onNotice(.recovered(name: name, lost: lost)) }
            isFailing = false
        case .readerGone: return false
        case .failed(let code, _):
            if !isFailing { onNotice(.failing(name: name, errno: code)) }
            isFailing = true
            lost += 1
        }
        return true
    }
}
