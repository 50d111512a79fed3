import ArgumentParser
import AudioMamba
import Settings
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
        let settings = try Settings(checking: file)
        let model = try modelOptions.load(settings: settings.model)
        _ = try model.tagging(rules: model.rules(settings))
        print("\(file) is correct.")
    }
}

extension Settings {
    /// Reads a configuration file.
    ///
    /// - Throws: ``Failure`` with everything that is wrong with it.
    init(checking file: String) throws(Failure) {
        do throws(InvalidSettings) { try self.init(file: file) } catch { throw Failure(error) }
    }
}

extension Model {
    /// The user's rules over the model's own thresholds.
    ///
    /// - Throws: ``Failure`` for labels the model does not have.
    func rules(_ settings: Settings) throws(Failure) -> [LabelRule] {
        do throws(InvalidSettings) {
            return try settings.rules(
                labels: configuration.labels.map { ($0.name, $0.thresholds?.on, $0.thresholds?.off) })
        } catch { throw Failure(error) }
    }
}

extension Failure {
    init(_ error: InvalidSettings) {
        let isUnread = error.errors.contains { if case .unreadable = $0 { true } else { false } }
        self.init(isUnread ? .noInput : .configuration, error.description)
    }
}
