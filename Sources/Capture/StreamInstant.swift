import Glibc
import Threads

/// A point in time: UTC nanoseconds since 1970-01-01 (leap seconds not counted, as in POSIX).
public struct StreamInstant: Sendable, Hashable, Comparable {
    /// Since 1970-01-01.
    public var nanoseconds: Int64

    /// So many nanoseconds after 1970-01-01.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// What the system clock shows now.
    public static func now() -> StreamInstant {
        StreamInstant(nanoseconds: nanosecondsNow(CLOCK_REALTIME))
    }

    /// Whether `a` is earlier.
    public static func < (a: StreamInstant, b: StreamInstant) -> Bool {
        a.nanoseconds < b.nanoseconds
    }

    /// The instant `samples` samples of a stream at `rate` Hz later, exact to the nanosecond for any count.
    func advanced(bySamples samples: Int64, rate: Int) -> StreamInstant {
        let (seconds, rest) = samples.quotientAndRemainder(dividingBy: Int64(rate))
        return StreamInstant(nanoseconds: nanoseconds + seconds * 1_000_000_000 + rest * 1_000_000_000 / Int64(rate))
    }
}
