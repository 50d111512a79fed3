import ArgumentParser
import Capture
import Glibc
import Settings

/// Where the sound comes from, other than a capture device.
struct SourceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A sound file; a named pipe, or - for the standard input, with WAV or raw PCM; a file of raw PCM where a --raw-… option is given.",
            valueName: "file|-"), completion: .file())
    var source: String?
    @Flag(help: "Take a file or the standard input at the pace of real time.")
    var pace = false
    @Flag(help: "Play the bundled scene at the pace of real time.")
    var demo = false
    @Option(help: ArgumentHelp("Raw PCM's format; s16 otherwise.", valueName: "format"))
    var rawFormat: SampleFormat?
    @Option(help: ArgumentHelp("Raw PCM's sample rate in Hz; 16000 otherwise.", valueName: "hz"))
    var rawRate: Int?
    @Option(help: ArgumentHelp("Raw PCM's channels; 1 otherwise.", valueName: "n"))
    var rawChannels: Int?

    /// What raw PCM is, where that was said.
    private var raw: RawFormat? {
        guard rawFormat != nil || rawRate != nil || rawChannels != nil else { return nil }
        return RawFormat(format: rawFormat ?? .s16, rate: rawRate ?? 16_000, channels: rawChannels ?? 1)
    }

    func validate() throws {
        guard (100...1_000_000).contains(rawRate ?? 16_000), (1...64).contains(rawChannels ?? 1) else {
            throw ValidationError("--raw-rate must be 100 to 1000000 and --raw-channels 1 to 64.")
        }
    }

    /// Looks for options that would say nothing beside another one. What the configuration says of a device may stand.
    ///
    /// - Throws: ``Failure`` with the first.
    func check(beside settings: SettingsOptions) throws(Failure) {
        let ofDevice = [("--device", settings.device != nil), ("--rate", settings.rate != nil), ("--control", settings.control != nil)]
        let ofRaw = [("--raw-format", rawFormat != nil), ("--raw-rate", rawRate != nil), ("--raw-channels", rawChannels != nil)]
        if demo { try exclude("--demo", [("--source", source != nil), ("--channel", settings.channel != nil)] + ofDevice + ofRaw) }
        if source != nil { try exclude("--source", ofDevice) }
        if let (option, _) = ofRaw.first(where: \.1), source == nil {
            throw Failure(.usage, "\(option) says what a --source holds; name one.")
        }
        if pace, source == nil, !demo { throw Failure(.usage, "--pace says how a --source is taken; name one.") }
        if settings.noWindow {
            try exclude("--no-window", [("--chunk", settings.chunk != nil), ("--lookahead", settings.lookahead != nil)])
        }
    }

    /// What a pipe carries may be live, as a camera's sound, which is known only once some has come. A reader that takes nothing for
    /// so many milliseconds must not keep the other outputs from it.
    private static let pipePatience = 10_000

    /// A source and what the rest must know of it.
    struct SelectedSource: Sendable {
        var source: any Source
        /// Milliseconds that it can wait for a reader of the output that takes nothing; nil: for ever.
        var patience: Int? = 0
        /// Name for records, where the source itself suggests one.
        var name: String?
        /// ALSA's name of the device.
        var device: String?

        func stop() { source.stop() }
    }

    /// - Throws: ``Failure`` where the source cannot be made; opening it comes later.
    func source(_ settings: Settings) throws(Failure) -> SelectedSource {
        let channel = ChannelChoice(settings)
        if demo {
            guard let path = Resources.path("demo.ogg") else {
                throw Failure(.noInput, "The demo scene is not beside this program; install it again.")
            }
            return SelectedSource(source: SoundFileSource(path: path, isPaced: true), name: settings.source.name ?? "demo")
        }
        let isRawFile = source.map { raw != nil && StreamSource.isFile($0) } ?? false
        if let source, source == "-" || StreamSource.isPipe(source) || isRawFile {
            do throws(CaptureError) {
                let descriptor = source == "-" ? STDIN_FILENO : try StreamSource.open(source)
                return SelectedSource(
                    source: StreamSource(
                        descriptor: descriptor, name: source, raw: raw ?? RawFormat(), isRaw: isRawFile, isPaced: pace,
                        channel: channel, path: StreamSource.isNamedPipe(source) ? source : nil),
                    patience: pace ? 0 : StreamSource.isFile(descriptor) ? nil : Self.pipePatience,
                    name: settings.source.name ?? (source == "-" ? "stdin" : source))
            } catch { throw Failure(error) }
        }
        if let source {
            return SelectedSource(
                source: SoundFileSource(path: source, isPaced: pace, channel: channel), patience: pace ? 0 : nil,
                name: settings.source.name ?? source)
        }
        let request = CaptureRequest(
            device: settings.device, rate: settings.source.rate, channel: channel,
            periodTime: Int(settings.periodMilliseconds * 1000), bufferTime: Int(settings.bufferMilliseconds * 1000))
        return SelectedSource(source: ALSASource(request), device: settings.device)
    }
}

/// - Throws: ``Failure`` where one of the others is given beside an option.
func exclude(_ option: String, _ others: [(option: String, isGiven: Bool)]) throws(Failure) {
    guard let other = others.first(where: \.isGiven) else { return }
    throw Failure(.usage, "\(option) and \(other.option) exclude each other.")
}

extension ChannelChoice {
    init(_ settings: Settings) {
        self =
            switch settings.channel {
            case .all: .mix
            case .one(let index): .one(index)
            }
    }
}

extension SampleFormat: ExpressibleByArgument {}
