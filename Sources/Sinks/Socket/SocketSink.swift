import Glibc
import Threads

/// Newline-delimited JSON to every client of a Unix stream socket, from one thread with poll(2).
///
/// A client gets whole lines: what is retained when it connects, and all that is sent from then on. Each has a buffer of its own; what a
/// slow client does not take fills it. From half full on the client loses scores, when full everything, always whole lines: it sees a hole in
/// `seq`, and its own count in `dropped` of the next status record. A client that loses events and has taken nothing
/// for ten seconds is cut off. What clients send is read and ignored.
public final class SocketSink: Sendable {
    /// More clients than this are turned away.
    public static let maximumClients = 64

    /// What to send is put in here.
    public let queue: RecordQueue
    private let ended = Wakeup()

    /// Starts listening.
    ///
    /// - Parameters:
    ///   - mode: Permissions of the socket file; a client needs write permission to connect.
    ///   - bufferSize: Bytes held for each client, about 600 events by default.
    ///   - sendTimeout: Seconds that a client which loses events may take nothing before it is cut off.
    ///   - onNotice: Called on the sink's thread.
    /// - Throws: ``SinkError`` for a path that is too long, taken or in use, or cannot be made.
    public init(
        path: String, mode: UInt32 = 0o660, queue: RecordQueue, bufferSize: Int = 256 * 1024, sendTimeout: Int = 10,
        onNotice: @escaping @Sendable (SinkNotice) -> Void
    ) throws(SinkError) {
        self.queue = queue
        let listener = try BoundSocket(path: path, mode: mode)
        let server = SocketServer(listener, queue, bufferSize, sendTimeout, onNotice)
        let ended = self.ended
        let code = startThread("socket") {
            server.run()
            ended.signal()
        }
        guard code == 0 else { throw .thread(errno: code) }
    }

    /// Finishes the queue, sends what clients will take, closes them and removes the socket file.
    ///
    /// - Returns: false where that takes longer than `milliseconds`.
    @discardableResult
    public func stop(milliseconds: Int32) -> Bool {
        queue.finish()
        return ended.wait(milliseconds: milliseconds)
    }
}

/// The thread's side of a `SocketSink`; only that thread touches it once it runs.
private final class SocketServer: @unchecked Sendable {
    private struct Client {
        let descriptor: Int32
        /// Bytes to send, the first `sent` of which are gone.
        var buffer: [UInt8] = []
        var sent = 0
        var lost: UInt64 = 0
        /// Whether events were lost since the client last took anything.
        var isLosingEvents = false
        var lastProgress: Int
        /// The client has shut down its own writing side, so nothing more is to be read.
        var isReadEnded = false
        var isGone = false

        var pending: Int { buffer.count - sent }
    }

    private var listener: BoundSocket?
    private let path: String
    private let queue: RecordQueue
    private let bufferSize: Int
    private let sendTimeout: Int
    private let onNotice: @Sendable (SinkNotice) -> Void
    private var clients: [Client] = []
    private var retained = RetainedRecords()
    /// A client was turned away, and none has left since.
    private var hasRefused = false
    /// Records other than scores that the queue had no room for, as far as `retained` knows of them.
    private var known: UInt64 = 0
    private var encoder = RecordEncoder()

    init(
        _ listener: consuming BoundSocket, _ queue: RecordQueue, _ bufferSize: Int, _ sendTimeout: Int,
        _ onNotice: @escaping @Sendable (SinkNotice) -> Void
    ) {
        path = listener.path
        self.listener = consume listener
        self.queue = queue
        self.bufferSize = bufferSize
        self.sendTimeout = sendTimeout
        self.onNotice = onNotice
    }

    func run() {
        var records: [NumberedRecord] = []
        var entries: [pollfd] = []
        while true {
            entries.removeAll(keepingCapacity: true)
            entries.append(pollfd(fd: queue.descriptor, events: Int16(POLLIN), revents: 0))
            entries.append(pollfd(fd: listener?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
            for client in clients {
                var events = client.isReadEnded ? 0 : Int16(POLLIN)
                if client.pending > 0 { events |= Int16(POLLOUT) }
                entries.append(pollfd(fd: client.descriptor, events: events, revents: 0))
            }
            _ = poll(&entries, nfds_t(entries.count), 1000)
            for index in clients.indices {
                let events = Int32(entries[index + 2].revents)
                if events & (POLLERR | POLLHUP | POLLNVAL) != 0 { clients[index].isGone = true }
                if events & POLLIN != 0 { drain(index) }
                if events & POLLOUT != 0 { flush(index) }
            }
            records.removeAll(keepingCapacity: true)
            // Before the records are taken: what was lost before has its place after all of them.
            let lost = queue.dropped.others
            let isOpen = queue.take(into: &records)
            for record in records {
                retained.take(record)
                send(record)
            }
            forgetWhatMayHaveEnded(lost)
            cutOffSlowClients()
            removeGoneClients()
            guard isOpen else { break }
            if entries[1].revents != 0 { acceptClients() }
        }
        finish()
    }

    private func acceptClients() {
        while let descriptor = listener?.accept() {
            guard clients.count < SocketSink.maximumClients else {
                close(descriptor)
                if !hasRefused { onNotice(.readerRefused(name: path, limit: SocketSink.maximumClients)) }
                hasRefused = true
                continue
            }
            var client = Client(descriptor: descriptor, lastProgress: Self.seconds())
            for record in retained.records {
                let line = encoder.line(record.record, sequence: record.sequence, dropped: lost)
                if client.buffer.count + line.count <= bufferSize { client.buffer += line }
            }
            clients.append(client)
            flush(clients.count - 1)
        }
        // Out of descriptors: the connection stays in the backlog, and polling it would spin.
        if errno == EMFILE || errno == ENFILE { usleep(100_000) }
    }

    /// Puts a line into every client's buffer and sends what the kernel takes at once.
    private func send(_ record: NumberedRecord) {
        guard !clients.isEmpty else { return }
        let lost = lost
        let isScores = record.record.kind == .scores
        let line = encoder.line(record.record, sequence: record.sequence, dropped: lost)
        for index in clients.indices where !clients[index].isGone {
            let client = clients[index]
            let own =
                record.record.kind == .status && client.lost > 0
                ? encoder.line(record.record, sequence: record.sequence, dropped: lost + client.lost) : line
            guard client.pending + own.count <= (isScores ? bufferSize / 2 : bufferSize) else {
                clients[index].lost += 1
                if !isScores { clients[index].isLosingEvents = true }
                continue
            }
            clients[index].buffer.append(contentsOf: own)
            flush(index)
        }
    }

    /// After records were lost, the ends of events may be among them.
    private func forgetWhatMayHaveEnded(_ lost: UInt64) {
        if lost > known { retained.forgetEvents() }
        known = lost
    }

    /// Records that no client got.
    private var lost: UInt64 {
        let dropped = queue.dropped
        return dropped.scores + dropped.others
    }

    private func flush(_ index: Int) {
        while clients[index].pending > 0 {
            let sent = clients[index].sent
            let descriptor = clients[index].descriptor
            let result = clients[index].buffer.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if result < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { clients[index].isGone = true }
                break
            }
            clients[index].sent += result
            clients[index].lastProgress = Self.seconds()
            clients[index].isLosingEvents = false
        }
        if clients[index].pending == 0 {
            clients[index].buffer.removeAll(keepingCapacity: true)
            clients[index].sent = 0
        } else if clients[index].sent > bufferSize / 2 {
            clients[index].buffer.removeFirst(clients[index].sent)
            clients[index].sent = 0
        }
    }

    private func drain(_ index: Int) {
        let count = withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) {
            recv(clients[index].descriptor, $0.baseAddress, $0.count, 0)
        }
        if count == 0 { clients[index].isReadEnded = true }
        if count < 0, errno != EINTR, errno != EAGAIN { clients[index].isGone = true }
    }

    private func cutOffSlowClients() {
        let now = Self.seconds()
        for index in clients.indices where clients[index].isLosingEvents && !clients[index].isGone {
            if now - clients[index].lastProgress >= sendTimeout {
                clients[index].isGone = true
                onNotice(.readerDropped(name: path, lost: clients[index].lost))
            }
        }
    }

    private func removeGoneClients() {
        for client in clients where client.isGone {
            close(client.descriptor)
            hasRefused = false
        }
        clients.removeAll { $0.isGone }
    }

    /// Gives clients half a second for what is in their buffers.
    private func finish() {
        listener = nil
        var rounds = 50
        while rounds > 0, clients.contains(where: { $0.pending > 0 && !$0.isGone }) {
            for index in clients.indices where !clients[index].isGone { flush(index) }
            usleep(10_000)
            rounds -= 1
        }
        for client in clients { close(client.descriptor) }
        clients.removeAll()
    }

    private static func seconds() -> Int { Int(nanosecondsNow(CLOCK_MONOTONIC) / 1_000_000_000) }
}
