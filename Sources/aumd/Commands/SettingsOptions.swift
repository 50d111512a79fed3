import ArgumentParser
import Glibc
import Logging
import Settings

/// The options that the configuration file has keys for too: command line over environment over file over defaults.
struct SettingsOptions: ParsableArguments {
    static let systemFile = "/etc/aumd/aumd.yaml"

    @Option(help: ArgumentHelp("Configuration file; \(systemFile) where there is one.", valueName: "file"), completion: .file())
    var config: String?
    @Option(help: ArgumentHelp("ALSA PCM: default, hw:CARD=…, plughw:…, or a name of your asoundrc.", valueName: "pcm"))
    var device: String?
    @Option(help: ArgumentHelp("Name of the source in every record; the host's name otherwise.", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("One channel, counted from 0, or all mixed.", valueName: "n|all"))
    var channel: String?
    @Option(help: ArgumentHelp("The device's sample rate in Hz; what it does best otherwise.", valueName: "hz"))
    var rate: String?
    @Option(name: .long, help: ArgumentHelp("Append events to this file too; reopened on SIGHUP.", valueName: "file"), completion: .file())
    var outputFile: String?
    @Option(help: ArgumentHelp("Unix socket from which up to 64 clients may read events.", valueName: "path"), completion: .file())
    var socket: String?
    @Option(help: ArgumentHelp("Unix socket for 'aumd pause', 'aumd resume' and 'aumd keep'.", valueName: "path"), completion: .file())
    var control: String?
    @Option(help: ArgumentHelp("Record the sound of events in this folder, as FLAC.", valueName: "folder"), completion: .directory)
    var recordings: String?
    @Flag(help: "Write events to the systemd journal too.")
    var journal = false
    @Flag(help: "Write the top five scores of every column too: confirmed ones every 0.16 s, provisional ones every 0.08 s.")
    var scores = false
    @Flag(help: "Skip the backward direction: events are confirmed at once, are wrong more often, and are never retracted.")
    var noWindow = false
    @Option(help: ArgumentHelp("Columns of 0.16 s that a window pass confirms.", valueName: "n"))
    var chunk: String?
    @Option(help: ArgumentHelp("Columns of 0.16 s after these that it waits for: their right context.", valueName: "n"))
    var lookahead: String?

    /// Everything that was said, merged.
    ///
    /// - Throws: ``Failure`` with all that is wrong.
    func merged() throws(Failure) -> Settings {
        var said = try Settings(options: [
            ("source.device", device, "--device"), ("source.name", name, "--name"),
            ("source.channel", channel, "--channel"), ("source.rate", rate, "--rate"), ("source.control", control, "--control"),
            ("output.file", outputFile, "--output-file"), ("output.socket", socket, "--socket"), ("recordings.folder", recordings, "--recordings"),
            ("output.journal", journal ? "true" : nil, "--journal"), ("output.scores", scores ? "5" : nil, "--scores"),
            ("stream.window", noWindow ? "false" : nil, "--no-window"), ("stream.chunk", chunk, "--chunk"),
            ("stream.lookahead", lookahead, "--lookahead"),
        ])
        said = said.merging(over: try Self.withoutOptions(config))
        do throws(SettingsError) { try said.checkCombination() } catch {
            throw Failure(.configuration, error.description)
        }
        return said
    }
}

extension Settings {
    /// What options say, each a key, its text where the option was given, and the option's name.
    ///
    /// - Throws: ``Failure`` with the first that is wrong.
    init(options: [(key: String, text: String?, option: String)]) throws(Failure) {
        self.init()
        for (key, text, option) in options {
            guard let text else { continue }
            do throws(SettingsError) { try set(key, to: text, origin: option) } catch { throw Failure(.usage, error.description) }
        }
    }

    /// Labels that an option names.
    ///
    /// - Throws: ``Failure`` with every name that the model does not have.
    static func checked(_ labels: [String], option: String, among names: [String]) throws(Failure) -> [String] {
        do throws(InvalidSettings) { return try Settings.labels(labels, option: option, among: names) } catch {
            throw Failure(.usage, error.description)
        }
    }
}

extension SettingsOptions {
    /// What the environment says over the configuration file: the one named, else the system's, else nothing.
    ///
    /// - Parameter isOfDevice: whether sound comes from the daemon's device, whose channel the system's file says, and not from files.
    static func withoutOptions(_ config: String?, isOfDevice: Bool = true) throws(Failure) -> Settings {
        // One that is there and may not be read is an error, or somebody would listen with other rules than it holds.
        let file = config ?? (access(systemFile, F_OK) == 0 ? systemFile : nil)
        let variables = try Environment.all()
        for sentence in Settings.unknownVariables(in: variables) { ServiceLog.logger.warning("\(sentence)") }
        let environment: Settings
        do throws(InvalidSettings) { environment = try Settings(environment: variables) } catch { throw Failure(error) }
        guard let file else { return environment }
        var said: Settings
        do throws(InvalidSettings) { said = try Settings(file: file, under: environment) } catch { throw Failure(error) }
        if config == nil, !isOfDevice { said.source.channel = nil }
        return environment.merging(over: said)
    }
}

enum Environment {
    /// All variables (environ(7)).
    ///
    /// - Throws: ``Failure`` for one of ours that is not UTF-8: repaired, it would name another file.
    static func all() throws(Failure) -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if pair.count == 2 {
                if Settings.isVariable(pair[0]), String(validatingCString: text) == nil {
                    throw Failure(.usage, "The variable \(pair[0]) is not UTF-8 text; set it anew.")
                }
                variables[pair[0]] = pair[1]
            }
            entry += 1
        }
        return variables
    }
}
