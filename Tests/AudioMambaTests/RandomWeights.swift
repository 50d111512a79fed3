import AudioMamba
import Foundation
import Testing

/// Weights drawn by a generator that Training/ implements too (Tests/AudioMambaTests/Golden), so that goldens hold
/// inputs and outputs and no weights. Each tensor is a stream of its own: splitmix64 seeded with FNV-1a of its name.
struct RandomWeights: TensorSource {
    var seed: UInt64
    var layerCount: Int
    var convolutionWidth: Int

    var origin: String { "random weights \(seed)" }

    func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
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
        return (0..<shape.reduce(1, *)).map { Float(value(Double(generator.next() >> 40) * 0x1p-24, $0)) }
    }
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
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

/// One case of Golden/cases.json.
struct GoldenCase: CustomTestStringConvertible {
    var name: String
    var seed: UInt64
    var frames: Int
    var configuration: Configuration

    var testDescription: String { name }

    static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

    static func all() throws -> [GoldenCase] {
        let data = try Data(contentsOf: directory.appending(path: "cases.json"))
        let cases = try JSONSerialization.jsonObject(with: data) as! [String: [String: Any]]
        return try cases.keys.sorted().map { name in
            let entry = cases[name]!
            return GoldenCase(
                name: name, seed: UInt64(entry["seed"] as! Int), frames: entry["frames"] as! Int,
                configuration: try configuration(completing: entry["config"] as! [String: Any]))
        }
    }

    /// The configuration with the keys that do not touch the arithmetic filled in.
    static func configuration(completing given: [String: Any]) throws -> Configuration {
        var config = given
        let classes = config["num_classes"] as! Int
        config["frontend"] = [
            "sample_rate": 16000, "frame_length": 400, "hop_length": 160, "n_fft": 512, "n_mels": 128, "f_min": 20,
            "f_max": 8000, "preemphasis": 0.97,
        ]
        config["streaming"] = ["chunk": 8, "lookahead": 16]
        config["id2label"] = Dictionary(uniqueKeysWithValues: (0..<classes).map { ("\($0)", "label \($0)") })
        config["mids"] = (0..<classes).map { "/m/\($0)" }
        return try Configuration(json: JSONSerialization.data(withJSONObject: config), origin: "cases.json")
    }

    func model(kernels: Kernels = .best) throws -> Model {
        let c = configuration
        return try Model(
            configuration: c,
            source: RandomWeights(seed: seed, layerCount: c.layerCount, convolutionWidth: c.convolutionWidth),
            kernels: kernels)
    }

    /// (frames, 128).
    func input() throws -> [Float] {
        try RandomWeights(seed: seed, layerCount: 1, convolutionWidth: 1).tensor("input", shape: [frames, 128])
    }

    func expected(_ tensor: String) throws -> [Float] {
        let file = try SafeTensors(path: Self.directory.appending(path: "\(name).safetensors").path)
        let shape = try #require(file.shape(of: tensor))
        return try file.tensor(tensor, shape: shape)
    }
}
