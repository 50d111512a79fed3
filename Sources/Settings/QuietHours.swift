/// Times of the week, on the wall clock of a place: `22:00-07:00`, each day; `Mon-Fri 22:00-07:00, Sat-Sun 23:30-09:00`, on the days on
/// which they begin.
public struct QuietHours: Sendable, Equatable {
    /// A time of the week.
    public struct Moment: Sendable, Equatable {
        /// 0 is Sunday, as tm_wday of tm(3type).
        public var weekday: Int
        /// Of the day.
        public var minute: Int

        /// - Parameters:
        ///   - weekday: 0...6, 0 being Sunday.
        ///   - minute: 0..<1440.
        public init(weekday: Int, minute: Int) {
            self.weekday = weekday
            self.minute = minute
        }
    }

    private struct Span: Equatable {
        /// On which it begins.
        var weekdays: Set<Int>
        var start: Int
        /// At most a day after `start`.
        var end: Int
    }

    private static let day = 24 * 60
    private static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    private var spans: [Span]

    /// nil where the text is no list of such times.
    public init?(_ text: String) {
        spans = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: " ")
            guard (1...2).contains(words.count), let span = Self.span(words[words.count - 1]) else { return nil }
            var weekdays = Set(Self.weekdays.indices)
            if words.count == 2 {
                guard let days = Self.days(words[0]) else { return nil }
                weekdays = days
            }
            spans.append(Span(weekdays: weekdays, start: span.lowerBound, end: span.upperBound))
        }
    }

    /// When the quiet that holds at a moment ends, as hours and minutes: the last of those that overlap; nil where none holds.
    public func end(at moment: Moment) -> String? {
        let lasting = spans.flatMap { span in
            // Begun today, or yesterday.
            [0, 1].compactMap { days -> Int? in
                let minute = moment.minute + days * Self.day
                let begun = (moment.weekday + 7 - days) % 7
                guard span.weekdays.contains(begun), (span.start..<span.end).contains(minute) else { return nil }
                return span.end - days * Self.day
            }
        }
        guard let end = lasting.max() else { return nil }
        let (hours, minutes) = (end % Self.day).quotientAndRemainder(dividingBy: 60)
        return "\(Self.twoDigits(hours)):\(Self.twoDigits(minutes))"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `22:00-07:00`, in minutes from the day's beginning; the end is on the next day where it is not after the start.
    private static func span(_ text: Substring) -> Range<Int>? {
        let times = text.split(separator: "-", omittingEmptySubsequences: false).map(minutes)
        guard times.count == 2, let start = times[0], let end = times[1], start != end, start < day else { return nil }
        return start..<(end > start ? end : end + day)
    }

    /// `07:00`, to `24:00`.
    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...2).contains(parts[0].count), parts[1].count == 2,
            parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isNumber } }), let hour = Int(parts[0]), let minute = Int(parts[1]),
            hour <= 24, minute < 60, hour < 24 || minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    /// `Sat`, or `Fri-Mon`.
    private static func days(_ text: Substring) -> Set<Int>? {
        let names = text.lowercased().split(separator: "-", omittingEmptySubsequences: false).map { weekdays.firstIndex(of: String($0)) }
        guard (1...2).contains(names.count), let first = names[0], let last = names[names.count - 1] else { return nil }
        return Set((0...(last + 7 - first) % 7).map { (first + $0) % 7 })
    }
}
