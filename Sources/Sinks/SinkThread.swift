import Glibc
import Synchronization
import Threads

/// Where records go. Lives on its own thread, see `SinkThread`; may block there.
public protocol RecordSink {
    /// Writes a record. Returns false when the reader is gone for good and nothing more needs to be sent.
    ///
    /// - Parameter dropped: Records that the queue before this sink has lost.
    mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool
    /// Called after each batch of records, and every `flushInterval` milliseconds: to flush, retry or repaint.
    mutating func flush()
    /// Milliseconds between two calls of `flush` where nothing happens; -1: none.
    var flushInterval: Int32 { get }
    /// Called on request, for log rotation.
    mutating func reopen()
    /// Called once at the end, when everything has been written.
    mutating func finish()
    /// The last record could not be written, and is lost.
    var isFailing: Bool { get }
}

extension RecordSink {
    /// Nothing by default.
    public mutating func flush() {}
    /// None by default.
    public var flushInterval: Int32 { -1 }
    /// Nothing by default.
    public mutating func reopen() {}
    /// Nothing by default.
    public mutating func finish() {}
    /// false: nothing that can be known of.
    public var isFailing: Bool { false }
}

/// Runs one sink on a thread of its own, so that a slow one holds up neither the analysis nor another sink.
public final class SinkThread: Sendable {
    /// What a thread takes over; only that thread touches it afterwards.
    private final class Work: @unchecked Sendable {
        var sink: any RecordSink
        let queue: RecordQueue
        let outcome: Outcome
        let onReaderGone: @Sendable () -> Void

        init(
            _ sink: sending any RecordSink, _ queue: RecordQueue, _ outcome: Outcome,
            _ onReaderGone: @escaping @Sendable () -> Void
        ) {
            self.sink = sink
            self.queue = queue
            self.outcome = outcome
            self.onReaderGone = onReaderGone
        }

        func run() {
            var records: [NumberedRecord] = []
            records.reserveCapacity(queue.capacity)
            loop: while true {
                var entry = pollfd(fd: queue.descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&entry, 1, sink.flushInterval)
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
                sink.flush()
            }
            sink.finish()
            // Relaxed: the wake-up is a system call and orders it.
            outcome.isFailing.store(sink.isFailing, ordering: .relaxed)
            outcome.ended.signal()
        }
    }

    /// What to write is put in here.
    public let queue: RecordQueue
    private let outcome = Outcome()

    private final class Outcome: Sendable {
        let ended = Wakeup()
        let isFailing = Atomic(false)
    }

    /// Whether the last record that the sink was given is lost; known once it was stopped.
    public var endedFailing: Bool { outcome.isFailing.load(ordering: .relaxed) }

    /// Starts the thread.
    ///
    /// - Parameter onReaderGone: Called on the sink's thread, at most once.
    /// - Throws: `SinkError.thread`.
    public init(
        _ sink: sending any RecordSink, queue: RecordQueue, onReaderGone: @escaping @Sendable () -> Void = {}
    ) throws(SinkError) {
        self.queue = queue
        let work = Work(sink, queue, outcome, onReaderGone)
        let code = startThread("sink") { work.run() }
        guard code == 0 else { throw .thread(errno: code) }
    }

    /// Finishes the queue and waits for the last record to be written.
    ///
    /// - Returns: false where that takes longer than `milliseconds`, such as for a reader that stopped reading; the
    ///   thread is then left to the end of the process.
    @discardableResult
    public func stop(milliseconds: Int32) -> Bool {
        queue.finish()
        return outcome.ended.wait(milliseconds: milliseconds)
    }
}
