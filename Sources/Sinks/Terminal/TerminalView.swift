/// Draws a `TerminalState` as text: a pure function, one string a row.
///
///      aumd  kitchen · hw:CARD=USB                               ● listening  04:18:24
///     level  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━────────│─────────────────────  -31.2 dBFS
///
///     ● Speech                     ███████████████████████████████▌             0.71
///     ○ Bark                       ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒                    0.56
///       Music                      ░░░░                                         0.09
///
///     ○ 04:18:23  Bark                                                      …   0.56
///     ● 04:18:20  Speech                                                    …   0.93
///     ✕ 04:18:11  Siren                              retracted          0.3 s   0.55
///
/// Confirmed, provisional and retracted differ by mark and fill, and by colour where there is one.
public struct TerminalView: Sendable {
    /// Columns of the terminal.
    public var width: Int
    /// Rows of the terminal.
    public var height: Int
    /// Whether to use SGR colours.
    public var color: Bool
    /// Whether the terminal shows UTF-8; plain ASCII otherwise.
    public var unicode: Bool
    /// Seconds that the person's clock is ahead of UTC.
    public var utcOffset: Int

    /// A view of a given size and style.
    ///
    /// - Parameters:
    ///   - width: Columns of the terminal; below 20 nothing sensible is drawn, rows are cut.
    ///   - height: Rows of the terminal; the view takes at most one less.
    public init(width: Int, height: Int, color: Bool, unicode: Bool = true, utcOffset: Int = 0) {
        self.width = max(1, width)
        self.height = max(1, height)
        self.color = color
        self.unicode = unicode
        self.utcOffset = utcOffset
    }

    /// SGR parameters (ECMA-48) out of the terminal's own palette.
    private enum Style: String {
        case plain = ""
        case dim = "2"
        case bold = "1"
        case good = "32"
        case maybe = "33"
        case bad = "31"
        case accent = "36"
    }

    /// A run of text in one style.
    private struct Run {
        var text: String
        var style = Style.plain
    }

    /// The rows, each at most `width` cells wide.
    public func frame(_ state: TerminalState) -> [String] {
        var rows: [[Run]] = [header(state), meter(state)]
        let room = min(height - 1, 40) - rows.count - 3
        guard room >= 2 else {
            // What is heard now goes before the past, the counts and the air between.
            rows += state.topScores.prefix(max(0, room + 3)).indices.map { label(state, $0) }
            return rows.prefix(max(1, height - 1)).map(render)
        }
        let labelCount = min(8, room / 2)
        let eventCount = room - labelCount
        rows.append([])
        for index in 0..<labelCount { rows.append(index < state.topScores.count ? label(state, index) : []) }
        rows.append([])
        for index in 0..<min(eventCount, 12) { rows.append(index < state.lines.count ? event(state.lines[index]) : []) }
        rows.append(footer(state))
        return rows.prefix(max(1, height - 1)).map(render)
    }

    // MARK: Rows

    private func header(_ state: TerminalState) -> [Run] {
        let (word, style): (String, Style) =
            switch state.state {
            case .starting: ("starting", .accent)
            case .capturing: ("listening", .good)
            case .silent: ("only zeros", .maybe)
            case .stalled: ("no samples", .bad)
            case .deviceLost: ("device away", .bad)
            case .paused: ("paused", .maybe)
            case .stopping: ("stopping", .dim)
            }
        let status = "\(glyph("●", "*")) \(word)"
        let clock = state.time.map { "  \(time($0))" } ?? ""
        var name = " aumd  "
        var detail = state.source
        if let device = state.device, device != state.source { detail += " \(glyph("·", "-")) \(device)" }
        let space = width - TextWidth.of(name) - TextWidth.of(status + clock) - 1
        if space < 8 {
            detail = ""
            name = " aumd "
        }
        let left = width - TextWidth.of(name) - TextWidth.of(status + clock)
        return [
            Run(text: name, style: .bold), Run(text: fit(detail, max(0, left))), Run(text: status, style: style),
            Run(text: clock, style: .dim),
        ]
    }

    /// From -72 dBFS to full scale, the loudest 6 dB in red and the 12 below in yellow.
    private func meter(_ state: TerminalState) -> [Run] {
        let text = state.levelDBFS.map { "\(Sentence.decimal(max($0, -120), 1)) dBFS" } ?? "no level"
        let right = "  " + String(repeating: " ", count: max(0, 11 - text.count)) + text
        let cells = max(0, width - 7 - right.count)
        let filled = cell(state.levelDBFS ?? -120, of: cells)
        let peak = cell(state.peakDBFS, of: cells)
        var runs = [Run(text: "level  ", style: .dim)]
        for index in 0..<cells {
            let level = -72 + 72 * Float(index) / Float(cells)
            let zone: Style = level >= -6 ? .bad : level >= -18 ? .maybe : .good
            if index < filled {
                append(glyph("━", "="), zone, to: &runs)
            } else if index == peak - 1, peak > filled {
                append(glyph("│", "|"), zone, to: &runs)
            } else {
                append(glyph("─", "-"), .dim, to: &runs)
            }
        }
        runs.append(Run(text: right))
        return runs
    }

    private func label(_ state: TerminalState, _ index: Int) -> [Run] {
        let level = state.topScores[index]
        let mark = state.openMark(level.label)
        let nameWidth = min(32, max(12, width * 2 / 5))
        let score = " " + Sentence.decimal(level.score, 2)
        let cells = max(0, width - 2 - nameWidth - 1 - score.count)
        let style = style(mark)
        let filled = Int((min(max(level.score, 0), 1) * Float(cells)).rounded())
        let fill =
            switch mark {
            case .confirmed: glyph("█", "#")
            case .provisional: glyph("▒", "=")
            case .retracted, .gap, nil: glyph("░", "-")
            }
        return [
            Run(text: self.mark(mark) + " ", style: style),
            Run(text: fit(level.label, nameWidth) + " ", style: mark == nil ? .plain : .bold),
            Run(text: fit(String(repeating: fill, count: filled), cells), style: style),
            Run(text: score, style: mark == nil ? .dim : .plain),
        ]
    }

    private func event(_ line: TerminalState.Line) -> [Run] {
        let style = style(line.mark)
        let duration =
            line.isOpen ? glyph("…", "..") : line.duration.map { "\(Sentence.decimal($0, 1)) s" } ?? ""
        let score = line.peak.isFinite ? Sentence.decimal(line.peak, 2) : "    "
        let right = " " + pad(duration, 9) + "  " + score
        let word = line.mark == .retracted && width >= 60 ? " retracted" : ""
        let left = "\(time(line.onset))  "
        let nameWidth = max(0, width - 2 - TextWidth.of(left) - TextWidth.of(word) - TextWidth.of(right))
        return [
            Run(text: mark(line.mark) + " ", style: style), Run(text: left, style: .dim),
            Run(text: fit(line.label, nameWidth), style: line.mark == .retracted ? .dim : line.isOpen ? .bold : .plain),
            Run(text: word, style: .dim), Run(text: right, style: line.mark == .retracted ? .dim : .plain),
        ]
    }

    private func footer(_ state: TerminalState) -> [Run] {
        if let message = state.notice ?? state.message { return [Run(text: message, style: .maybe)] }
        let dot = " \(glyph("·", "-")) "
        let counts = [("xruns", state.xruns), ("lost", state.lostSamples), ("late windows", state.lateWindows)]
        let legend = width >= 76 ? dot + "\(mark(.confirmed)) confirmed  \(mark(.provisional)) provisional" : ""
        return [
            Run(
                text: counts.map { "\($0.0) \($0.1)" }.joined(separator: dot),
                style: counts.contains { $0.1 > 0 } ? .maybe : .dim),
            Run(text: legend, style: .dim),
        ]
    }

    // MARK: Parts

    private func mark(_ mark: TerminalState.Line.Mark?) -> String {
        switch mark {
        case .confirmed: glyph("●", "*")
        case .provisional: glyph("○", "o")
        case .retracted: glyph("✕", "x")
        case .gap: glyph("┄", "~")
        case nil: " "
        }
    }

    private func style(_ mark: TerminalState.Line.Mark?) -> Style {
        switch mark {
        case .confirmed: .good
        case .provisional: .maybe
        case .retracted: .dim
        case .gap: .bad
        case nil: .accent
        }
    }

    private func glyph(_ unicode: String, _ ascii: String) -> String { self.unicode ? unicode : ascii }

    private func fit(_ text: String, _ width: Int) -> String {
        TextWidth.fit(text, to: width, ellipsis: unicode ? "…" : "~")
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - TextWidth.of(text))) + text
    }

    /// Cells of a bar from -72 to 0 dBFS.
    private func cell(_ level: Float, of cells: Int) -> Int {
        guard level.isFinite else { return 0 }
        return Int((min(max((level + 72) / 72, 0), 1) * Float(cells)).rounded())
    }

    /// `hh:mm:ss` of the person's clock; `m:ss.s` of a file.
    private func time(_ time: RecordTime) -> String {
        switch time {
        case .clock(let milliseconds):
            let local = RecordTime.clock(milliseconds: milliseconds &+ Int64(utcOffset) * 1000)
            return String(local.text.dropFirst(11).prefix(8))
        case .stream(let milliseconds):
            let tenths = max(0, milliseconds) / 100
            let seconds = tenths % 600
            let text = "\(seconds / 10).\(seconds % 10)"
            return pad("\(tenths / 600):" + (seconds < 100 ? "0" : "") + text, 8)
        }
    }

    private func append(_ text: String, _ style: Style, to runs: inout [Run]) {
        if runs[runs.count - 1].style == style {
            runs[runs.count - 1].text += text
        } else {
            runs.append(Run(text: text, style: style))
        }
    }

    /// Puts the runs together, cut to the width, without spaces at the end.
    private func render(_ runs: [Run]) -> String {
        var result = ""
        var left = width
        var used = runs
        while let last = used.last, last.text.allSatisfy({ $0 == " " }) { used.removeLast() }
        if let last = used.indices.last {
            while used[last].text.last == " " { used[last].text.removeLast() }
        }
        for run in used where left > 0 && !run.text.isEmpty {
            let text = TextWidth.cut(run.text, to: left, ellipsis: unicode ? "…" : "~")
            left -= TextWidth.of(text)
            result += color && run.style != .plain ? "\u{1B}[\(run.style.rawValue)m\(text)\u{1B}[0m" : text
        }
        return result
    }
}
