/// Turns the capture thread's anchors into positions with true gaps, and positions into UTC. A pure state machine:
/// no clock and no device, everything comes in by value.
///
/// A timeline position is a ring position plus all gaps before it.
package struct Timeline: Sendable {
    /// Samples of all gaps so far (those of `overflow` not: ring positions count them).
    package var gapSamples: Int64 { Int64(missing.rounded()) }
    /// The same with its fraction, as the line has it: reported gaps round it, so their errors do not add up.
    private var missing = 0.0
    private let rate: Int
    private var loop: DelayLockedLoop?
    /// Anchors in a row that were far off the line: since when, how many and the least of their errors.
    private var astray: (since: Int64, count: Int, least: Double)?
    private var clock = SteadyUTC()

    /// An anchor farther off than this is not followed, in nanoseconds.
    package static let tolerance: Double = 20e6
    /// How long anchors must be off before that is believed, in nanoseconds.
    package static let slipTime: Int64 = 1_000_000_000

    /// - Parameter rate: in Hz, as the device names it.
    package init(rate: Int) {
        self.rate = rate
    }

    /// At `nanoseconds` the device had captured the sample before ring position `position`.
    /// Returns a gap of cause `slip` when the device's count has stayed behind the clock for long.
    package mutating func anchor(position: Int64, nanoseconds: Int64) -> Gap? {
        let position = Double(position) + missing
        guard let error = loop?.error(position: position, nanoseconds: nanoseconds) else {
            loop = DelayLockedLoop(position: position, nanoseconds: nanoseconds, rate: Double(rate))
            return nil
        }
        guard abs(error) > Self.tolerance else {
            astray = nil
            loop!.follow(position: position, nanoseconds: nanoseconds)
            return nil
        }
        guard var run = astray, (run.least > 0) == (error > 0) else {
            astray = (nanoseconds, 1, error)
            return nil
        }
        run.count += 1
        if abs(error) < abs(run.least) { run.least = error }
        astray = run
        guard nanoseconds - run.since >= Self.slipTime, run.count >= 8 else { return nil }
        astray = nil
        if run.least < 0 {
            // More samples than time: the line was late, as a server's first, delayed block makes it.
            loop!.shift(nanoseconds: run.least)
            return nil
        }
        return addMissing(run.least / loop!.period, cause: .slip)
    }

    /// Takes in that `samples` are missing; returns those of them that no gap has reported yet, nil if there are none.
    private mutating func addMissing(_ samples: Double, cause: Gap.Cause) -> Gap? {
        let before = gapSamples
        missing += max(0, samples)
        return gapSamples > before ? Gap(samples: gapSamples - before, cause: cause) : nil
    }

    /// As `anchor`, where the samples from here on do not follow on those before: returns the gap between them,
    /// nil if there is none.
    package mutating func resume(position: Int64, nanoseconds: Int64, cause: Gap.Cause) -> Gap? {
        astray = nil
        guard let loop else {
            _ = anchor(position: position, nanoseconds: nanoseconds)
            return nil
        }
        return addMissing(loop.position(at: nanoseconds) - (Double(position) + missing), cause: cause)
    }

    /// Takes in what UTC is ahead of the anchors' clock.
    package mutating func setOffset(_ target: Int64, at nanoseconds: Int64) { clock.setOffset(target, at: nanoseconds) }

    /// When the sample at a timeline position was captured.
    package mutating func utc(of position: Int64) -> StreamInstant? {
        loop.flatMap { clock.instant(of: position, at: $0.time(at: position)) }
    }
}
