import Glibc

/// Newline-delimited JSON to standard output or a file, one write(2) a line.
///
/// A line is never torn: what a partial write leaves is written before anything else, and where that stays impossible a
/// regular file is cut back to its last whole line. A full disk, or a named pipe whose reader has gone, is told once; the
/// lines of that time are lost and counted, and every further line tries again.
public struct NDJSONFile: RecordSink {
    /// nil for a descriptor that is not ours to reopen.
    private let path: String?
    private let name: String
    private var descriptor: Int32
    private var encoder = RecordEncoder()
    /// The rest of a line that was written in part.
    private var rest: [UInt8] = []
    /// Bytes of that line which are in the file.
    private var written = 0
    public private(set) var isFailing = false
    private var lost: UInt64 = 0
    private let onNotice: @Sendable (SinkNotice) -> Void

    /// Standard output.
    public static func standardOutput(onNotice: @escaping @Sendable (SinkNotice) -> Void) -> NDJSONFile {
        NDJSONFile(descriptor: STDOUT_FILENO, name: "standard output", onNotice: onNotice)
    }

    /// A descriptor that stays the caller's.
    public init(descriptor: Int32, name: String, onNotice: @escaping @Sendable (SinkNotice) -> Void) {
        path = nil
        self.name = name
        self.descriptor = descriptor
        self.onNotice = onNotice
    }

    /// Opens a file to append to, made with mode 0644 where it is missing, or a named pipe that has a reader.
    ///
    /// - Throws: `SinkError.open`.
    public init(path: String, onNotice: @escaping @Sendable (SinkNotice) -> Void) throws(SinkError) {
        let descriptor = Self.open(path)
        guard descriptor >= 0 else { throw .open(path: path, errno: errno) }
        self.path = path
        name = path
        self.descriptor = descriptor
        self.onNotice = onNotice
    }

    /// Writes one line. Returns false once the reader of a descriptor has closed its end.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        let line = encoder.line(record.record, sequence: record.sequence, dropped: dropped + lost)
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
        case .done:
            if isFailing {
                isFailing = false
                onNotice(.recovered(name: name, lost: lost))
            }
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

    /// Opens the path anew, as after a rotation. The old file is kept where that fails.
    public mutating func reopen() {
        guard let path else { return }
        let fresh = Self.open(path)
        guard fresh >= 0 else {
            onNotice(.reopenFailed(name: name, errno: errno))
            return
        }
        finish()
        descriptor = fresh
    }

    /// Ends the last line or takes it back, and closes a file that was opened here.
    public mutating func finish() {
        if !rest.isEmpty {
            switch put(rest) {
            case .done: isFailing = false
            case .failed(_, let count): cutBack(written + count)
            case .readerGone: break
            }
            rest.removeAll(keepingCapacity: true)
        }
        if path != nil, descriptor >= 0 {
            close(descriptor)
            descriptor = -1
        }
    }

    private mutating func put(_ bytes: [UInt8]) -> WriteOutcome {
        let outcome = writeWhole(bytes, to: descriptor)
        guard outcome == .readerGone, path != nil else { return outcome }
        // A named pipe may find another reader, who must not begin with the rest of the last one's line.
        rest.removeAll(keepingCapacity: true)
        return .failed(errno: EPIPE, count: 0)
    }

    private mutating func fail(_ code: Int32) {
        guard !isFailing else { return }
        isFailing = true
        onNotice(.failing(name: name, errno: code))
    }

    /// Takes the last bytes off a regular file.
    private mutating func cutBack(_ count: Int) {
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return }
        if ftruncate(descriptor, max(0, information.st_size - count)) == 0 { lost += 1 }
    }

    /// Also ends a line that an earlier process left unfinished, so that the first record has a line to itself.
    private static func open(_ path: String) -> Int32 {
        // Not to wait for the reader of a named pipe.
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o644)
        guard descriptor >= 0 else { return descriptor }
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG, information.st_size > 0
        else { return descriptor }
        let reader = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard reader >= 0 else { return descriptor }
        defer { close(reader) }
        var last: UInt8 = 0x0A
        if pread(reader, &last, 1, information.st_size - 1) == 1, last != 0x0A {
            var newline: UInt8 = 0x0A
            _ = Glibc.write(descriptor, &newline, 1)
        }
        return descriptor
    }
}
