import AudioMamba
import Foundation
import Testing

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
        let frontend: [String: Any] = [
            "sample_rate": 16000, "frame_length": 400, "hop_length": 160, "n_fft": 512, "n_mels": 128, "f_min": 20,
            "f_max": 8000, "preemphasis": 0.97,
        ]
        config["frontend"] = frontend.merging(config["frontend"] as? [String: Any] ?? [:]) { $1 }
        config["streaming"] = ["chunk": 8, "lookahead": 16]
        config["id2label"] = Dictionary(uniqueKeysWithValues: (0..<classes).map { ("\($0)", "label \($0)") })
        config["mids"] = (0..<classes).map { "/m/\($0)" }
        return try Configuration(json: JSONSerialization.data(withJSONObject: config), origin: "cases.json")
    }

    /// - Parameter grids: patch grids; by default the case's own.
    func model(kernels: Kernels = .best, grids: Int? = nil, storage: WeightStorage = .float32) throws -> Model {
        var c = configuration
        c.patchGrids = grids ?? c.patchGrids
        return try Model(
            configuration: c,
            source: RandomWeights(seed: seed, layerCount: c.layerCount, convolutionWidth: c.convolutionWidth),
            kernels: kernels, storage: storage)
    }

    /// (frames, melCount).
    func input() throws -> [Float] {
        try RandomWeights(seed: seed, layerCount: 1, convolutionWidth: 1).tensor("input", shape: [frames, configuration.frontend.melCount])
    }

    func expected(_ tensor: String) throws -> [Float] {
        let file = try SafeTensors(path: Self.directory.appending(path: "\(name).safetensors").path)
        let shape = try #require(file.shape(of: tensor))
        return try file.tensor(tensor, shape: shape)
    }
}
