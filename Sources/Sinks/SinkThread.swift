import Glibc
import Synchronization

/// What a sink has to say to people, for a log. Each is told once when it begins, not with every line.
public enum SinkNotice: Sendable, Equatable, CustomStringConvertible {
    /// Lines cannot be written for now; they are counted, and each further line tries again.
    case failing(name: String, errno: Int32)
    /// Writing works again.
    case recovered(name: String, lost: UInt64)
    /// The file could not be opened anew; the old one is written further.
    case reopenFailed(name: String, errno: Int32)
    /// A reader was too slow and has been cut off.
    case readerDropped(name: String, lost: UInt64)

    public var description: String {
        switch self {
        case .failing(let name, let code):
            "Records cannot be written to \(name) (\(errorText(code))) and are lost until that is mended."
        case .recovered(let name, let lost):
            "Records are written to \(name) again; \(lost) were lost."
        case .reopenFailed(let name, let code):
            "\(name) could not be reopened (\(errorText(code))); the old file is written further."
        case .readerDropped(let name, let lost):
            "A reader of \(name) was too slow, lost \(lost) records and has been cut off; it may connect again."
        }
    }
}

/// Why a sink cannot be set up.
public enum SinkError: Error, Sendable, Equatable, CustomStringConvertible {
    case open(path: String, errno: Int32)
    /// A Unix socket's path holds at most 107 bytes (unix(7)).
    case socketPathLength(path: String)
    /// Another process listens there.
    case socketInUse(path: String)
    /// Something that is not a socket is in the way.
    case socketPathTaken(path: String)
    case socket(path: String, call: String, errno: Int32)
    case thread(errno: Int32)

    public var description: String {
        switch self {
        case .open(let path, let code):
            "\(path) cannot be opened for writing: \(errorText(code)); choose another file or mend its permissions."
        case .socketPathLength(let path):
            "The socket path \(path) is longer than 107 bytes; choose a shorter one."
        case .socketInUse(let path):
            "Another process already listens at \(path); stop it or choose another path."
        case .socketPathTaken(let path):
            "\(path) exists and is not a socket; remove it or choose another path."
        case .socket(let path, let call, let code):
            "No socket can be made at \(path): \(call) says \(errorText(code)); choose another path or mend its permissions."
        case .thread(let code):
            "A writer thread cannot be started: \(errorText(code)); raise the limit of processes."
        }
    }
}

/// strerror(3) for a person to read, without its static buffer.
func errorText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    // Glibc's GNU variant may return a pointer of its own and leave the buffer alone.
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Where records go. Lives on its own thread, see `SinkThread`; may block there.
public protocol RecordSink {
    /// Writes a record. Returns false when the reader is gone for good and nothing more needs to be sent.
    ///
    /// - Parameter dropped: Records that the queue before this sink has lost.
    mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool
    /// Called after each batch of records and every `SinkThread.interval` milliseconds: to flush, retry or repaint.
    mutating func pause()
    /// Called on request, for log rotation.
    mutating func reopen()
    /// Called once at the end, when everything has been written.
    mutating func finish()
}

extension RecordSink {
    public mutating func pause() {}
    public mutating func reopen() {}
    public mutating func finish() {}
}

/// Runs one sink on a thread of its own, so that a slow one holds up neither the analysis nor another sink.
public final class SinkThread: Sendable {
    /// What a thread takes over; only that thread touches it afterwards.
    private final class Work: @unchecked Sendable {
        var sink: any RecordSink
        let queue: RecordQueue
        let interval: Int32
        let ended: EventDescriptor
        let onReaderGone: @Sendable () -> Void

        init(
            _ sink: sending any RecordSink, _ queue: RecordQueue, _ interval: Int32, _ ended: EventDescriptor,
            _ onReaderGone: @escaping @Sendable () -> Void
        ) {
            self.sink = sink
            self.queue = queue
            self.interval = interval
            self.ended = ended
            self.onReaderGone = onReaderGone
        }

        func run() {
            var records: [NumberedRecord] = []
            records.reserveCapacity(queue.capacity)
            loop: while true {
                var entry = pollfd(fd: queue.descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&entry, 1, interval)
                if queue.takeReopenRequest() { sink.reopen() }
                records.removeAll(keepingCapacity: true)
                guard queue.take(into: &records) else { break }
                let lost = queue.dropped
                for record in records {
                    guard sink.write(record, dropped: lost.scores + lost.others) else {
                        queue.finish()
                        onReaderGone()
                        break loop
                    }
                }
                sink.pause()
            }
            sink.finish()
            ended.signal()
        }
    }

    public let queue: RecordQueue
    private let ended = EventDescriptor()

    /// - Parameters:
    ///   - interval: Milliseconds between two calls of the sink's `pause` where nothing happens; -1: none.
    ///   - onReaderGone: Called on the sink's thread, at most once.
    public init(
        _ sink: sending any RecordSink, queue: RecordQueue, interval: Int32 = -1,
        onReaderGone: @escaping @Sendable () -> Void = {}
    ) throws(SinkError) {
        self.queue = queue
        let work = Work(sink, queue, interval, ended, onReaderGone)
        let code = startThread { work.run() }
        guard code == 0 else { throw .thread(errno: code) }
    }

    /// Finishes the queue and waits for the last record to be written.
    ///
    /// - Returns: false where that takes longer than `milliseconds`, such as for a reader that stopped reading; the
    ///   thread is then left to the end of the process.
    @discardableResult
    public func stop(milliseconds: Int32) -> Bool {
        queue.finish()
        return ended.wait(milliseconds: milliseconds)
    }
}

/// Starts a detached thread that takes no signals: those are for the main thread.
///
/// - Returns: 0, or pthread_create(3)'s error number.
func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var blocked = sigset_t()
    var before = sigset_t()
    sigfillset(&blocked)
    pthread_sigmask(SIG_SETMASK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let box = Unmanaged.passRetained(Box(body))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    guard code == 0 else {
        box.release()
        return code
    }
    pthread_detach(thread)
    return 0
}
