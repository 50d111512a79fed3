import ArgumentParser
import AudioMamba
import Glibc
import Settings

/// Which model runs.
struct ModelOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Model folder; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var model: String?
    @Option(
        help: ArgumentHelp("Folder of sounds that 'aumd learn' taught; \(Self.systemSounds) where there is one.", valueName: "folder"),
        completion: .directory)
    var sounds: String?
    @Option(
        help: ArgumentHelp(
            "How the weights are kept: float32, bfloat16 or int8. The smaller two cost a little accuracy and speed up large models.",
            valueName: "type"))
    var weights = WeightStorage.float32

    static let systemSounds = "/etc/aumd/sounds"

    /// Loads the model that the command line, the environment or the settings name, else the bundled one, with the learned sounds of the
    /// folder that these name. Of sounds that do not fit it, it says why.
    ///
    /// - Throws: ``Failure``.
    func load(settings: Settings = Settings()) throws(Failure) -> Model {
        let model = try Self.load(model, sounds: sounds, settings: settings, storage: weights)
        Self.warn(of: model)
        return model
    }

    /// The same, with what the command line says as arguments, and silent.
    static func load(
        _ directory: String?, sounds: String? = nil, settings: Settings = Settings(), storage: WeightStorage = .float32
    ) throws(Failure) -> Model {
        let path = try folder(directory, settings: settings)
        do throws(ModelError) {
            return try Model(directory: path, storage: storage, sounds: Self.sounds(sounds, settings: settings))
        } catch { throw Failure(error) }
    }

    /// The same model with its features in place of its labels.
    ///
    /// - Throws: ``Failure``.
    func loadFeatures(settings: Settings) throws(Failure) -> Model {
        let path = try Self.folder(model, settings: settings)
        do throws(ModelError) { return try Model(featuresOf: path, storage: weights) } catch { throw Failure(error) }
    }

    /// Says which learned sounds are not heard, and why.
    static func warn(of model: Model) {
        for refusal in model.refusedSounds { ServiceLog.logger.warning("\(refusal)") }
    }

    /// The model's folder.
    static func folder(_ directory: String?, settings: Settings) throws(Failure) -> String {
        guard let path = directory ?? variable("AUMD_MODEL") ?? settings.model ?? Resources.path("model") else {
            throw Failure(.noInput, "The bundled model is not beside this program; install it again or name one with --model.")
        }
        return path
    }

    /// The folder of learned sounds, if any.
    static func sounds(_ folder: String?, settings: Settings) -> String? {
        folder ?? variable("AUMD_SOUNDS") ?? settings.sounds ?? (access(systemSounds, F_OK) == 0 ? systemSounds : nil)
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension WeightStorage: ExpressibleByArgument {}
