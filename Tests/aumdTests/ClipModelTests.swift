import Foundation
import TestSupport
import Testing

/// A model like the published ones: frequency-major, class token in the middle, bound to clips of 10.24 s.
@Suite("A model bound to clips")
struct ClipModelTests {
    let folder: TemporaryFolder
    let file: String
    var model: String { folder.path }

    init() throws {
        folder = TemporaryFolder()
        file = folder.path + "/bursts.wav"
        try Sound.wav(Sound.bursts(seconds: 13)).write(to: URL(filePath: file))
        let config: [String: Any] = [
            "model_type": "audio-mamba", "name": "clip", "variant": "fo-bi", "d_model": 16, "n_layer": 2, "d_state": 4,
            "d_conv": 4, "expand": 2, "dt_rank": 1, "norm_eps": 1e-5, "num_classes": 3, "token_order": "frequency-major",
            "position": "absolute", "pooling": "cls-middle", "dual_mode": false, "patch_mel": 16, "patch_frames": 16,
            "clip_frames": 1024,
            "frontend": [
                "sample_rate": 16000, "frame_length": 400, "hop_length": 160, "n_fft": 512, "n_mels": 128, "f_min": 20,
                "f_max": 8000, "preemphasis": 0.97,
            ],
            "normalization": ["mean": -4.2677393, "std": 4.5689974], "streaming": ["chunk": 8, "lookahead": 16],
            "id2label": ["0": "Bark", "1": "Dog", "2": "Animal"], "mids": ["/m/1", "/m/2", "/m/3"],
            "parents": ["Bark": ["Dog", "Animal"], "Dog": ["Animal"]],
        ]
        try JSONSerialization.data(withJSONObject: config).write(to: folder.url.appending(path: "config.json"))
        try weights.write(to: folder.url.appending(path: "model.safetensors"))
    }

    /// Small random weights in the safetensors format.
    private var weights: Data {
        var shapes: [(String, [Int])] = [
            ("patch_embed.proj.weight", [16, 1, 16, 16]), ("patch_embed.proj.bias", [16]),
            ("pos_embed.pos_embed", [1, 513, 16]), ("cls_token", [1, 1, 16]), ("norm_f.weight", [16]),
            ("head.weight", [3, 16]), ("head.bias", [3]),
        ]
        for layer in 0..<2 {
            shapes.append(("layers.\(layer).norm.weight", [16]))
            for (name, shape) in [
                ("in_proj.weight", [64, 16]), ("conv1d.weight", [32, 1, 4]), ("conv1d.bias", [32]),
                ("x_proj.weight", [9, 32]), ("dt_proj.weight", [32, 1]), ("dt_proj.bias", [32]), ("A_log", [32, 4]),
                ("A_b_log", [32, 4]), ("D", [32]), ("out_proj.weight", [16, 32]),
            ] { shapes.append(("layers.\(layer).mixer.\(name)", shape)) }
        }
        var header: [String: Any] = [:]
        var data = Data()
        var random = SeededRandom(seed: 7)
        for (name, shape) in shapes {
            let start = data.count
            for _ in 0..<shape.reduce(1, *) {
                withUnsafeBytes(of: Float.random(in: -0.5...0.5, using: &random)) { data.append(contentsOf: $0) }
            }
            header[name] = ["dtype": "F32", "shape": shape, "data_offsets": [start, data.count]]
        }
        let json = (try? JSONSerialization.data(withJSONObject: header)) ?? Data()
        return withUnsafeBytes(of: UInt64(json.count)) { Data($0) } + json + data
    }

    @Test("is described, with the reason why it has no provisional path")
    func described() throws {
        let result = try Program.run("model", model)
        #expect(result.status == 0)
        #expect(result.output.contains("provisional none: its tokens are in frequency-major order"))
        #expect(result.output.contains("windows of 10.24 s, one each 1.28 s; every score is confirmed"))
    }

    @Test("runs live in windows of its own length, and every score is confirmed, one vector a column")
    func live() throws {
        let result = try Program.run("listen", "--model", model, "--source", file, "--scores", "--format", "ndjson")
        #expect(result.status == 0, "\(result.errors)")
        let lines = try Line.all(result.output)
        let scores = lines.filter { $0["type"] == "scores" }
        // 13 s are 82 columns, the last of them completed with silence.
        #expect(scores.count == 82)
        #expect(!scores.contains { $0["status"] != "confirmed" })
        #expect(!lines.contains { $0["type"] == "event" && $0["status"] != "confirmed" })
        // A window's scores hold for the 8 columns it confirms.
        for start in stride(from: 0, to: 80, by: 8) {
            #expect(Set(scores[start..<start + 8].map { $0.tags.map(\.score) }).count == 1)
        }
    }

    @Test("that convert.py wrote from a published checkpoint hears what the reference hears, from the sound to the scores")
    func converted() throws {
        let golden = packageRoot.appending(path: "Tests/aumdTests/Golden").path
        let expected = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: golden + "/scores.json"))) as? [String: Double])
        let heard = try Program.run(
            "tag", "--model", golden + "/converted", "--top", "all", "--format", "ndjson", golden + "/sound.wav")
        let tags = try #require(try Line.all(heard.output).first).tags
        #expect(Set(tags.map(\.label)) == Set(expected.keys))
        for tag in tags { #expect(abs(tag.score - expected[tag.label]!) < 1e-5, "\(tag)") }
        #expect(try Program.run("model", golden + "/converted").output.contains("every score is confirmed"))
    }

    @Test("has an embedding, from which its head's rows and biases make its scores")
    func embedding() throws {
        let data = try Data(contentsOf: folder.url.appending(path: "model.safetensors"))
        let start = 8 + Int(data.prefix(8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        let header = try #require(try JSONSerialization.jsonObject(with: data[8..<start]) as? [String: [String: Any]])
        func tensor(_ name: String) throws -> [Double] {
            let offsets = try #require(header[name]?["data_offsets"] as? [Int])
            return stride(from: start + offsets[0], to: start + offsets[1], by: 4).map { at in
                Double(data[at..<at + 4].withUnsafeBytes { $0.loadUnaligned(as: Float.self) })
            }
        }
        func line(_ mode: String) throws -> Line {
            try #require(try Line.all(Program.run("tag", "--model", model, "--mode", mode, "--format", "ndjson", file).output).first)
        }
        let embedding = try #require(try line("embedding").fields["embedding"] as? [Double])
        #expect(embedding.count == 16)
        let rows = try tensor("head.weight"), biases = try tensor("head.bias"), labels = ["Bark", "Dog", "Animal"]
        for tag in try line("offline").tags {
            let label = try #require(labels.firstIndex(of: tag.label))
            let logit = zip(rows[label * 16..<(label + 1) * 16], embedding).reduce(biases[label]) { $0 + $1.0 * $1.1 }
            #expect(abs(tag.score - 1 / (1 + exp(-logit))) < 1e-5)
        }
    }

    @Test("gives a clip of its own length the same scores offline and live")
    func offlineEqualsWindow() throws {
        try Sound.wav(Array(Sound.bursts(seconds: 13).prefix(64 * 2560 + 240))).write(to: URL(filePath: file))
        let offline = try Line.all(Program.run("tag", "--model", model, "--format", "ndjson", "--top", "all", file).output)
        let live = try Line.all(
            Program.run("listen", "--model", model, "--source", file, "--scores", "--format", "ndjson").output)
        let last = try #require(live.last { $0["type"] == "scores" })
        #expect(offline.first?.tags.map(\.score) == last.tags.map(\.score))
    }
}
