import ArgumentParser
import Capture
import Settings

/// Where the sound comes from, other than a capture device.
struct SourceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A sound file, or - for raw PCM or WAV on the standard input.", valueName: "file|-"), completion: .file())
    var source: String?
    @Flag(help: "Take a file or the standard input at the pace of real time.")
    var pace = false
    @Flag(help: "Play the bundled scene at the pace of real time.")
    var demo = false
    @Option(help: ArgumentHelp("Raw PCM's format: \(SampleFormat.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "format"))
    var rawFormat = SampleFormat.s16
    @Option(help: ArgumentHelp("Raw PCM's sample rate in Hz.", valueName: "hz"))
    var rawRate = 16000
    @Option(help: ArgumentHelp("Raw PCM's channels.", valueName: "n"))
    var rawChannels = 1

    func validate() throws {
        if demo && source != nil { throw ValidationError("--demo and --source exclude each other.") }
        guard (100...1_000_000).contains(rawRate), (1...64).contains(rawChannels) else {
            throw ValidationError("--raw-rate must be 100 to 1000000 and --raw-channels 1 to 64.")
        }
    }

    /// A source and what the rest must know of it.
    struct Chosen: Sendable {
        var source: any Source
        /// It waits for its reader: nothing need be dropped.
        var canWait: Bool
        /// Name for records, where the source itself suggests one.
        var name: String?
        /// ALSA's name of the device.
        var device: String?

        func stop() { source.stop() }
    }

    /// - Throws: ``Failure`` where the source cannot be made; opening it comes later.
    func source(_ settings: Settings) throws(Failure) -> Chosen {
        let channel: ChannelChoice =
            switch settings.channel {
            case .all: .mix
            case .one(let index): .one(index)
            }
        if demo {
            guard let path = Resources.path("demo.ogg") else {
                throw Failure(.noInput, "The demo scene is not beside this program; install it again.")
            }
            return Chosen(source: SoundFileSource(path: path, isPaced: true), canWait: false, name: settings.source.name ?? "demo")
        }
        if source == "-" {
            do throws(CaptureError) {
                return Chosen(
                    source: try StreamSource(
                        raw: RawFormat(format: rawFormat, rate: rawRate, channels: rawChannels), isPaced: pace, channel: channel),
                    canWait: !pace, name: settings.source.name ?? "stdin")
            } catch { throw Failure(error) }
        }
        if let source {
            return Chosen(
                source: SoundFileSource(path: source, isPaced: pace, channel: channel), canWait: !pace,
                name: settings.source.name ?? source)
        }
        let request = CaptureRequest(
            device: settings.device, rate: settings.source.rate, channel: channel,
            periodTime: Int(settings.periodMilliseconds * 1000), bufferTime: Int(settings.bufferMilliseconds * 1000))
        return Chosen(source: ALSASource(request), canWait: false, device: settings.device)
    }
}

extension SampleFormat: ExpressibleByArgument {}
