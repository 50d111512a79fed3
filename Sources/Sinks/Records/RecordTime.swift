/// A point in time as a record has it, to the millisecond.
public enum RecordTime: Sendable, Equatable {
    /// Milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC: `"2026-11-23T04:18:22.480Z"`.
    case clock(milliseconds: Int64)
    /// Milliseconds from the start of a file, written as seconds: `1.76`.
    case stream(milliseconds: Int64)

    /// Since 1970, or since the start of the file.
    public var milliseconds: Int64 {
        switch self {
        case .clock(let milliseconds), .stream(let milliseconds): milliseconds
        }
    }

    /// As text: RFC 3339, or seconds.
    public var text: String {
        switch self {
        case .clock(let milliseconds): Self.rfc3339(milliseconds)
        case .stream(let milliseconds): (Double(milliseconds) / 1000).description
        }
    }

    /// RFC 3339 section 5.6 with three digits of seconds and the zone `Z`. Years below 0 or above 9999 have no such
    /// text and are held to the nearest that has.
    static func rfc3339(_ milliseconds: Int64) -> String {
        let clamped = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let day = clamped / 86_400_000 - (clamped % 86_400_000 < 0 ? 1 : 0)
        let rest = Int(clamped - day * 86_400_000)
        let date = civil(day: Int(day))
        return "\(digits(date.year, 4))-\(digits(date.month, 2))-\(digits(date.day, 2))T"
            + "\(digits(rest / 3_600_000, 2)):\(digits(rest / 60_000 % 60, 2)):\(digits(rest / 1000 % 60, 2))"
            + ".\(digits(rest % 1000, 3))Z"
    }

    /// Gregorian date of a day number (0 = 1970-01-01), counted in years that begin in March so that the leap day is
    /// the last of its year, and in eras of 400 years.
    static func civil(day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1
        )
    }

    private static func digits(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

extension RecordTime: JSONValue {
    func write(to json: inout JSONWriter) {
        switch self {
        case .clock: json.value(text)
        case .stream(let milliseconds): json.value(Double(milliseconds) / 1000)
        }
    }
}
