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

    private func write(_ file: inout NDJSONFile, _ numbers: Range<Int>) {
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

    @Test("Where a file can grow by a few bytes at a time, no line is torn, and those that are lost are counted", arguments: [1, 40, 101, 160, 1000])
    func littleByLittle(step: UInt) throws {
        let folder = TemporaryFolder()
        let path = folder.file("events"), notices = Notices()
        let fileSize = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        // Far beyond what anything else writes meanwhile.
        let begin: UInt = 1 << 22
        #expect(shell("truncate -s \(begin) '\(path)'").status == 0)
        signal(SIGXFSZ, SIG_IGN)
        var before = rlimit()
        getrlimit(fileSize, &before)
        defer { setrlimit(fileSize, &before) }
        var file = try NDJSONFile(path: path, onNotice: notices.add)
        for number in 0..<30 {
            var limit = rlimit(rlim_cur: begin + 1 + UInt(number + 1) * step, rlim_max: before.rlim_max)
            #expect(setrlimit(fileSize, &limit) == 0)
            write(&file, number..<number + 1)
        }
        // At the end there is room, or there is none.
        let isFreed = step == 101
        if isFreed { setrlimit(fileSize, &before) }
        file.finish()
        let numbers = sequences(String(decoding: (contents(path) ?? []).dropFirst(Int(begin) + 1), as: UTF8.self))
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count && (step == 1000) == (numbers.count == 30))
        if isFreed { #expect(!file.isFailing && notices.all.last == .recovered(name: path, lost: UInt64(30 - numbers.count))) }
    }

    @Test("A full device is told once, and every line of that time counts as lost")
    func fullDevice() throws {
        let notices = Notices()
        var file = try NDJSONFile(path: "/dev/full", onNotice: notices.add)
        write(&file, 0..<10)
        file.finish()
        #expect(notices.all == [.failing(name: "/dev/full", errno: ENOSPC)])
    }

    @Test(
        "On a disk that fills and is freed again, lines go on whole, and the next status record has the count",
        .enabled(if: geteuid() == 0, "needs the right to mount"), arguments: 0..<8)
    func diskFills(shift: Int) throws {
        let folder = TemporaryFolder()
        #expect(shell("mount -t tmpfs -o size=32k none '\(folder.path)'").status == 0)
        defer { shell("umount '\(folder.path)'") }
        let path = folder.file("events")
        let ballast = folder.file("ballast")
        shell("head -c \(12_000 + 7 * shift) /dev/zero > '\(ballast)'")
        let notices = Notices()
        var file = try NDJSONFile(path: path, onNotice: notices.add)
        write(&file, 0..<400)
        #expect(notices.all == [.failing(name: path, errno: ENOSPC)])
        unlink(ballast)
        write(&file, 400..<420)
        file.finish()
        let numbers = sequences(text(path), "shift \(shift)")
        let lost = 420 - numbers.count
        #expect(notices.all == [.failing(name: path, errno: ENOSPC), .recovered(name: path, lost: UInt64(lost))])
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        #expect(numbers.suffix(19) == Array(401..<420))
        #expect(text(path).split(separator: "\n").last?.contains(#""dropped":\#(lost),"#) == true)
    }

    @Test(
        "A line that a full disk left unfinished is ended before the file is reopened, and what begins then has a line of its own",
        .enabled(if: geteuid() == 0, "needs the right to mount"), arguments: [true, false])
    func reopenedInALine(isFreed: Bool) throws {
        let folder = TemporaryFolder()
        #expect(shell("mount -t tmpfs -o size=16k none '\(folder.path)'").status == 0)
        defer { shell("umount '\(folder.path)'") }
        let path = folder.file("events"), ballast = folder.file("ballast"), notices = Notices()
        shell("head -c 4096 /dev/zero > '\(ballast)'")
        var file = try NDJSONFile(path: path, onNotice: notices.add)
        write(&file, 0..<400)
        #expect(text(path).last != "\n")
        if isFreed { unlink(ballast) }
        file.reopen()
        unlink(ballast)
        write(&file, 400..<410)
        file.finish()
        let numbers = sequences(text(path))
        let lost = 410 - numbers.count
        #expect(numbers == numbers.sorted() && numbers.suffix(10) == Array(400..<410))
        #expect(notices.all == [.failing(name: path, errno: ENOSPC), .recovered(name: path, lost: UInt64(lost))])
    }

    @Test(
        "A line that cannot be ended on a full disk is taken back at the end",
        .enabled(if: geteuid() == 0, "needs the right to mount"))
    func diskStaysFull() throws {
        let folder = TemporaryFolder()
        #expect(shell("mount -t tmpfs -o size=16k none '\(folder.path)'").status == 0)
        defer { shell("umount '\(folder.path)'") }
        var file = try NDJSONFile(path: folder.file("events")) { _ in }
        write(&file, 0..<400)
        file.finish()
        let numbers = sequences(text(folder.file("events")))
        #expect(numbers == Array(0..<numbers.count) && numbers.count > 10)
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
