/// How fast a device may be: a PCM without a clock (null, file) would give as much as is read.
struct RateLimiter {
    /// Hz.
    let rate: Int
    /// Samples captured before `start`, in nanoseconds of CLOCK_MONOTONIC.
    let captured: Int64
    let start: Int64

    /// Samples by then, and a second more that a server may have when it starts. Half as much again as there should be is no
    /// device's clock, however wrong.
    private func allowed(at time: Int64) -> Int64 {
        let elapsed = Double(time - start) * 1e-9
        return Int64((1 + 1.5 * elapsed) * Double(rate))
    }

    /// Milliseconds until the samples captured so far are due.
    func early(by samples: Int64, at time: Int64) -> Int32 {
        let excess = samples - captured - allowed(at: time)
        return excess <= 0 ? 0 : Int32(clamping: excess * 1000 / Int64(rate) + 1)
    }
}
