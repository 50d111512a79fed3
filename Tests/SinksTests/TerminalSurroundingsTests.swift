import Glibc
import Sinks
import Testing

@Suite("What the live view asks of its surroundings", .serialized) struct TerminalSurroundingsTests {
    /// Runs with these variables in place of what is there.
    private func with(_ variables: [String: String?], _ body: () throws -> Void) rethrows {
        let before = variables.keys.map { ($0, getenv($0).map { String(cString: $0) }) }
        func set(_ name: String, _ value: String?) { if let value { setenv(name, value, 1) } else { unsetenv(name) } }
        for (name, value) in variables { set(name, value) }
        defer { for (name, value) in before { set(name, value) } }
        try body()
    }

    @Test("UTF-8 is what the first variable of the locale says", arguments: [
        ("C", "C.UTF-8", "C.UTF-8", false), ("de_DE.utf8", "C", "C", true), (nil, "en_US.UTF-8", "C", true), ("", nil, "en_US.UTF-8", true),
        (nil, "C", "en_US.UTF-8", false), (nil, nil, nil, false),
    ] as [(String?, String?, String?, Bool)])
    func locale(all: String?, type: String?, lang: String?, isUnicode: Bool) {
        with(["LC_ALL": all, "LC_CTYPE": type, "LANG": lang]) { #expect(TerminalSink.showsUnicode() == isUnicode) }
    }

    @Test("Colour and repainting are for terminals that have them", arguments: [
        ("xterm", nil, true, true), ("xterm", "", true, true), ("xterm", "1", false, true), ("dumb", nil, false, false), ("", nil, false, false),
        (nil, nil, false, false),
    ] as [(String?, String?, Bool, Bool)])
    func terminal(name: String?, noColor: String?, color: Bool, moves: Bool) {
        with(["TERM": name, "NO_COLOR": noColor]) {
            #expect(TerminalSink.prefersColor() == color && TerminalSink.movesCursor() == moves)
        }
    }

    @Test("It paints at most ten times a second, in the process's time zone, with what other outputs have to say")
    func sink() {
        with(["TZ": "XYZ-2"]) {
            tzset()
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            let notice = TerminalNotice()
            var sink = TerminalSink(descriptor: ends[1], color: false, unicode: true, notice: notice)
            notice.text = "No disk."
            let begin = ContinuousClock.now
            for state in [StatusRecord.State.starting, .silent] {
                let record = StatusRecord(source: "kitchen", time: Samples.clock(0), state: state)
                _ = sink.write(NumberedRecord(sequence: 0, record: .status(record)), dropped: 0)
                sink.flush()
            }
            // On a busy machine the next tenth of a second may have begun.
            let isSoon = ContinuousClock.now - begin < .milliseconds(100)
            close(ends[1])
            let output = Collected()
            output.read(ends[0])
            #expect(output.wait())
            #expect(output.text.contains("06:18:22") && output.text.contains("No disk."))
            #expect(output.text.contains("starting") && (!isSoon || !output.text.contains("only zeros")))
            close(ends[0])
        }
        tzset()
    }
}
