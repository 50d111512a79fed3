import ArgumentParser
import AudioMamba
import Glibc
import Settings
import Sinks
import Threads

/// `aumd learn`: a sound of one's own, from a few recordings.
struct Learn: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Teaches a sound of your own, from a few recordings of it.",
        discussion: """
            Record it where the microphone is, three times or more, with a second of quiet before and after: 'arecord -f S16_LE -r 16000 -d 6 \
            bell1.wav', or take what 'aumd listen --recordings' kept. The sound is then a label like any other, for whoever has the same folder of \
            sounds. Learning it again replaces it; it is forgotten where its file is removed.

            Examples:
              aumd learn "Our doorbell" bell1.wav bell2.wav bell3.wav
              aumd learn "Dryer is done" dryer*.flac --not television.wav
              aumd learn "Our smoke detector" test.wav --parent "Alarm clock"
            """)

    @Argument(help: "What events of it are called.")
    var label: String
    @Argument(help: "Recordings, of a minute at most each: WAV, FLAC, Ogg, Opus or MP3.", completion: .file())
    var files: [String]
    @Option(help: ArgumentHelp("The model's label that the sound is one of; a sound that is heard as both is then one event.", valueName: "label"))
    var parent: String?
    @Option(help: ArgumentHelp("A recording without the sound, of ten minutes at most, whose sounds are not to be taken for it; may be given again.", valueName: "file"), completion: .file())
    var not: [String] = []
    @Option(
        help: ArgumentHelp("Folder that the sound is written to; \(ModelOptions.systemSounds) otherwise.", valueName: "folder"),
        completion: .directory)
    var sounds: String?
    @Option(help: ArgumentHelp("Model folder; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var model: String?
    @Option(help: ArgumentHelp("Configuration file, for model and sounds; \(SettingsOptions.systemFile) where there is one.", valueName: "file"), completion: .file())
    var config: String?

    func run() throws {
        let settings = try SettingsOptions.withoutOptions(config, isOfDevice: false)
        let directory = try ModelOptions.folder(model, settings: settings)
        let known: Model, learner: SoundLearner
        do throws(ModelError) {
            known = try Model(directory: directory)
            learner = try SoundLearner(directory: directory)
        } catch { throw Failure(error) }
        let folder = ModelOptions.sounds(sounds, settings: settings) ?? ModelOptions.systemSounds
        let path = try path(in: folder, beside: known)
        guard let scenePath = Resources.path("demo.ogg") else {
            throw Failure(.noInput, "The bundled scene is not beside this program; install it again.")
        }
        let scene = try Clip.samples(scenePath, longest: 60, rate: known.configuration.frontend.sampleRate)
        let clips = try files.map { try Clip(path: $0, longest: 60, model: known) }
        let strangers = try not.map { try Clip(path: $0, longest: 600, model: known) }

        let taught: [(path: String, sound: LearnedSound)], recordings: [SoundLearner.Recording], others: [FeatureEncoder.Features]
        do throws(ModelError) {
            var configuration = known.configuration
            taught = try LearnedSounds(folder: folder, weights: learner.encoder.weights, configuration: &configuration)
                .fitting.filter { $0.path != path }
            recordings = try clips.enumerated().map { index, clip throws(ModelError) in
                try learner.recording(clip.versions(under: scene, from: index * scene.count / clips.count))
            }
            others = try strangers.map { clip throws(ModelError) in try learner.encoder.features(logMel: clip.logMel.span) }
        } catch { throw Failure(error) }
        let sound = learner.sound(label, parent: parent, from: recordings, others: others)
        for (path, sound) in zip(taught.map(\.path) + [path], learner.learn(taught.map(\.sound) + [sound])) {
            let code = replaceFile(path, with: sound.bytes, mode: 0o644)
            guard code == 0 else {
                throw Failure(.cannotCreate, "\(path) cannot be written: \(errorText(code)); choose another folder with --sounds.")
            }
        }
        let beside = taught.isEmpty ? "" : taught.count == 1 ? " beside another sound" : " beside \(taught.count) other sounds"
        let recognised = learner.recognised(recordings, others: others, beside: taught.map(\.sound))
        try say("Learned \(label)\(beside) from \(count(recognised)). It is in \(path.printable).")
        if parent == nil, let name = try usualName(clips, known) {
            try say("The model itself hears \(name) there: learned with --parent '\(name)', both are one event.")
        }
    }

    /// How many recordings there are, and what they are worth.
    private func count(_ recognised: Int?) -> String {
        guard let recognised else { return "one recording; from three or more it would be heard more often" }
        let worth = recognised == files.count ? "each" : recognised == 0 ? "none" : "\(recognised)"
        return "\(files.count) recordings, \(worth) of which would be recognised by what the other ones teach"
    }

    /// The label, other than silence, that the model itself would report of the recordings, if any.
    private func usualName(_ clips: [Clip], _ model: Model) throws(Failure) -> String? {
        let labels = model.configuration.labels
        let encoder = ClipEncoder(model: model)
        var means = [Float](repeating: 0, count: labels.count)
        for clip in clips {
            do throws(ModelError) {
                for (label, score) in try encoder.scores(logMel: clip.logMel.span).enumerated() {
                    means[label] += score / Float(clips.count)
                }
            } catch { throw Failure(error) }
        }
        let heard = labels.indices.filter { labels[$0].mid != Model.silence && means[$0] >= labels[$0].thresholds?.on ?? 0.5 }
        return heard.max { means[$0] < means[$1] }.map { labels[$0].name }
    }

    /// Where the sound goes.
    ///
    /// - Throws: ``Failure`` for a label or a parent that cannot be, and where the folder cannot be made.
    private func path(in folder: String, beside model: Model) throws(Failure) -> String {
        let names = model.configuration.labels.map(\.name)
        guard !label.joinedWords.isEmpty, label.utf8.count <= 200, label.printable == label else {
            throw Failure(.usage, "'\(label)' cannot be a label; give it a name of letters and digits, of 200 bytes at most.")
        }
        guard !model.labelNames.contains(label) else { throw Failure(.usage, "'\(label)' is a label already; give your sound another name.") }
        if let parent {
            do throws(InvalidSettings) { _ = try Settings.labels([parent], option: "--parent", among: names) } catch {
                throw Failure(.usage, error.description)
            }
        }
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
            throw Failure(.cannotCreate, "\(folder) cannot be made: \(errorText(errno)); choose another folder with --sounds.")
        }
        let path = "\(folder)/\(label.joinedWords)\(LearnedSounds.suffix)"
        if let there = try? LearnedSound(path: path), there.label != label {
            throw Failure(.usage, "\(path) holds '\(there.label)'; give your sound a name of other words, or remove that file.")
        }
        return path
    }
}
