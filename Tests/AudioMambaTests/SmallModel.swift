import AudioMamba
import Foundation

/// A small model, for tests to spoil.
enum SmallModel {
    /// A folder of it on disk, as safetensors of the given type.
    static func folder(_ type: String = "F32", edit: (inout [String: Any]) -> Void = { _ in }) throws -> String {
        let path = temporaryPath("model")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var config: [String: Any] = Self.config
        edit(&config)
        try JSONSerialization.data(withJSONObject: config, options: .sortedKeys).write(to: URL(filePath: path + "/config.json"))
        try tensors(type).write(to: URL(filePath: path + "/model.safetensors"))
        return path
    }

    static let config: [String: any Sendable] = [
        "model_type": "audio-mamba", "name": "tiny", "variant": "fo-bi", "d_model": 8, "n_layer": 1, "d_state": 2,
        "d_conv": 2, "expand": 2, "dt_rank": 1, "norm_eps": 1e-5, "num_classes": 2, "token_order": "time-major",
        "position": "frequency", "pooling": "column", "dual_mode": true, "patch_mel": 16, "patch_frames": 16,
        "frontend": [
            "sample_rate": 16000, "frame_length": 400, "hop_length": 160, "n_fft": 512, "n_mels": 128, "f_min": 20,
            "f_max": 8000, "preemphasis": 0.97,
        ],
        "normalization": ["mean": -4.2, "std": 4.5], "streaming": ["chunk": 2, "lookahead": 2],
        "id2label": ["0": "Bark", "1": "Dog"], "mids": ["/m/1", "/m/2"], "parents": ["Bark": ["Dog"]],
        "thresholds": ["Bark": ["on": 0.5, "off": 0.25]],
    ]

    static let shapes: [(String, [Int])] = [
        ("patch_embed.proj.weight", [8, 1, 16, 16]), ("patch_embed.proj.bias", [8]), ("pos_embed.pos_embed", [1, 8, 8]),
        ("layers.0.norm.weight", [8]), ("layers.0.mixer.in_proj.weight", [32, 8]),
        ("layers.0.mixer.conv1d.weight", [16, 1, 2]), ("layers.0.mixer.conv1d.bias", [16]),
        ("layers.0.mixer.x_proj.weight", [5, 16]), ("layers.0.mixer.dt_proj.weight", [16, 1]),
        ("layers.0.mixer.dt_proj.bias", [16]), ("layers.0.mixer.A_log", [16, 2]), ("layers.0.mixer.A_b_log", [16, 2]),
        ("layers.0.mixer.D", [16]), ("layers.0.mixer.out_proj.weight", [8, 16]), ("norm_f.weight", [8]),
        ("head.weight", [2, 8]), ("head.bias", [2]),
    ]

    /// A file of them.
    ///
    /// - Parameter constants: tensors that hold one value.
    static func tensors(_ type: String, constants: [String: Float] = [:], edit: (inout [String: [String: Any]]) -> Void = { _ in }) throws -> Data {
        let width = type == "F32" ? 4 : type == "F64" ? 8 : 2
        var header: [String: [String: Any]] = [:]
        var data = Data()
        for (name, shape) in shapes {
            var values = try RandomWeights(seed: 5, layerCount: 1, convolutionWidth: 2).tensor(name, shape: shape)
            if let constant = constants[name] { values = values.map { _ in constant } }
            let start = data.count
            for value in values {
                switch type {
                case "BF16": withUnsafeBytes(of: UInt16(value.bitPattern >> 16)) { data.append(contentsOf: $0) }
                case "F16": withUnsafeBytes(of: Float16(value)) { data.append(contentsOf: $0) }
                case "F32": withUnsafeBytes(of: value) { data.append(contentsOf: $0) }
                default: data.append(contentsOf: [UInt8](repeating: 0, count: width))
                }
            }
            header[name] = ["dtype": type, "shape": shape, "data_offsets": [start, data.count]]
        }
        edit(&header)
        let json = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
        var file = Data()
        withUnsafeBytes(of: UInt64(json.count)) { file.append(contentsOf: $0) }
        return file + json + data
    }
}
