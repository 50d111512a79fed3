/// The incremental frontend: samples of any source rate in, whole columns of log-mel out.
///
/// Any split of the input into pieces gives the same bits: the resampler always works on blocks of one size, and a
/// frame depends on its samples alone. Memory is fixed when it is made. Not thread-safe.
public final class Frontend {
    /// Frames of a column.
    public let columnFrames: Int
    public let parameters: FilterBankParameters
    /// Samples, at the model's rate, from one column's start to the next.
    public var columnSamples: Int { columnFrames * parameters.hopLength }
    /// Samples, at the model's rate, that a column's frames span.
    public var columnSpan: Int { (columnFrames - 1) * parameters.hopLength + parameters.frameLength }

    private let resampler: Resampler?
    private let logMel: LogMel
    private var samples: [Float]  // what a column still needs, at most columnSpan
    private var filled = 0
    private var column: [Float]  // (columnFrames, melCount)

    /// - Parameters:
    ///   - inputRate: Hz of the samples that come.
    ///   - columnFrames: frames of a column.
    /// - Throws: ``FrontendError/rate(_:)`` for a rate that cannot be converted.
    public init(inputRate: Int, parameters: FilterBankParameters = .init(), columnFrames: Int = 16) throws(FrontendError) {
        self.parameters = parameters
        self.columnFrames = columnFrames
        resampler = inputRate == parameters.sampleRate
            ? nil : try Resampler(from: inputRate, to: parameters.sampleRate)
        logMel = LogMel(parameters)
        samples = [Float](repeating: 0, count: (columnFrames - 1) * parameters.hopLength + parameters.frameLength)
        column = [Float](repeating: 0, count: columnFrames * parameters.melCount)
    }

    /// Takes the next samples; `onColumn` is called with every column they complete.
    ///
    /// - Parameters:
    ///   - input: mono, −1…1. What is not finite must have been replaced before.
    ///   - onColumn: gets log-mel (columnFrames, melCount), valid during the call.
    public func process(_ input: UnsafeBufferPointer<Float>, onColumn: (UnsafeBufferPointer<Float>) -> Void) {
        guard let resampler else { return fill(input, onColumn) }
        resampler.process(input) { fill($0, onColumn) }
    }

    /// Ends the stream: zero samples complete the column that has begun, if any.
    public func finish(onColumn: (UnsafeBufferPointer<Float>) -> Void) {
        resampler?.finish { fill($0, onColumn) }
        let overlap = parameters.frameLength - parameters.hopLength
        // The last column's span overlaps into this one: only more than that is a beginning.
        if filled > (started ? overlap : 0) {
            let zeros = [Float](repeating: 0, count: samples.count - filled)
            zeros.withUnsafeBufferPointer { fill($0, onColumn) }
        }
        reset()
    }

    /// Forgets all samples, as after a gap: the next sample begins a column.
    public func reset() {
        filled = 0
        started = false
        resampler?.reset()
    }

    /// A column has come out since the last reset.
    private var started = false

    private func fill(_ input: UnsafeBufferPointer<Float>, _ onColumn: (UnsafeBufferPointer<Float>) -> Void) {
        var rest = input[...]
        while !rest.isEmpty {
            let count = min(rest.count, samples.count - filled)
            samples.withUnsafeMutableBufferPointer {
                _ = $0[filled..<(filled + count)].update(fromContentsOf: rest.prefix(count))
            }
            filled += count
            rest = rest.dropFirst(count)
            if filled == samples.count { emit(onColumn) }
        }
    }

    private func emit(_ onColumn: (UnsafeBufferPointer<Float>) -> Void) {
        samples.withUnsafeMutableBufferPointer { samples in
            column.withUnsafeMutableBufferPointer { column in
                for frame in 0..<columnFrames {
                    logMel.compute(
                        samples.baseAddress! + frame * parameters.hopLength,
                        into: column.baseAddress! + frame * parameters.melCount)
                }
                let kept = samples.count - columnSamples
                samples.baseAddress!.update(from: samples.baseAddress! + columnSamples, count: kept)
                filled = kept
            }
        }
        started = true
        column.withUnsafeBufferPointer(onColumn)
    }
}

extension Frontend {
    /// Log-mel of a whole clip, every frame that fits whole: (frames, melCount), frames = 0 for less than one.
    ///
    /// - Parameters:
    ///   - samples: mono, −1…1.
    ///   - rate: Hz of the samples.
    /// - Throws: ``FrontendError/rate(_:)``.
    public static func logMel(
        _ samples: [Float], rate: Int, parameters p: FilterBankParameters = .init()
    ) throws(FrontendError) -> [Float] {
        var samples = samples
        if rate != p.sampleRate {
            let resampler = try Resampler(from: rate, to: p.sampleRate)
            var converted: [Float] = []
            samples.withUnsafeBufferPointer { resampler.process($0) { converted += $0 } }
            resampler.finish { converted += $0 }
            samples = converted
        }
        guard samples.count >= p.frameLength else { return [] }
        let frames = (samples.count - p.frameLength) / p.hopLength + 1
        let logMel = LogMel(p)
        return [Float](unsafeUninitializedCapacity: frames * p.melCount) { buffer, initialized in
            samples.withUnsafeBufferPointer { samples in
                for frame in 0..<frames {
                    logMel.compute(
                        samples.baseAddress! + frame * p.hopLength, into: buffer.baseAddress! + frame * p.melCount)
                }
            }
            initialized = frames * p.melCount
        }
    }
}
