import Glibc

/// Lines to a descriptor, one write(2) each, never torn: what a partial write leaves is written before anything else, and where
/// that stays impossible a regular file is cut back to its last whole line.
///
/// A full disk, or a reader that has gone and may have a successor, is reported once; the lines of that time are lost and counted, and
/// every further line tries again.
struct LineWriter {
    /// Where to; whoever made it closes it.
    var descriptor: Int32
    /// What notices call it.
    let name: String
    /// A reader that has gone may have a successor, as that of a named pipe may.
    private let outlivesReader: Bool
    /// The rest of a line that was written in part.
    private var rest: [UInt8] = []
    /// Bytes of that line which are in the file.
    private var written = 0
    /// The last line could not be written.
    private(set) var isFailing = false
    /// Lines lost so far.
    private(set) var lost: UInt64 = 0
    let onNotice: @Sendable (SinkNotice) -> Void

    init(descriptor: Int32, name: String, outlivesReader: Bool, onNotice: @escaping @Sendable (SinkNotice) -> Void) {
        self.descriptor = descriptor
        self.name = name
        self.outlivesReader = outlivesReader
        self.onNotice = onNotice
    }

    /// Writes one line. Returns false once the reader has closed its end for good.
    mutating func write(_ line: [UInt8]) -> Bool {
        if !rest.isEmpty {
            switch put(rest) {
            case .done: rest.removeAll(keepingCapacity: true)
            case .readerGone: return false
            case .failed(let code, let count):
                rest.removeFirst(count)
                written += count
                fail(code)
                lost += 1
                return true
            }
        }
        switch put(line) {
        case .done: recover()
        case .readerGone: return false
        case .failed(let code, let count):
            fail(code)
            if count == 0 {
                lost += 1
            } else {
                rest.append(contentsOf: line[count...])
                written = count
            }
        }
        return true
    }

    /// Ends the last line or takes it back.
    mutating func finish() {
        guard !rest.isEmpty else { return }
        switch put(rest) {
        case .done: recover()
        case .failed(_, let count): cutBack(written + count)
        case .readerGone: break
        }
        rest.removeAll(keepingCapacity: true)
    }

    private mutating func put(_ bytes: [UInt8]) -> WriteOutcome {
        let outcome = writeAll(bytes, to: descriptor)
        guard outcome == .readerGone, outlivesReader else { return outcome }
        // The next reader must not begin with the rest of the last one's line.
        rest.removeAll(keepingCapacity: true)
        return .failed(errno: EPIPE, count: 0)
    }

    private mutating func fail(_ code: Int32) {
        guard !isFailing else { return }
        isFailing = true
        onNotice(.failing(name: name, errno: code))
    }

    private mutating func recover() {
        guard isFailing else { return }
        isFailing = false
        onNotice(.recovered(name: name, lost: lost))
    }

    /// Takes the last bytes off a regular file.
    private mutating func cutBack(_ count: Int) {
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return }
        if ftruncate(descriptor, max(0, information.st_size - count)) == 0 { lost += 1 }
    }
}
