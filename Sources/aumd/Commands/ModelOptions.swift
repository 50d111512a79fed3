import ArgumentParser
import AudioMamba
import Glibc

/// Which model runs.
struct ModelOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Model folder; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var model: String?
    @Option(
        help: ArgumentHelp(
            "How the weights are kept: float32, bfloat16 or int8. The smaller two cost a little accuracy and speed up large models.",
            valueName: "type"))
    var weights = WeightStorage.float32

    /// Loads the model that the command line, the environment or the settings name, else the bundled one.
    ///
    /// - Parameter settings: what the merged settings say.
    /// - Throws: ``Failure``.
    func load(settings: String? = nil) throws(Failure) -> Model {
        try Self.load(model, settings: settings, storage: weights)
    }

    /// The same, with what the command line says as arguments.
    static func load(
        _ directory: String?, settings: String? = nil, storage: WeightStorage = .float32
    ) throws(Failure) -> Model {
        let environment = getenv("AUMD_MODEL").map { String(cString: $0) }
        guard let path = directory ?? (environment == "" ? nil : environment) ?? settings ?? Resources.path("model") else {
            throw Failure(.noInput, "The bundled model is not beside this program; install it again or name one with --model.")
        }
        do throws(ModelError) { return try Model(directory: path, storage: storage) } catch { throw Failure(error) }
    }
}

extension WeightStorage: ExpressibleByArgument {}
