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
            """)

    enum Mode: String, ExpressibleByArgument, CaseIterable {
        /// One bidirectional pass a file: tags of the clip.
        case offline
        /// What listening to the file would have told: events with onset and offset.
        case stream
    }

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, csv, audacity, text
    }

    /// How many tags of a file are told.
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

        var defaultValueDescription: String { if case .count(let count) = self { "\(count)" } else { "all" } }
    }

    @OptionGroup var modelOptions: ModelOptions
    @Option(help: "offline: tags of each file; stream: the events that listening to it would give.")
    var mode = Mode.offline
    @Option(help: "ndjson, csv, audacity (a label track) or text; text on a terminal, ndjson otherwise.")
    var format: Format?
    @Option(help: ArgumentHelp("Tags told of each file, a number or all (offline).", valueName: "n"))
    var top = Top.count(5)
    @Option(help: ArgumentHelp("Configuration file, as for listen: model, thresholds, stream.", valueName: "file"), completion: .file())
    var config: String?
    @Argument(help: "WAV, FLAC, Ogg, Opus or MP3.", completion: .file())
    var files: [String]

    func run() throws {
        let settings = try SettingsOptions.file(config)
        let model = try modelOptions.load(settings: settings.model)
        let output = TagOutput(format: format ?? (isatty(STDOUT_FILENO) == 1 ? .text : .ndjson), isStream: mode == .stream)
        let showsProgress = files.count > 1 && isatty(STDERR_FILENO) == 1
        var firstFailure: Failure?
        for (index, file) in files.enumerated() {
            if showsProgress { writeError("\r\u{1B}[K\(index + 1)/\(files.count) \(file)") }
            do throws(Failure) {
                switch mode {
                case .offline: try tagOffline(file, model, output)
                case .stream: try tagStream(file, model, settings, output)
                }
            } catch {
                if showsProgress { writeError("\r\u{1B}[K") }
                report(error.description)
                firstFailure = firstFailure ?? error
            }
            if output.isReaderGone { break }
        }
        if showsProgress { writeError("\r\u{1B}[K") }
        if let firstFailure { throw firstFailure.exit.exitCode }
    }

    private func tagOffline(_ file: String, _ model: Model, _ output: TagOutput) throws(Failure) {
        let (samples, rate) = try read(file)
        let c = model.configuration
        let scores: [Float]
        do {
            let logMel = try columns(samples, rate, model)
            scores = try ClipEncoder(model: model).scores(logMel: logMel.span)
        } catch let error as ModelError { throw Failure(error)
        } catch let error as FrontendError { throw Failure(.dataError, "\(file): \(error)")
        } catch { throw Failure(.software, "\(file): \(error)") }
        let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        let told: ArraySlice<Int> = if case .count(let count) = top { order.prefix(count) } else { order[...] }
        output.write(
            ClipRecord(
                file: file, duration: Double(samples.count) / Double(rate),
                tags: told.map { Tag(label: c.labels[$0].name, mid: c.labels[$0].mid, score: scores[$0]) }))
    }

    /// Log-mel as the model's kind wants a clip: whole frames for a clip-bound model, else the columns of a stream.
    private func columns(_ samples: [Float], _ rate: Int, _ model: Model) throws(FrontendError) -> [Float] {
        let c = model.configuration
        if c.clipColumns != nil {
            return try Frontend.logMel(samples, rate: rate, parameters: model.filterBank)
        }
        let frontend = try Frontend(inputRate: rate, parameters: model.filterBank, columnFrames: c.patchFrames)
        var logMel: [Float] = []
        logMel.reserveCapacity(samples.count / max(1, rate * c.columnSamples / c.frontend.sampleRate) * c.columnSize)
        samples.withUnsafeBufferPointer { frontend.process($0) { logMel += $0 } }
        frontend.finish { logMel += $0 }
        return logMel
    }

    /// The whole file, mono.
    private func read(_ file: String) throws(Failure) -> (samples: [Float], rate: Int) {
        let source = SoundFileSource(path: file)
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 65536)
        defer { buffer.deallocate() }
        var samples: [Float] = []
        do throws(CaptureError) {
            try source.start()
            while true {
                switch try source.read(into: buffer, timeoutMilliseconds: 1000) {
                case .samples(let count): samples += buffer[..<count]
                case .end: return (samples, source.rate)
                case .gap, .state, .timeout: break
                }
            }
        } catch CaptureError.file(let path, .truncated(let announced, let delivered)) where !samples.isEmpty {
            report(CaptureError.file(path, .truncated(announced: announced, delivered: delivered)).description)
            return (samples, source.rate)
        } catch { throw Failure(error) }
    }

    private func tagStream(_ file: String, _ model: Model, _ settings: Settings, _ output: TagOutput) throws(Failure) {
        let records = RecordQueue(kinds: .event, waits: true)
        let thread: SinkThread
        do throws(SinkError) {
            thread = try SinkThread(output.sink(file: file), queue: records)
        } catch { throw Failure(.osError, error.description) }
        defer { thread.stop(milliseconds: -1) }
        var options = Pipeline.Options(name: file)
        options.filterBank = model.filterBank
        options.analysis.window = settings.usesWindow
        options.analysis.chunk = settings.stream.chunk
        options.analysis.lookahead = settings.stream.lookahead
        options.analysis.waits = true
        options.streamTime = true
        let pipeline = try Pipeline(
            source: SoundFileSource(path: file), model: model, tagging: model.tagging(rules: model.rules(settings)),
            options: options,
            records: RecordStream([records]))
        try pipeline.run()
    }
}
