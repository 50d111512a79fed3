/// When the samples of a live pipe were made, told from when they came: they wait in buffers on their way, so the earliest of
/// many arrivals is the truest. A pure state machine: no clock and no pipe, everything comes in by value.
///
/// A file that comes through a pipe, faster than it lasts, is found out by that, and its samples count from the first one's arrival.
package struct ArrivalClock: Sendable {
    private let rate: Double
    /// When the first sample was made, in nanoseconds; and as the first arrival alone had it.
    package private(set) var origin: Int64
    private let first: Int64
    /// Whether samples come as they are made.
    package private(set) var isLive = true
    /// Whether the beginning is over: what was buffered before the pipe was opened has come, or it is no live sound. No time
    /// should be told before.
    package private(set) var isSettled = false
    /// The span that arrivals are being compared in: its end, and the least by which one of its first half came after its time, and
    /// one of its second. It begins with an arrival, so that what comes all at once after a pause is not judged by the first of it.
    private var span: (end: Int64, early: Int64, late: Int64)?

    /// Nanoseconds over which the earliest arrival is looked for.
    package static let length: Int64 = 10_000_000_000
    /// The beginning lasts no longer, and not when nothing has come for `pause`.
    package static let beginning: Int64 = 500_000_000, pause: Int64 = 100_000_000
    /// What has come so much more than time has passed is no live sound, and so long it is looked for; some producers buffer five
    /// seconds before they begin.
    package static let lead: Int64 = 10_000_000_000, trial: Int64 = 60_000_000_000
    /// Being off by less than this is left alone, and followed up to the second: no two clocks agree.
    package static let tolerance: Int64 = 50_000_000
    /// Sound that is later than this for a whole span is missing, unless it is less and less late: then what was held up is being
    /// caught up with.
    package static let longestDelay: Int64 = 1_000_000_000

    /// - Parameters:
    ///   - rate: samples a second.
    ///   - position: how many came first.
    ///   - nanoseconds: when.
    package init(rate: Int, position: Int64, nanoseconds: Int64) {
        self.rate = Double(rate)
        origin = nanoseconds - Int64(Double(position) / Double(rate) * 1e9)
        first = origin
    }

    /// The sample before `position` of the timeline came at `nanoseconds`.
    ///
    /// - Parameter waited: it was waited for; what lay there already tells only that it is not later, and nothing where all of
    ///   a span lay there, since then its reader was late.
    /// - Returns: how many samples are missing before it, 0 for none.
    package mutating func arrived(position: Int64, nanoseconds: Int64, waited: Bool) -> Int64 {
        guard isLive else { return 0 }
        let age = nanoseconds - first
        if age < Self.trial, first + length(of: position) - nanoseconds > Self.lead {
            end()
            return 0
        }
        let delay = nanoseconds - time(of: position)
        guard isSettled else {
            origin += min(0, delay)
            isSettled = age >= Self.beginning
            return 0
        }
        guard waited || delay < 0 || span != nil else { return 0 }
        var (end, early, late) = span ?? (nanoseconds + Self.length, .max, .max)
        if nanoseconds < end - Self.length / 2 { early = min(early, delay) } else { late = min(late, delay) }
        span = (end, early, late)
        guard nanoseconds >= end else { return 0 }
        span = nil
        let least = min(early, late)
        if abs(least) < Self.tolerance || least > 0 && early - late > Self.tolerance { return 0 }
        if least > Self.longestDelay { return Int64(Double(least) * 1e-9 * rate) }
        origin += least
        return 0
    }

    /// Nothing has come for `pause`: what was buffered is here.
    package mutating func settle() { isSettled = true }

    /// It is no live sound: it comes faster than it lasts, or has ended within its beginning.
    package mutating func end() {
        isLive = false
        isSettled = true
        origin = first
    }

    /// When a sample of the timeline was made.
    package func time(of position: Int64) -> Int64 { origin + length(of: position) }

    private func length(of position: Int64) -> Int64 { Int64(Double(position) / rate * 1e9) }
}
