import Glibc
import Synchronization
import Threads

/// When the samples of a stream were made: counted from when the first one came or, where the stream may be live, by an
/// ``ArrivalClock``.
///
/// Thread contract: the reading thread says what has come; any thread may ask for `rate`, `keepsPace` and `instant(of:)`.
final class StreamTimes: Sendable {
    private struct State {
        var rate = 0
        var mayBeLive = false
        /// When the first sample came; nil before.
        var start: StreamInstant?
        /// From the first sample of what may be live on.
        var clock: ArrivalClock?
        var utc = SteadyUTC()
        /// When the last bytes came, by CLOCK_BOOTTIME, which a suspended machine does not stop.
        var lastArrival: Int64 = 0
    }

    private let state = Mutex(State())

    /// Hz; 0 before `begin`.
    var rate: Int { state.withLock { $0.rate } }

    /// Whether it is live beyond doubt.
    var keepsPace: Bool { withClock { $0.keepsPace } ?? false }

    /// When a sample of the timeline was made; nil before the first.
    func instant(of position: Int64) -> StreamInstant? {
        state.withLock { state in
            guard let start = state.start else { return nil }
            guard let clock = state.clock else { return start.advanced(bySamples: position, rate: state.rate) }
            return state.utc.instant(of: position, at: clock.time(of: position))
        }
    }

    // MARK: The reading thread

    func begin(rate: Int, mayBeLive: Bool) {
        state.withLock { state in
            state.rate = rate
            state.mayBeLive = mayBeLive
            state.lastArrival = nanosecondsNow(CLOCK_BOOTTIME)
        }
    }

    /// The sample before `position` of the timeline has just come; `waited`: it was waited for.
    ///
    /// - Returns: how many samples are missing before it.
    func arrived(position: Int64, waited: Bool) -> Int64 {
        state.withLock { state in
            let now = nanosecondsNow(CLOCK_BOOTTIME)
            state.lastArrival = now
            if state.start == nil { state.start = .now() }
            guard state.mayBeLive else { return 0 }
            var clock = state.clock ?? ArrivalClock(rate: state.rate, position: position, nanoseconds: now)
            defer { state.clock = clock }
            state.utc.setOffset(nanosecondsNow(CLOCK_REALTIME) - now, at: now)
            return clock.arrived(position: position, nanoseconds: now, waited: waited)
        }
    }

    /// Whether something has come of what may be live.
    var hasClock: Bool { withClock { _ in true } ?? false }

    /// Whether the times of what has come are known.
    var isSettled: Bool { withClock { $0.isSettled } ?? false }

    /// Whether nothing has come for so long through what seems to be live.
    func isOverdue(milliseconds: Int) -> Bool {
        state.withLock { state in
            let seemsLive = state.clock.map { $0.isLive && $0.isSettled } ?? state.mayBeLive
            return seemsLive && nanosecondsNow(CLOCK_BOOTTIME) - state.lastArrival >= Int64(milliseconds) * 1_000_000
        }
    }

    /// See ``ArrivalClock/resume(nanoseconds:)``.
    func resume() { withClock { $0.resume(nanoseconds: nanosecondsNow(CLOCK_BOOTTIME)) } }

    /// See ``ArrivalClock/settle()``.
    func settle() -> Int64 { withClock { $0.settle() } ?? 0 }

    /// See ``ArrivalClock/end()``.
    func end() { withClock { $0.end() } }

    @discardableResult
    private func withClock<Result: Sendable>(_ body: (inout ArrivalClock) -> Result) -> Result? {
        state.withLock { state in
            guard var clock = state.clock else { return nil }
            defer { state.clock = clock }
            return body(&clock)
        }
    }
}
