import Control
import EventClient
import Glibc
import Threads

/// Carries the records of one daemon from its socket to a broker, on the thread that runs it.
///
/// The daemon is read only while there is a broker, and gives each new reader its state and the events that are open: so nothing
/// piles up meanwhile, and what the broker keeps is right again after either has been away.
package final class Bridge {
    /// What there is to say to people.
    package enum Notice: Sendable, Equatable, CustomStringConvertible {
        /// The broker has accepted the client.
        case connected(broker: String)
        /// There is no broker, for this reason; it is tried again.
        case brokerAway(broker: String, reason: String)
        /// Records come from the daemon.
        case listening(socket: String)
        /// No daemon serves the socket, or it has ended; it is tried again.
        case daemonAway(socket: String, reason: String)
        /// So many records were lost to this reader since the last notice.
        case lost(UInt64)
        /// The daemon could not be asked to pause or to go on.
        case notAsked(control: String, reason: String)
        /// A client of the broker has asked for what there is not.
        case unknownCommand(topic: String)

        /// The notice as a sentence.
        package var description: String {
            switch self {
            case .connected(let broker): "Connected to \(broker)."
            case .brokerAway(let broker, let reason):
                "\(broker) is not reached (\(reason)); it is tried again until it is."
            case .listening(let socket): "Events come from \(socket)."
            case .daemonAway(let socket, let reason): EventStream.awayNotice(socket, reason)
            case .lost(let count): "\(count) records were lost: the broker, or this machine, was too slow."
            case .notAsked(let control, let reason):
                "\(control): the daemon cannot be asked to pause or to go on (\(reason)); does it run, and does its source.control_mode let the group?"
            case .unknownCommand(let topic): "What came at \(topic) is neither ON nor OFF, and is ignored."
            }
        }
    }

    private let connection: BrokerConnection
    private let broker: String
    private let socket: String
    private let discovery: Message?
    private let control: String?
    private var translator: RecordTranslator
    private let notify: (Notice) -> Void
    /// Notices that hold: each is given once when it begins.
    private var brokerNotice: Notice?
    private var daemonNotice: Notice?
    /// Whether the daemon is there, as the broker has it from this connection; nil before it was told.
    private var isOnline: Bool?

    /// Seconds from one attempt to the next: at first, and at most, doubled each time.
    private static let retry = (first: 1.0, last: 30.0)

    /// Nothing is connected yet.
    ///
    /// - Parameters:
    ///   - socket: Path of the daemon's.
    ///   - discovery: Published, retained, on each connection.
    ///   - control: Path of the daemon's control socket, where the broker's clients may have it pause and go on; else nil.
    ///   - notify: Called on the thread that runs the bridge.
    /// - Throws: ``BrokerError``.
    package init(
        socket: String, broker options: BrokerOptions, translator: RecordTranslator, discovery: Message?, control: String? = nil,
        notify: @escaping (Notice) -> Void
    ) throws(BrokerError) {
        connection = try BrokerConnection(options, will: Availability.message(translator.topic, isOnline: false))
        broker = "\(options.host):\(options.port)"
        self.socket = socket
        self.translator = translator
        self.discovery = discovery
        self.control = control
        self.notify = notify
    }

    /// Runs until `stop` is signalled, whoever comes and goes.
    package func run(until stop: Wakeup) {
        var pause = Self.retry.first
        while true {
            let (reason, hadBroker) = session(until: stop)
            guard let reason else { return }
            tell(.brokerAway(broker: broker, reason: reason), in: \.brokerNotice)
            if hadBroker { pause = Self.retry.first }
            if stop.wait(milliseconds: Int32(pause * 1000)) { return }
            pause = min(2 * pause, Self.retry.last)
        }
    }

    /// One connection to the broker, until it is lost.
    ///
    /// - Returns: why it was, nil where `stop` was signalled; and whether it ever held.
    private func session(until stop: Wakeup) -> (lost: String?, hadBroker: Bool) {
        if let reason = connection.connect() { return (reason, false) }
        while !connection.isConnected {
            let ready = wait(for: -1, stop)
            if ready.stop { return (nil, false) }
            if let reason = connection.serve() { return (reason, false) }
        }
        tell(.connected(broker: broker), in: \.brokerNotice)
        if let discovery {
            connection.ask(for: discovery.topic)
            connection.publish(discovery)
        }
        if control != nil { connection.subscribe(toCommands: ListeningSwitch.topic(translator.topic)) }
        isOnline = nil
        while true {
            var ending = follow(until: stop)
            let off = translator.reset()
            if case .brokerLost(let reason) = ending { return (reason, true) }
            // What the daemon said last no longer holds.
            for message in off { connection.publish(message) }
            publishAvailability(false)
            if case .daemonAway(let reason) = ending {
                tell(.daemonAway(socket: socket, reason: reason), in: \.daemonNotice)
                guard let end = idle(seconds: 1, until: stop) else { continue }
                ending = end
            }
            if case .brokerLost(let reason) = ending { return (reason, true) }
            connection.disconnect(milliseconds: 2000)
            return (nil, true)
        }
    }

    private enum Ending {
        case stopped
        case brokerLost(String)
        case daemonAway(String)
    }

    /// Carries records for as long as both are there.
    private func follow(until stop: Wakeup) -> Ending {
        let path = socket
        var events: EventStream
        do throws(EventStream.ErrorNumber) { events = try EventStream(path: path) } catch { return .daemonAway(errorText(error.code)) }
        while true {
            let ready = wait(for: events.descriptor, stop)
            if ready.stop { return .stopped }
            if let reason = serve() { return .brokerLost(reason) }
            guard ready.other else { continue }
            guard let lines = events.lines() else { return .daemonAway("it was closed") }
            let before = translator.dropped
            for line in lines {
                for message in translator.take(line) { connection.publish(message) }
            }
            if translator.dropped > before { notify(.lost(translator.dropped - before)) }
            if isOnline != true, !lines.isEmpty {
                for message in translator.states { connection.publish(message) }
                publishAvailability(true)
                tell(.listening(socket: socket), in: \.daemonNotice)
            }
        }
    }

    /// Keeps the connection while there is nothing to carry; nil when the time is over.
    private func idle(seconds: Double, until stop: Wakeup) -> Ending? {
        let end = nanosecondsNow(CLOCK_MONOTONIC) + Int64(seconds * 1e9)
        while nanosecondsNow(CLOCK_MONOTONIC) < end {
            if wait(for: -1, stop, milliseconds: 100).stop { return .stopped }
            if let reason = serve() { return .brokerLost(reason) }
        }
        return nil
    }

    /// Reads and writes what can be, takes away what was announced before and is no more, and does as it is told.
    ///
    /// - Returns: why the connection is lost, or nil.
    private func serve() -> String? {
        let reason = connection.serve()
        if let discovery, let old = connection.takeKept() {
            let removal = Discovery.removal(of: old, for: discovery)
            for message in removal { connection.publish(message) }
            if !removal.isEmpty { connection.publish(discovery) }
        }
        if let control, let command = connection.takeCommand() { obey(command, by: control) }
        return reason
    }

    private func obey(_ command: [UInt8], by control: String) {
        guard let request = ListeningSwitch.request(command) else {
            return notify(.unknownCommand(topic: ListeningSwitch.topic(translator.topic)))
        }
        let code = ControlSocket.send(request, to: control)
        if code != 0 { notify(.notAsked(control: control, reason: errorText(code))) }
    }

    /// Waits for the broker, for `stop`, and for another descriptor where it is one; a second at most.
    private func wait(for other: Int32, _ stop: Wakeup, milliseconds: Int32 = 1000) -> (stop: Bool, other: Bool) {
        let wanted = POLLIN | (connection.wantsToWrite ? POLLOUT : 0)
        var entries = [
            pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
            pollfd(fd: connection.descriptor, events: Int16(wanted), revents: 0),
        ]
        guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return (false, false) }
        return (entries[0].revents != 0, entries[1].revents != 0)
    }

    private func publishAvailability(_ isOnline: Bool) {
        guard self.isOnline != isOnline else { return }
        self.isOnline = isOnline
        connection.publish(Availability.message(translator.topic, isOnline: isOnline))
    }

    private func tell(_ notice: Notice, in place: ReferenceWritableKeyPath<Bridge, Notice?>) {
        guard self[keyPath: place] != notice else { return }
        self[keyPath: place] = notice
        notify(notice)
    }
}
