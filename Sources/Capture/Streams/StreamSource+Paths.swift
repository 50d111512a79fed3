import Glibc

/// What a path or a descriptor is of.
extension StreamSource {
    /// Whether a path is a pipe (fifo(7)).
    public static func isPipe(_ path: String) -> Bool { isOf(S_IFIFO) { stat(path, &$0) } }

    /// Whether a path is a pipe that others can open, too; not so `/dev/fd/63`, as a shell writes a process for.
    public static func isNamedPipe(_ path: String) -> Bool {
        guard isPipe(path), let resolved = realpath(path, nil) else { return false }
        free(resolved)
        return true
    }

    /// Whether a descriptor is of a file, which can wait for its reader for ever.
    public static func isFile(_ descriptor: Int32) -> Bool { isOf(S_IFREG) { fstat(descriptor, &$0) } }

    /// Whether a path is of a file that can be read from its beginning to its end.
    public static func isFile(_ path: String) -> Bool { isOf(S_IFREG) { stat(path, &$0) } }

    private static func isOf(_ type: mode_t, _ ask: (inout stat) -> Int32) -> Bool {
        var status = stat()
        return ask(&status) == 0 && status.st_mode & S_IFMT == type
    }

    /// A descriptor of a named pipe or file, which is the caller's. Does not wait for a writer; the source does.
    ///
    /// - Throws: ``CaptureError/pipe(_:_:)`` or ``CaptureError/file(_:_:)``.
    public static func open(_ path: String) throws(CaptureError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            let problem = CaptureError.FileProblem(opening: errno)
            throw isPipe(path) ? .pipe(path, problem) : .file(path, problem)
        }
        return descriptor
    }
}
