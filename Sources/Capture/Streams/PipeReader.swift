import Glibc
import Threads

/// The bytes of a pipe or a file, received as they come and held until they are dropped. Of one thread.
///
/// A named pipe ends with its writer or, where it has a ``path``, goes on with the next one.
final class PipeReader {
    enum Receipt {
        /// `waited`: nothing was there before.
        case received(waited: Bool)
        /// The writer is gone, and another may come.
        case left
        case timeout, closed, stopped
    }

    let descriptor: Int32
    /// A file can wait for its reader for ever.
    let isFile: Bool
    private let name: String
    private let stopping: Stop
    /// Of a named pipe that another writer may open.
    var path: String?
    /// Bytes that may still be received; nil: to the end of the stream.
    var promised: Int64?
    /// Bytes received and not dropped.
    private(set) var held = 0
    private var front = 0
    private var bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ForeignFormat.shortest, alignment: 16)
    private var hasClosed = false
    /// Milliseconds after which a named pipe without a writer is looked for anew.
    private static let patience = 1000

    /// - Parameters:
    ///   - descriptor: is not closed.
    ///   - name: what errors call it.
    ///   - path: of a named pipe that another writer may open.
    ///   - stopping: ends every wait.
    init(_ descriptor: Int32, name: String, path: String?, stopping: Stop) {
        self.descriptor = descriptor
        isFile = StreamSource.isFile(descriptor)
        self.name = name
        self.path = path
        self.stopping = stopping
    }

    deinit { bytes.deallocate() }

    /// A problem of this pipe or file.
    func failure(_ problem: CaptureError.FileProblem) -> CaptureError { isFile ? .file(name, problem) : .pipe(name, problem) }

    /// The first of the bytes that are held.
    var first: UnsafeMutableRawPointer { bytes.baseAddress! + front }

    /// Whether there is no room for more.
    var isFull: Bool { held == bytes.count }

    /// Makes room for as many bytes, those that are held among them.
    func reserve(_ count: Int) {
        guard count > bytes.count else { return }
        let more = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        more.copyMemory(from: UnsafeRawBufferPointer(start: first, count: held))
        bytes.deallocate()
        bytes = more
        front = 0
    }

    func drop(_ count: Int) {
        held -= count
        front = held == 0 ? 0 : front + count
    }

    /// Drops the newest bytes.
    func dropLast(_ count: Int) { held -= count }

    /// Receives what is there, as much as there is room for and no more than `limit` bytes held, waiting at most `timeout`
    /// milliseconds (-1: for ever) for the first byte.
    func receive(limit: Int = .max, timeout: Int) throws(CaptureError) -> Receipt {
        var descriptors = (
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stopping.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        )
        func poll(_ timeout: Int) -> Int32 {
            withUnsafeMutableBytes(of: &descriptors) {
                Glibc.poll($0.baseAddress!.assumingMemoryBound(to: pollfd.self), 2, Int32(clamping: timeout))
            }
        }
        if hasClosed { return .closed }
        var ready = poll(0)
        let waited = ready == 0
        if waited { ready = poll(timeout) }
        if descriptors.1.revents != 0 { return .stopped }
        if ready <= 0 { return .timeout }
        memmove(bytes.baseAddress!, first, held)
        front = 0
        var wanted = min(limit, bytes.count) - held
        if let promised { wanted = Int(min(Int64(wanted), promised)) }
        let count = Glibc.read(descriptor, bytes.baseAddress! + held, wanted)
        if count < 0 {
            if errno == EAGAIN || errno == EINTR { return .timeout }
            throw failure(.readFailed(errorText(errno)))
        }
        if count == 0 {
            if reopen() { return .left }
            if path != nil { throw failure(.notReopened(errorText(errno))) }
            hasClosed = true
            return .closed
        }
        held += count
        promised? -= Int64(count)
        return .received(waited: waited)
    }

    /// Opens a named pipe again, for what its next writer writes: the old opening would show the end of the last one's until then
    /// (poll(2), POLLHUP), and is of a pipe that has no name any more where somebody has made it anew. Nothing is lost, as the same
    /// pipe is never without a reader.
    ///
    /// - Returns: false, with errno, where there is none to be opened.
    @discardableResult
    func reopen() -> Bool {
        guard let path else { return false }
        guard StreamSource.isPipe(path) else {
            errno = ENOENT
            return false
        }
        let next = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard next >= 0 else { return false }
        defer { close(next) }
        return dup2(next, descriptor) >= 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) >= 0
    }

    /// What the stream begins with, as far as it shows what kind it is. Stays held.
    func beginning() throws(CaptureError) -> [UInt8] {
        var there = [UInt8]()
        while there.count < ForeignFormat.needed(there) {
            let count = try fill(upTo: ForeignFormat.needed(there))
            if count == there.count { break }
            there = [UInt8](UnsafeRawBufferPointer(start: first, count: count))
        }
        return there
    }

    /// The next bytes, dropped; nil where the stream ends, or is stopped, before there are as many.
    func take(_ count: Int) throws(CaptureError) -> [UInt8]? {
        guard try fill(upTo: count) == count else { return nil }
        defer { drop(count) }
        return [UInt8](UnsafeRawBufferPointer(start: first, count: count))
    }

    /// Receives until `count` bytes are held, or the stream ends. Returns how many of them there are.
    private func fill(upTo count: Int) throws(CaptureError) -> Int {
        reserve(count)
        while held < count {
            switch try receive(limit: count, timeout: path == nil ? -1 : PipeReader.patience) {
            case .received: continue
            case .timeout: if held == 0 { reopen() }
            case .left: drop(held)
            case .closed, .stopped: return held
            }
        }
        return count
    }
}
