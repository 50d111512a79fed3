import Glibc

/// One sentence a line, for people: `--format text` where there is no terminal.
public struct TextSink: RecordSink {
    private let descriptor: Int32
    private var states: [String: StatusRecord.State] = [:]

    /// Lines to a descriptor that stays the caller's.
    public init(descriptor: Int32 = STDOUT_FILENO) {
        self.descriptor = descriptor
    }

    /// Writes a line for what is worth one. Returns false once the reader has closed its end.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        let time: RecordTime
        switch record.record {
        case .event(let event): time = event.phase == .close ? event.offset ?? event.onset : event.onset
        case .gap(let gap): time = gap.from
        case .status(let status):
            guard states.updateValue(status.state, forKey: status.source) != status.state else { return true }
            time = status.time
        case .scores, .clip: return true
        }
        guard let sentence = Sentence.text(record.record) else { return true }
        let line = Array("\(time.text)  \(sentence)\n".utf8)
        var count = 0
        while count < line.count {
            let result = line.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + count, $0.count - count) }
            if result >= 0 {
                count += result
            } else if errno == EPIPE || errno == ECONNRESET {
                return false
            } else if errno != EINTR {
                return true
            }
        }
        return true
    }
}
