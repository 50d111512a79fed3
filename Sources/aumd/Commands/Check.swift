import ArgumentParser
import AudioMamba
import Settings
import Sinks

/// `aumd check`: a configuration file, checked against the model whose labels it names.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks a configuration file and says everything that is wrong with it.",
        discussion: "Example:\n  aumd check /etc/aumd/aumd.yaml")

    @OptionGroup var modelOptions: ModelOptions
    @Argument(help: "The file.", completion: .file(extensions: ["yaml", "yml"]))
    var file = SettingsOptions.systemFile

    func run() throws {
        var (settings, errors) = Settings.reading(file: file)
        let model: Model
        do throws(Failure) {
            model = try ModelOptions.load(modelOptions.model, sounds: modelOptions.sounds, settings: settings, storage: modelOptions.weights)
        } catch {
            // What is wrong in the file may be why.
            if !errors.isEmpty { report(Failure(InvalidSettings(errors))) }
            throw error
        }
        do throws(InvalidSettings) { _ = try settings.rules(labels: model.thresholds) } catch { errors += error.errors }
        do throws(InvalidSettings) { _ = try settings.recordedLabels(among: model.labelNames) } catch { errors += error.errors }
        do throws(InvalidSettings) { _ = try settings.unrecordedLabels(among: model.labelsWithAncestors) } catch { errors += error.errors }
        do throws(InvalidSettings) { _ = try settings.sensors(among: model.labelNames) } catch { errors += error.errors }
        var failure = Failure(InvalidSettings(errors))
        failure.sentences += model.refusedSounds.map(\.description)
        guard failure.sentences.isEmpty else { throw failure }
        try say("\(file.printable) is correct.")
    }
}
