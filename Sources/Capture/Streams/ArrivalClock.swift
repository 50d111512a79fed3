/// When the samples of a live pipe were made, worked out from when they came: they wait in buffers on their way, so the earliest of
/// many arrivals is the truest. A pure state machine: no clock and no pipe, everything comes in by value; times in nanoseconds.
///
/// A file that comes through a pipe, faster than it lasts, is found out by that, and its samples count from the first one's arrival.
package struct ArrivalClock: Sendable {
    private let rate: Double
    /// When the first sample was made.
    package private(set) var origin: Int64
    /// Whether samples come as they are made.
    package private(set) var isLive = true
    /// Whether the beginning is over: what was buffered before the pipe was opened, or while nothing came, has come, or it is no live
    /// sound. No time should be reported before.
    package private(set) var isSettled = false
    /// Whether it has come no faster than it lasts for ``windowLength``: it is live beyond doubt, where a file that is decoded slowly
    /// may only seem so for a while.
    package private(set) var keepsPace = false
    /// Since when the pace is watched, and how far ahead of real time sound was then.
    private var pace: (since: Int64, lead: Int64)?
    /// When the first samples came.
    private let begun: Int64
    /// After a pause, until ``beginningAfterPause`` is over.
    private var resumption: LeastDelays?
    /// The stretch in which arrivals are compared. It begins with an arrival, so that what comes all at once after a pause is not
    /// judged by the first of it.
    private var window: LeastDelays?
    /// How far the origin still has to go back; and where the last arrival ended.
    private var pending: Int64 = 0
    private var lastEnd: Int64 = 0

    /// How long arrivals are compared.
    package static let windowLength: Int64 = 10_000_000_000
    /// The beginning lasts so long, unless nothing has come for `quiet`, and as long as sound comes more than `haste` times faster than it
    /// lasts; the same after a pause, where what was held up may come in several bursts.
    package static let beginning: Int64 = 500_000_000, quiet: Int64 = 300_000_000
    package static let beginningAfterPause: Int64 = 2_000_000_000, quietAfterPause: Int64 = 1_000_000_000
    /// A stream that gets so far ahead of real time within its first `trial` is a file; a live one's producer may begin with three
    /// segments of six seconds.
    package static let lead: Int64 = 25_000_000_000, trial: Int64 = 60_000_000_000
    /// A delay below this is left alone, and above it followed up to a second: no two clocks agree.
    package static let tolerance: Int64 = 50_000_000
    /// Sound that is later than this for a whole window is missing, unless it is less and less late: then what was held up is being
    /// caught up with.
    package static let longestDelay: Int64 = 1_000_000_000
    private static let haste: Int64 = 3
    /// What comes so much less late in the second half of ``beginningAfterPause`` is being caught up with.
    private static let catchUp: Int64 = 150_000_000
    /// The origin goes back by no more than this share of the sound that passes, so that times go on growing.
    private static let slowness: Int64 = 4

    /// - Parameters:
    ///   - rate: samples a second.
    ///   - position: how many came first.
    ///   - nanoseconds: when.
    package init(rate: Int, position: Int64, nanoseconds: Int64) {
        self.rate = Double(rate)
        origin = nanoseconds - Int64(Double(position) / Double(rate) * 1e9)
        begun = nanoseconds
    }

    /// The sample before `position` of the timeline came at `nanoseconds`.
    ///
    /// - Parameter waited: it was waited for; what lay there already shows only that it is not later, and nothing where all of
    ///   a window lay there, since then its reader was late.
    /// - Returns: how many samples are missing before it, 0 for none.
    package mutating func arrived(position: Int64, nanoseconds: Int64, waited: Bool) -> Int64 {
        guard isLive else { return 0 }
        let lead = begun + length(of: position) - nanoseconds
        if nanoseconds - begun < Self.trial, lead > Self.lead {
            end()
            return 0
        }
        goBack(position)
        let delay = nanoseconds - time(of: position)
        if resumption != nil {
            resumption!.add(delay, at: nanoseconds)
            return nanoseconds >= resumption!.end ? settle() : 0
        }
        guard isSettled else {
            settleBeginning(delay, lead, nanoseconds)
            return 0
        }
        watchPace(lead, nanoseconds)
        guard pending == 0, waited || delay < 0 || window != nil else { return 0 }
        var delays = window ?? LeastDelays(begun: nanoseconds, length: Self.windowLength)
        delays.add(delay, at: nanoseconds)
        window = nanoseconds < delays.end ? delays : nil
        guard window == nil else { return 0 }
        let least = delays.least
        if abs(least) < Self.tolerance || least > 0 && delays.firstHalf - delays.secondHalf > Self.tolerance { return 0 }
        if least > Self.longestDelay { return samples(least) }
        if least < 0 { pending = least } else { origin += least }
        return 0
    }

    private mutating func watchPace(_ lead: Int64, _ nanoseconds: Int64) {
        let (since, before) = pace ?? (nanoseconds, lead)
        guard nanoseconds - since >= Self.windowLength else { return pace = (since, before) }
        if lead - before < Self.longestDelay { keepsPace = true }
        pace = (nanoseconds, lead)
    }

    private mutating func settleBeginning(_ delay: Int64, _ lead: Int64, _ nanoseconds: Int64) {
        origin += min(0, delay)
        let passed = nanoseconds - begun
        guard passed >= Self.beginning / 2 else { return }
        let (since, before) = pace ?? (passed < Self.beginning ? (nanoseconds, lead) : (begun, 0))
        pace = (since, before)
        guard nanoseconds - since >= Self.beginning / 2 else { return }
        // What goes on coming so fast is a file, or more of what was buffered.
        isSettled = lead - before < Self.haste * (nanoseconds - since)
        pace = isSettled ? nil : (nanoseconds, lead)
    }

    /// Nothing has come for a while: what was buffered is here.
    ///
    /// - Returns: how many samples are missing before what has come since a pause.
    package mutating func settle() -> Int64 {
        isSettled = true
        guard let delays = resumption.take() else { return 0 }
        let least = delays.least
        // Nothing came in a half that has no delay.
        let isCaughtUpWith = max(delays.firstHalf, delays.secondHalf) < .max && delays.firstHalf - delays.secondHalf >= Self.catchUp
        return isCaughtUpWith || least <= Self.tolerance || least == .max ? 0 : samples(least)
    }

    /// Nothing came for long, and now something does: it begins anew, and as late as it comes now, sound is missing.
    package mutating func resume(nanoseconds: Int64) {
        window = nil
        isSettled = false
        resumption = LeastDelays(begun: nanoseconds, length: Self.beginningAfterPause)
    }

    /// It is no live sound: it comes faster than it lasts, or has ended within its beginning.
    package mutating func end() {
        isLive = false
        keepsPace = false
        isSettled = true
        origin = begun
    }

    /// When a sample of the timeline was made.
    package func time(of position: Int64) -> Int64 { origin + length(of: position) }

    private mutating func goBack(_ position: Int64) {
        let passed = length(of: position) - lastEnd
        lastEnd += passed
        let step = max(pending, -passed / Self.slowness)
        origin += step
        pending -= step
    }

    private func length(of position: Int64) -> Int64 { Int64(Double(position) / rate * 1e9) }

    private func samples(_ nanoseconds: Int64) -> Int64 { Int64(Double(nanoseconds) * 1e-9 * rate) }
}

/// How late arrivals were at least, in the first half of a stretch and in the second; .max where none came.
private struct LeastDelays: Sendable {
    let middle: Int64
    let end: Int64
    private(set) var firstHalf = Int64.max
    private(set) var secondHalf = Int64.max
    var least: Int64 { min(firstHalf, secondHalf) }

    init(begun: Int64, length: Int64) {
        middle = begun + length / 2
        end = begun + length
    }

    mutating func add(_ delay: Int64, at nanoseconds: Int64) {
        if nanoseconds < middle { firstHalf = min(firstHalf, delay) } else { secondHalf = min(secondHalf, delay) }
    }
}
