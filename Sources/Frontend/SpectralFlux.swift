import Glibc

/// How suddenly the spectrum rises, frame by frame, to tell where a sound began: spectral flux on log-mel (Bello et al.
/// 2005, "A Tutorial on Onset Detection in Music Signals", section II-C).
///
/// Scores come one a column, so an onset told from them alone is known to a tenth of a second; the frames around it know
/// it to one. Memory is fixed when it is made. A value.
public struct SpectralFlux: Sendable {
    /// Frames over which the rise is taken.
    static let lag = 2
    /// Seconds before and after a crossing of scores in which the sound may have begun.
    static let before = 0.3, after = 0.4
    /// Where sounds begin relative to the crossing, and how far from there, in seconds: their median and spread on the
    /// corpus' validation soundscapes. Frames are weighted accordingly, by a Gaussian.
    static let expected = 0.05, spread = 0.2
    /// A rise below this multiple of the window's mean is not one.
    static let prominence: Float = 1.75

    private let parameters: FilterBankParameters
    private var values: [Float]  // (capacity), a ring
    private var recent: [Float]  // (lag, melCount), a ring
    private var count = 0
    /// Position of the first frame's first sample.
    private var origin: Int64 = 0
    private let weights: [Float]  // of frames, by their distance from before the crossing

    /// - Parameter seconds: how far back an onset can be asked for.
    public init(parameters: FilterBankParameters = .init(), seconds: Double) {
        self.parameters = parameters
        let rate = Double(parameters.sampleRate) / Double(parameters.hopLength)
        values = [Float](repeating: 0, count: Int((seconds + Self.before + Self.after) * rate) + 1)
        recent = [Float](repeating: 0, count: Self.lag * parameters.melCount)
        weights = (0...Int((Self.before + Self.after) * rate)).map { frame in
            let distance = (Double(frame) / rate - Self.before - Self.expected) / Self.spread
            return Float(exp(-0.5 * distance * distance))
        }
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
            let row = UnsafeBufferPointer(rebasing: logMel[frame * width..<(frame + 1) * width])
            let slot = count % Self.lag * width
            var rise: Float = 0
            if count >= Self.lag { for band in 0..<width { rise += max(row[band] - recent[slot + band], 0) } }
            for band in 0..<width { recent[slot + band] = row[band] }
            values[count % values.count] = rise / Float(width)
            count += 1
        }
    }

    /// Ends the run: the next frame is not the neighbour of the last.
    public mutating func reset() { count = 0 }

    /// Where the sound began whose score crossed its threshold at a position; from the frames there are.
    ///
    /// - Parameter crossing: in samples; at most the seconds of `init` before the newest frame, or it comes back itself.
    /// - Returns: The middle of the steepest rise around it, or, where nothing rises, where sounds usually begin.
    public func onset(near crossing: Int64) -> Int64 {
        let hop = Int64(parameters.hopLength)
        // A value belongs to the middle between its two frames' centres.
        let shift = Int64(parameters.frameLength - Self.lag * parameters.hopLength) / 2 + origin
        let samples = { (seconds: Double) in Int64(seconds * Double(parameters.sampleRate)) }
        let earliest = Int((Double(crossing - samples(Self.before) - shift) / Double(hop)).rounded(.up))
        let oldest = max(0, count - values.count)
        guard count > 0, earliest + weights.count > oldest else { return crossing }
        var best = -1, steepest: Float = 0, sum: Float = 0, seen = 0
        for (offset, weight) in weights.enumerated() where earliest + offset >= oldest && earliest + offset < count {
            let value = values[(earliest + offset) % values.count]
            sum += value
            seen += 1
            if value * weight > steepest { (best, steepest) = (earliest + offset, value * weight) }
        }
        guard best >= 0, values[best % values.count] >= Self.prominence * sum / Float(seen) else {
            return crossing + samples(Self.expected)
        }
        return Int64(best) * hop + shift
    }
}
