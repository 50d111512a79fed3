import ArgumentParser
import Control
import Glibc
import Settings
import Threads

/// `aumd pause`: closes the microphone of a running daemon.
struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Closes the microphone of a running 'aumd listen', which others may then open, until 'aumd resume'.",
        discussion: """
            The daemon goes on without sound; its status says so. The service keeps that over a restart, of the machine too.

            Examples:
              aumd pause                 of the service; as root, unless source.control_mode says otherwise
              aumd pause --for 90m       and go on by itself
            """)

    @OptionGroup var control: ControlOptions
    @Option(name: .customLong("for"), help: ArgumentHelp("Go on after so long: 90s, 30m, 8h or 2d.", valueName: "time"))
    var length: Length?

    func run() throws { try control.send(.pause(.pause(seconds: length?.seconds))) }
}

/// `aumd resume`: opens it again.
struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has a paused 'aumd listen' hear again, in quiet hours too: until the next ones begin.")

    @OptionGroup var control: ControlOptions

    func run() throws { try control.send(.pause(.resume)) }
}

/// `aumd keep`: the newest sound, as a file.
struct Keep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has a running 'aumd listen' write the sound of the last seconds to its folder of recordings.",
        discussion: """
            To listen to what was not recognised, or to teach it: 'aumd learn'. The daemon holds so much sound as its longest recording \
            takes, and none without a folder for recordings. The file is told of as every recording is, without a label.

            Examples:
              aumd keep                                       the last ten seconds; as root, unless source.control_mode says otherwise
              aumd keep --last 30s
            """)

    @OptionGroup var control: ControlOptions
    @Option(help: ArgumentHelp("How much: 1s to 300s; 10s otherwise.", valueName: "time"))
    var last = Length(seconds: 10)

    func validate() throws {
        guard ControlRequest.keepable.contains(last.seconds) else { throw ValidationError("--last must be 1s to 300s.") }
    }

    func run() throws { try control.send(.keep(seconds: last.seconds)) }
}

/// Which daemon is asked.
struct ControlOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The daemon's control socket; source.control of the configuration, or \(Self.systemSocket).", valueName: "path"),
        completion: .file())
    var control: String?
    @Option(help: ArgumentHelp("Configuration file; \(SettingsOptions.systemFile) where there is one.", valueName: "file"), completion: .file())
    var config: String?

    static let systemSocket = "/run/aumd/control.sock"

    /// - Throws: ``Failure`` where no daemon takes it.
    func send(_ request: ControlRequest) throws(Failure) {
        let said = try Settings(options: [("source.control", control, "--control")])
        let path = said.merging(over: try SettingsOptions.withoutOptions(config)).source.control ?? Self.systemSocket
        let code = ControlSocket.send(request, to: path)
        guard code != 0 else { return }
        let reason = "\(path): the daemon cannot be asked (\(errorText(code)));"
        switch code {
        case EACCES, EPERM: throw Failure(.noPermission, "\(reason) do it as root, or see source.control_mode of its configuration.")
        default: throw Failure(.unavailable, "\(reason) does \"aumd listen\" run with a device and with this control socket?")
        }
    }
}

/// A length of time as people write it.
struct Length: ExpressibleByArgument {
    var seconds: Int

    init(seconds: Int) { self.seconds = seconds }

    private static let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]

    var defaultValueDescription: String { "\(seconds)s" }

    init?(argument: String) {
        guard let last = argument.last, let unit = Self.units[last], argument.dropLast().allSatisfy({ $0.isASCII && $0.isNumber }),
            let count = Int(argument.dropLast()), count > 0, count <= PauseRequest.longest / unit
        else { return nil }
        seconds = count * unit
    }
}
