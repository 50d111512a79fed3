/// The straight line between sample positions and time, filtered: a second-order delay-locked loop.
///
/// After F. Adriaensen, "Using a DLL to filter time", LAC 2005, generalised from fixed periods to any distance
/// between anchors. The bandwidth starts wide, to find the device's true rate soon, and narrows as 1/elapsed, to
/// average the jitter away.
struct DelayLockedLoop {
    /// The line goes through (position, nanoseconds).
    private var position: Double
    private var nanoseconds: Double
    /// True nanoseconds a sample.
    private(set) var period: Double
    /// Nanoseconds followed so far.
    private var followed: Double = 0
    /// All times are kept relative to this one, so that doubles hold them to well under a nanosecond.
    private let origin: Int64

    /// Hz: the bandwidth to start with, and the least.
    static let bandwidth = (widest: 1.0, narrowest: 0.02)

    init(position: Double, nanoseconds: Int64, rate: Double) {
        self.position = position
        self.nanoseconds = 0
        origin = nanoseconds
        period = 1e9 / rate
    }

    /// The time of a position, in nanoseconds of the anchors' clock.
    func time(at position: Int64) -> Int64 {
        origin + Int64((nanoseconds + (Double(position) - self.position) * period).rounded())
    }

    /// The position at a time, with its fraction.
    func position(at time: Int64) -> Double {
        position + (Double(time - origin) - nanoseconds) / period
    }

    /// How much later than expected an anchor is, in nanoseconds.
    func error(position: Double, nanoseconds: Int64) -> Double {
        Double(nanoseconds - origin) - (self.nanoseconds + (position - self.position) * period)
    }

    /// Moves the line towards an anchor.
    mutating func follow(position: Double, nanoseconds: Int64) {
        let distance = position - self.position
        guard distance > 0 else { return }
        let error = error(position: position, nanoseconds: nanoseconds)
        let elapsed = distance * period
        followed += elapsed
        let bandwidth = max(Self.bandwidth.narrowest, min(Self.bandwidth.widest, 0.3e9 / followed))
        // Long distances would make the loop overshoot; 0.5 keeps it well damped.
        let omega = min(0.5, 2 * .pi * bandwidth * elapsed * 1e-9)
        self.nanoseconds += elapsed + 2.0.squareRoot() * omega * error
        period += omega * omega * error / distance
        self.position += distance
    }

    /// Moves the line by a time, its slope kept.
    mutating func shift(nanoseconds: Double) {
        self.nanoseconds += nanoseconds
    }
}
