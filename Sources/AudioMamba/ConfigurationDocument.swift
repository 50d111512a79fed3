extension Configuration {
    /// `config.json` as it is written; `configuration()` checks it.
    struct Document: Decodable {
        var model_type: String
        var name: String
        var license: String?
        var variant: Variant
        var d_model: Int
        var n_layer: Int
        var d_state: Int
        var d_conv: Int
        var expand: Int
        var dt_rank: Int
        var norm_eps: Float
        var num_classes: Int
        var token_order: TokenOrder
        var position: Position
        var pooling: Pooling
        var dual_mode: Bool
        var patch_mel: Int
        var patch_frames: Int
        var patch_grids: Int?
        var habituation: Float?
        var clip_frames: Int?
        var frontend: Frontend
        var normalization: Normalization
        var streaming: Streaming
        var id2label: [String: String]
        var mids: [String]
        var parents: [String: [String]]?
        var thresholds: [String: Thresholds]?

        struct Normalization: Decodable {
            var mean: Float
            var std: Float
        }

        struct Streaming: Decodable {
            var chunk: Int
            var lookahead: Int
        }

        struct Invalid: Error {
            var key: String
            var reason: String
        }

        func configuration() throws(Invalid) -> Configuration {
            guard model_type == "audio-mamba" else {
                throw Invalid(key: "model_type", reason: "\(model_type) is not audio-mamba")
            }
            try range("d_model", d_model, 1...16384)
            try range("n_layer", n_layer, 1...1024)
            try range("d_state", d_state, 1...256)
            try range("d_conv", d_conv, 1...64)
            try range("expand", expand, 1...16)
            try range("dt_rank", dt_rank, 1...16384)
            try range("num_classes", num_classes, 1...100_000)
            try range("patch_frames", patch_frames, 1...1024)
            let grids = patch_grids ?? 1
            try range("patch_grids", grids, 1...2)
            try check("patch_grids", grids == 1 || patch_frames % 2 == 0, "\(patch_frames) frames have no half")
            try check("patch_grids", grids == 1 || variant != .foFo, "a model without a backward direction has one grid")
            try check("patch_grids", grids == 1 || clip_frames == nil, "a model bound to clips of its own length has one grid")
            try check("habituation", (0...100).contains(habituation ?? 0), "\(habituation ?? 0) is not in 0 to 100")
            try range("streaming.chunk", streaming.chunk, 1...1024)
            try range("streaming.lookahead", streaming.lookahead, 0...1024)
            try range("frontend.n_mels", frontend.melCount, 1...1024)
            try range("frontend.sample_rate", frontend.sampleRate, 1000...384_000)
            try range("frontend.n_fft", frontend.fftSize, 2...65536)
            try range("frontend.frame_length", frontend.frameLength, 2...frontend.fftSize)
            // Frames that leave samples out between them are no STFT.
            try range("frontend.hop_length", frontend.hopLength, 1...frontend.frameLength)
            try range("patch_mel", patch_mel, 1...frontend.melCount)
            try check("patch_mel", frontend.melCount % patch_mel == 0, "\(frontend.melCount) mel bins do not divide into patches of \(patch_mel)")
            try check("norm_eps", norm_eps > 0 && norm_eps < 1, "\(norm_eps) is not between 0 and 1")
            let factor = 1 / (2 * normalization.std)
            try check("normalization.std", factor > 0 && factor.isFinite, "\(normalization.std) is not above 0, or too small or large to divide by")
            try check("normalization.mean", normalization.mean.isFinite, "this value is not finite")
            try check(
                "frontend.f_max",
                frontend.lowFrequency >= 0 && frontend.lowFrequency < frontend.highFrequency
                    && frontend.highFrequency <= Float(frontend.sampleRate) / 2,
                "the mel range must lie between 0 Hz and half the sample rate")
            try check("frontend.preemphasis", (0...1).contains(frontend.preemphasis), "\(frontend.preemphasis) is not between 0 and 1")
            if let clip_frames {
                try range("clip_frames", clip_frames, patch_frames...1_000_000)
                try check("clip_frames", clip_frames % patch_frames == 0, "\(clip_frames) frames are not whole columns of \(patch_frames)")
                // Memory grows with a clip's tokens, which no tensor's shape bounds where positions are of frequency alone.
                let tokens = clip_frames / patch_frames * (frontend.melCount / patch_mel)
                try check("clip_frames", tokens <= 1 << 17, "\(clip_frames) frames are \(tokens) tokens, more than \(1 << 17)")
            } else {
                try check("clip_frames", pooling == .column && position == .frequency && token_order == .timeMajor,
                          "only a model with time-major tokens, frequency positions and column pooling takes clips of any length")
            }
            return Configuration(
                name: name, license: license, variant: variant, modelWidth: d_model, layerCount: n_layer,
                stateCount: d_state, convolutionWidth: d_conv, expansion: expand, timeStepRank: dt_rank,
                normEpsilon: norm_eps, tokenOrder: token_order, position: position, pooling: pooling,
                dualMode: dual_mode, patchMel: patch_mel, patchFrames: patch_frames, patchGrids: grids, clipFrames: clip_frames,
                frontend: frontend, mean: normalization.mean, standardDeviation: normalization.std,
                chunk: streaming.chunk, lookahead: streaming.lookahead, habituation: habituation ?? 0, labels: try labels())
        }

        private func labels() throws(Invalid) -> [Label] {
            try check("mids", mids.count == num_classes, "\(mids.count) ids for \(num_classes) classes")
            try check("id2label", id2label.count == num_classes, "\(id2label.count) labels for \(num_classes) classes")
            var names: [String] = []
            var index: [String: Int] = [:]
            for i in 0..<num_classes {
                guard let name = id2label[String(i)] else {
                    throw Invalid(key: "id2label.\(i)", reason: "this key is missing")
                }
                try check("id2label.\(i)", index.updateValue(i, forKey: name) == nil, "the label \(name) is there twice")
                names.append(name)
            }
            var labels: [Label] = []
            for (i, name) in names.enumerated() {
                var ancestors: [Int] = []
                for parent in parents?[name] ?? [] {
                    guard let at = index[parent] else {
                        throw Invalid(key: "parents.\(name)", reason: "\(parent) is not among the labels")
                    }
                    try check("parents.\(name)", at != i, "a label cannot be its own parent")
                    try check("parents.\(name)", !ancestors.contains(at), "\(parent) is there twice")
                    ancestors.append(at)
                }
                if let limits = thresholds?[name] {
                    try check("thresholds.\(name)", 0 < limits.off && limits.off <= limits.on && limits.on < 1,
                              "0 < off <= on < 1 does not hold")
                    try check("thresholds.\(name)", limits.provisionalOn.map { 0 < $0 && $0 < 1 } ?? true,
                              "0 < provisional_on < 1 does not hold")
                }
                labels.append(Label(name: name, mid: mids[i], parents: ancestors, thresholds: thresholds?[name]))
            }
            for key in (parents ?? [:]).keys where index[key] == nil {
                throw Invalid(key: "parents.\(key)", reason: "there is no such label")
            }
            try checkAncestors(labels)
            for key in (thresholds ?? [:]).keys where index[key] == nil {
                throw Invalid(key: "thresholds.\(key)", reason: "there is no such label")
            }
            return labels
        }

        /// Every label's list holds its ancestors' ancestors; such lists, without the label itself, also rule out cycles.
        private func checkAncestors(_ labels: [Label]) throws(Invalid) {
            for (i, label) in labels.enumerated() {
                for parent in label.parents {
                    for above in labels[parent].parents {
                        try check("parents.\(label.name)", above != i, "\(labels[parent].name) has this label among its own parents")
                        try check("parents.\(label.name)", label.parents.contains(above),
                                  "\(labels[above].name), a parent of \(labels[parent].name), is missing")
                    }
                }
            }
        }

        private func range(_ key: String, _ value: Int, _ allowed: ClosedRange<Int>) throws(Invalid) {
            try check(key, allowed.contains(value), "\(value) is not in \(allowed.lowerBound) to \(allowed.upperBound)")
        }

        private func check(_ key: String, _ holds: Bool, _ reason: @autoclosure () -> String) throws(Invalid) {
            if !holds { throw Invalid(key: key, reason: reason()) }
        }
    }
}
