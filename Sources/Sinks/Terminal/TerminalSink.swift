import Glibc
import Threads

/// Repaints the live view in place on a terminal, at most ten times a second, from every kind of record.
///
/// The cursor is hidden while the view is shown and comes back, below the last picture, with `finish`.
public struct TerminalSink: RecordSink {
    /// Between two pictures.
    public let flushInterval: Int32 = 100

    private let descriptor: Int32
    private let color: Bool
    private let unicode: Bool
    private var state = TerminalState()
    private var painted: [String] = []
    private var isShown = false
    private var isGone = false
    private var lastPaint: Int64 = .min / 2
    private let notice: TerminalNotice

    /// A view that shows nothing yet.
    ///
    /// - Parameters:
    ///   - descriptor: The terminal; its size is asked for each picture.
    ///   - color: See `prefersColor`.
    ///   - unicode: See `showsUnicode`.
    ///   - notice: What other outputs have to say, which lines of their own would tear the picture for.
    public init(
        descriptor: Int32 = STDOUT_FILENO, color: Bool = prefersColor(), unicode: Bool = showsUnicode(),
        notice: TerminalNotice = TerminalNotice()
    ) {
        self.notice = notice
        self.descriptor = descriptor
        self.color = color
        self.unicode = unicode
    }

    /// False where NO_COLOR is set and not empty (no-color.org) or TERM says that there is none.
    public static func prefersColor() -> Bool {
        if let value = getenv("NO_COLOR"), value.pointee != 0 { return false }
        return movesCursor()
    }

    /// Whether TERM names a terminal on which a picture can be repainted in place.
    public static func movesCursor() -> Bool {
        guard let terminal = getenv("TERM") else { return false }
        return !["", "dumb"].contains(String(cString: terminal))
    }

    /// Whether the locale's characters are UTF-8, from the first of LC_ALL, LC_CTYPE and LANG that is set.
    public static func showsUnicode() -> Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = getenv(name), value.pointee != 0 else { continue }
            let locale = String(cString: value).lowercased()
            return locale.contains("utf-8") || locale.contains("utf8")
        }
        return false
    }

    /// Takes a record in. Returns false once the terminal is gone.
    public mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        state.apply(record.record)
        return !isGone
    }

    /// Repaints where something changed, at most ten times a second.
    public mutating func flush() {
        let milliseconds = nanosecondsNow(CLOCK_MONOTONIC) / 1_000_000
        guard milliseconds - lastPaint >= Int64(flushInterval) else { return }
        lastPaint = milliseconds
        paint()
    }

    /// Paints the last picture and gives the terminal back.
    public mutating func finish() {
        paint()
        guard isShown, !isGone else { return }
        put("\(Suspension.givingBack)")
        isShown = false
    }

    private mutating func paint() {
        guard !isGone else { return }
        let size = Self.size(descriptor)
        state.notice = notice.text
        if Suspension.hasResumed() { (isShown, painted) = (false, []) }
        let view = TerminalView(
            width: size.width, height: size.height, color: color, unicode: unicode, utcOffset: Self.utcOffset())
        let rows = view.frame(state)
        guard rows != painted || !isShown else { return }
        // Hide the cursor and stop wrapping, so that a terminal made narrower does not break the picture's rows.
        var text = isShown ? "" : "\u{1B}[?25l\u{1B}[?7l"
        if painted.count > 1 { text += "\u{1B}[\(painted.count - 1)A" }
        for (index, row) in rows.enumerated() {
            // Clear before writing: a full row leaves the cursor on its last cell, which clearing after would erase.
            text += (index > 0 ? "\n" : "") + "\r\u{1B}[K" + row
        }
        if rows.count < painted.count { text += "\u{1B}[J" }
        painted = rows
        isShown = true
        Suspension.watch(descriptor)
        put(text)
    }

    private mutating func put(_ text: String) {
        if writeAll(Array(text.utf8), to: descriptor) != .done { isGone = true }
    }

    /// Of the process's time zone, at this moment.
    private static func utcOffset() -> Int {
        var now = Glibc.time(nil)
        var local = tm()
        return localtime_r(&now, &local) == nil ? 0 : local.tm_gmtoff
    }

    /// 80 by 24 where the terminal does not say.
    private static func size(_ descriptor: Int32) -> (width: Int, height: Int) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}
