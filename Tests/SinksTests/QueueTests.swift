import Dispatch
import Glibc
import Sinks
import Synchronization
import TestSupport
import Testing

func scores(_ number: Int = 0) -> Record {
    .scores(
        ScoresRecord(
            source: "kitchen", time: .stream(milliseconds: Int64(number) * 160), status: .provisional, levelDBFS: -30,
            tags: [Tag(label: "Speech", mid: "/m/09x0r", score: 0.5)]))
}

func status(_ state: StatusRecord.State = .capturing, _ number: Int = 0) -> Record {
    .status(StatusRecord(source: "kitchen", time: .stream(milliseconds: Int64(number)), state: state))
}

/// Collects what it is given; blocks while told to.
final class Collector: RecordSink, Sendable {
    let records = Mutex<[NumberedRecord]>([])
    let dropped = Mutex<UInt64>(0)
    let isBlocked = Atomic(false)
    private let finished = Atomic(false)
    var isFinished: Bool { finished.load(ordering: .acquiring) }

    func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        while isBlocked.load(ordering: .acquiring) { usleep(1000) }
        records.withLock { $0.append(record) }
        self.dropped.withLock { $0 = dropped }
        return true
    }

    func finish() { finished.store(true, ordering: .releasing) }
}

@Suite("Record queue") struct QueueTests {
    @Test("Everything sent is written in order, numbered from 0 without a hole, before the thread ends")
    func order() throws {
        let collector = Collector()
        let thread = try SinkThread(collector, queue: RecordQueue(kinds: .all, capacity: 4096))
        for number in 0..<1500 { thread.queue.send(number % 3 == 0 ? status(.capturing, number) : scores(number)) }
        #expect(thread.stop(milliseconds: 5000))
        #expect(collector.isFinished)
        let records = collector.records.withLock { $0 }
        #expect(records.map(\.sequence) == Array(0..<1500))
        for (number, record) in records.enumerated() {
            #expect(record.record == (number % 3 == 0 ? status(.capturing, number) : scores(number)))
        }
        #expect(!thread.queue.send(status()))
    }

    @Test("With patience it waits so long for a reader that takes nothing, once, and loses nothing to one that is slow")
    func patience() throws {
        let collector = Collector()
        let queue = RecordQueue(kinds: .all, capacity: 8, patience: 300)
        let thread = try SinkThread(collector, queue: queue)
        for number in 0..<100 { #expect(queue.send(scores(number))) }
        #expect(eventually { collector.records.withLock { $0.count } == 100 })
        collector.isBlocked.store(true, ordering: .releasing)
        let begin = ContinuousClock.now
        var taken = 0
        for number in 100..<200 where queue.send(scores(number)) { taken += 1 }
        let waited = ContinuousClock.now - begin
        #expect(waited >= .milliseconds(300) && waited < .seconds(2), "\(waited)")
        // What the ring holds, and what the thread has in hand.
        #expect((8...16).contains(taken))
        collector.isBlocked.store(false, ordering: .releasing)
        #expect(eventually { collector.records.withLock { $0.count } == 100 + taken })
        for number in 200..<300 { #expect(queue.send(scores(number))) }
        #expect(thread.stop(milliseconds: 5000))
        #expect(!thread.endedFailing)
    }

    @Test("Told to stop waiting, it waits for nobody")
    func stopWaiting() throws {
        let queue = RecordQueue(kinds: .all, capacity: 8, patience: nil)
        for number in 0..<8 { #expect(queue.send(scores(number))) }
        let waiting = Collector()
        DispatchQueue.global().async {
            _ = queue.send(scores(8))
            waiting.finish()
        }
        usleep(300_000)
        #expect(!waiting.isFinished)
        queue.stopWaiting()
        #expect(eventually { waiting.isFinished })
        #expect(!queue.send(scores(9)))
    }

    @Test("A sink whose last record is lost says so at the end", arguments: [false, true])
    func endedFailing(text: Bool) throws {
        let full = open("/dev/full", O_WRONLY), notices = Notices()
        defer { close(full) }
        let queue = RecordQueue(kinds: .events)
        let thread = try text
            ? SinkThread(TextSink(descriptor: full, name: "full", onNotice: notices.add), queue: queue)
            : SinkThread(NDJSONFile(descriptor: full, name: "full", onNotice: notices.add), queue: queue)
        for state in [StatusRecord.State.starting, .capturing, .silent] { thread.queue.send(status(state)) }
        #expect(thread.stop(milliseconds: 5000))
        #expect(thread.endedFailing)
        #expect(notices.all == [.failing(name: "full", errno: ENOSPC)])
    }

    @Test("A kind that was not asked for is passed over and takes no number")
    func kinds() throws {
        let collector = Collector()
        let queue = RecordQueue(kinds: .events)
        let thread = try SinkThread(collector, queue: queue)
        for number in 0..<100 {
            queue.send(scores(number))
            queue.send(status(.capturing, number))
        }
        #expect(thread.stop(milliseconds: 5000))
        #expect(collector.records.withLock { $0.map(\.sequence) } == Array(0..<100))
    }

    @Test("While the reader stands still, scores stop at half the capacity and everything at all of it", arguments: 2...40)
    func full(capacity: Int) {
        let queue = RecordQueue(kinds: .all, capacity: capacity)
        var taken = 0
        for number in 0..<3 * capacity {
            let isScores = number % 2 == 0
            let expected = taken < (isScores ? capacity / 2 : capacity)
            #expect(queue.send(isScores ? scores() : status()) == expected)
            if expected { taken += 1 }
        }
        #expect(taken == capacity)
        let dropped = queue.dropped
        #expect(Int(dropped.scores + dropped.others) == 2 * capacity)
        #expect(dropped.scores >= dropped.others)
    }

    @Test("A reader that stands still never holds up the sender; what it lost is counted and leaves holes")
    func slowReader() throws {
        let collector = Collector()
        collector.isBlocked.store(true, ordering: .releasing)
        let thread = try SinkThread(collector, queue: RecordQueue(kinds: .all, capacity: 64))
        var longest = 0.0
        for number in 0..<20_000 {
            let start = seconds()
            thread.queue.send(number % 2 == 0 ? status() : scores())
            longest = max(longest, seconds() - start)
        }
        #expect(longest < 0.5)
        #expect(!thread.stop(milliseconds: 20))
        collector.isBlocked.store(false, ordering: .releasing)
        #expect(eventually { collector.isFinished })
        let numbers = collector.records.withLock { $0.map(\.sequence) }
        let dropped = thread.queue.dropped
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        #expect(UInt64(numbers.count) + dropped.scores + dropped.others == 20_000)
        #expect(collector.dropped.withLock { $0 } == dropped.scores + dropped.others)
    }
}

func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}
