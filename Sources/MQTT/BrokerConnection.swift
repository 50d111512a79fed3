import CMosquitto
import Glibc
import Threads

/// How to reach a broker.
package struct BrokerOptions: Sendable {
    /// Name or address.
    package var host: String
    /// TCP port.
    package var port: Int
    /// Whether TLS is spoken, and the broker's certificate checked.
    package var isEncrypted: Bool
    /// PEM file of the certificates that are trusted; nil for the system's.
    package var certificateFile: String?
    /// nil for a broker that asks for none.
    package var user: String?
    /// Goes with the user.
    package var password: String?
    /// Names the client; a second one of the same name takes the first one's place (MQTT 3.1.1, section 3.1.4).
    package var clientIdentifier: String

    /// A broker that asks for nothing.
    package init(host: String, port: Int, isEncrypted: Bool, clientIdentifier: String) {
        self.host = host
        self.port = port
        self.isEncrypted = isEncrypted
        self.clientIdentifier = clientIdentifier
    }
}

/// A connection to a broker by libmosquitto(3), made anew as often as is wanted. One thread uses it, and waits for it among other
/// descriptors: nothing blocks but the look-up of the host's name.
final class BrokerConnection {
    private let client: OpaquePointer
    private let options: BrokerOptions
    /// Whether libmosquitto knows the broker: what connects then is mosquitto_reconnect_async(), which keeps its sockets.
    private var isKnown = false
    /// Whether the broker has accepted the client.
    private(set) var isConnected = false
    /// Why it has not, in its own words.
    private var refusal: String?
    /// Messages that the broker has not acknowledged yet.
    private var pending = 0
    /// What the broker keeps of the topic that was asked for, once it has sent that.
    private var kept: [UInt8]?
    /// Topic at which commands come, and the last one that was not taken yet.
    private var commandTopic: String?
    private var command: [UInt8]?
    /// What libmosquitto last logged as an error: of TLS it says more than the code.
    private var lastError: String?

    /// Seconds between two signs of life (MQTT 3.1.1, section 3.1.2.10).
    private static let keepAlive: Int32 = 30
    private static let isLibraryReady = mosquitto_lib_init() == MOSQ_ERR_SUCCESS.rawValue

    /// - Parameter will: What the broker publishes where the connection is lost (MQTT 3.1.1, section 3.1.2.5).
    /// - Throws: ``BrokerError`` where libmosquitto refuses a setting, as a certificate file that cannot be read.
    init(_ options: BrokerOptions, will: Message) throws(BrokerError) {
        guard Self.isLibraryReady, let client = mosquitto_new(options.clientIdentifier, true, nil) else {
            throw .unavailable(reason: errorText(errno))
        }
        self.client = client
        self.options = options
        mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
        mosquitto_connect_callback_set(client) { _, object, code in BrokerConnection.from(object)?.answered(code) }
        mosquitto_publish_callback_set(client) { _, object, _ in BrokerConnection.from(object)?.pending -= 1 }
        mosquitto_message_callback_set(client) { _, object, message in
            guard let message = message?.pointee, let topic = message.topic else { return }
            BrokerConnection.from(object)?.take(
                String(cString: topic), Array(UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen))),
                isKept: message.retain)
        }
        mosquitto_log_callback_set(client) { _, object, level, text in
            guard level == MOSQ_LOG_ERR, let text else { return }
            BrokerConnection.from(object)?.lastError = String(cString: text)
        }
        mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1)
        mosquitto_will_set(client, will.topic, Int32(will.payload.count), will.payload, 1, will.isRetained)
        if let user = options.user { mosquitto_username_pw_set(client, user, options.password) }
        guard options.isEncrypted else { return }
        let code =
            options.certificateFile.map { mosquitto_tls_set(client, $0, nil, nil, nil, nil) }
            ?? mosquitto_int_option(client, MOSQ_OPT_TLS_USE_OS_CERTS, 1)
        guard code == MOSQ_ERR_SUCCESS.rawValue else {
            throw .certificates(path: options.certificateFile, reason: Self.text(code))
        }
    }

    deinit { mosquitto_destroy(client) }

    /// Of the socket, or -1.
    var descriptor: Int32 { mosquitto_socket(client) }
    /// Whether ``serve()`` has something to write once the socket takes it.
    var wantsToWrite: Bool { mosquitto_want_write(client) }

    /// Begins to connect; ``isConnected`` says when that is done.
    ///
    /// - Returns: why it cannot be, or nil.
    func connect() -> String? {
        (isConnected, refusal, lastError) = (false, nil, nil)
        let code =
            isKnown
            ? mosquitto_reconnect_async(client)
            : mosquitto_connect_async(client, options.host, Int32(options.port), Self.keepAlive)
        isKnown = true
        return code == MOSQ_ERR_SUCCESS.rawValue ? nil : reason(code)
    }

    /// Reads and writes what can be without waiting; to be called when the socket is ready, and every second.
    ///
    /// - Returns: why the connection is lost, or nil.
    func serve() -> String? {
        var code = mosquitto_loop_read(client, 1)
        if code == MOSQ_ERR_SUCCESS.rawValue, wantsToWrite { code = mosquitto_loop_write(client, 1) }
        if code == MOSQ_ERR_SUCCESS.rawValue { code = mosquitto_loop_misc(client) }
        guard code != MOSQ_ERR_SUCCESS.rawValue else { return refusal }
        isConnected = false
        return refusal ?? reason(code)
    }

    /// Hands a message over; where the connection is lost before the broker has it, it is sent again on the next one.
    func publish(_ message: Message) {
        let code = mosquitto_publish(
            client, nil, message.topic, Int32(message.payload.count), message.payload, 1, message.isRetained)
        if code == MOSQ_ERR_SUCCESS.rawValue { pending += 1 }
    }

    /// Asks for what the broker keeps of a topic; ``takeKept()`` has it later, where there is any and the broker lets this client read it.
    func ask(for topic: String) {
        kept = nil
        mosquitto_subscribe(client, nil, topic, 1)
    }

    /// What has come of that, once.
    func takeKept() -> [UInt8]? {
        defer { kept = nil }
        return kept
    }

    /// Asks for what is published at a topic from now on, for as long as this connection holds; ``takeCommand()`` has it later.
    func subscribe(toCommands topic: String) {
        (commandTopic, command) = (topic, nil)
        mosquitto_subscribe(client, nil, topic, 1)
    }

    /// The last command that has come, once.
    func takeCommand() -> [UInt8]? {
        defer { command = nil }
        return command
    }

    private func take(_ topic: String, _ payload: [UInt8], isKept: Bool) {
        if topic == commandTopic {
            // One that the broker keeps was meant for another day.
            if !isKept { command = payload }
        } else if isKept {
            // What is not kept is this client's own.
            kept = payload
        }
    }

    /// Sends what is left, and takes leave of the broker, which forgets the will.
    func disconnect(milliseconds: Int64) {
        let end = nanosecondsNow(CLOCK_MONOTONIC) + milliseconds * 1_000_000
        // What is unread when the socket is closed resets the connection, and the broker may not see the farewell.
        while pending > 0, nanosecondsNow(CLOCK_MONOTONIC) < end {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN | (wantsToWrite ? POLLOUT : 0)), revents: 0)
            poll(&entry, 1, 100)
            if serve() != nil { return }
        }
        mosquitto_disconnect(client)
    }

    private func answered(_ code: Int32) {
        isConnected = code == 0
        refusal = code == 0 ? nil : String(cString: mosquitto_connack_string(code))
    }

    private func reason(_ code: Int32) -> String {
        let text = Self.text(code)
        return lastError.map { "\(text) \($0)" } ?? text
    }

    private static func text(_ code: Int32) -> String {
        code == MOSQ_ERR_ERRNO.rawValue ? errorText(errno) : String(cString: mosquitto_strerror(code))
    }

    private static func from(_ object: UnsafeMutableRawPointer?) -> BrokerConnection? {
        object.map { Unmanaged<BrokerConnection>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// Why no connection can be set up at all.
package enum BrokerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// libmosquitto cannot be used.
    case unavailable(reason: String)
    /// The certificates that are to be trusted cannot be read; the system's, where `path` is nil.
    case certificates(path: String?, reason: String)

    /// What is wrong, where, and what to do, in one sentence.
    package var description: String {
        switch self {
        case .unavailable(let reason):
            "The MQTT library cannot start (\(reason)); free memory or file descriptors."
        case .certificates(let path, let reason):
            "\(path ?? "The system's certificates"): no certificates can be read there (\(reason)); name a PEM file by mqtt.ca_file."
        }
    }
}
