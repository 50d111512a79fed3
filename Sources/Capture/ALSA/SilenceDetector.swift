/// Finds stretches of nothing but zeros: a muted or dead microphone. A live one always has some noise.
struct SilenceDetector: Sendable {
    private var zeros = 0
    private(set) var isSilent = false

    init() {}

    /// Takes the next samples. True when there are now `limit` zeros in a row, false when such a stretch has ended,
    /// nil when nothing changed.
    mutating func observe(_ samples: UnsafeBufferPointer<Float>, limit: Int) -> Bool? {
        if let last = samples.lastIndex(where: { $0 != 0 }) {
            zeros = samples.count - 1 - last
            if isSilent {
                isSilent = false
                return false
            }
            return nil
        }
        zeros += samples.count
        if isSilent || zeros < limit { return nil }
        isSilent = true
        return true
    }
}
