import Glibc

/// Teaches a model a sound from a few recordings of it: a linear classifier between their features and those of other sounds.
///
/// The other sounds are in the model folder, in `background.safetensors`: `features` (n, D), of speech, music, noise, quiet rooms and
/// scenes that the model did not learn from (Training/make_background.py).
public struct SoundLearner {
    /// A recording, as the learner sees it.
    public struct Recording: Sendable {
        /// (n, D): where the sound is, in both directions' features and in the forward one's alone, in each version of the recording.
        var vectors: [Float] = []
        /// (n, D): of both directions, in the recording itself.
        var own: [Float] = []
    }

    /// What the features are of.
    public let encoder: FeatureEncoder
    private let background: [Float]  // (n, D)

    /// Ten times more or less is no better at as many false events (Training/NOTES.md).
    private static let penalty = 1e-3
    /// Logit from which an event opens, where the background's highest is not above it. One more halves the false events, and costs a
    /// tenth of the recognised sounds.
    private static let least = 2.0
    /// Most vectors of a sound, and of what it is not, that are kept.
    private static let most = 256

    /// - Throws: ``ModelError/unlearnable(reason:)`` for a model folder without background; else ``ModelError``.
    public init(directory: String) throws(ModelError) {
        encoder = try FeatureEncoder(directory: directory)
        let file: SafeTensors
        do throws(ModelError) { file = try SafeTensors(path: directory + "/background.safetensors") } catch {
            guard case .missing(let path) = error else { throw error }
            throw .unlearnable(reason: "\(path) is not there, which Training/make_background.py makes for a model")
        }
        guard let shape = file.shape(of: "features"), shape.count == 2, shape[0] > 0 else {
            throw .tensorMissing(path: file.origin, name: "features")
        }
        background = try file.tensor("features", shape: [shape[0], encoder.width])
    }

    /// Takes a recording in.
    ///
    /// - Parameter versions: log-mel (frames, melCount) of the recording, at least one column of frames, and of the same with other sounds
    ///   over it or at another level.
    /// - Throws: as ``FeatureEncoder/features(logMel:)``.
    public func recording(_ versions: [[Float]]) throws(ModelError) -> Recording {
        precondition(!versions.isEmpty)
        let c = encoder.configuration
        let sounds = Self.sounding(logMel: versions[0], configuration: c)
        var recording = Recording()
        for (index, logMel) in versions.enumerated() {
            let features = try encoder.features(logMel: logMel.span)
            let confirmed = rows(features.confirmed) { column in (0..<c.patchGrids).contains { sounds[column * c.patchGrids + $0] } }
            // On two grids a step's scores are of the column that ends with it.
            let provisional = rows(features.provisional) { step in sounds[step] || c.patchGrids > 1 && step > 0 && sounds[step - 1] }
            recording.vectors += confirmed + provisional
            if index == 0 { recording.own = confirmed }
        }
        return recording
    }

    private func rows(_ vectors: [Float], where isWanted: (Int) -> Bool) -> [Float] {
        let width = encoder.width
        return (0..<vectors.count / width).filter(isWanted).flatMap { vectors[$0 * width..<($0 + 1) * width] }
    }

    /// In which steps of a recording the sound is: those louder than half way, in decibels, from its quietest tenth to its loudest; all where these
    /// are less than 6 dB apart.
    ///
    /// - Parameter logMel: (frames, melCount), whole columns of which count.
    /// - Returns: (steps).
    public static func sounding(logMel: [Float], configuration c: Configuration) -> [Bool] {
        let count = logMel.count / c.columnSize * c.patchGrids
        let levels = (0..<count).map { step in
            log(logMel[step * c.stepSize..<(step + 1) * c.stepSize].reduce(0) { $0 + exp(Double($1)) })
        }
        let quiet = levels.sorted()[count / 10], loud = levels.max() ?? quiet
        let limit = loud - quiet < 6 * log(10) / 10 ? -Double.infinity : (quiet + loud) / 2
        return levels.map { $0 >= limit }
    }

    /// A sound that is yet to be told from others.
    ///
    /// - Parameters:
    ///   - parent: a label of the model that it is one of.
    ///   - recordings: at least one.
    ///   - others: of sound in which it is not.
    public func sound(
        _ label: String, parent: String? = nil, from recordings: [Recording], others: [FeatureEncoder.Features] = []
    ) -> LearnedSound {
        LearnedSound(
            label: label, parent: parent, weights: encoder.weights, recordings: recordings.count,
            features: thinned(recordings.flatMap(\.vectors)), others: thinned(others.flatMap { $0.confirmed + $0.provisional }))
    }

    /// Learns to tell a sound from what it is not, from other sounds that were taught, and from the background.
    public func learn(_ sound: LearnedSound, beside taught: [LearnedSound] = []) -> LearnedSound {
        let others = background + sound.others
        let fit = LogisticRegression(
            positives: sound.features, negatives: others + taught.flatMap(\.features), width: encoder.width, penalty: Self.penalty)
        var learned = sound
        learned.row = fit.weight.map { Float($0) }
        let highest = products(of: learned.row, with: others).max() ?? 0
        learned.bias = min(Float(fit.bias - Self.least), -highest)
        return learned
    }

    /// Learns sounds of one folder anew: each is what the others are not.
    public func learn(_ sounds: [LearnedSound]) -> [LearnedSound] {
        sounds.indices.map { index in
            var others = sounds
            let sound = others.remove(at: index)
            return learn(sound, beside: others)
        }
    }

    /// In how many recordings the sound would be heard, had it been learned from the other ones alone; nil of a single one.
    ///
    /// - Parameter others, taught: as for the sound itself.
    public func recognised(
        _ recordings: [Recording], others: [FeatureEncoder.Features] = [], beside taught: [LearnedSound] = []
    ) -> Int? {
        guard recordings.count > 1 else { return nil }
        return recordings.indices.count { left in
            let rest = recordings.indices.filter { $0 != left }.map { recordings[$0] }
            let learned = learn(sound("", from: rest, others: others), beside: taught)
            return (products(of: learned.row, with: recordings[left].own).max() ?? 0) + learned.bias >= 0
        }
    }

    /// Vectors (n, D) evenly spread over those given.
    private func thinned(_ vectors: [Float]) -> [Float] {
        let count = vectors.count / encoder.width
        guard count > Self.most else { return vectors }
        return (0..<Self.most).flatMap { index in
            let row = index * count / Self.most * encoder.width
            return vectors[row..<row + encoder.width]
        }
    }

    /// - Parameter vectors: (n, D).
    /// - Returns: (n).
    private func products(of row: [Float], with vectors: [Float]) -> [Float] {
        stride(from: 0, to: vectors.count, by: row.count).map { start in
            row.indices.reduce(0) { $0 + row[$1] * vectors[start + $1] }
        }
    }
}
