/// The newest sound of a source, 16 bits a sample, in a ring of fixed size.
package struct SoundHistory {
    /// Positions of the samples that are held, in the source's timeline.
    package private(set) var held: Range<Int64>
    private var ring: [Int16]

    /// - Parameters:
    ///   - position: Of the first sample that will come.
    ///   - capacity: Samples held at most.
    package init(from position: Int64, capacity: Int) {
        held = position..<position
        ring = [Int16](repeating: 0, count: capacity)
    }

    /// Takes the samples that follow, in -1…1; what is louder is clipped.
    package mutating func append(_ samples: UnsafeBufferPointer<Float>) {
        // Of more than fit, the last ones stay.
        var at = Int((held.upperBound + Int64(max(0, samples.count - ring.count))) % Int64(ring.count))
        for sample in samples.suffix(ring.count) {
            ring[at] = Int16(min(max((sample * 32768).rounded(), -32768), 32767))
            at = at + 1 == ring.count ? 0 : at + 1
        }
        let end = held.upperBound + Int64(samples.count)
        held = max(held.lowerBound, end - Int64(ring.count))..<end
    }

    /// Goes on at another position, with nothing held.
    package mutating func restart(at position: Int64) { held = position..<position }

    /// The samples of a range that is held.
    package func copy(_ range: Range<Int64>) -> [Int16] {
        precondition(range.lowerBound >= held.lowerBound && range.upperBound <= held.upperBound)
        let start = Int(range.lowerBound % Int64(ring.count))
        let first = ring[start..<min(start + range.count, ring.count)]
        return Array(first) + ring[..<(range.count - first.count)]
    }
}
