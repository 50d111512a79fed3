/// What a model's head reads: a vector (D) of each column, by which sounds are told apart that the head has no label for.
///
/// The features of a clip are those of a stream that begins with it. The norm's weights are in them, and the mean over two patch grids, so that
/// their product with a row of a head, and its bias, are the logit of a label.
public final class FeatureEncoder {
    /// A clip's features.
    public struct Features: Sendable, Equatable {
        /// Of the forward direction alone: (steps, D).
        public var provisional: [Float]
        /// Of both directions: (columns, D).
        public var confirmed: [Float]
    }

    /// The model that is read; its labels are the features.
    public let configuration: Configuration
    /// Digest of the weights.
    public let weights: String
    /// D.
    public var width: Int { configuration.modelWidth }
    private let streaming: StreamingEncoder
    private let clips: ClipEncoder

    /// Reads a model folder's weights, all but the head's.
    ///
    /// - Throws: ``ModelError``; ``ModelError/unsupported(mode:reason:)`` for a model that does not run as a stream.
    public init(directory: String) throws(ModelError) {
        let model = try Model(featuresOf: directory)
        configuration = model.configuration
        weights = try SafeTensors(path: directory + "/model.safetensors").digest().hexadecimal
        streaming = try StreamingEncoder(model: model)
        clips = ClipEncoder(model: model)
    }

    /// The features of a clip.
    ///
    /// - Parameter logMel: (frames, melCount), not normalised; at least one column of frames, of which a rest is left out.
    public func features(logMel: Span<Float>) throws(ModelError) -> Features {
        let steps = logMel.count / configuration.columnSize * configuration.patchGrids
        precondition(steps > 0)
        var provisional = [Float](repeating: 0, count: steps * width)
        var vector = [Float](repeating: 0, count: width)
        streaming.state.reset()
        for step in 0..<steps {
            var output = vector.mutableSpan
            streaming.step(logMel.extracting(step * configuration.stepSize..<(step + 1) * configuration.stepSize), logits: &output)
            provisional.replaceSubrange(step * width..<(step + 1) * width, with: vector)
        }
        return Features(provisional: provisional, confirmed: try clips.logits(logMel: logMel))
    }
}

extension Model {
    /// The model of a folder with what its head reads in place of its labels: its logits are features, (…, D).
    ///
    /// - Throws: ``ModelError``, as for the model itself.
    public convenience init(featuresOf directory: String, storage: WeightStorage = .float32) throws(ModelError) {
        let description = try MappedFile(path: directory + "/config.json")
        var configuration = try Configuration(description)
        configuration.labels = (0..<configuration.modelWidth).map {
            Configuration.Label(name: "feature \($0)", mid: "", parents: [], thresholds: nil)
        }
        let source = try SafeTensors(path: directory + "/model.safetensors")
        try self.init(
            configuration: configuration, source: IdentityHead(base: source), storage: storage,
            digest: source.digest(after: description.digest()).hexadecimal)
    }
}

extension ClipEncoder {
    /// A clip's embedding: the mean of its columns' features, or the class token's, of a model of features.
    ///
    /// - Parameter logMel: as for ``logits(logMel:)``.
    /// - Returns: (D).
    /// - Throws: as ``logits(logMel:)``.
    public func embedding(logMel: Span<Float>) throws(ModelError) -> [Float] {
        let features = try logits(logMel: logMel)
        let width = model.configuration.modelWidth
        precondition(model.configuration.labels.count == width)
        return (0..<width).map { feature in
            let sum = stride(from: feature, to: features.count, by: width).reduce(Float(0)) { $0 + features[$1] }
            return sum / Float(features.count / width)
        }
    }
}

/// Weights whose head hands the features through.
private struct IdentityHead<Base: TensorSource>: TensorSource {
    let base: Base

    var origin: String { base.origin }

    func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
        switch name {
        case "head.weight": (0..<shape[0] * shape[1]).map { $0 % (shape[1] + 1) == 0 ? 1 : 0 }
        case "head.bias": [Float](repeating: 0, count: shape[0])
        default: try base.tensor(name, shape: shape)
        }
    }

    func check(_ name: String, shape: [Int]) throws(ModelError) { try base.check(name, shape: shape) }
}
