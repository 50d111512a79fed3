import Foundation
import TestSupport
import Testing

/// The model that the program carries.
enum BundledModel {
    static let folder = packageRoot.appending(path: "Sources/aumd/Resources/model")

    /// Writes it with its first layers alone.
    ///
    /// - Parameter hop: samples from frame to frame, of which a column has sixteen; the model's own unless told.
    static func write(layers: Int, hop: Int? = nil, to target: TemporaryFolder) throws {
        var config = try object(Data(contentsOf: folder.appending(path: "config.json")))
        config["n_layer"] = layers
        if let hop, var frontend = config["frontend"] as? [String: Any] {
            frontend["hop_length"] = hop
            config["frontend"] = frontend
        }
        try JSONSerialization.data(withJSONObject: config).write(to: target.url.appending(path: "config.json"))

        let file = try Data(contentsOf: folder.appending(path: "model.safetensors"))
        let size = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var header: [String: Any] = [:], tensors = Data()
        for (name, tensor) in try object(file[8..<8 + size]) where isKept(name, layers) {
            var tensor = try #require(tensor as? [String: Any])
            let offsets = try #require(tensor["data_offsets"] as? [Int])
            tensor["data_offsets"] = [tensors.count, tensors.count + offsets[1] - offsets[0]]
            tensors += file[8 + size + offsets[0]..<8 + size + offsets[1]]
            header[name] = tensor
        }
        var text = try JSONSerialization.data(withJSONObject: header)
        text += Data(repeating: UInt8(ascii: " "), count: -text.count & 7)
        let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
        try (length + text + tensors).write(to: target.url.appending(path: "model.safetensors"))
    }

    private static func isKept(_ tensor: String, _ layers: Int) -> Bool {
        guard let layer = tensor.wholeMatch(of: /layers\.([0-9]+)\..*/) else { return tensor != "__metadata__" }
        return Int(layer.1)! < layers
    }

    private static func object(_ json: Data) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    }
}
