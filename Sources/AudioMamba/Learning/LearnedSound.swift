/// A sound that a person taught: one more row of a model's head, which reads the features that the model has anyway.
///
/// A few recordings are enough, as features also tell sounds apart that have no label (a linear classifier on a frozen encoder; Chen
/// et al. 2019, "A Closer Look at Few-shot Classification"). Its file is in the safetensors format, and holds the features of the
/// recordings too: what is learned later is told from it, and it from that.
public struct LearnedSound: Sendable, Equatable {
    /// What its events are called.
    public var label: String
    /// The model's label that it is one of, if any: Bell for a doorbell.
    public var parent: String?
    /// Digest of the weights whose features these are.
    public var weights: String
    /// From how many recordings it was learned.
    public var recordings: Int
    /// (n, D), of the sound.
    public var features: [Float]
    /// (m, D), of what it is not.
    public var others: [Float]
    /// (D).
    public var row: [Float]
    /// Added to the row's product with features, to make the logit. An event opens at 0.
    public var bias: Float

    /// Scores at which events open and end: the provisional logit has to be 1.5 higher, as the forward direction alone is wrong more
    /// often, and an event lasts to a fifth of the score that opens it, as those of the model's own labels do.
    public static let thresholds = Configuration.Thresholds(on: 0.5, off: 0.1, provisionalOn: 0.82)

    /// One of given numbers.
    public init(
        label: String, parent: String? = nil, weights: String, recordings: Int, features: [Float], others: [Float] = [], row: [Float] = [],
        bias: Float = 0
    ) {
        self.label = label
        self.parent = parent
        self.weights = weights
        self.recordings = recordings
        self.features = features
        self.others = others
        self.row = row
        self.bias = bias
    }
}

extension LearnedSound {
    private static let format = "aumd-sound/1"

    /// What its file holds.
    public var bytes: [UInt8] {
        let width = row.count
        return SafeTensors.file(
            [
                ("row", [width], row), ("bias", [1], [bias]), ("features", [features.count / width, width], features),
                ("others", [others.count / width, width], others),
            ],
            metadata: [
                "format": Self.format, "label": label, "parent": parent ?? "", "weights": weights, "recordings": "\(recordings)",
            ])
    }

    /// Reads a file.
    ///
    /// - Throws: ``ModelError/sound(path:reason:)`` for whatever holds no learned sound, or why it cannot be read.
    public init(path: String) throws(ModelError) {
        let damaged = ModelError.sound(path: path, reason: "it is damaged, or was not written by 'aumd learn'")
        do throws(ModelError) {
            let file = try SafeTensors(path: path), metadata = file.metadata
            guard metadata["format"] == Self.format, let label = metadata["label"], let weights = metadata["weights"],
                let recordings = metadata["recordings"].flatMap(Int.init), !label.isEmpty,
                let width = file.shape(of: "row")?.first, width > 0, let count = file.shape(of: "features")?.first,
                let otherCount = file.shape(of: "others")?.first
            else { throw damaged }
            self.init(
                label: label, parent: metadata["parent"].flatMap { $0.isEmpty ? nil : $0 }, weights: weights, recordings: recordings,
                features: try file.tensor("features", shape: [count, width]), others: try file.tensor("others", shape: [otherCount, width]),
                row: try file.tensor("row", shape: [width]), bias: try file.tensor("bias", shape: [1])[0])
            // One flipped bit of an exponent makes a number with which nothing else comes out right.
            guard (row + [bias] + features + others).allSatisfy({ abs($0) < 1e6 }) else { throw damaged }
        } catch {
            switch error {
            case .missing, .notPermitted, .unreadable: throw error
            default: throw damaged
            }
        }
    }

    /// Makes it a label of the model with these weights.
    ///
    /// - Returns: why it cannot be one; nil where it is.
    func add(to configuration: inout Configuration, weights: String) -> String? {
        guard self.weights == weights, row.count == configuration.modelWidth else {
            return "it was learned for another model; learn it again from its recordings"
        }
        let labels = configuration.labels
        guard !labels.contains(where: { $0.name == label }) else { return "there is a label \(label) already; learn it under another name" }
        var ancestors: [Int] = []
        if let parent {
            guard let index = labels.firstIndex(where: { $0.name == parent }) else { return "its parent \(parent) is not among the model's labels" }
            ancestors = [index] + labels[index].parents
        }
        configuration.labels.append(Configuration.Label(name: label, mid: "", parents: ancestors, thresholds: Self.thresholds))
        return nil
    }
}
