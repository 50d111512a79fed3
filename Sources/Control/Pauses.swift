import Settings

/// Whether the microphone is to be closed, and why: by what was asked last, else by the quiet hours. A state machine without a clock.
package struct Pauses: Sendable {
    /// A time, in UTC and on the wall clock of the place.
    package struct Instant: Sendable {
        /// UTC, in seconds since 1970.
        package var seconds: Int
        /// On the wall clock.
        package var moment: QuietHours.Moment

        /// The same time on both.
        package init(seconds: Int, moment: QuietHours.Moment) {
            self.seconds = seconds
            self.moment = moment
        }
    }

    private enum Asked {
        /// Until then, which people read as this text; nil: until it is to go on.
        case paused(end: (seconds: Int, text: String)?)
        /// Listen, in these quiet hours too.
        case resumed
    }

    private let quietHours: QuietHours?
    private var asked: Asked?

    /// - Parameters:
    ///   - saved: What ``saved`` was in an earlier process, if anything; other texts say nothing.
    ///   - now: UTC, in seconds since 1970.
    ///   - clock: A time on the wall clock, for people, so many seconds from now.
    package init(quietHours: QuietHours?, saved: String? = nil, at now: Int = 0, clock: (Int) -> String = { _ in "" }) {
        self.quietHours = quietHours
        guard let saved else { return }
        if saved == Self.untilResumed { asked = .paused(end: nil) }
        if let end = Int(saved), (now...now + PauseRequest.longest).contains(end) { asked = .paused(end: (end, clock(end - now))) }
    }

    /// The pause that was asked for and holds, for the next process: it must not listen because it was restarted. nil: none.
    package var saved: String? {
        switch asked {
        case .paused(nil): Self.untilResumed
        case .paused(let end?): "\(end.seconds)"
        case .resumed, nil: nil
        }
    }

    private static let untilResumed = "until it is resumed"

    /// Takes what was asked.
    ///
    /// - Parameter clock: a time some seconds from now on the wall clock, for people.
    package mutating func take(_ request: PauseRequest, at now: Instant, clock: (Int) -> String) {
        switch request {
        case .pause(nil): asked = .paused(end: nil)
        case .pause(let seconds?): asked = .paused(end: (now.seconds + seconds, clock(seconds)))
        case .resume: asked = .resumed
        }
    }

    /// Why the microphone is to be closed, as in "until 07:00"; nil: listen. What was asked holds until its time is over; to listen, until
    /// the quiet hours end in which that was asked.
    package mutating func reason(at now: Instant) -> String? {
        let quiet = quietHours?.end(at: now.moment).map { "quiet hours until \($0)" }
        switch asked {
        case .paused(nil): return Self.untilResumed
        case .paused(let end?) where now.seconds < end.seconds: return "until \(end.text)"
        case .resumed where quiet != nil: return nil
        case .paused, .resumed, nil:
            asked = nil
            return quiet
        }
    }
}
