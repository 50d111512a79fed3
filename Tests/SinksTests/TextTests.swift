import Glibc
import Sinks
import Tagging
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

    @Test("What is told of an event says what became of it, and of its name", arguments: [
        (.open, nil, nil, "Bark began (score 0.71, provisional)"),
        (.update, .confirmed, nil, "Bark is confirmed (score 0.71)"),
        (.update, .confirmed, "Dog", "Bark is confirmed (score 0.71, reported as Dog before)"),
        (.update, .moreSpecific, nil, "more precisely Bark (score 0.71, provisional)"),
        (.update, .moreSpecific, "Dog", "Dog is more precisely Bark (score 0.71, provisional)"),
        (.update, .ended, nil, nil), (.update, .resumed, nil, nil),
        (.close, nil, nil, "Bark ended after 1.50 s (peak 0.93)"),
        (.close, .interrupted, nil, "Bark ended after 1.50 s (peak 0.93, cut off)"),
        (.retract, .notConfirmed, nil, "Bark was not confirmed"),
        (.retract, .absorbed, nil, "Bark was part of another event"),
        (.retract, .interrupted, nil, "Bark was cut off before it was confirmed"),
    ] as [(Action.Phase, Action.Reason?, String?, String?)])
    func sentences(phase: Action.Phase, reason: Action.Reason?, former: String?, sentence: String?) throws {
        var event = try Samples.event()
        (event.phase, event.reason, event.formerLabel) = (phase, reason, former)
        (event.peak, event.offset) = (0.93, .clock(milliseconds: event.onset.milliseconds + 1500))
        #expect(Sentence.text(.event(event)) == sentence.map { "kitchen: \($0)" })
    }

    @Test("A number has its digits, and a sign where it is not zero in them", arguments: [
        (0, "0.00"), (-0.001, "0.00"), (-0.005, "-0.01"), (0.005, "0.01"), (9.999, "10.00"), (-31.25, "-31.25"), (1.05, "1.05"),
        (.nan, "-"), (-.infinity, "-"), (1e300, "-"),
    ] as [(Double, String)])
    func decimals(value: Double, text: String) {
        #expect(Sentence.decimal(value, 2) == text)
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
