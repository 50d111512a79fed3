import AudioMamba
import Capture
import Frontend
import Glibc

/// A whole sound file at the model's rate, to learn from.
struct Clip {
    /// Mono, a second at least.
    private let samples: [Float]
    /// (frames, melCount).
    let logMel: [Float]
    private let model: Model

    /// - Parameter longest: seconds.
    /// - Throws: ``Failure`` for a file that cannot be read whole, is longer, or is silent.
    init(path: String, longest: Int, model: Model) throws(Failure) {
        let rate = model.configuration.frontend.sampleRate
        let samples = try Self.samples(path, longest: longest, rate: rate)
        // −80 dBFS.
        guard samples.contains(where: { abs($0) > 1e-4 }) else { throw Failure(.dataError, "sound file '\(path)' is silent; record it again") }
        // A sound that was cut out closely has silence around it.
        let silence = [Float](repeating: 0, count: max(0, rate - samples.count + 1) / 2)
        self.samples = silence + samples + silence
        self.model = model
        logMel = Self.logMel(self.samples, model)
    }

    /// Every sample of a file.
    ///
    /// - Throws: ``Failure``, as above.
    static func samples(_ path: String, longest: Int, rate: Int) throws(Failure) -> [Float] {
        if Aumd.mangledArguments.contains(path) { throw Failure(mangled: [path]) }
        let source = SoundFileSource(path: path)
        var samples: [Float] = []
        do {
            try source.start()
            let ending = try source.readAll { block throws(Failure) in
                samples += block
                if samples.count > longest * source.rate {
                    throw Failure(.dataError, "sound file '\(path)' is longer than \(longest) s; cut out what matters")
                }
            }
            if let ending { throw ending }
            source.reportBroken()
            return try Frontend.resampled(samples, from: source.rate, to: rate)
        } catch let error as Failure { throw error
        } catch let error as CaptureError { throw Failure(error)
        } catch { throw Failure(.dataError, "\(path): \(error)") }
    }

    /// The clip, and four more versions of it, quieter or louder and under other sounds, so that what is learned is found among others. With
    /// two of them, some 4 in 100 fewer of the sounds of Training/evaluate_learning.py are recognised.
    ///
    /// - Parameters:
    ///   - scene: samples of the other sounds, at the same rate, from `start` on and over again.
    /// - Returns: log-mel (frames, melCount) of each.
    func versions(under scene: [Float], from start: Int) -> [[Float]] {
        let c = model.configuration
        let steps = SoundLearner.sounding(logMel: logMel, configuration: c)
        let level = Self.level(samples.indices.lazy.filter { steps[min($0 / c.stepSamples, steps.count - 1)] }.map { samples[$0] })
        return [logMel] + [(below: 12.0, gain: -8.0), (6, 4), (9, -2), (15, 0)].enumerated().map { index, version in
            let first = start + index * samples.count
            let other = samples.indices.map { scene[(first + $0) % scene.count] }
            let share = level / max(Self.level(other), .leastNormalMagnitude) * Self.factor(-version.below)
            let gain = Self.factor(version.gain)
            return Self.logMel(zip(samples, other).map { min(max(($0 + share * $1) * gain, -1), 1) }, model)
        }
    }

    private static func logMel(_ samples: [Float], _ model: Model) -> [Float] {
        guard let logMel = try? Frontend.logMel(samples, rate: model.filterBank.sampleRate, parameters: model.filterBank) else {
            preconditionFailure("a rate that needs no conversion")
        }
        return logMel
    }

    /// Root of the mean square.
    private static func level(_ samples: some Sequence<Float>) -> Float {
        let (sum, count) = samples.reduce((Float(0), 0)) { ($0.0 + $1 * $1, $0.1 + 1) }
        return (sum / Float(max(1, count))).squareRoot()
    }

    private static func factor(_ decibels: Double) -> Float { Float(pow(10, decibels / 20)) }
}
