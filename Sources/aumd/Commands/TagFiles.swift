import ArgumentParser
import AudioMamba
import Capture
import Frontend
import Glibc
import Settings
import Sinks
import Tagging

/// `aumd tag`: what is heard in files.
struct TagFiles: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Says which sounds are in files.",
        discussion: """
            Examples:
              aumd tag --top 3 *.wav
              aumd tag --mode stream --format audacity garden.flac > garden.txt
              aumd tag --mode scores --top all --format csv garden.flac
              aumd tag --mode embedding *.wav > embeddings.ndjson
            """)

    enum Mode: String, ExpressibleByArgument, CaseIterable {
        /// One bidirectional pass a file: tags of the clip.
        case offline
        /// What listening to the file would have reported: events with onset and offset.
        case stream
        /// The confirmed scores of every column.
        case scores
        /// What the head reads of a file, for a classifier of one's own.
        case embedding
    }

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, csv, audacity, text
    }

    /// How many tags of a file are written.
    enum Top: ExpressibleByArgument, Equatable {
        case count(Int)
        case all

        init?(argument: String) {
            if argument == "all" {
                self = .all
            } else if let count = Int(argument), count > 0 {
                self = .count(count)
            } else {
                return nil
            }
        }
    }

    @OptionGroup var modelOptions: ModelOptions
    @Option(help: "offline: tags of each file, an hour long at most; stream: the events that listening to it would give; scores: of every column of it, as confirmed; embedding: of each file, an hour long at most, as a vector for a classifier of your own.")
    var mode = Mode.offline
    @Option(help: "ndjson, csv, audacity (a label track) or text; text on a terminal, ndjson otherwise.")
    var format: Format?
    @Option(help: ArgumentHelp("Tags of each file, or of each column with --mode scores: a number, or all; 5 by default.", valueName: "n"))
    var top: Top?
    @Option(help: ArgumentHelp("Configuration file for model, channel, thresholds and stream; \(SettingsOptions.systemFile) where there is one. AUMD_… variables hold too.", valueName: "file"), completion: .file())
    var config: String?
    @Option(help: ArgumentHelp("One channel of the files, counted from 0, or all mixed.", valueName: "n|all"))
    var channel: String?
    @Argument(help: "WAV, FLAC, Ogg, Opus or MP3.", completion: .file())
    var files: [String]

    func run() throws {
        guard !files.contains("-") else {
            throw Failure(.usage, "tag reads files; for the standard input use 'aumd listen --source -'.")
        }
        try exclude("--top", [("--mode \(mode.rawValue)", top != nil && (mode == .stream || mode == .embedding))])
        try exclude("--mode scores", [("--format audacity", mode == .scores && format == .audacity)])
        if mode == .embedding, let format { try exclude("--mode embedding", [("--format \(format.rawValue)", format != .ndjson)]) }
        try DescriptorLimit.check()
        let settings = try settings()
        let model = try modelOptions.load(settings: settings)
        let tagging = try model.tagging(settings)
        let clipModel = mode == .embedding ? try modelOptions.loadFeatures(settings: settings) : model
        let isForPeople = isatty(STDOUT_FILENO) == 1 && mode != .embedding
        let output = TagOutput(format: format ?? (isForPeople ? .text : .ndjson), mode: mode, fileCount: files.count)
        // Where the output is on the same terminal, it is the progress.
        let showsProgress = files.count > 1 && isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0
        var firstFailure: Failure?
        for (index, file) in files.enumerated() {
            if showsProgress { writeError("\r\u{1B}[K\(index + 1)/\(files.count) \(file.printable)") }
            do throws(Failure) {
                if Aumd.mangledArguments.contains(file) { throw Failure(mangled: [file]) }
                switch mode {
                case .offline, .embedding: try tagClip(SoundFileSource(path: file, channel: ChannelChoice(settings)), clipModel, output)
                case .stream, .scores: try tagStream(file, model, tagging, settings, output)
                }
            } catch {
                if showsProgress { writeError("\r\u{1B}[K") }
                report(error)
                firstFailure = firstFailure ?? error
            }
            if output.hasEnded { break }
        }
        if showsProgress { writeError("\r\u{1B}[K") }
        if let firstFailure { throw firstFailure.exit.exitCode }
        if output.hasFailed { throw SystemExit.ioError.exitCode }
    }

    /// What is said for `listen` too, under the options.
    private func settings() throws(Failure) -> Settings {
        var settings = try SettingsOptions.withoutOptions(config, isOfDevice: false)
        guard let channel else { return settings }
        do throws(SettingsError) { try settings.set("source.channel", to: channel, origin: "--channel") } catch {
            throw Failure(.usage, error.description)
        }
        return settings
    }

    private func tagClip(_ source: SoundFileSource, _ model: Model, _ output: TagOutput) throws(Failure) {
        let (logMel, duration, ending) = try logMel(source, model)
        let encoder = ClipEncoder(model: model)
        do throws(ModelError) {
            if mode == .embedding {
                let embedding = try encoder.embedding(logMel: logMel.span)
                output.write(EmbeddingRecord(file: source.path, duration: duration, model: model.identifier, embedding: embedding))
            } else {
                let tags = tags(try encoder.scores(logMel: logMel.span), model)
                output.write(ClipRecord(file: source.path, duration: duration, model: model.identifier, tags: tags))
            }
        } catch { throw Failure(error) }
        if let ending { throw Failure(ending) }
    }

    /// The highest scores, as many as are wanted, by falling score.
    private func tags(_ scores: [Float], _ model: Model) -> [Tag] {
        let labels = model.configuration.labels
        let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        return order.prefix(tagCount(of: labels.count)).map { Tag(label: labels[$0].name, mid: labels[$0].mid, score: scores[$0]) }
    }

    /// How many of a model's labels are written.
    private func tagCount(of labels: Int) -> Int {
        switch top {
        case .all: labels
        case .count(let count): min(count, labels)
        case nil: min(5, labels)
        }
    }

    /// Log-mel as the model's kind wants a clip, whole frames for a clip-bound model, else the columns of a stream, and the
    /// file's length in seconds; and why it ended, where that was before its end.
    private func logMel(
        _ source: SoundFileSource, _ model: Model
    ) throws(Failure) -> (logMel: [Float], duration: Double, ending: CaptureError?) {
        let c = model.configuration
        var samples: [Float] = [], logMel: [Float] = [], count = 0, ending: CaptureError?
        do {
            try source.start()
            let frontend = try Frontend(inputRate: source.rate, parameters: model.filterBank, columnFrames: c.patchFrames)
            // A clip-bound model hears a file's beginning; a second more is enough for the resampler.
            let wanted = c.clipColumns.map { ($0 * c.columnSamples / c.frontend.sampleRate + 1) * source.rate }
            ending = try source.readAll { block throws(Failure) in
                count += block.count
                if count > Self.longest * source.rate { throw Failure(.dataError, Self.tooLong(source.path)) }
                if let wanted {
                    samples += block.prefix(max(0, wanted - samples.count))
                } else {
                    frontend.process(block) { logMel += $0 }
                }
            }
            if wanted == nil {
                frontend.finish { logMel += $0 }
            } else {
                logMel = try Frontend.logMel(samples, rate: source.rate, parameters: model.filterBank)
            }
        } catch let error as Failure { throw error
        } catch let error as CaptureError { throw Failure(error)
        } catch { throw Failure(.dataError, "\(source.path): \(error)") }
        source.reportBroken()
        return (logMel, Double(count) / Double(source.rate), ending)
    }

    /// Seconds of a file that are tagged as one clip: memory grows with them.
    private static let longest = 3600

    private static func tooLong(_ file: String) -> String {
        "sound file '\(file)' is longer than \(longest / 60) minutes, too long for one clip; use --mode stream or scores"
    }

    private func tagStream(
        _ file: String, _ model: Model, _ tagging: TaggerConfiguration, _ settings: Settings, _ output: TagOutput
    ) throws(Failure) {
        let source = SoundFileSource(path: file, channel: ChannelChoice(settings))
        var options = Pipeline.Options(name: file)
        options.filterBank = model.filterBank
        options.analysis = Analysis.Options(settings)
        options.streamTime = true
        options.scoreCount = mode == .scores ? tagCount(of: model.configuration.labels.count) : 0
        var hasEvents = false
        let pipeline = try Pipeline(source: source, model: model, tagging: tagging, options: options) { record in
            switch record {
            case .event(let event) where mode == .stream:
                output.write(event, file: file)
                hasEvents = hasEvents || event.phase == .close
            case .scores(let scores) where scores.status == .confirmed: output.write(scores, file: file)
            default: break
            }
            if output.hasEnded { source.stop() }
        }
        try pipeline.run()
        if mode == .stream, !hasEvents { output.writeNothingHeard(file: file) }
        source.reportBroken()
    }
}
