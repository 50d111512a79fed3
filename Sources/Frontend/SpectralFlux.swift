import Glibc

/// How suddenly a sound's own bands rise, frame by frame, to find where it began: spectral flux on log-mel (Bello et al.
/// 2005, "A Tutorial on Onset Detection in Music Signals", section II-C), bands weighted by how far the sound stands above
/// what was there before it.
///
/// Scores come once or twice a column of 0.16 s, so they give an onset to a tenth of a second, and worse where a sound swells; the
/// frames around it, one each 10 ms, give it to one frame. Memory is fixed when it is made. A value.
public struct SpectralFlux: Sendable {
    /// Frames over which the rise is taken.
    static let lag = 3
    /// Seconds after a crossing, whose mean spectrum is the sound's; and seconds before it, whose mean is the rest's.
    static let sound = 0.5, background = 2.0
    /// Seconds before and after a crossing in which the sound may have begun.
    static let before = 1.5, after = 0.6
    /// Standard deviations in seconds, before the crossing and after it, of where sounds begin on the validation soundscapes
    /// (`Training/make_streams.py`). Rises are weighted accordingly, by Gaussians.
    static let earlier = 0.4, later = 0.3
    /// A rise below this multiple of the mean is not one. Chosen on the same soundscapes, for event F1.
    static let prominence: Float = 4

    private let parameters: FilterBankParameters
    private let capacity: Int
    private var rows: [Float]  // (capacity, melCount), a ring
    private var count = 0
    /// Position of the first frame's first sample.
    private var origin: Int64 = 0
    private var weights: [Float]  // (melCount), of the sound asked for last

    /// - Parameter seconds: how far back an onset can be asked for.
    public init(parameters: FilterBankParameters = .init(), seconds: Double) {
        self.parameters = parameters
        let rate = Double(parameters.sampleRate) / Double(parameters.hopLength)
        capacity = Int((seconds + Self.background) * rate) + Self.lag + 1
        rows = [Float](repeating: 0, count: capacity * parameters.melCount)
        weights = [Float](repeating: 0, count: parameters.melCount)
    }

    /// Takes the next frames of a run.
    ///
    /// - Parameters:
    ///   - logMel: (frames, melCount).
    ///   - start: position of the first frame's first sample; read at the first call of a run.
    public mutating func append(_ logMel: UnsafeBufferPointer<Float>, start: Int64) {
        if count == 0 { origin = start }
        let width = parameters.melCount
        for frame in 0..<(logMel.count / width) {
            let slot = count % capacity * width
            for band in 0..<width { rows[slot + band] = logMel[frame * width + band] }
            count += 1
        }
    }

    /// Ends the run: the next frame is not the neighbour of the last.
    public mutating func reset() { count = 0 }

    /// Where the sound began whose score crossed its threshold at a position; from the frames there are.
    ///
    /// - Parameter crossing: in samples; at most the seconds of `init` before the newest frame, or it comes back itself.
    /// - Returns: The middle of the steepest rise around it, or the crossing, where nothing rises.
    public mutating func onset(near crossing: Int64) -> Int64 {
        let hop = Int64(parameters.hopLength)
        // A rise belongs to the middle between its two frames' centres.
        let shift = Int64(parameters.frameLength - Self.lag * parameters.hopLength) / 2 + origin
        let rate = Double(parameters.sampleRate) / Double(hop)
        let frames = { (seconds: Double) in Int((seconds * rate).rounded()) }
        let oldest = max(0, count - capacity)
        let middle = Int(((crossing - origin) / hop))
        guard middle >= oldest, middle < count else { return crossing }
        weigh(
            sound: middle..<min(count, middle + frames(Self.sound)),
            background: max(oldest, middle - frames(Self.background))..<middle)
        let first = max(oldest + Self.lag, middle - frames(Self.before))
        let candidates = first..<max(first, min(count, middle + frames(Self.after) + 1))
        guard !candidates.isEmpty else { return crossing }
        var best = middle, steepest: Float = 0, height: Float = 0, sum: Float = 0
        for frame in candidates {
            let value = rise(at: frame)
            sum += value
            let distance = Double(Int64(frame) * hop + shift - crossing) / Double(parameters.sampleRate)
            let deviation = distance / (distance < 0 ? Self.earlier : Self.later)
            let weighted = value * Float(exp(-0.5 * deviation * deviation))
            if weighted > steepest { (best, steepest, height) = (frame, weighted, value) }
        }
        guard height * Float(candidates.count) >= Self.prominence * sum, height > 0 else { return crossing }
        return Int64(best) * hop + shift
    }

    /// weights = how far each band's mean over `sound` stands above that over `background`; all alike where there is none.
    private mutating func weigh(sound: Range<Int>, background: Range<Int>) {
        let width = parameters.melCount
        for band in 0..<width { weights[band] = 0 }
        for (range, sign) in [(sound, Float(1)), (background, Float(-1))] where !background.isEmpty {
            let scale = sign / Float(range.count)
            for frame in range {
                let row = frame % capacity * width
                for band in 0..<width { weights[band] += scale * rows[row + band] }
            }
        }
        for band in 0..<width { weights[band] = background.isEmpty ? 1 : max(weights[band], 0) }
    }

    /// Σ weight · max(log-mel − log-mel `lag` frames before, 0).
    private func rise(at frame: Int) -> Float {
        let width = parameters.melCount
        let row = frame % capacity * width, earlier = (frame - Self.lag) % capacity * width
        var sum: Float = 0
        for band in 0..<width { sum += weights[band] * max(rows[row + band] - rows[earlier + band], 0) }
        return sum
    }
}
