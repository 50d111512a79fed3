import Settings
import Testing

@Suite("Quiet hours")
struct QuietHoursTests {
    /// Minutes of a week, from Sunday's beginning, that are quiet, with the end that is told.
    private func quiet(_ text: String) throws -> [Int: String] {
        let hours = try #require(QuietHours(text))
        var found: [Int: String] = [:]
        for minute in 0..<7 * 1440 {
            found[minute] = hours.end(at: .init(weekday: minute / 1440, minute: minute % 1440))
        }
        return found
    }

    private func minutes(_ days: [Int], _ from: Int, _ to: Int) -> Set<Int> {
        Set(days.flatMap { day in (from..<to).map { (day * 1440 + $0) % (7 * 1440) } })
    }

    @Test(
        "hold in these minutes of the week",
        arguments: [
            ("12:00-13:30", [0, 1, 2, 3, 4, 5, 6], 720, 810, "13:30"),
            ("22:00-07:00", [0, 1, 2, 3, 4, 5, 6], 1320, 1860, "07:00"),
            ("Mon-Fri 9:05-17:00", [1, 2, 3, 4, 5], 545, 1020, "17:00"),
            ("sat 23:59-00:00", [6], 1439, 1440, "00:00"),
            ("Fri-Mon 22:00-01:00", [5, 6, 0, 1], 1320, 1500, "01:00"),
            ("SUN 00:00-24:00", [0], 0, 1440, "00:00"),
            ("  Sat   20:00-08:00  ", [6], 1200, 1920, "08:00"),
        ] as [(String, [Int], Int, Int, String)])
    func week(text: String, days: [Int], from: Int, to: Int, end: String) throws {
        let found = try quiet(text)
        #expect(Set(found.keys) == minutes(days, from, to) && Set(found.values) == [end])
    }

    @Test("Of several, each holds; where they overlap, the last end is told")
    func several() throws {
        let found = try quiet("Mon-Fri 22:00-07:00, Sat-Sun 23:30-09:00,Wed 06:00-08:00")
        #expect(Set(found.keys) == minutes([1, 2, 3, 4, 5], 1320, 1860).union(minutes([6, 0], 1410, 1980)).union(minutes([3], 360, 480)))
        #expect(found[3 * 1440 + 5 * 60] == "07:00" && found[3 * 1440 + 6 * 60] == "08:00" && found[3 * 1440 + 7 * 60 + 59] == "08:00")
    }

    @Test(
        "are nothing else",
        arguments: [
            "", ",", "22:00", "22:00-", "-07:00", "22:00-22:00", "24:00-01:00", "22:60-23:00", "25:00-26:00", "22-07", "22:0-7:00", "2200-0700",
            "Monday 22:00-07:00", "Mon- 22:00-07:00", "Mon-Tue-Wed 22:00-07:00", "22:00-07:00 Mon", "22:00-07:00,", "22:00-07:00 23:00-24:00",
            "+2:00-07:00", "٢٢:00-07:00", "22:00 - 07:00",
        ])
    func refused(text: String) { #expect(QuietHours(text) == nil) }
}
