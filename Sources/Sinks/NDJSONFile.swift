import Glibc

/// Newline-delimited JSON to standard output or a file, one write(2) a line.
///
/// A line is never torn, and a full disk or a named pipe whose reader has gone is reported once: see `LineWriter`.
public struct NDJSONFile: RecordSink {
    /// nil for a descriptor that is not ours to reopen.
    private let path: String?
    private var lines: LineWriter
    private var encoder = RecordEncoder()
    public var isFailing: Bool { lines.isFailing }

    /// Standard output.
    public static func standardOutput(onNotice: @escaping @Sendable (SinkNotice) -> Void) -> NDJSONFile {
        NDJSONFile(descriptor: STDOUT_FILENO, name: "standard output", onNotice: onNotice)
    }

    /// A descriptor that stays the caller's.
    public init(descriptor: Int32, name: String, onNotice: @escaping @Sendable (SinkNotice) -> Void) {
        path = nil
        lines = LineWriter(descriptor: descriptor, name: name, outlivesReader: false, onNotice: onNotice)
    }

    /// Opens a file to append to, made with mode 0644 where it is missing, or a named pipe that has a reader.
    ///
    /// - Throws: `SinkError.open`.
    public init(path: String, onNotice: @escaping @Sendable (SinkNotice) -> Void) throws(SinkError) {
        let descriptor = Self.open(path)
        guard descriptor >= 0 else { throw .open(path: path, errno: errno) }
        self.path = path
        lines = LineWriter(descriptor: descriptor, name: path, outlivesReader: true, onNotice: onNotice)
    }

    /// Writes one line. Returns false once the reader of a descriptor has closed its end.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        lines.write(encoder.line(record.record, sequence: record.sequence, dropped: dropped + lines.lost))
    }

    /// Opens the path anew, as after a rotation. The old file is kept where that fails.
    public mutating func reopen() {
        guard let path else { return }
        // Before it is opened, which ends whatever line somebody left unfinished.
        lines.finish()
        let fresh = Self.open(path)
        guard fresh >= 0 else {
            lines.onNotice(.reopenFailed(name: path, errno: errno))
            return
        }
        finish()
        lines.descriptor = fresh
    }

    /// Ends the last line or takes it back, and closes a file that was opened here.
    public mutating func finish() {
        lines.finish()
        if path != nil, lines.descriptor >= 0 {
            close(lines.descriptor)
            lines.descriptor = -1
        }
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
