import AudioMamba
import Foundation
import TestSupport
import Testing

/// A sound of one's own is a row of the head, learned from a few recordings.
@Suite("Learned sounds")
struct LearningTests {
    private static let columnSize = 16 * 128
    private static let bundled = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/aumd/Resources/model").path(percentEncoded: false)
    private let sounds = TemporaryFolder()

    // MARK: The classifier

    @Test("The classifier is where its objective is least", arguments: 1...8)
    func optimum(seed: Int) {
        var random = SplitMix64(state: UInt64(seed))
        let width = 1 + seed, penalty = pow(10, -Double(seed % 4))
        let positives = random.floats(width * (3 + seed)).map { $0 + 0.3 }, negatives = random.floats(width * 40)
        func objective(_ weight: [Double], _ bias: Double) -> Double {
            func mean(_ vectors: [Float], _ sign: Double) -> Double {
                let losses = stride(from: 0, to: vectors.count, by: width).map { row in
                    log(1 + exp(-sign * (bias + (0..<width).reduce(0) { $0 + weight[$1] * Double(vectors[row + $1]) })))
                }
                return losses.reduce(0, +) / Double(losses.count)
            }
            return (mean(positives, 1) + mean(negatives, -1)) / 2 + penalty / 2 * weight.reduce(0) { $0 + $1 * $1 }
        }
        let fit = LogisticRegression(positives: positives, negatives: negatives, width: width, penalty: penalty)
        let least = objective(fit.weight, fit.bias)
        #expect(least < log(2))
        for index in 0...width {
            for step in [-1e-2, 1e-2] {
                var weight = fit.weight
                if index < width { weight[index] += step }
                #expect(objective(weight, fit.bias + (index == width ? step : 0)) > least)
            }
        }
    }

    // MARK: Features

    @Test("A row of the head, and its bias, make the model's logits from the features, in either direction", arguments: [1, 2])
    func features(grids: Int) throws {
        let path = try SmallModel.folder { $0["patch_grids"] = grids }
        defer { remove(path) }
        var random = SplitMix64(state: 4)
        let logMel = random.floats(9 * Self.columnSize).map { 4 * $0 - 6 }
        let encoder = try FeatureEncoder(directory: path), model = try Model(directory: path)
        // What came before does not count.
        _ = try encoder.features(logMel: random.floats(3 * Self.columnSize).span)
        let features = try encoder.features(logMel: logMel.span)
        expectClose(try logits(of: features.confirmed, path), try ClipEncoder(model: model).logits(logMel: logMel.span), within: 1e-5)
        let streaming = try StreamingEncoder(model: model)
        let steps = 9 * grids, size = Self.columnSize / grids
        let expected = (0..<steps).flatMap { step in
            var vector: [Float] = [0, 0]
            var output = vector.mutableSpan
            streaming.step(logMel.span.extracting(step * size..<(step + 1) * size), logits: &output)
            return vector
        }
        expectClose(try logits(of: features.provisional, path), expected, within: 1e-5)
    }

    @Test("A row of the head, and its bias, make the mean of a clip's logits from its embedding", arguments: [1, 2])
    func embedding(grids: Int) throws {
        let path = try SmallModel.folder { $0["patch_grids"] = grids }
        defer { remove(path) }
        var random = SplitMix64(state: 6)
        let logMel = random.floats(9 * Self.columnSize).map { 4 * $0 - 6 }
        let embedding = try ClipEncoder(model: Model(featuresOf: path)).embedding(logMel: logMel.span)
        let logits = try ClipEncoder(model: Model(directory: path)).logits(logMel: logMel.span)
        #expect(embedding.count == 8 && Set(embedding).count == 8)
        let means = (0..<2).map { label in stride(from: label, to: logits.count, by: 2).reduce(0) { $0 + logits[$1] } / Float(logits.count / 2) }
        expectClose(try self.logits(of: embedding, path), means, within: 1e-5)
    }

    /// What the head of a small model's folder makes of features (…, 8).
    private func logits(of features: [Float], _ path: String) throws -> [Float] {
        let weights = try SafeTensors(path: path + "/model.safetensors")
        let head = try weights.tensor("head.weight", shape: [2, 8]), bias = try weights.tensor("head.bias", shape: [2])
        let (one, other) = (products(head[..<8], features), products(head[8...], features))
        return zip(one, other).flatMap { [$0 + bias[0], $1 + bias[1]] }
    }

    @Test("A model that takes whole clips only has no features of a stream")
    func clipModel() throws {
        let path = try SmallModel.folder { $0["dual_mode"] = false }
        defer { remove(path) }
        #expect(throws: ModelError.self) { try FeatureEncoder(directory: path) }
    }

    // MARK: As labels

    @Test("Learned sounds are labels after the model's own, in the order of their files, and leave its logits as they were")
    func labels() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        try write("b.safetensors", sound(of: path, "Ours", row: 0), parent: "Bark")
        try write("a.safetensors", sound(of: path, "Chirp", row: 3))
        try write("notes.txt", nil)
        try write(".hidden.safetensors", nil)
        let plain = try Model(directory: path), taught = try Model(directory: path, sounds: sounds.path)
        #expect(taught.configuration.labels.map(\.name) == ["Bark", "Dog", "Chirp", "Ours"])
        #expect(taught.configuration.labels.map(\.parents) == [[1], [], [], [0, 1]])
        #expect(taught.configuration.labels.last?.thresholds == LearnedSound.thresholds)
        #expect(taught.refusedSounds.isEmpty)
        #expect(taught.identifier != plain.identifier)

        var random = SplitMix64(state: 6)
        let logMel = random.floats(5 * Self.columnSize)
        let features = try FeatureEncoder(directory: path).features(logMel: logMel.span).confirmed
        let (own, all) = try (ClipEncoder(model: plain).logits(logMel: logMel.span), ClipEncoder(model: taught).logits(logMel: logMel.span))
        for column in 0..<5 {
            #expect(Array(all[column * 4..<column * 4 + 2]) == Array(own[column * 2..<column * 2 + 2]))
            #expect(abs(all[column * 4 + 2] - (features[column * 8 + 3] + 0.5)) < 1e-5)
            #expect(abs(all[column * 4 + 3] - (features[column * 8] + 0.5)) < 1e-5)
        }
    }

    @Test("A sound that does not fit is refused in a sentence that names its file, and the others are heard")
    func refusals() throws {
        let path = try SmallModel.folder(), other = try SmallModel.folder("BF16")
        defer { [path, other].forEach(remove) }
        try write("1.safetensors", sound(of: other, "Foreign", row: 0))
        try write("2.safetensors", sound(of: path, "Bark", row: 0))
        try write("3.safetensors", sound(of: path, "Orphan", row: 0), parent: "Nobody")
        try write("4.safetensors", sound(of: path, "Ours", row: 0))
        try write("5.safetensors", sound(of: path, "Ours", row: 1))
        try write("6.safetensors", nil)
        var short = try sound(of: path, "Short", row: 0)
        short.row.removeLast()
        short.features.removeLast(2)
        try write("7.safetensors", short)
        var huge = try sound(of: path, "Huge", row: 0)
        huge.features[3] = 3e38
        try write("8.safetensors", huge)
        let model = try Model(directory: path, sounds: sounds.path)
        #expect(model.configuration.labels.map(\.name) == ["Bark", "Dog", "Ours"])
        #expect(model.refusedSounds.map(\.description) == [
            ("1", "it was learned for another model; learn it again from its recordings"),
            ("2", "there is a label Bark already; learn it under another name"),
            ("3", "its parent Nobody is not among the model's labels"),
            ("5", "there is a label Ours already; learn it under another name"),
            ("6", "it is damaged, or was not written by 'aumd learn'"),
            ("7", "it was learned for another model; learn it again from its recordings"),
            ("8", "it is damaged, or was not written by 'aumd learn'"),
        ].map { "The learned sound \(sounds.path)/\($0).safetensors is not used: \($1)." })
        #expect(throws: ModelError.sounds(path: "/nonexistent", reason: "No such file or directory")) {
            try Model(directory: path, sounds: "/nonexistent")
        }
    }

    @Test("What is written is what is read, and damage of any kind is a refusal and no crash")
    func damage() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        var sound = try sound(of: path, "Ours \"at home\" – \\ / ☏", row: 2)
        (sound.parent, sound.others) = ("Dog", [Float](repeating: 0.25, count: 24))
        let file = sounds.path + "/ours.safetensors"
        try write("ours.safetensors", sound)
        #expect(try LearnedSound(path: file) == sound)
        let whole = sound.bytes
        var random = SplitMix64(state: 8)
        for _ in 0..<200 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            try Data(bytes).write(to: URL(filePath: file))
            let model = try Model(directory: path, sounds: sounds.path)
            #expect(model.configuration.labels.count + model.refusedSounds.count == 3)
        }
    }

    // MARK: Learning

    @Test("A pattern that a few recordings have is told from all else, wherever it is")
    func learning() throws {
        var random = SplitMix64(state: 9)
        let learner = try SoundLearner(directory: Self.bundled)
        let recordings = try (0..<3).map { _ in try learner.recording([Self.recording(&random, sound: 6..<10)]) }
        let sound = learner.learn(learner.sound("Ours", parent: "Alarm", from: recordings))
        #expect(learner.recognised(recordings) == 3)
        #expect(learner.recognised([recordings[0]]) == nil)
        #expect(sound.recordings == 3 && sound.parent == "Alarm")
        try write("ours.safetensors", sound)

        let model = try Model(directory: Self.bundled, sounds: sounds.path)
        let count = model.configuration.labels.count
        let logMel = Self.recording(&random, sound: 12..<16, columns: 30)
        let logits = try ClipEncoder(model: model).logits(logMel: logMel.span)
        let heard = (0..<30).filter { logits[$0 * count + count - 1] >= 0 }
        #expect(heard.count >= 3 && heard.allSatisfy { (11...16).contains($0) }, "\(heard)")
    }

    @Test("A sound is not what it was learned beside, nor what it was said not to be")
    func others() throws {
        var random = SplitMix64(state: 10)
        let learner = try SoundLearner(directory: Self.bundled)
        let recordings = try [learner.recording([Self.recording(&random, sound: 6..<10)])]
        let similar = Self.recording(&random, sound: 6..<10, bins: 42..<50)
        let features = try learner.encoder.features(logMel: similar.span)
        func highest(_ sound: LearnedSound) -> Float {
            products(sound.row[...], features.confirmed).reduce(-.infinity, max) + sound.bias
        }
        #expect(highest(learner.learn(learner.sound("Ours", from: recordings))) > 0)
        #expect(highest(learner.learn(learner.sound("Ours", from: recordings, others: [features]))) < 0)
        let other = learner.sound("Similar", from: [try learner.recording([similar])])
        #expect(highest(learner.learn(learner.sound("Ours", from: recordings), beside: [other])) < 0)
    }

    @Test("Where a recording is louder than half way from its quietest to its loudest the sound is; in an even one everywhere")
    func sounding() throws {
        let path = try SmallModel.folder { $0["patch_grids"] = 2 }
        defer { remove(path) }
        let c = try Model(directory: path).configuration
        let levels: [Float] = [-9, -9, -9, -8, -2, -1, -4, -6, -9, -9]
        let logMel = levels.flatMap { [Float](repeating: $0, count: Self.columnSize / 2) }
        #expect(SoundLearner.sounding(logMel: logMel, configuration: c) == levels.map { $0 >= -5 })
        let even = levels.flatMap { [Float](repeating: $0 / 9, count: Self.columnSize / 2) }
        #expect(SoundLearner.sounding(logMel: even, configuration: c) == levels.map { _ in true })
    }

    @Test("Without its background a model learns nothing, and says what makes it")
    func noBackground() throws {
        let path = try SmallModel.folder()
        defer { remove(path) }
        do throws(ModelError) {
            _ = try SoundLearner(directory: path)
            Issue.record("accepted")
        } catch {
            #expect(error.description == "No sound can be learned: \(path)/background.safetensors is not there, which Training/make_background.py makes for a model.")
        }
    }

    // MARK: -

    /// A sound whose logit is one feature and 0.5.
    private func sound(of model: String, _ label: String, row: Int) throws -> LearnedSound {
        let learner = try FeatureEncoder(directory: model)
        return LearnedSound(
            label: label, weights: learner.weights, recordings: 1, features: [Float](repeating: 0.5, count: 16),
            row: (0..<8).map { $0 == row ? 1 : 0 }, bias: 0.5)
    }

    /// Of a row (D) with each vector of (n, D).
    private func products(_ row: ArraySlice<Float>, _ vectors: [Float]) -> [Float] {
        stride(from: 0, to: vectors.count, by: row.count).map { start in
            zip(row, vectors[start...]).reduce(0) { $0 + $1.0 * $1.1 }
        }
    }

    /// Writes a sound's file, or one that is none.
    private func write(_ name: String, _ sound: LearnedSound?, parent: String? = nil) throws {
        var sound = sound
        if let parent { sound?.parent = parent }
        try Data(sound?.bytes ?? Array("{}".utf8)).write(to: URL(filePath: sounds.path + "/" + name))
    }

    /// Log-mel of noise, with some bins louder in some columns.
    private static func recording(_ random: inout SplitMix64, sound: Range<Int>, bins: Range<Int> = 40..<48, columns: Int = 16) -> [Float] {
        (0..<columns * columnSize).map { index in
            let isSound = sound.contains(index / columnSize) && bins.contains(index % 128)
            return Float.random(in: -1...1, using: &random) + (isSound ? 4 : -9)
        }
    }
}
