/// The incremental frontend: samples of any source rate in, log-mel out, a column's frames or an equal part of them at a time.
///
/// Any split of the input into pieces gives the same bits: the resampler always works on blocks of one size, and a
/// frame depends on its samples alone. Memory is fixed when it is made. Not thread-safe.
public final class Frontend {
    /// Frames of a column.
    public let columnFrames: Int
    /// What the log-mel is made of.
    public let parameters: FilterBankParameters
    /// Frames that come out at a time.
    public let stepFrames: Int
    /// Samples, at the model's rate, from one step's start to the next.
    private var stepSamples: Int { stepFrames * parameters.hopLength }

    private let resampler: Resampler?
    private let logMel: LogMel
    private var samples: [Float]  // what a step still needs: all that its frames span
    private var filled = 0
    private var step: [Float]  // (stepFrames, melCount)
    /// Steps since the last reset.
    private var steps = 0
    /// A sample has come since the last reset: the resampler may have given none yet.
    private var hasBegun = false

    /// - Parameters:
    ///   - inputRate: Hz of the samples that come.
    ///   - columnFrames: frames of a column.
    ///   - stepFrames: frames that come out at a time, by which a column's can be divided; by default a whole column's.
    /// - Throws: ``FrontendError/rate(_:modelRate:)`` for a rate that cannot be converted.
    public init(
        inputRate: Int, parameters: FilterBankParameters = .init(), columnFrames: Int = 16, stepFrames: Int? = nil
    ) throws(FrontendError) {
        self.parameters = parameters
        self.columnFrames = columnFrames
        self.stepFrames = stepFrames ?? columnFrames
        precondition(self.stepFrames > 0 && columnFrames % self.stepFrames == 0, "a column has a whole number of steps")
        resampler = inputRate == parameters.sampleRate
            ? nil : try Resampler(from: inputRate, to: parameters.sampleRate)
        logMel = LogMel(parameters)
        samples = [Float](repeating: 0, count: (self.stepFrames - 1) * parameters.hopLength + parameters.frameLength)
        step = [Float](repeating: 0, count: self.stepFrames * parameters.melCount)
    }

    /// Takes the next samples; `onStep` is called with every step they complete.
    ///
    /// - Parameters:
    ///   - input: mono, −1…1. What is not finite must have been replaced before.
    ///   - onStep: gets log-mel (stepFrames, melCount), valid during the call.
    public func process(_ input: UnsafeBufferPointer<Float>, onStep: (UnsafeBufferPointer<Float>) -> Void) {
        if !input.isEmpty { hasBegun = true }
        guard let resampler else { return fill(input, onStep) }
        resampler.process(input) { fill($0, onStep) }
    }

    /// Ends the stream: zero samples complete the column that has begun, if any. One has begun once a sample has come, even where the
    /// resampler makes none of so few.
    public func finish(onStep: (UnsafeBufferPointer<Float>) -> Void) {
        resampler?.finish { fill($0, onStep) }
        let overlap = parameters.frameLength - parameters.hopLength
        // The last column's span overlaps into this one: only more than that is a beginning.
        if isWithinColumn || (steps > 0 ? filled > overlap : hasBegun) {
            repeat {
                samples.withUnsafeMutableBufferPointer { $0[filled...].update(repeating: 0) }
                emit(onStep)
            } while isWithinColumn
        }
        reset()
    }

    /// Forgets all samples, as after a gap: the next sample begins a column.
    public func reset() {
        filled = 0
        steps = 0
        hasBegun = false
        resampler?.reset()
    }

    /// Steps of a column have come out, and not all.
    private var isWithinColumn: Bool { steps % (columnFrames / stepFrames) != 0 }

    private func fill(_ input: UnsafeBufferPointer<Float>, _ onStep: (UnsafeBufferPointer<Float>) -> Void) {
        var rest = input[...]
        while !rest.isEmpty {
            let count = min(rest.count, samples.count - filled)
            samples.withUnsafeMutableBufferPointer {
                _ = $0[filled..<(filled + count)].update(fromContentsOf: rest.prefix(count))
            }
            filled += count
            rest = rest.dropFirst(count)
            if filled == samples.count { emit(onStep) }
        }
    }

    private func emit(_ onStep: (UnsafeBufferPointer<Float>) -> Void) {
        samples.withUnsafeMutableBufferPointer { samples in
            step.withUnsafeMutableBufferPointer { step in
                for frame in 0..<stepFrames {
                    logMel.compute(
                        samples.baseAddress! + frame * parameters.hopLength,
                        into: step.baseAddress! + frame * parameters.melCount)
                }
                let kept = samples.count - stepSamples
                samples.baseAddress!.update(from: samples.baseAddress! + stepSamples, count: kept)
                filled = kept
            }
        }
        steps += 1
        step.withUnsafeBufferPointer(onStep)
    }
}

extension Frontend {
    /// Log-mel of a whole clip, every frame that fits whole: (frames, melCount), frames = 0 for less than one.
    ///
    /// - Parameters:
    ///   - samples: mono, −1…1.
    ///   - rate: Hz of the samples.
    /// - Throws: ``FrontendError/rate(_:modelRate:)``.
    public static func logMel(
        _ samples: [Float], rate: Int, parameters p: FilterBankParameters = .init()
    ) throws(FrontendError) -> [Float] {
        let samples = try resampled(samples, from: rate, to: p.sampleRate)
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

    /// A whole clip at another rate, Hz.
    ///
    /// - Throws: ``FrontendError/rate(_:modelRate:)``.
    public static func resampled(_ samples: [Float], from rate: Int, to modelRate: Int) throws(FrontendError) -> [Float] {
        guard rate != modelRate else { return samples }
        let resampler = try Resampler(from: rate, to: modelRate)
        var converted: [Float] = []
        samples.withUnsafeBufferPointer { resampler.process($0) { converted += $0 } }
        resampler.finish { converted += $0 }
        return converted
    }
}
