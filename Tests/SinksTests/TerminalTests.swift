import Glibc
import Sinks
import Tagging
import TestSupport
import Testing

/// A terminal's screen as far as the live view uses one: rows of characters and a cursor.
private struct Screen {
    var rows: [[Character]] = [[]]
    var row = 0
    var column = 0
    var isCursorShown = true
    var unknown: [String] = []

    mutating func show(_ text: String) {
        var rest = Array(text)[...]
        while let character = rest.popFirst() {
            switch character {
            case "\r\n":
                column = 0
                down()
            case "\n": down()
            case "\r": column = 0
            case "\u{1B}":
                guard rest.popFirst() == "[" else { return unknown.append("escape") }
                var parameters = ""
                while let next = rest.first, !next.isLetter { parameters.append(rest.removeFirst()); _ = next }
                control(rest.popFirst() ?? " ", parameters)
            default:
                while rows[row].count <= column { rows[row].append(" ") }
                rows[row][column] = character
                column += 1
            }
        }
    }

    private mutating func down() {
        row += 1
        while rows.count <= row { rows.append([]) }
    }

    private mutating func control(_ final: Character, _ parameters: String) {
        switch (final, parameters) {
        case ("K", ""): rows[row].removeSubrange(min(column, rows[row].count)...)
        case ("J", ""):
            rows[row].removeSubrange(min(column, rows[row].count)...)
            rows.removeSubrange((row + 1)...)
        case ("A", _): row = max(0, row - (Int(parameters) ?? 1))
        case ("l", "?25"): isCursorShown = false
        case ("h", "?25"): isCursorShown = true
        case ("l", "?7"), ("h", "?7"), ("m", _): break
        default: unknown.append("\(parameters)\(final)")
        }
    }

    var text: [String] { rows.map { String($0) } }
}

/// Text without its SGR sequences.
private func plain(_ text: String) -> String {
    text.replacing(#/\u{1B}\[[0-9;]*m/#, with: "")
}

/// Cells, for the characters that these tests use.
private func cells(_ text: String) -> Int {
    plain(text).reduce(0) { $0 + ("犬🐕鳥".contains($1) ? 2 : 1) }
}

/// Both ends of a new pseudo-terminal: the controlling one, then the terminal.
private func pseudoTerminal() -> [Int32] {
    var controller: Int32 = -1
    var terminal: Int32 = -1
    let code = openpty(&controller, &terminal, nil, nil, nil)
    #expect(code == 0)
    return [controller, terminal]
}

@Suite("Live view") struct TerminalTests {
    /// A scene in the middle of a run: speech confirmed and going on, a bark announced, a false alarm taken back.
    static func scene() throws -> TerminalState {
        let template = try Samples.event()
        var state = TerminalState()
        state.apply(
            .status(
                StatusRecord(
                    source: "kitchen", time: Samples.clock(0), state: .capturing, levelDBFS: -31.2,
                    device: "hw:CARD=USB")))
        func event(
            _ number: UInt64, _ label: String, _ phase: Action.Phase, _ status: Event.Status, _ onset: Int64,
            _ offset: Int64?, _ peak: Float
        ) -> Record {
            var event = template
            event.phase = phase
            event.id = ULID(milliseconds: 0, source: "kitchen", number: number)
            event.label = label
            event.status = status
            event.onset = Samples.clock(onset * 16)
            event.offset = offset.map { Samples.clock($0 * 16) }
            event.peak = peak
            return .event(event)
        }
        state.apply(event(0, "Speech", .open, .provisional, 1200, nil, 0.6))
        state.apply(event(1, "Siren", .open, .provisional, 3000, nil, 0.55))
        state.apply(event(1, "Siren", .retract, .provisional, 3000, 3300, 0.55))
        state.apply(event(0, "Speech", .update, .confirmed, 1100, nil, 0.93))
        state.apply(event(2, "Bark", .open, .provisional, 4800, nil, 0.56))
        state.apply(
            .scores(
                ScoresRecord(
                    source: "kitchen", time: Samples.clock(5000 * 16), status: .provisional, levelDBFS: -31.2,
                    tags: [
                        Tag(label: "Speech", mid: "", score: 0.71), Tag(label: "Bark", mid: "", score: 0.56),
                        Tag(label: "Music", mid: "", score: 0.09),
                    ])))
        return state
    }

    @Test("A scene on a terminal of 72 by 16 cells looks like this")
    func picture() throws {
        let rows = try TerminalView(width: 72, height: 16, color: false).frame(Self.scene())
        let expected = """
             aumd  kitchen · hw:CARD=USB                       ● listening  04:18:27
            level  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────────   -31.2 dBFS

            ● Speech                       ██████████████████████████           0.71
            ○ Bark                         ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒                 0.56
              Music                        ░░░                                  0.09



            ○ 04:18:26  Bark                                                 …  0.56
            ✕ 04:18:25  Siren                              retracted     0.3 s  0.55
            ● 04:18:23  Speech                                               …  0.93


            xruns 0 · lost 0 · late windows 0
            """
        #expect(rows.joined(separator: "\n") == expected)
    }

    @Test("What was loud falls as fast however often scores come")
    func falling() throws {
        let pictures = try [160, 80].map { interval in
            var state = try Self.scene()
            for time in stride(from: 5000 + interval, through: 5640, by: interval) {
                state.apply(
                    .scores(
                        ScoresRecord(
                            source: "kitchen", time: Samples.clock(Int64(time) * 16), status: .provisional, levelDBFS: -60, tags: [])))
            }
            return TerminalView(width: 72, height: 16, color: false).frame(state)
        }
        let before = try TerminalView(width: 72, height: 16, color: false).frame(Self.scene())
        #expect(pictures[0] == pictures[1] && pictures[0] != before)
    }

    @Test("The same in ASCII, for a locale without UTF-8")
    func ascii() throws {
        let rows = try TerminalView(width: 60, height: 14, color: false, unicode: false).frame(Self.scene())
        #expect(rows.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } })
        let expected = """
             aumd  kitchen - hw:CARD=USB           * listening  04:18:27
            level  =======================-----------------   -31.2 dBFS

            * Speech                   ####################         0.71
            o Bark                     ================             0.56
              Music                    ---                          0.09


            o 04:18:26  Bark                                    ..  0.56
            x 04:18:25  Siren                  retracted     0.3 s  0.55
            * 04:18:23  Speech                                  ..  0.93

            xruns 0 - lost 0 - late windows 0
            """
        #expect(rows.joined(separator: "\n") == expected)
    }

    @Test("Times are those of the person's zone")
    func zone() throws {
        let rows = try TerminalView(width: 80, height: 24, color: false, utcOffset: 2 * 3600).frame(Self.scene())
        #expect(rows[0].hasSuffix("06:18:27"))
        #expect(rows.contains { $0.hasPrefix("○ 06:18:26  Bark") })
    }

    @Test("Whatever the size, no row is wider than the terminal and the view is lower than it")
    func sizes() throws {
        var state = try Self.scene()
        for width in 1...200 {
            for height in [1, 2, 3, 5, 6, 7, 10, 24, 50, 200] {
                for unicode in [true, false] {
                    let rows = TerminalView(width: width, height: height, color: false, unicode: unicode).frame(state)
                    #expect(rows.count >= 1 && rows.count <= max(1, height - 1))
                    #expect(rows.allSatisfy { cells($0) <= width && !$0.contains("\u{1B}") }, "\(width) x \(height)")
                }
            }
            if width == 100 { state = try Self.awkward() }
        }
    }

    @Test("On a low terminal what is heard goes before counts and past", arguments: 4...24)
    func low(height: Int) throws {
        let rows = try TerminalView(width: 40, height: height, color: false).frame(Self.scene())
        #expect(rows.contains { $0.contains("Speech") }, "\(rows)")
    }

    @Test("What another output has to say stands in the footer")
    func notice() throws {
        var state = try Self.scene()
        state.notice = "Records cannot be written to x."
        #expect(TerminalView(width: 80, height: 24, color: false).frame(state).last == "Records cannot be written to x.")
    }

    /// Names as no ontology has them: very long, of wide characters, with control characters.
    private static func awkward() throws -> TerminalState {
        var state = TerminalState()
        let names = [String(repeating: "long name ", count: 30), String(repeating: "犬", count: 60), "a\u{1B}[31mb\n🐕", ""]
        state.apply(
            .status(
                StatusRecord(
                    source: names[0], time: .stream(milliseconds: .max), state: .deviceLost, levelDBFS: .infinity,
                    xruns: .max, lostSamples: .max, lateWindows: .max, device: names[1])))
        state.apply(
            .scores(
                ScoresRecord(
                    source: names[2], time: .stream(milliseconds: -5), status: .confirmed, levelDBFS: .nan,
                    tags: names.enumerated().map {
                        Tag(label: $0.element, mid: "", score: [Float(5), -3, .nan, 0.4][$0.offset])
                    })))
        for name in names {
            var event = try Samples.event()
            event.label = name
            event.peak = .infinity
            state.apply(.event(event))
        }
        return state
    }

    @Test("Control characters of a name are written out, in the view and in lines")
    func controls() {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("lines"), O_WRONLY | O_CREAT, 0o600)
        let name = "a\u{1B}[31mb\u{9B}1mc\u{7}\nd\u{2028}e\u{7F}ü🐕"
        let written = #"a\u{1B}[31mb\u{9B}1mc\u{7}\u{A}d\u{2028}e\u{7F}ü🐕"#
        let record = Record.status(StatusRecord(source: name, time: .stream(milliseconds: 0), state: .capturing))
        var state = TerminalState()
        state.apply(record)
        #expect(TerminalView(width: 120, height: 24, color: false).frame(state)[0].contains(written))
        var lines = TextSink(descriptor: descriptor), journal = JournalSink(socketPath: folder.file("nothing"), fallback: descriptor)
        _ = lines.write(NumberedRecord(sequence: 0, record: record), dropped: 0)
        _ = journal.write(NumberedRecord(sequence: 0, record: record), dropped: 0)
        close(descriptor)
        let sentence = "\(written): listening to the source\n"
        #expect(text(folder.file("lines")) == "0.0  \(sentence)<6>\(sentence)")
    }

    @Test("Colour adds nothing but colour")
    func color() throws {
        for width in [40, 72, 80, 132, 200] {
            let state = try Self.scene()
            let bare = TerminalView(width: width, height: 24, color: false).frame(state)
            let colored = TerminalView(width: width, height: 24, color: true).frame(state)
            #expect(colored.map(plain) == bare)
            #expect(colored != bare)
        }
    }

    @Test("Provisional, confirmed and retracted differ in their marks, not only in colour")
    func marks() throws {
        let rows = try TerminalView(width: 80, height: 24, color: false).frame(Self.scene())
        #expect(rows.contains { $0.hasPrefix("● Speech") && $0.contains("█") })
        #expect(rows.contains { $0.hasPrefix("○ Bark") && $0.contains("▒") })
        #expect(rows.contains { $0.hasPrefix("  Music") && $0.contains("░") })
        #expect(rows.contains { $0.hasPrefix("✕ ") && $0.contains("Siren") && $0.contains("retracted") })
    }

    @Test("Painting again and again on a terminal of changing size leaves the last picture, and the cursor comes back")
    func repaint() throws {
        var random = SeededRandom(seed: 1)
        func next(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
        let ends = pseudoTerminal()
        let output = Collected()
        output.read(ends[0])
        var sink = TerminalSink(descriptor: ends[1], color: true, unicode: true)
        var screen = Screen()
        var state = TerminalState()
        for round in 0..<12 {
            var size = winsize(
                ws_row: UInt16(6 + next(30)), ws_col: UInt16(60 + next(60)), ws_xpixel: 0, ws_ypixel: 0)
            #expect(ioctl(ends[1], UInt(TIOCSWINSZ), &size) == 0)
            let record = status(round % 2 == 0 ? .capturing : .deviceLost, round * 1000)
            let isOpen = sink.write(NumberedRecord(sequence: UInt64(round), record: record), dropped: 0)
            #expect(isOpen)
            state.apply(record)
            if round == 11 { sink.finish() } else { sink.flush() }
            usleep(110_000)
            if round == 11 {
                let expected = TerminalView(width: Int(size.ws_col), height: Int(size.ws_row), color: false).frame(state)
                close(ends[1])
                #expect(output.wait())
                screen.show(output.text)
                #expect(screen.unknown.isEmpty)
                #expect(screen.isCursorShown)
                #expect(Array(screen.text.prefix(expected.count)) == expected)
                #expect(screen.text.dropFirst(expected.count).allSatisfy { $0.isEmpty })
            }
        }
        close(ends[0])
    }

    @Test("A terminal that goes away ends the sink")
    func hangUp() {
        let ends = pseudoTerminal()
        var sink = TerminalSink(descriptor: ends[1], color: false, unicode: true)
        close(ends[0])
        sink.flush()
        let isOpen = sink.write(NumberedRecord(sequence: 0, record: status()), dropped: 0)
        #expect(!isOpen)
        close(ends[1])
    }

    @Test("Text lines tell what the journal would, and a state only when it changes")
    func textLines() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let output = Collected()
        output.read(ends[0])
        var sink = TextSink(descriptor: ends[1])
        let records = [status(.starting), status(.capturing, 160), status(.capturing, 320)]
        for record in try records + Samples.records(Samples.stream).prefix(7) {
            _ = sink.write(NumberedRecord(sequence: 0, record: record), dropped: 0)
        }
        close(ends[1])
        #expect(output.wait())
        #expect(
            output.text == """
                0.0  kitchen: starting
                0.16  kitchen: listening to the source
                0.467  kitchen: Bark began (score 0.71, provisional)
                1.92  kitchen: Smoke detector, smoke alarm began (score 0.60, provisional)
                0.291  kitchen: Bark is confirmed (score 0.93)
                1.468  kitchen: Bark ended after 1.18 s (peak 0.93)
                1.92  kitchen: Smoke detector, smoke alarm was not confirmed

                """)
        close(ends[0])
    }
}
