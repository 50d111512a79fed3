import ArgumentParser
import AudioMamba
import Settings
import Sinks
import Tagging

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
        do throws(Failure) { model = try modelOptions.load(settings: settings.model) } catch {
            // What is wrong in the file may be why.
            if !errors.isEmpty { report(Failure(InvalidSettings(errors))) }
            throw error
        }
        do throws(InvalidSettings) { _ = try settings.rules(labels: model.modelLabels) } catch { errors += error.errors }
        guard errors.isEmpty else { throw Failure(InvalidSettings(errors)) }
        try say("\(file.printable) is correct.")
    }
}

extension Settings {
    /// Reads a configuration file over which others are laid.
    ///
    /// - Throws: ``Failure`` with everything that is wrong with it.
    init(checking file: String, under upper: Settings) throws(Failure) {
        do throws(InvalidSettings) { try self.init(file: file, under: upper) } catch { throw Failure(error) }
    }
}

extension Model {
    /// AudioSet's "Silence": scored like any label, but nothing to be told unless somebody asks.
    static let silence = "/m/028v0c"

    /// Its labels as the settings look at them.
    fileprivate var modelLabels: [Settings.ModelLabel] {
        configuration.labels.map { ($0.name, $0.thresholds?.on, $0.thresholds?.off, $0.thresholds?.provisionalOn) }
    }

    /// The user's rules over the model's own thresholds. ``silence`` is mute where the user does not say otherwise.
    ///
    /// - Throws: ``Failure`` for labels the model does not have.
    func rules(_ settings: Settings) throws(Failure) -> [LabelRule] {
        do throws(InvalidSettings) {
            var rules = try settings.rules(labels: modelLabels)
            for (index, label) in configuration.labels.enumerated() where label.mid == Self.silence {
                rules[index].mute = settings.events.labels[label.name]?.mute ?? settings.events.standard.mute ?? true
            }
            return rules
        } catch { throw Failure(error) }
    }
}
