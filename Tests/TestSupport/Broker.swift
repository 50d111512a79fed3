import Foundation

/// A mosquitto(8) of the tests' own on a port of this machine, which is ended with its value.
public final class Broker {
    public let port: Int
    private let folder = TemporaryFolder()
    private let settings: String
    private var process: Process?

    /// - Parameter settings: Lines of mosquitto.conf(5) after the listener's.
    public init(_ settings: String = "allow_anonymous true") throws {
        port = try freePort()
        self.settings = settings
        try start()
    }

    deinit { stop() }

    /// Where clients of this program find it.
    public var url: String { "mqtt://127.0.0.1:\(port)" }

    /// Begins anew: what it kept is forgotten.
    public func start() throws {
        let file = folder.file("mosquitto.conf")
        // As root it would look for a user of its own, who may not read the tests' files.
        try "listener \(port) 127.0.0.1\nuser root\n\(settings)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/sbin/mosquitto")
        process.arguments = ["-c", file]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        guard eventually(10, { isTaken(port) }) else { throw Unavailable() }
    }

    /// Ends without a word to its clients.
    public func stop() {
        guard let process, process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// By mosquitto_pub(1).
    public func publish(_ payload: String, at topic: String, isRetained: Bool = false, _ options: [String] = []) throws {
        let publisher = Process()
        publisher.executableURL = URL(filePath: "/usr/bin/env")
        publisher.arguments = ["mosquitto_pub", "-p", "\(port)", "-t", topic, "-m", payload] + (isRetained ? ["-r"] : []) + options
        publisher.standardError = FileHandle.nullDevice
        try publisher.run()
        publisher.waitUntilExit()
    }

    /// mosquitto did not begin to listen.
    public struct Unavailable: Error {}

    /// What is published from now on, and what is kept: "retained topic payload" of each message, by mosquitto_sub(1).
    public final class Subscriber {
        private let process = Process()
        private let folder = TemporaryFolder()

        /// - Parameter options: Of mosquitto_sub(1), after the port.
        public init(_ broker: Broker, _ options: [String] = []) throws {
            let file = folder.file("messages")
            try Data().write(to: URL(filePath: file))
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["mosquitto_sub", "-p", "\(broker.port)", "-t", "#", "-F", "%r %t %p"] + options
            process.standardOutput = try FileHandle(forWritingTo: URL(filePath: file))
            process.standardError = FileHandle.nullDevice
            try process.run()
            let end = ContinuousClock.now + .seconds(10)
            while !lines.contains(where: { $0.hasSuffix(Self.marker) }) {
                guard ContinuousClock.now < end else { throw Unavailable() }
                try broker.publish("subscribed", at: "marker", options)
            }
        }

        /// Published until it arrives: from then on nothing is missed.
        private static let marker = "marker subscribed"

        private var lines: [String] {
            let text = (try? String(contentsOfFile: folder.file("messages"), encoding: .utf8)) ?? ""
            return text.split(separator: "\n").map(String.init)
        }

        deinit {
            // It has inherited a mask that holds up other signals.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        /// The messages so far.
        public var messages: [String] { lines.filter { !$0.hasSuffix(Self.marker) } }

        /// Waits, ten seconds at most, until there is such a message.
        public func hears(_ message: String) -> Bool { hears { $0.contains(message) } }

        /// Waits, ten seconds at most, until the messages are so.
        public func hears(_ condition: ([String]) -> Bool) -> Bool { eventually(10) { condition(messages) } }
    }
}

/// A TCP port of this machine that nobody uses.
private func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    guard isBound else { throw Broker.Unavailable() }
    return Int(UInt16(bigEndian: address.sin_port))
}

private func isTaken(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
