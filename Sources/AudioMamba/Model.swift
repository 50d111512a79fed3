/// A checkpoint, ready to run: shared by all streams, never written.
public final class Model: Sendable {
    /// What config.json says.
    public let configuration: Configuration
    /// Name and digest of both files, such as `aumd-small@1f3c9a0e`: what events say which model heard them. config.json counts
    /// as the weights do: it sets the arithmetic, the labels and their thresholds. `+int8` follows where weights are kept otherwise
    /// than as float32.
    public let identifier: String
    /// What computes the blocks.
    public let kernels: Kernels
    /// How the blocks' matrices are kept.
    public let storage: WeightStorage
    /// Why learned sounds of the folder that was named are not among the labels.
    public let refusedSounds: [ModelError]
    let weights: Weights

    /// Loads a model folder: `config.json` and `model.safetensors`.
    ///
    /// - Parameter sounds: a folder of learned sounds, which become labels after the model's own, as far as they fit it.
    /// - Throws: ``ModelError`` for whatever is absent or does not fit.
    public convenience init(
        directory: String, kernels: Kernels = .best, storage: WeightStorage = .float32, sounds: String? = nil
    ) throws(ModelError) {
        let description = try MappedFile(path: directory + "/config.json")
        var configuration = try Configuration(description)
        let source = try SafeTensors(path: directory + "/model.safetensors")
        let learned = try LearnedSounds(folder: sounds, weights: source.digest().hexadecimal, configuration: &configuration)
        let digest = learned.digest(after: source.digest(after: description.digest()))
        try self.init(
            configuration: configuration, source: ExtendedHead(base: source, sounds: learned.fitting.map(\.sound)), kernels: kernels,
            storage: storage, digest: digest.hexadecimal, refusedSounds: learned.refused)
    }

    /// Takes weights from any source.
    ///
    /// - Throws: ``ModelError`` for the first tensor that does not fit `configuration`, or where the logits of silence are no numbers.
    public init(
        configuration: Configuration, source: some TensorSource, kernels: Kernels = .best,
        storage: WeightStorage = .float32, digest: String = "unsaved", refusedSounds: [ModelError] = []
    ) throws(ModelError) {
        self.configuration = configuration
        self.kernels = kernels
        identifier = "\(configuration.name)@\(digest.prefix(8))" + (storage == .float32 ? "" : "+\(storage.rawValue)")
        self.storage = storage
        self.refusedSounds = refusedSounds
        weights = try Weights(source, configuration, storage: storage)
        // Weights may be numbers, and too large: one flipped bit of an exponent does it.
        let silence = [Float](repeating: HiddenState.silence, count: configuration.columnSize)
        guard try ClipEncoder(model: self).logits(logMel: silence.span).allSatisfy(\.isFinite) else {
            throw .logitsNotFinite(path: source.origin)
        }
    }
}
