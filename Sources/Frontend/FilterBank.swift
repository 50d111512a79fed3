import Glibc

/// What the log-mel is made of: samples and bins, frequencies in Hz.
public struct FilterBankParameters: Sendable, Equatable {
    /// Hz.
    public var sampleRate = 16000
    /// Samples of an analysis frame (25 ms).
    public var frameLength = 400
    /// Samples from one frame's start to the next (10 ms).
    public var hopLength = 160
    /// Points of the FFT; a frame is zero-padded to it.
    public var fftSize = 512
    /// Mel bins.
    public var melCount = 128
    /// Hz: the lowest filter's beginning and the highest one's end.
    public var lowFrequency: Float = 20
    public var highFrequency: Float = 8000
    /// Coefficient of x[n] − a x[n−1], applied inside the frame.
    public var preemphasis: Float = 0.97

    /// As the published checkpoints have them: kaldi.fbank at 16 kHz, 128 bins.
    public init() {}
}

/// Triangular filters, evenly spaced on the mel scale 1127 ln(1 + f / 700) and triangular on it, as Kaldi builds them:
/// in single precision, whose rounding changes a narrow filter's output by 1e-4.
struct MelFilterBank: Sendable {
    /// One filter: weights of consecutive FFT bins.
    struct Filter: Sendable {
        var firstBin: Int
        var weights: [Float]
    }

    let filters: [Filter]

    init(_ p: FilterBankParameters) {
        func edge(_ frequency: Float) -> Double { 1127 * log(1 + Double(frequency) / 700) }
        let low = Float(edge(p.lowFrequency))
        let step = Float((edge(p.highFrequency) - edge(p.lowFrequency)) / Double(p.melCount + 1))
        // The Nyquist bin carries no weight in Kaldi.
        let bins = (0..<p.fftSize / 2).map { 1127 * logf(1 + Float($0) * (Float(p.sampleRate) / Float(p.fftSize)) / 700) }
        filters = (0..<p.melCount).map { index in
            let left = low + Float(index) * step
            let centre = low + Float(index + 1) * step
            let right = low + Float(index + 2) * step
            let weights = bins.map { max(0, min(($0 - left) / (centre - left), (right - $0) / (right - centre))) }
            let first = weights.firstIndex { $0 > 0 } ?? 0
            let last = weights.lastIndex { $0 > 0 } ?? -1
            return Filter(firstBin: first, weights: last < first ? [] : Array(weights[first...last]))
        }
    }
}
