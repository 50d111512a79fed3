import Glibc
import Sinks
import TestSupport
import Testing

/// Where there is no room.
extension NDJSONFileTests {
    @Test("Where a file can grow by a few bytes at a time, no line is torn, and those that are lost are counted", arguments: [1, 40, 101, 160, 1000])
    func littleByLittle(step: UInt) throws {
        let folder = TemporaryFolder()
        let path = folder.file("events"), notices = Notices()
        let fileSize = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        // The limit and the signal's disposition are the whole process's: a test that runs beside this one (without --no-parallel) could
        // not write beyond it either. So it is far beyond what anything else writes meanwhile.
        let begin: UInt = 1 << 22
        #expect(shell("truncate -s \(begin) '\(path)'").status == 0)
        let disposition = signal(SIGXFSZ, SIG_IGN)
        var before = rlimit()
        getrlimit(fileSize, &before)
        defer {
            setrlimit(fileSize, &before)
            signal(SIGXFSZ, disposition)
        }
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
