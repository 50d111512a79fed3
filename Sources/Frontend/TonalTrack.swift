import Glibc

/// How far each mel band stands out from those on both sides of it, over the last seconds: a tone does by far, speech and noise do not,
/// however loud. As running sums, so that the mean over any stretch costs two looks.
struct TonalTrack: Sendable {
    /// Hz: alarms are to be heard through doors, by old ears too, and have their tone, or a strong harmonic, in here (520 Hz is the lowest
    /// one that a standard names; 3 kHz the usual one).
    static let lowest: Float = 450, highest: Float = 4200
    /// Mel from a band to the nearest and to the farthest of those that it is compared with: a tone's own width, and twice that.
    private static let nearest: Float = 87, farthest: Float = 174

    /// Bands that are looked at, by their places among the mel bands.
    let bands: Range<Int>
    /// Frames that have come.
    private(set) var count = 0
    private let neighbours: (nearest: Int, farthest: Int)
    private let width: Int
    /// A power of two.
    private let capacity: Int
    // (bands, capacity), rings: sums over all frames before one, of the prominence and of its square.
    private var sums: [Double]
    private var squares: [Double]

    /// - Parameter frames: how far back a stretch may begin.
    init(parameters: FilterBankParameters, frames: Int) {
        width = parameters.melCount
        let low = Self.mel(parameters.lowFrequency)
        let step = (Self.mel(parameters.highFrequency) - low) / Float(width + 1)
        let near = max(2, Int((Self.nearest / step).rounded()))
        neighbours = (near, max(near + 1, Int((Self.farthest / step).rounded())))
        let place = { (frequency: Float) in Int(((Self.mel(frequency) - low) / step).rounded()) - 1 }
        // Where the model's bands end sooner, so do these: all have neighbours on both sides.
        let first = max(neighbours.farthest, place(Self.lowest))
        bands = first..<max(first, min(width - neighbours.farthest, place(Self.highest)))
        capacity = 1 << (Int.bitWidth - frames.leadingZeroBitCount)
        sums = [Double](repeating: 0, count: bands.count * capacity)
        squares = sums
    }

    private static func mel(_ frequency: Float) -> Float { 1127 * logf(1 + frequency / 700) }

    /// Takes the next frame, (melCount), natural logarithms of energies.
    mutating func append(_ row: UnsafeBufferPointer<Float>) {
        let slot = count & (capacity - 1), next = (count + 1) & (capacity - 1)
        for (index, band) in bands.enumerated() {
            var around: Float = 0
            for distance in neighbours.nearest...neighbours.farthest { around += row[band - distance] + row[band + distance] }
            let prominence = Double(row[band] - around / Float(2 * (neighbours.farthest - neighbours.nearest + 1)))
            sums[index * capacity + next] = sums[index * capacity + slot] + prominence
            squares[index * capacity + next] = squares[index * capacity + slot] + prominence * prominence
        }
        count += 1
    }

    /// The next frame is the first.
    mutating func reset() {
        count = 0
        for index in 0..<bands.count { (sums[index * capacity], squares[index * capacity]) = (0, 0) }
    }

    /// Σ over frames that are still held, of the prominence of a band, counted from `bands`' first.
    func sum(_ band: Int, _ frames: Range<Int>) -> Double { difference(sums, band, frames) }

    /// Σ of its squares.
    func squareSum(_ band: Int, _ frames: Range<Int>) -> Double { difference(squares, band, frames) }

    private func difference(_ totals: [Double], _ band: Int, _ frames: Range<Int>) -> Double {
        totals[band * capacity + (frames.upperBound & (capacity - 1))] - totals[band * capacity + (frames.lowerBound & (capacity - 1))]
    }
}
