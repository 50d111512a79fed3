import Control
import Settings
import Testing

@Suite("What was asked, and the quiet hours")
struct PausesTests {
    /// A Monday, so many minutes after midnight; the seconds are counted from there.
    private func at(_ minutes: Int) -> Pauses.Instant {
        Pauses.Instant(seconds: minutes * 60, moment: .init(weekday: (1 + minutes / 1440) % 7, minute: minutes % 1440))
    }

    private func clock(_ seconds: Int) -> String { "in \(seconds)" }

    /// The reason of every minute of two days, told where it changes, with requests at some.
    private func changes(_ quiet: String?, _ requests: [Int: PauseRequest] = [:]) throws -> [(minute: Int, reason: String?)] {
        var pauses = Pauses(quietHours: quiet.map { QuietHours($0)! })
        var changes: [(minute: Int, reason: String?)] = [(0, nil)]
        for minute in 0..<2880 {
            if let request = requests[minute] { pauses.take(request, at: at(minute), clock: clock) }
            let reason = pauses.reason(at: at(minute))
            if reason != changes.last?.reason { changes.append((minute, reason)) }
        }
        return Array(changes.dropFirst())
    }

    @Test("Without either, the microphone is open")
    func nothing() throws { #expect(try changes(nil).isEmpty) }

    @Test("Quiet hours close it to the minute")
    func quietHours() throws {
        let found = try changes("22:00-07:00")
        #expect(found.map(\.minute) == [0, 7 * 60, 22 * 60, 31 * 60, 46 * 60])
        #expect(found.map(\.reason) == ["quiet hours until 07:00", nil, "quiet hours until 07:00", nil, "quiet hours until 07:00"])
    }

    @Test("A pause lasts until it is resumed, through quiet hours and beyond")
    func untilResumed() throws {
        let found = try changes("22:00-07:00", [600: .pause(seconds: nil), 2000: .resume])
        #expect(found.map(\.minute) == [0, 420, 600, 2000, 2760])
        #expect(found[2].reason == "until it is resumed" && found[3].reason == nil)
    }

    @Test("A pause of some time ends by itself; quiet hours that have begun meanwhile go on")
    func timed() throws {
        let plain = try changes(nil, [600: .pause(seconds: 5400)])
        #expect(plain.map(\.minute) == [600, 690] && plain.map(\.reason) == ["until in 5400", nil])
        let quiet = try changes("11:00-12:00", [600: .pause(seconds: 5400)])
        #expect(quiet.map(\.minute) == [600, 690, 720, 2100, 2160])
        #expect(quiet.map(\.reason) == ["until in 5400", "quiet hours until 12:00", nil, "quiet hours until 12:00", nil])
    }

    @Test("The last request counts")
    func last() throws {
        let found = try changes(nil, [10: .pause(seconds: nil), 20: .pause(seconds: 60), 30: .pause(seconds: 600), 35: .resume])
        #expect(found.map(\.minute) == [10, 20, 21, 30, 35])
    }

    @Test("Resumed in quiet hours, it listens until the next ones")
    func resumedInQuietHours() throws {
        let found = try changes("22:00-07:00", [60: .resume])
        #expect(found.map(\.minute) == [0, 60, 22 * 60, 31 * 60, 46 * 60])
    }

    @Test("Resumed outside them, the next ones are kept all the same")
    func resumedBefore() throws {
        let found = try changes("22:00-23:00", [1000: .resume])
        #expect(found.map(\.minute) == [1320, 1380, 2760, 2820])
    }

    @Test("A pause outlasts the process for as long as it would have lasted; what was resumed does not")
    func saved() {
        for (request, lasts) in [(PauseRequest.pause(seconds: nil), 2000), (.pause(seconds: 3600), 60), (.resume, 0)] {
            var first = Pauses(quietHours: nil)
            first.take(request, at: at(0), clock: clock)
            for minute in [0, 30, 59, 60, 61, 1999] {
                var next = Pauses(quietHours: nil, saved: first.saved, at: at(minute).seconds, clock: clock)
                #expect((next.reason(at: at(minute)) != nil) == (minute < lasts), "\(request), \(minute)")
            }
        }
        var timed = Pauses(quietHours: nil, saved: "3600", at: 600, clock: clock)
        #expect(timed.reason(at: at(10)) == "until in 3000" && timed.saved == "3600")
        #expect(timed.reason(at: at(60)) == nil && timed.saved == nil)
        for text in ["", "x", "-1", "\(Int.min)", "\(Int.max)", "99999999999999999999", "until"] {
            var none = Pauses(quietHours: nil, saved: text, at: 600, clock: clock)
            #expect(none.reason(at: at(10)) == nil, "\(text)")
        }
    }

    @Test("A request is read as it is written, and nothing else is one")
    func requests() {
        let pauses = [PauseRequest.resume, .pause(seconds: nil), .pause(seconds: 1), .pause(seconds: PauseRequest.longest)]
        for request in pauses.map(ControlRequest.pause) + [.keep(seconds: 1), .keep(seconds: 300)] {
            #expect(ControlRequest(request.text) == request)
            #expect(ControlRequest(request.text + "\n") == request)
        }
        for text in [
            "", "\n", "paus", "Pause", "pause 0", "pause -1", "pause 1.5", "pause 1 2", "pause 31622401", "resume 1", "resume resume",
            "keep", "keep 0", "keep 301", "keep 10s", "keep 1 2", "Keep 10",
        ] {
            #expect(ControlRequest(text) == nil, "\(text)")
        }
    }
}
