/// UTC of a stream's positions, whose times are known by CLOCK_BOOTTIME. For growing positions it never goes back unless the system
/// clock comes to be a minute or more behind.
struct SteadyUTC: Sendable {
    /// UTC minus CLOCK_BOOTTIME, in nanoseconds, as last used and when that was.
    private var offset: (value: Int64, at: Int64)?
    /// The last answer, which later ones for later positions do not go behind.
    private var latest: (position: Int64, instant: StreamInstant)?

    /// A clock that was so many nanoseconds ahead was wrong, as one that began with local time: its times are not gone on with.
    private static let correction: Int64 = 60_000_000_000

    init() {}

    /// Takes in what UTC is ahead of CLOCK_BOOTTIME. A clock set forward, or to a minute and more before the times that were given, is
    /// followed at once; one set back by less is approached at a 32nd of the time that passes: window passes are up to 3 s apart, and
    /// the next one's first column, 0.16 s on, must not be earlier than the last one's last.
    mutating func setOffset(_ target: Int64, at nanoseconds: Int64) {
        guard let last = offset, last.value - target < Self.correction else {
            offset = (target, nanoseconds)
            latest = nil
            return
        }
        let allowed = max(0, nanoseconds - last.at) / 32
        offset = (max(target, last.value - allowed), nanoseconds)
    }

    /// UTC of a position whose time is `nanoseconds`; nil before the first offset.
    mutating func instant(of position: Int64, at nanoseconds: Int64) -> StreamInstant? {
        guard let offset else { return nil }
        var instant = StreamInstant(nanoseconds: nanoseconds + offset.value)
        if let latest {
            instant = position >= latest.position ? max(instant, latest.instant) : min(instant, latest.instant)
        }
        if position >= latest?.position ?? .min { latest = (position, instant) }
        return instant
    }
}
