import AudioMamba
import Foundation
import TestSupport
import Testing

/// A model folder that is damaged in any way is refused with a sentence that names the file and the thing.
@Suite("Damaged model folders")
struct BadModelTests {
    private func refusal(_ path: String) -> String {
        do throws(ModelError) {
            _ = try Model(directory: path)
            return "accepted"
        } catch { return error.description }
    }

    @Test("Whole folders load, and what they say differs by the rounding of the stored type alone", arguments: [
        ("F32", 0), ("F16", 0x1p-11), ("BF16", 0x1p-8),
    ] as [(String, Float)])
    func accepted(type: String, rounding: Float) throws {
        let exact = try logits("F32"), stored = try logits(type)
        let most = zip(exact, stored).map { abs($0 - $1) }.max() ?? .infinity
        #expect(most <= 4 * rounding, "\(exact) \(stored)")
        #expect(type == "F32" || most > 0)
    }

    /// Of a clip of two columns, with the folder stored as the given type.
    private func logits(_ type: String) throws -> [Float] {
        let path = try SmallModel.folder(type)
        defer { remove(path) }
        var random = SplitMix64(state: 3)
        let logMel = random.floats(32 * 128)
        return try ClipEncoder(model: Model(directory: path)).logits(logMel: logMel.span)
    }

    @Test("A missing folder or file is named")
    func missing() throws {
        #expect(refusal("/nonexistent") == "There is no model at /nonexistent/config.json: a model folder holds config.json and model.safetensors.")
        let path = try SmallModel.folder()
        defer { remove(path) }
        #expect(refusal(path + "/config.json").hasPrefix("There is no model at \(path)/config.json/config.json: "))
        remove(path + "/model.safetensors")
        #expect(refusal(path).contains("model.safetensors"))
    }

    @Test("Every truncation of the weights is refused")
    func truncated() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        let whole = try SmallModel.tensors("F32")
        for count in [0, 1, 7, 8, 9, 100, whole.count / 2, whole.count - 1] {
            try whole.prefix(count).write(to: URL(filePath: path + "/model.safetensors"))
            #expect(refusal(path).contains("not a usable safetensors file"))
        }
    }

    @Test("A header length beyond the file is refused", arguments: [UInt64.max, UInt64(1) << 63, UInt64(1) << 40])
    func headerLength(length: UInt64) throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        var data = try SmallModel.tensors("F32")
        for length in [length, UInt64(data.count), UInt64(data.count - 7)] {
            data.replaceSubrange(0..<8, with: withUnsafeBytes(of: length) { Data($0) })
            try data.write(to: URL(filePath: path + "/model.safetensors"))
            #expect(refusal(path).contains("its header claims \(length) bytes"))
        }
    }

    @Test("Random bytes never crash the reader")
    func noise() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        var random = SplitMix64(state: 7)
        let whole = try SmallModel.tensors("F32")
        for _ in 0..<300 {
            var data = whole
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                data[Int.random(in: 0..<1400, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            try data.write(to: URL(filePath: path + "/model.safetensors"))
            #expect(!refusal(path).isEmpty)
        }
    }

    @Test("Every tensor that is missing, misshapen, mistyped, out of the file or not finite is named")
    func everyTensor() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        func refusal(editing name: String, _ edit: (inout [String: Any]?) -> Void) throws -> String {
            try SmallModel.tensors("F32") { edit(&$0[name]) }.write(to: URL(filePath: path + "/model.safetensors"))
            return self.refusal(path)
        }
        for (name, shape) in SmallModel.shapes {
            #expect(try refusal(editing: name) { $0 = nil }.contains("lacks the tensor \(name)"))
            #expect(try refusal(editing: name) { $0!["shape"] = [shape.reduce(1, *), 1, 1] }.contains("tensor \(name) has the shape"))
            #expect(try refusal(editing: name) { $0!["dtype"] = "I32" }.contains("tensor \(name) is stored as I32"))
            #expect(try refusal(editing: name) { $0!["dtype"] = "Q4" }.contains("tensor \(name) is stored as Q4"))
            #expect(try refusal(editing: name) { $0!["shape"] = [Int.max, 8] }.contains("tensor \(name) has the impossible shape"))
            #expect(try refusal(editing: name) { $0!["data_offsets"] = [0, 1 << 40] }.contains("tensor \(name) lies outside"))
            #expect(try refusal(editing: name) { $0!["data_offsets"] = [-4, 0] }.contains("tensor \(name) lies outside"))
        }
    }

    @Test("Tensors that nobody asks for may be of any type, but not outside of the file", arguments: ["U32", "F8_E4M3", "C64"])
    func unusedTensor(type: String) throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        let outside = "the data of tensor extra lies outside of the file"
        for (offsets, sentence) in [([0, 7], "accepted"), ([0, 1 << 40], outside), ([7, 0], outside), ([0], outside)] {
            try SmallModel.tensors("F32") { $0["extra"] = ["dtype": type, "shape": [3], "data_offsets": offsets] }
                .write(to: URL(filePath: path + "/model.safetensors"))
            #expect(refusal(path).contains(sentence))
        }
    }

    @Test("Metadata are what is called so: they may hold any key, and a tensor lacks none")
    func metadata() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        try SmallModel.tensors("F32") { $0["__metadata__"] = ["dtype": "float32", "format": "pt"] }
            .write(to: URL(filePath: path + "/model.safetensors"))
        #expect(refusal(path) == "accepted")
        for key in ["dtype", "shape", "data_offsets"] {
            try SmallModel.tensors("F32") { $0["extra"] = ["dtype": "F32", "shape": [1], "data_offsets": [0, 4]].filter { $0.key != key } }
                .write(to: URL(filePath: path + "/model.safetensors"))
            #expect(refusal(path).contains("not a usable safetensors file"), "\(key)")
        }
    }

    @Test("A config.json that calls for far more than the weights hold is refused before memory is asked for")
    func tooLarge() throws {
        let path = try SmallModel.folder {
            $0.merge(["n_layer": 1024, "dt_rank": 16384, "expand": 16, "d_model": 128, "patch_frames": 1]) { $1 }
        }
        defer { remove(path) }
        let fitting = [("patch_embed.proj.weight", [128, 1, 16, 1]), ("patch_embed.proj.bias", [128]), ("pos_embed.pos_embed", [1, 8, 128])]
        try SmallModel.tensors("F32") {
            for (name, shape) in fitting {
                $0[name] = ["dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape.reduce(1, *)]]
            }
        }.write(to: URL(filePath: path + "/model.safetensors"))
        #expect(refusal(path).contains("tensor layers.0.mixer.in_proj.weight has the shape"))
    }

    @Test("NaN and infinite weights are refused", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(value: Float) throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        var data = try SmallModel.tensors("F32")
        data.replaceSubrange(data.count - 4..<data.count, with: withUnsafeBytes(of: value) { Data($0) })
        try data.write(to: URL(filePath: path + "/model.safetensors"))
        #expect(refusal(path).contains("tensor head.bias holds NaN or infinity"))
    }

    @Test("Weights that are finite, and are not once a norm is multiplied in or they are a power, are refused", arguments: WeightStorage.allCases)
    func notFiniteTogether(storage: WeightStorage) throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        let input = "layers.0.mixer.in_proj.weight", norm = "layers.0.norm.weight", decay = "layers.0.mixer.A_log"
        for (constants, name) in [
            (["norm_f.weight": 1e30, "head.weight": 1e30], "norm_f.weight times head.weight"), ([norm: 1e30, input: 1e30], "\(norm) times \(input)"),
            ([decay: 1000], "exp(\(decay))"),
        ] as [([String: Float], String)] {
            try SmallModel.tensors("F32", constants: constants).write(to: URL(filePath: path + "/model.safetensors"))
            let error = #expect(throws: ModelError.self) { try Model(directory: path, storage: storage) }
            #expect(error?.description.contains("tensor \(name) holds NaN or infinity") == true, "\(String(describing: error))")
        }
    }

    @Test("A folder's files are let go of, whether it was loaded or refused")
    func closed() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        for data in [try SmallModel.tensors("F32"), try SmallModel.tensors("F32").dropLast()] {
            try data.write(to: URL(filePath: path + "/model.safetensors"))
            _ = try? Model(directory: path)
            for name in ["", "/config.json", "/model.safetensors"] { #expect(descriptors(of: path + name) == 0, "\(name)") }
            // Whose size nobody knows before it is read.
            let mapped = try #require(try FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd())
            #expect(!String(decoding: mapped, as: UTF8.self).contains(path))
        }
    }

    @Test("A model whose scores are no numbers is refused, though every number in it is one")
    func noNumbers() throws {
        let path = try SmallModel.folder { $0["normalization"] = ["mean": -4.2, "std": 2e-38] }
        defer { remove(path) }
        #expect(refusal(path).contains("the model's scores are no numbers"))
    }

    @Test("Every configuration key that is missing, mistyped or impossible is named")
    func everyKey() throws {
        let optional = ["parents", "thresholds"]
        for key in SmallModel.config.keys where !optional.contains(key) {
            let path = try SmallModel.folder { $0[key] = nil }
            defer { remove(path) }
            #expect(refusal(path).contains("\(key): this key is missing"), "\(key)")
        }
        for key in SmallModel.config.keys {
            let path = try SmallModel.folder { $0[key] = [[1]] }
            defer { remove(path) }
            let sentence = refusal(path)
            #expect(sentence.contains("config.json: \(key)") && !sentence.contains("Array") && !sentence.contains("Dictionary"), "\(sentence)")
        }
        func frontend(_ key: String, _ value: Double, of named: String? = nil) -> (String, [String: Any]) {
            var frontend = SmallModel.config["frontend"] as! [String: any Sendable]
            frontend[key] = value
            return ("frontend.\(named ?? key)", ["frontend": frontend])
        }
        let three: [String: Any] = [
            "num_classes": 3, "id2label": ["0": "Bark", "1": "Dog", "2": "Animal"], "mids": ["/m/1", "/m/2", "/m/3"],
        ]
        // No key is known where a number does not fit its type.
        let impossible: [(key: String, edit: [String: Any])] = [
            frontend("f_min", -1, of: "f_max"), frontend("f_min", 8000, of: "f_max"), frontend("f_max", 8001), frontend("preemphasis", 1.1),
            frontend("hop_length", 401), frontend("frame_length", 513), frontend("n_fft", 0), ("config", ["n_layer": 0.5]),
            ("config", ["norm_eps": 1e300]), ("d_model", ["d_model": 0]), ("d_model", ["d_model": 1 << 40]),
            ("n_layer", ["n_layer": -1]), ("d_state", ["d_state": 0]), ("d_conv", ["d_conv": 0]), ("expand", ["expand": 0]),
            ("dt_rank", ["dt_rank": 0]), ("num_classes", ["num_classes": 0]), ("mids", ["num_classes": 3]),
            ("norm_eps", ["norm_eps": 0]), ("patch_mel", ["patch_mel": 7]), ("patch_frames", ["patch_frames": 0]),
            ("variant", ["variant": "x"]), ("token_order", ["token_order": "x"]), ("clip_frames", ["pooling": "cls-middle"]),
            ("clip_frames", ["position": "absolute"]), ("clip_frames", ["clip_frames": 17]), ("clip_frames", ["clip_frames": 480_000]),
            ("model_type", ["model_type": "gpt"]),
            ("normalization.std", ["normalization": ["mean": 0, "std": 0]]),
            ("streaming.chunk", ["streaming": ["chunk": 0, "lookahead": 1]]), ("mids", ["mids": ["/m/1"]]),
            ("id2label.1", ["id2label": ["0": "Bark", "2": "Dog"]]), ("id2label.1", ["id2label": ["0": "Bark", "1": "Bark"]]),
            ("parents.Bark", ["parents": ["Bark": ["Cat"]]]), ("thresholds.Cat", ["thresholds": ["Cat": ["on": 0.5, "off": 0.2]]]),
            ("thresholds.Bark", ["thresholds": ["Bark": ["on": 0.2, "off": 0.5]]]),
            ("thresholds.Bark", ["thresholds": ["Bark": ["on": 1, "off": 0.5]]]),
            ("thresholds.Bark", ["thresholds": ["Bark": ["on": 0.5, "off": 0]]]),
            ("thresholds.Bark", ["thresholds": ["Bark": ["on": 0.5, "off": 0.2, "provisional_on": 1]]]),
            ("clip_frames", ["token_order": "frequency-major"]), ("id2label", ["id2label": ["0": "Bark", "1": "Dog", "2": "Cat"]]),
            ("streaming.lookahead", ["streaming": ["chunk": 1, "lookahead": -1]]), ("habituation", ["habituation": 101]),
            ("habituation", ["habituation": -1]), ("patch_grids", ["patch_grids": 0]), ("patch_grids", ["patch_grids": 3]),
            ("patch_grids", ["patch_grids": 2, "patch_frames": 15]), ("patch_grids", ["patch_grids": 2, "clip_frames": 160]),
            ("patch_grids", ["patch_grids": 2, "variant": "fo-fo"]),
            ("normalization.std", ["normalization": ["mean": 0, "std": 1e-45]]),
            ("normalization.std", ["normalization": ["mean": 0, "std": 3e38]]),
            ("parents.Cat", ["parents": ["Cat": ["Dog"]]]), ("parents.Bark", ["parents": ["Bark": ["Bark"]]]),
            ("parents.Bark", ["parents": ["Bark": ["Dog", "Dog"]]]),
            ("parents.Bark", ["parents": ["Bark": ["Dog"], "Dog": ["Bark"]]]),
            ("parents.Bark", three.merging(["parents": ["Bark": ["Dog"], "Dog": ["Animal"]]]) { $1 }),
            ("parents.Bark", three.merging(["parents": ["Bark": ["Dog", "Animal"], "Dog": ["Animal", "Bark"], "Animal": ["Bark", "Dog"]]]) { $1 }),
        ]
        for (key, edit) in impossible {
            let path = try SmallModel.folder { $0.merge(edit) { $1 } }
            defer { remove(path) }
            #expect(refusal(path).contains("config.json: \(key): "), "\(edit)")
        }
    }

    @Test("Other weights or another config.json are another model")
    func identifier() throws {
        let paths = try [
            SmallModel.folder(), SmallModel.folder(), SmallModel.folder("F16"), SmallModel.folder { $0["patch_grids"] = 2 },
            SmallModel.folder { $0["thresholds"] = nil }, SmallModel.folder { $0["norm_eps"] = 1e-6 },
        ]
        defer { paths.forEach(remove) }
        let identifiers = try paths.map { try Model(directory: $0).identifier }
        #expect(identifiers[0] == identifiers[1])
        #expect(Set(identifiers).count == 5)
        #expect(try Model(directory: paths[0], storage: .int8).identifier == identifiers[0] + "+int8")
        // To the last byte, wherever that is.
        for padding in 0..<8 {
            var weights = try SmallModel.tensors("F32") { $0["__metadata__"] = ["padding": String(repeating: " ", count: padding)] }
            let found = try (0..<2).map { _ in
                weights[weights.count - 4] ^= 1
                try weights.write(to: URL(filePath: paths[0] + "/model.safetensors"))
                return try Model(directory: paths[0]).identifier
            }
            #expect(found[0] != found[1])
        }
        #expect(identifiers.allSatisfy { $0.wholeMatch(of: /tiny@[0-9a-f]{8}/) != nil })
    }
}
