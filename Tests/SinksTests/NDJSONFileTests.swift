import Dispatch
import Glibc
import Sinks
import Synchronization
import TestSupport
import Testing

/// Keeps the notices of a sink.
final class Notices: Sendable {
    private let list = Mutex<[SinkNotice]>([])
    var all: [SinkNotice] { list.withLock { $0 } }
    @Sendable func add(_ notice: SinkNotice) { list.withLock { $0.append(notice) } }
}

/// The `seq` of each line; fails the test where one is not a whole record.
func sequences(_ text: String, _ context: String = "") -> [Int] {
    #expect(text.isEmpty || text.last == "\n", "\(context): the last line is torn")
    return text.split(separator: "\n").map { line in
        guard line.hasPrefix(#"{"schema":"aumd/1","type":""#), line.hasSuffix("}"),
            let key = line.firstRange(of: #""seq":"#), let number = Int(line[key.upperBound...].prefix { $0.isNumber })
        else {
            Issue.record("\(context): torn line \(line)")
            return -1
        }
        return number
    }
}

@Suite("NDJSON to a file") struct NDJSONFileTests {
    init() { signal(SIGPIPE, SIG_IGN) }

    func write(_ file: inout NDJSONFile, _ numbers: Range<Int>) {
        for number in numbers {
            let isOpen = file.write(NumberedRecord(sequence: UInt64(number), record: status()), dropped: 0)
            #expect(isOpen)
        }
    }

    @Test("Lines are appended, and a line that an earlier run left unfinished is ended first")
    func append() throws {
        let folder = TemporaryFolder()
        let path = folder.file("events.ndjson")
        for run in 0..<3 {
            var file = try NDJSONFile(path: path) { _ in }
            write(&file, run * 10..<(run + 1) * 10)
            file.finish()
        }
        #expect(sequences(text(path)) == Array(0..<30))
        shell("printf torn >> '\(path)'")
        var file = try NDJSONFile(path: path) { _ in }
        write(&file, 30..<31)
        file.finish()
        #expect(text(path).contains("}\ntorn\n{"))
    }

    @Test("A path that cannot be opened is an error with the system's reason")
    func cannotOpen() {
        #expect(throws: SinkError.open(path: "/nonexistent/x", errno: ENOENT)) {
            _ = try NDJSONFile(path: "/nonexistent/x") { _ in }
        }
        #expect(throws: SinkError.open(path: "/tmp", errno: EISDIR)) { _ = try NDJSONFile(path: "/tmp") { _ in } }
    }

    @Test("A named pipe needs a reader to begin with; while it has none lines are lost, and the next one begins with a whole line")
    func namedPipe() throws {
        let folder = TemporaryFolder()
        let path = folder.file("pipe"), notices = Notices()
        #expect(mkfifo(path, 0o600) == 0)
        #expect(throws: SinkError.open(path: path, errno: ENXIO)) { _ = try NDJSONFile(path: path) { _ in } }
        func read(_ descriptor: Int32) -> String {
            var buffer = [UInt8](repeating: 0, count: 1 << 17)
            return String(decoding: buffer[..<max(0, Glibc.read(descriptor, &buffer, buffer.count))], as: UTF8.self)
        }
        let first = open(path, O_RDONLY | O_NONBLOCK)
        var file = try NDJSONFile(path: path, onNotice: notices.add)
        write(&file, 0..<3)
        #expect(sequences(read(first)) == [0, 1, 2])
        close(first)
        write(&file, 3..<6)
        #expect(file.isFailing && notices.all == [.failing(name: path, errno: EPIPE)])
        let second = open(path, O_RDONLY | O_NONBLOCK)
        write(&file, 6..<8)
        #expect(sequences(read(second)) == [6, 7])
        #expect(!file.isFailing && notices.all.last == .recovered(name: path, lost: 3))
        file.finish()
        close(second)
    }

    @Test("After a rotation the new file goes on where the old one ended, no line lost or torn")
    func rotation() throws {
        let folder = TemporaryFolder()
        let path = folder.file("events.ndjson")
        let thread = try SinkThread(try NDJSONFile(path: path) { _ in }, queue: RecordQueue(kinds: .events))
        for number in 0..<500 { thread.queue.send(status(.capturing, number)) }
        #expect(eventually { text(path).split(separator: "\n").count == 500 })
        #expect(rename(path, folder.file("events.1")) == 0)
        thread.queue.requestReopen()
        #expect(eventually { contents(path) != nil })
        for number in 500..<1000 { thread.queue.send(status(.capturing, number)) }
        #expect(thread.stop(milliseconds: 5000))
        #expect(sequences(text(folder.file("events.1"))) == Array(0..<500))
        #expect(sequences(text(path)) == Array(500..<1000))
    }

    @Test("Where the file cannot be reopened the old one is written further, and that is told")
    func reopenFails() throws {
        let folder = TemporaryFolder()
        shell("mkdir '\(folder.file("log"))'")
        let path = folder.file("log/events")
        let notices = Notices()
        var file = try NDJSONFile(path: path, onNotice: notices.add)
        shell("mv '\(folder.file("log"))' '\(folder.file("old"))'")
        file.reopen()
        write(&file, 0..<5)
        file.finish()
        #expect(notices.all == [.reopenFailed(name: path, errno: ENOENT)])
        #expect(sequences(text(folder.file("old/events"))) == Array(0..<5))
    }

    @Test("A reader that closes the pipe ends the sink quietly, once")
    func brokenPipe() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let notices = Notices()
        let file = NDJSONFile(descriptor: ends[1], name: "pipe", onNotice: notices.add)
        do {
            let count = Counter()
            let thread = try SinkThread(file, queue: RecordQueue(kinds: .events)) { count.add() }
            thread.queue.send(status())
            var byte: UInt8 = 0
            #expect(read(ends[0], &byte, 1) == 1)
            close(ends[0])
            for _ in 0..<100 { thread.queue.send(status()) }
            #expect(eventually { count.value == 1 })
            #expect(thread.stop(milliseconds: 5000))
            #expect(count.value == 1)
        }
        #expect(notices.all.isEmpty)
        close(ends[1])
    }

    @Test("A reader that stops reading loses records, never a part of one, and is told how many in a status record")
    func slowPipe() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let file = NDJSONFile(descriptor: ends[1], name: "pipe") { _ in }
        let thread = try SinkThread(file, queue: RecordQueue(kinds: .all, capacity: 32))
        for number in 0..<5000 { thread.queue.send(number % 2 == 0 ? scores(number) : status(.capturing, number)) }
        let collected = Collected()
        let reader = ends[0]
        collected.read(reader)
        #expect(eventually { thread.queue.dropped.others > 0 })
        #expect(eventually { thread.queue.send(status(.stopping)) })
        #expect(thread.stop(milliseconds: 5000))
        close(ends[1])
        #expect(collected.wait())
        let numbers = sequences(collected.text)
        let dropped = thread.queue.dropped
        #expect(numbers.last.map { $0 + 1 - numbers.count } == Int(dropped.scores + dropped.others))
        let last = collected.text.split(separator: "\n").last ?? ""
        #expect(last.contains(#""state":"stopping""#) && last.contains(#""dropped":\#(dropped.scores + dropped.others),"#))
        close(ends[0])
    }

    @Test("A descriptor that somebody made non-blocking is waited for")
    func nonBlocking() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        let notices = Notices(), collected = Collected(), reader = ends[0]
        var file = NDJSONFile(descriptor: ends[1], name: "pipe", onNotice: notices.add)
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { collected.read(reader) }
        // More than a pipe holds.
        write(&file, 0..<1000)
        close(ends[1])
        #expect(collected.wait() && notices.all.isEmpty)
        #expect(sequences(collected.text) == Array(0..<1000))
        close(ends[0])
    }

    @Test("A file that is opened anew leaves nothing open")
    func leavesNothingOpen() throws {
        let folder = TemporaryFolder()
        let path = folder.file("events")
        var file = try NDJSONFile(path: path) { _ in }
        for _ in 0..<10 { file.reopen() }
        #expect(descriptors(of: path) == 1)
        file.finish()
        #expect(descriptors(of: path) == 0)
    }
}

final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.add(1, ordering: .acquiringAndReleasing) }
}

/// Reads a descriptor to its end on a thread of its own.
final class Collected: Sendable {
    private let bytes = Mutex<[UInt8]>([])
    private let isEnded = Atomic(false)
    private let newlines = Atomic(0)

    var lineCount: Int { newlines.load(ordering: .acquiring) }

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func read(_ descriptor: Int32) {
        let box = Unmanaged.passRetained(Job(self, descriptor))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
                var buffer = [UInt8](repeating: 0, count: 4096)
                while case let count = Glibc.read(job.descriptor, &buffer, buffer.count), count > 0 {
                    job.collected.bytes.withLock { $0 += buffer[..<count] }
                    job.collected.newlines.add(
                        buffer[..<count].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }, ordering: .acquiringAndReleasing)
                }
                job.collected.isEnded.store(true, ordering: .releasing)
                return nil
            }, box.toOpaque())
        #expect(code == 0)
        pthread_detach(thread)
    }

    func wait() -> Bool {
        eventually { self.isEnded.load(ordering: .acquiring) }
    }

    private final class Job {
        let collected: Collected
        let descriptor: Int32
        init(_ collected: Collected, _ descriptor: Int32) {
            self.collected = collected
            self.descriptor = descriptor
        }
    }
}
