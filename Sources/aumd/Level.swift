import Glibc

/// Root mean square of the samples of a step and of a longer stretch, and the room's noise floor.
struct LevelMeter {
    /// What digital silence is said to be: below a 24-bit converter's range.
    static let lowestDBFS: Float = -120
    /// Steps whose level is remembered: 5 s of half columns, 10 s of whole ones.
    private static let remembered = 64
    private var sum = 0.0
    private var count = 0
    /// Mean squares of the latest steps, newest last; the quietest one is the floor.
    private var recent: [Double] = []
    private var stretch = (sum: 0.0, count: 0, highest: 0.0)

    mutating func add(_ samples: UnsafeBufferPointer<Float>) {
        for sample in samples { sum += Double(sample) * Double(sample) }
        count += samples.count
    }

    /// Level of the step that ends here, in dB relative to full scale (a full-scale square wave is 0); the next one begins. Nil where
    /// there was no sample.
    mutating func read() -> Float? {
        guard count > 0 else { return nil }
        let meanSquare = sum / Double(count)
        stretch = (stretch.sum + sum, stretch.count + count, max(stretch.highest, meanSquare))
        sum = 0
        count = 0
        if recent.count == Self.remembered { recent.removeFirst() }
        recent.append(meanSquare)
        return Self.decibels(meanSquare)
    }

    /// Level of the stretch of steps that ends here, and of its loudest step, in the same dB; the next one begins. Nil where there was no step.
    mutating func readStretch() -> (mean: Float, highest: Float)? {
        guard stretch.count > 0 else { return nil }
        defer { stretch = (0, 0, 0) }
        return (Self.decibels(stretch.sum / Double(stretch.count)), Self.decibels(stretch.highest))
    }

    private static func decibels(_ meanSquare: Double) -> Float {
        meanSquare > 0 ? max(lowestDBFS, Float(10 * log10(meanSquare))) : lowestDBFS
    }

    /// Root mean square of the quietest of the last ``remembered`` steps.
    var noiseFloor: Float { Float((recent.min() ?? 0).squareRoot()) }
}

/// White noise at a given level, the same every time: what stands in for samples a short gap lost.
struct ComfortNoise {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// Fills `samples` with noise of root mean square `level`.
    mutating func fill(_ samples: UnsafeMutableBufferPointer<Float>, level: Float) {
        for index in samples.indices {
            // Knuth's MMIX generator.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Uniform on -1…1 has a root mean square of 1/sqrt(3).
            samples[index] = Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31 * level * 1.732_050_8
        }
    }
}
