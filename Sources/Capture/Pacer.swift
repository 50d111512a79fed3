import Glibc
import Threads

/// Lets samples of a file out at the pace of real time.
struct Pacer {
    private let rate: Int
    /// Nil: as fast as possible.
    private let start: Int64?
    private let stopping: Stop

    /// Samples let out together when there is someone waiting, in parts of a second.
    private static let portions = 50

    /// - Parameter stopping: ends every wait.
    init(rate: Int, isPaced: Bool, stopping: Stop) {
        self.rate = rate
        start = isPaced ? nanosecondsNow(CLOCK_MONOTONIC) : nil
        self.stopping = stopping
    }

    /// Waits until samples beyond `position` are due, for at most `timeout` milliseconds.
    /// - Returns: how many are due, at most `wanted`; 0 after the time-out or a stop.
    func due(after position: Int64, wanted: Int, timeout: Int) -> Int {
        guard let start else { return stopping.isSet ? 0 : wanted }
        let portion = Int64(max(1, min(wanted, rate / Pacer.portions)))
        let deadline = nanosecondsNow(CLOCK_MONOTONIC) + Int64(timeout) * 1_000_000
        while !stopping.isSet {
            let now = nanosecondsNow(CLOCK_MONOTONIC)
            let elapsed = now - start
            let reached = elapsed / 1_000_000_000 * Int64(rate) + elapsed % 1_000_000_000 * Int64(rate) / 1_000_000_000
            if reached - position >= portion { return Int(min(reached - position, Int64(wanted))) }
            if now >= deadline { return 0 }
            let missing = (position + portion - reached) * 1_000_000_000 / Int64(rate)
            let wait = (min(missing, deadline - now) + 999_999) / 1_000_000
            _ = stopping.wakeup.wait(milliseconds: Int32(clamping: wait))
        }
        return 0
    }
}
