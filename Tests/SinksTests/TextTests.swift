import Glibc
import Sinks
import TestSupport
import Testing

@Suite("Sentences to a file") struct TextTests {
    @Test("A new reason for the same state is told, and the same one once")
    func reasons() {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("lines"), O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        var sink = TextSink(descriptor: descriptor)
        for record in Samples.absences { _ = sink.write(NumberedRecord(sequence: 0, record: record), dropped: 0) }
        #expect(
            text(folder.file("lines")) == """
                0.0  kitchen: starting
                0.0  kitchen: starting (it is not there)
                0.0  kitchen: starting (it is busy)
                0.0  kitchen: listening to the source
                0.0  kitchen: the device is away and is tried again (it is not there)
                0.0  kitchen: the device is away and is tried again (it is busy)
                0.0  kitchen: listening to the source

                """)
    }

    @Test(
        "On a disk that fills and is freed again, lines go on whole",
        .enabled(if: geteuid() == 0, "needs the right to mount"), arguments: 0..<4)
    func diskFills(shift: Int) {
        let folder = TemporaryFolder()
        #expect(shell("mount -t tmpfs -o size=32k none '\(folder.path)'").status == 0)
        defer { shell("umount '\(folder.path)'") }
        let path = folder.file("lines"), ballast = folder.file("ballast"), notices = Notices()
        shell("head -c 12000 /dev/zero > '\(ballast)'")
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        var sink = TextSink(descriptor: descriptor, name: "text", onNotice: notices.add)
        func write(_ numbers: Range<Int>) {
            for number in numbers {
                let record = StatusRecord(
                    source: "\(number)" + String(repeating: "x", count: shift), time: .stream(milliseconds: 0), state: .capturing)
                _ = sink.write(NumberedRecord(sequence: 0, record: .status(record)), dropped: 0)
            }
        }
        write(0..<1000)
        #expect(notices.all == [.failing(name: "text", errno: ENOSPC)])
        unlink(ballast)
        write(1000..<1020)
        sink.finish()
        let written = text(path)
        let numbers = written.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: #/0\.0  (\d+)x*: listening to the source/#).flatMap { Int($0.1) }
        }
        #expect(written.last == "\n" && numbers.count == written.count { $0 == "\n" })
        #expect(numbers.suffix(20) == Array(1000..<1020))
        #expect(notices.all.last == .recovered(name: "text", lost: UInt64(1020 - numbers.count)))
    }
}
