import ArgumentParser
import AudioMamba
import Glibc
import Logging
import MQTT
import ServiceLifecycle
import Settings
import Sinks
import Threads

/// `aumd mqtt`: from the socket of a daemon to an MQTT broker. A process of its own: the one that hears needs no network, and the one
/// that has a network hears nothing.
struct CarryToBroker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mqtt", abstract: "Carries the events of a running 'aumd listen' to an MQTT broker, and to Home Assistant.",
        discussion: """
            Reads the daemon's socket. Publishes, below aumd/ and the source's name: event, gap, status and recording, the records as JSON; \
            sound/LABEL, ON or OFF, of each label that mqtt.sensors of the configuration names; availability, online or offline; and takes, \
            with mqtt.can_pause, ON or OFF at listening/set. \
            Home Assistant finds all this by itself. User, password and certificates are in the configuration too.

            Examples:
              aumd mqtt --broker mqtt://broker.lan                      from the service's socket
              aumd listen --socket S & aumd mqtt --socket S --broker …  from one of your own
              mosquitto_sub -h broker.lan -t 'aumd/#' -v
            """)

    @Option(help: ArgumentHelp("The broker: mqtt://HOST[:PORT], or mqtts:// for TLS.", valueName: "url"))
    var broker: String?
    @Option(help: ArgumentHelp("The daemon's Unix socket; \(Self.systemSocket) otherwise.", valueName: "path"), completion: .file())
    var socket: String?
    @Option(help: ArgumentHelp("Configuration file; \(SettingsOptions.systemFile) where there is one.", valueName: "file"), completion: .file())
    var config: String?
    @Option(help: ArgumentHelp("Model folder, for its labels; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var model: String?

    static let systemSocket = "/run/aumd/events.sock"

    func run() async throws {
        EarlySignals.keep([SIGINT, SIGTERM])
        let settings = try merged()
        guard let broker = settings.mqtt.broker else {
            throw Failure(.usage, "No broker is named; give --broker mqtt://HOST, or mqtt.broker in \(config ?? SettingsOptions.systemFile).")
        }
        var options = BrokerOptions(
            host: broker.host, port: broker.port, isEncrypted: broker.isEncrypted, clientIdentifier: settings.topic)
        options.certificateFile = settings.mqtt.certificateFile
        options.user = settings.mqtt.user
        if let path = settings.mqtt.passwordFile {
            guard let password = firstLine(of: path) else {
                throw Failure(.noInput, "\(path): the password cannot be read (\(errorText(errno))); check the file and its permissions.")
            }
            options.password = password
        }
        let translator = RecordTranslator(
            topic: settings.topic, sensors: try sensors(settings), isProvisionalEnough: settings.provisionalSwitchesSensors)
        let discovery = Discovery.message(
            name: settings.sourceName, version: Version.text, translator: translator, canPause: settings.brokerCanPause)
        let bridge: Bridge
        do throws(BrokerError) {
            bridge = try Bridge(
                socket: settings.output.socket ?? Self.systemSocket, broker: options, translator: translator,
                discovery: settings.announcesEntities ? discovery : nil,
                control: settings.brokerCanPause ? settings.source.control ?? ControlOptions.systemSocket : nil, notify: Self.report)
        } catch { throw Failure(error) }
        try await ServiceGroup(
            services: [BridgeService(bridge: bridge)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: ServiceLog.quietLogger).run()
    }

    private func merged() throws(Failure) -> Settings {
        let said = try Settings(options: [("mqtt.broker", broker, "--broker"), ("output.socket", socket, "--socket")])
        return said.merging(over: try SettingsOptions.withoutOptions(config))
    }

    /// - Throws: ``Failure`` for labels that the model does not have. Without sensors no model is looked at.
    private func sensors(_ settings: Settings) throws(Failure) -> [String] {
        guard settings.mqtt.sensors?.isEmpty == false else { return [] }
        let names = try ModelOptions.load(model, settings: settings).labelNames
        do throws(InvalidSettings) { return try settings.sensors(among: names) } catch { throw Failure(error) }
    }

    private static func report(_ notice: Bridge.Notice) {
        switch notice {
        case .connected, .listening: ServiceLog.logger.notice("\(notice)")
        case .brokerAway, .daemonAway, .lost, .notAsked, .unknownCommand: ServiceLog.logger.warning("\(notice)")
        }
    }
}

/// Runs the bridge on a thread of its own until it is asked to end.
private struct BridgeService: Service {
    // Handed to its thread and touched by nothing else.
    nonisolated(unsafe) let bridge: Bridge
    private let stop = Wakeup()

    init(bridge: Bridge) { self.bridge = bridge }

    func run() async throws {
        EarlySignals.raiseAgain([SIGINT, SIGTERM])
        try await withGracefulShutdownHandler {
            try await withThread("mqtt") { bridge.run(until: stop) }
        } onGracefulShutdown: {
            stop.signal()
        }
    }
}
