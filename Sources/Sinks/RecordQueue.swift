import CSystemd
import Glibc
import Synchronization
import Threads

/// A record with its place in the stream it was accepted into.
public struct NumberedRecord: Sendable {
    /// Counts the records offered to this queue, from 0. A hole means that records in between were lost to this reader.
    public var sequence: UInt64
    /// What was sent.
    public var record: Record

    /// A record with its number.
    public init(sequence: UInt64, record: Record) {
        self.sequence = sequence
        self.record = record
    }
}

/// A bounded queue from the analysis thread to one sink's thread.
///
/// Thread contract: any thread may `send`, one thread takes. `send` never waits for the reader: the lock is only ever
/// held to move records in or out of the ring, never during I/O. When the reader is slow, scores are refused as soon as
/// half the ring is full, so that events find room; when it is full, everything is. What is refused is counted, leaves
/// a hole in `sequence`, and shows in the next status record's `dropped`.
///
/// Only a queue with `patience` is different: for a producer that can wait, such as one that reads a file, its `send`
/// waits for room. Once that was in vain, it does not wait again before the reader has taken something.
public final class RecordQueue: Sendable {
    private struct State: ~Copyable {
        var ring: [NumberedRecord?]
        var head = 0
        var count = 0
        var next: UInt64 = 0
        var lostScores: UInt64 = 0
        var lostOthers: UInt64 = 0
        var isFinished = false
        var isStalled = false
        var waitsForNobody = false
    }

    /// What this queue takes.
    public let kinds: Set<Record.Kind>
    /// Records held at most.
    public let capacity: Int
    /// Milliseconds that `send` waits for a reader that takes nothing; nil: for ever, 0: it never waits.
    public let patience: Int?
    private let state: Mutex<State>
    private let wakeUp = Wakeup()
    private let room = Wakeup()
    private let reopening = Atomic(false)

    /// An empty queue.
    ///
    /// - Parameters:
    ///   - kinds: Other records are passed over without a number.
    ///   - capacity: Records held at most. 1024: the events of minutes; of scores, which may take half, 27 s (three records a column).
    ///   - patience: Milliseconds that `send` waits while the ring is full; nil: for ever.
    public init(kinds: Set<Record.Kind>, capacity: Int = 1024, patience: Int? = 0) {
        precondition(capacity >= 2)
        self.patience = patience
        self.kinds = kinds
        self.capacity = capacity
        state = Mutex(State(ring: Array(repeating: nil, count: capacity)))
    }

    /// Puts a record at the end, or counts it as lost. Returns whether it was taken.
    @discardableResult
    public func send(_ record: Record) -> Bool {
        guard kinds.contains(record.kind) else { return true }
        waitForRoom()
        let taken = state.withLock { state in
            guard !state.isFinished else { return false }
            let sequence = state.next
            state.next += 1
            let isScores = record.kind == .scores
            guard state.count < (isScores && (patience == 0 || state.waitsForNobody) ? capacity / 2 : capacity) else {
                if isScores { state.lostScores += 1 } else { state.lostOthers += 1 }
                return false
            }
            state.ring[(state.head + state.count) % capacity] = NumberedRecord(sequence: sequence, record: record)
            state.count += 1
            return true
        }
        if taken { wakeUp.signal() }
        return taken
    }

    /// Returns once there is room, nobody will make any, or patience is at its end.
    private func waitForRoom() {
        if patience == 0 { return }
        let begin = ContinuousClock.now
        while true {
            room.clear()
            let isFull = state.withLock { $0.count == capacity && !$0.isFinished && !$0.isStalled && !$0.waitsForNobody }
            guard isFull else { return }
            if let patience, ContinuousClock.now - begin >= .milliseconds(patience) {
                return state.withLock { $0.isStalled = true }
            }
            _ = room.wait(milliseconds: 100)
        }
    }

    /// Ends all patience, now and later.
    public func stopWaiting() {
        state.withLock { $0.waitsForNobody = true }
        room.signal()
    }

    /// No more records are accepted; the reader takes what is left and then ends.
    public func finish() {
        state.withLock { $0.isFinished = true }
        wakeUp.signal()
        room.signal()
    }

    /// Asks the reader to reopen its file (log rotation).
    public func requestReopen() {
        reopening.store(true, ordering: .relaxed)
        wakeUp.signal()
    }

    /// Records lost so far.
    public var dropped: (scores: UInt64, others: UInt64) {
        state.withLock { ($0.lostScores, $0.lostOthers) }
    }

    // MARK: The reader's side

    /// Readable when there may be something to take. For poll(2).
    var descriptor: Int32 { wakeUp.descriptor }

    /// Moves what is there, oldest first, to the end of `records`. Returns false once the queue is finished and empty.
    func take(into records: inout [NumberedRecord]) -> Bool {
        wakeUp.clear()
        defer { if patience != 0 { room.signal() } }
        return state.withLock { state in
            state.isStalled = false
            while state.count > 0 {
                if let record = state.ring[state.head].take() { records.append(record) }
                state.head = (state.head + 1) % capacity
                state.count -= 1
            }
            guard state.isFinished else { return true }
            // Wakes the reader once more, to see that there is nothing left.
            wakeUp.signal()
            return !records.isEmpty
        }
    }

    func takeReopenRequest() -> Bool { reopening.exchange(false, ordering: .relaxed) }
}
