import Sinks
import Tagging
import Testing

@Suite("What the live view keeps of what it is told") struct TerminalStateTests {
    private var state = TerminalState()

    private mutating func hear(
        _ milliseconds: Int64, _ tags: [String: Float], _ status: Event.Status = .provisional, level: Float? = -30
    ) {
        state.apply(
            .scores(
                ScoresRecord(
                    source: "kitchen", time: .stream(milliseconds: milliseconds), status: status, levelDBFS: level,
                    tags: tags.sorted { $0.value > $1.value }.map { Tag(label: $0.key, mid: "", score: $0.value) })))
    }

    private mutating func tell(
        _ state: StatusRecord.State, level: Float? = nil, xruns: UInt64 = 0, lost: UInt64 = 0, late: UInt64 = 0, device: String? = nil,
        message: String? = nil
    ) {
        self.state.apply(
            .status(
                StatusRecord(
                    source: "kitchen", time: .stream(milliseconds: 0), state: state, levelDBFS: level, xruns: xruns, lostSamples: lost,
                    lateWindows: late, device: device, message: message)))
    }

    private func rows(width: Int = 80, height: Int = 30, color: Bool = false) -> [String] {
        TerminalView(width: width, height: height, color: color).frame(state)
    }

    /// Names and scores of the labels, from the top.
    private var labels: [String] {
        rows()[3..<11].filter { !$0.isEmpty }.map { row in
            row.split(whereSeparator: { " ░▒█●○".contains($0) }).joined(separator: " ")
        }
    }

    @Test("Late scores are shown only where there are no others")
    mutating func lateScores() {
        hear(0, ["Late": 0.9], .confirmed)
        #expect(labels == ["Late 0.90"])
        hear(0, ["Early": 0.95])
        hear(0, ["Later": 0.9], .confirmed)
        #expect(labels == ["Early 0.95", "Late 0.90"])
    }

    @Test("Labels are in the order of what was highest lately, a score falls slowly, and what has fallen is gone")
    mutating func fading() {
        hear(0, ["Speech": 0.9, "Music": 0.09])
        hear(160, ["Speech": 0.2, "Bark": 0.8])
        #expect(labels == ["Speech 0.72", "Bark 0.80", "Music 0.07"])
        hear(320, ["Bark": 0.8])
        hear(1000, ["Bark": 0.8])
        #expect(labels.map { $0.prefix(4) } == ["Bark", "Spee", "Musi"])
        for time in stride(from: Int64(1160), to: 11_000, by: 160) { hear(time, ["Bark": 0.8]) }
        #expect(labels.map { $0.prefix(4) } == ["Bark", "Spee"])
    }

    @Test("Where nothing is heard, as the device is away, there are neither scores nor a level")
    mutating func away() {
        tell(.capturing, level: -40)
        hear(0, ["Speech": 0.9])
        #expect(rows()[1].hasSuffix("-30.0 dBFS"))
        tell(.deviceLost)
        #expect(labels.isEmpty && rows()[1].hasSuffix("no level"))
    }

    @Test("The level is that of the newest scores; the status has it where these have none")
    mutating func level() {
        tell(.capturing, level: -40)
        #expect(rows()[1].hasSuffix("-40.0 dBFS"))
        hear(0, ["Speech": 0.9], .confirmed, level: nil)
        tell(.capturing, level: -41)
        #expect(rows()[1].hasSuffix("-41.0 dBFS"))
        hear(0, ["Speech": 0.9])
        tell(.capturing, level: -42)
        #expect(rows()[1].hasSuffix("-30.0 dBFS"))
    }

    @Test("The loudest of late is marked on the meter, and falls by 12 dB a second")
    mutating func peak() {
        func cell() -> Int? { rows()[1].firstIndex(of: "│").map { rows()[1].distance(from: rows()[1].startIndex, to: $0) - 7 } }
        hear(0, [:], level: -12)
        #expect(cell() == nil)
        // 60 cells for 72 dB.
        for second in Int64(1)...4 {
            hear(1000 * second, [:], level: -60)
            #expect(cell() == (second < 4 ? 49 - 10 * Int(second) : nil))
        }
    }

    @Test("The loudest 6 dB of the meter are red, and the 12 below yellow")
    mutating func zones() {
        hear(0, [:], level: 0)
        func count(_ style: String) -> Int {
            rows(color: true)[1].matches(of: try! Regex("\u{1B}\\[\(style)m(━+)")).reduce(0) { $0 + ($1.output[1].substring?.count ?? 0) }
        }
        #expect([count("32"), count("33"), count("31")] == [45, 10, 5])
    }

    @Test("What was lost is counted in the footer, in yellow; a message stands in its place, and before that what an output has to say")
    mutating func footer() {
        tell(.capturing)
        #expect(rows(color: true).last?.hasPrefix("\u{1B}[2mxruns 0 · lost 0 · late windows 0") == true)
        tell(.capturing, xruns: 1, lost: 2, late: 3)
        #expect(rows(width: 75).last == "xruns 1 · lost 2 · late windows 3")
        #expect(rows(width: 76).last == "xruns 1 · lost 2 · late windows 3 · ● confirmed  ○ provisional")
        #expect(rows(color: true).last?.hasPrefix("\u{1B}[33mxruns 1") == true)
        tell(.deviceLost, message: "It is not there.")
        #expect(rows().last == "It is not there.")
        state.notice = "No disk."
        #expect(rows().last == "No disk.")
    }

    @Test("A device that gives the source its name is named once; times of a file are minutes and seconds")
    mutating func header() {
        tell(.capturing, device: "kitchen")
        for (milliseconds, time) in [(0, "0:00.0"), (9_960, "0:09.9"), (61_500, "1:01.5"), (3_600_000, "60:00.0")] as [(Int64, String)] {
            hear(milliseconds, [:])
            #expect(rows(width: 40)[0].split(separator: " ").map(String.init) == ["aumd", "kitchen", "●", "listening", time])
        }
    }

    @Test("A sound that was taken back does not go on, and a tall terminal has twelve events")
    mutating func events() throws {
        var event = try Samples.event()
        hear(0, [event.label: 0.9])
        for number in UInt64(0)..<20 {
            event.id = ULID(milliseconds: 0, source: "", number: number)
            for phase in [Action.Phase.open, .retract] {
                (event.phase, event.offset) = (phase, nil)
                state.apply(.event(event))
                #expect(rows()[3].hasPrefix(phase == .open ? "○ Bark" : "  Bark"))
            }
        }
        #expect(rows(height: 60).count { $0.hasPrefix("✕ ") } == 12)
    }

    @Test("Where the clock was set back by more than a minute, what was over before does not stand above what follows", arguments: [
        60_001, 59_999,
    ] as [Int64])
    mutating func correctedClock(back: Int64) throws {
        var event = try Samples.event()
        event.status = .confirmed
        func close(_ label: String, _ number: UInt64, at milliseconds: Int64) {
            event.id = ULID(milliseconds: 0, source: "", number: number)
            (event.phase, event.label, event.onset) = (.close, label, .stream(milliseconds: milliseconds))
            event.offset = .stream(milliseconds: milliseconds + 1)
            state.apply(.event(event))
        }
        // As many as are kept.
        for number in UInt64(0)..<64 { close("Before", number, at: 3_600_000) }
        hear(3_600_000, [:])
        hear(3_600_000 - back, [:])
        close("After", 64, at: 3_600_000 - back)
        let shown = rows(height: 40).filter { $0.hasPrefix("●") }
        let expected = back > 60_000 ? ["After"] : Array(repeating: "Before", count: 12)
        #expect(shown.map { row in ["After", "Before"].first { row.contains($0) } } == expected, "\(shown)")
    }

    @Test("A name takes the cells that a terminal gives it", arguments: [
        ("a", 1), ("e\u{301}", 1), ("犬", 2), ("🐕", 2), ("❤\u{FE0F}", 2), ("❤", 1), ("a\u{200B}b", 2), ("\u{301}", 0), ("ｆ", 2), ("ü", 1),
    ])
    mutating func cells(name: String, width: Int) {
        hear(0, ["\(name)|": 1])
        // The name's column has 32 cells.
        #expect(rows()[3].hasPrefix("  \(name)|" + String(repeating: " ", count: 32 - width) + "░"), "\(rows()[3])")
    }
}
