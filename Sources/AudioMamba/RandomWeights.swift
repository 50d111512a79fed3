import Glibc

/// Weights of a realistic scale for tests and benchmarks, drawn by a generator that Training/ implements too
/// (aumd_training/splitmix.py), so that goldens hold inputs and outputs and no weights. Each tensor is a stream of its own: splitmix64 seeded with FNV-1a of its name.
public struct RandomWeights: TensorSource, Sendable {
    /// Of the generator; another seed gives other weights.
    public var seed: UInt64
    /// L: the scale of some tensors depends on it.
    public var layerCount: Int
    /// K: the scale of some tensors depends on it.
    public var convolutionWidth: Int

    /// Weights of one seed for L layers and convolutions K wide.
    public init(seed: UInt64, layerCount: Int, convolutionWidth: Int) {
        self.seed = seed
        self.layerCount = layerCount
        self.convolutionWidth = convolutionWidth
    }

    public var origin: String { "random weights \(seed)" }

    public func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
        let fanIn = Double(shape.dropFirst().reduce(1, *))
        let part = name.split(separator: ".").suffix(2)
        let key = part.joined(separator: ".")
        let value: (Double, Int) -> Double
        switch key {
        case "in_proj.weight", "x_proj.weight", "x_proj_b.weight", "proj.weight", "head.weight":
            value = { u, _ in (2 * u - 1) * (3 / fanIn).squareRoot() }
        case "out_proj.weight":
            value = { u, _ in (2 * u - 1) * (3 / fanIn).squareRoot() / Double(layerCount).squareRoot() }
        case "conv1d.weight", "conv1d_b.weight", "conv1d.bias", "conv1d_b.bias":
            value = { u, _ in (2 * u - 1) / Double(convolutionWidth).squareRoot() }
        case "dt_proj.weight", "dt_proj_b.weight":
            value = { u, _ in (2 * u - 1) / fanIn.squareRoot() }
        case "dt_proj.bias", "dt_proj_b.bias":
            value = { u, _ in
                let d = exp(u * (log(0.1) - log(0.001)) + log(0.001))
                return d + log(-expm1(-d))
            }
        case "mixer.A_log", "mixer.A_b_log":
            value = { u, i in log(Double(i % shape[1] + 1)) + 0.1 * (2 * u - 1) }
        case "pos_embed.pos_embed", "cls_token": value = { u, _ in 0.1 * (2 * u - 1) }
        case "proj.bias", "head.bias": value = { u, _ in 0.02 * (2 * u - 1) }
        case "input": value = { u, _ in -4.2677393 + 4.5689974 * 1.5 * (2 * u - 1) }
        default: value = { u, _ in 1 + 0.1 * (2 * u - 1) }  // D, D_b and the norms
        }
        var generator = SplitMix64(state: fnv1a(name) ^ seed)
        let count = shape.reduce(1, *)
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            // Not `for … in`: a debug build asks the range's iterator for each of 90 million weights.
            while initialized < count {
                buffer.initializeElement(at: initialized, to: Float(value(Double(generator.next() >> 40) * 0x1p-24, initialized)))
                initialized += 1
            }
        }
    }
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
public struct SplitMix64: RandomNumberGenerator, Sendable {
    var state: UInt64

    /// Begins at a state: its seed.
    public init(state: UInt64) { self.state = state }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private func fnv1a(_ name: String) -> UInt64 {
    name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
