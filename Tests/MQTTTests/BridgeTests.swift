import Control
import Foundation
import MQTT
import Synchronization
import TestSupport
import Testing
import Threads

@Suite("From a daemon to a broker and back from every loss") struct BridgeTests {
    private let folder = TemporaryFolder()
    private let notices = Notices()

    /// What a bridge has said so far.
    private final class Notices: Sendable {
        private let all = Mutex<[String]>([])
        func add(_ notice: Bridge.Notice) { all.withLock { $0.append("\(notice)") } }
        var texts: [String] { all.withLock { $0 } }
        func contain(_ text: String) -> Bool { eventually(10) { texts.contains { $0.contains(text) } } }
    }

    /// A bridge on a thread of its own, ended with its value.
    private final class Running {
        private let stop = Wakeup()
        private let ended = Wakeup()

        init(_ bridge: sending Bridge) {
            // Handed over, and touched by that thread alone.
            nonisolated(unsafe) let bridge = bridge
            let code = startThread("bridge") { [stop, ended] in
                bridge.run(until: stop)
                ended.signal()
            }
            #expect(code == 0)
        }

        func end() -> Bool {
            stop.signal()
            return ended.wait(milliseconds: 5000)
        }

        deinit { stop.signal() }
    }

    private func bridge(
        to broker: Broker, sensors: [String] = ["Dog"], control: String? = nil, _ change: (inout BrokerOptions) -> Void = { _ in }
    ) throws -> Running {
        var options = BrokerOptions(host: "127.0.0.1", port: broker.port, isEncrypted: false, clientIdentifier: "aumd/kitchen")
        change(&options)
        let translator = RecordTranslator(topic: "aumd/kitchen", sensors: sensors, isProvisionalEnough: false)
        let discovery = Discovery.message(name: "kitchen", version: "1", translator: translator)
        return Running(try Bridge(
            socket: folder.file("s"), broker: options, translator: translator, discovery: discovery, control: control,
            notify: notices.add))
    }

    @Test("Records arrive once, whole and in order, however the socket cuts them, and states are kept for who comes later")
    func carries() throws {
        let broker = try Broker()
        let subscriber = try Broker.Subscriber(broker)
        let server = LineServer(folder.file("s"))
        let running = try bridge(to: broker)
        #expect(server.accept())
        let lines = (0..<200).map { Lines.event(["open", "update", "close"][$0 % 3], $0 / 3, $0 % 2 == 0 ? "Bark" : "Rain é", parents: ["Dog"]) }
        var random = SeededRandom(seed: 1)
        var text = (Lines.status() + "\n" + lines.map { $0 + "\n" }.joined())[...]
        while !text.isEmpty {
            let count = Int.random(in: 1...700, using: &random)
            server.send(String(text.prefix(count)))
            text = text.dropFirst(count)
        }
        server.send(Lines.event("open", 1000, "Bark", parents: ["Dog"]) + "\n")
        #expect(subscriber.hears(#"0 aumd/kitchen/event {"event_type":"open",\#(Lines.event("open", 1000, "Bark", parents: ["Dog"]).dropFirst())"#))
        let events = subscriber.messages.filter { $0.contains("kitchen/event ") }.dropLast()
        let sent = lines.map { line in line.dropFirst() }
        let received = events.compactMap { message in message.split(separator: ",", maxSplits: 1).last }
        #expect(received == sent)
        #expect(subscriber.hears("0 aumd/kitchen/sound/dog ON"))

        let later = try Broker.Subscriber(broker)
        #expect(later.hears { $0.contains { $0.hasPrefix("1 homeassistant/device/aumd_kitchen/config {") } })
        for state in ["status \(Lines.status())", "availability online", "sound/dog ON"] { #expect(later.hears("1 aumd/kitchen/\(state)")) }
        #expect(!later.messages.contains { $0.contains("/event {") })
        #expect(running.end())
        #expect(subscriber.hears("0 aumd/kitchen/availability offline"))
        #expect(subscriber.messages.suffix(2) == ["0 aumd/kitchen/sound/dog OFF", "0 aumd/kitchen/availability offline"])
    }

    @Test("Without a daemon the broker has it that it is away; where it ends, what it had open is off, and where it comes again all goes on")
    func daemon() throws {
        let broker = try Broker()
        let subscriber = try Broker.Subscriber(broker)
        let running = try bridge(to: broker)
        #expect(subscriber.hears("0 aumd/kitchen/availability offline"))
        #expect(notices.contain("No events come from \(folder.file("s")) (No such file or directory)"))
        for round in 1...2 {
            let server = LineServer(folder.file("s"))
            #expect(server.accept())
            server.send(Lines.status() + "\n" + Lines.event("open", round, "Dog") + "\n")
            #expect(subscriber.hears { $0.count { $0 == "0 aumd/kitchen/availability online" } == round })
            server.send(Lines.status(dropped: 3 * round) + "\n")
            #expect(notices.contain("\(3 * round) records were lost"))
            server.end()
            #expect(subscriber.hears { $0.suffix(1) == ["0 aumd/kitchen/availability offline"] && $0.dropLast().last == "0 aumd/kitchen/sound/dog OFF" })
            #expect(subscriber.messages.count { $0 == "0 aumd/kitchen/sound/dog OFF" } == round)
        }
        // Told once, however often it is looked for.
        usleep(1_500_000)
        #expect(running.end())
        #expect(subscriber.messages.count { $0 == "0 aumd/kitchen/availability offline" } == 3)
    }

    @Test("A sensor that is no more is taken away from Home Assistant and from the broker, and nothing else is")
    func removedSensor() throws {
        let broker = try Broker()
        let subscriber = try Broker.Subscriber(broker)
        let topic = "homeassistant/device/aumd_kitchen/config"
        func configurations() -> [String] { subscriber.messages.filter { $0.hasPrefix("0 \(topic) ") } }
        for (round, (sensors, count)) in [(["Dog", "Bark"], 1), (["Dog", "Bark"], 2), (["Dog"], 5)].enumerated() {
            let server = LineServer(folder.file("s"))
            let running = try bridge(to: broker, sensors: sensors)
            #expect(server.accept())
            server.send(Lines.status() + "\n")
            #expect(subscriber.hears { $0.count { $0 == "0 aumd/kitchen/availability online" } == round + 1 })
            #expect(subscriber.hears { $0.count { $0.hasPrefix("0 \(topic) ") } == count })
            #expect(running.end())
        }
        #expect(configurations()[3].contains(#""sound_bark":{"platform":"binary_sensor"}"#) && configurations()[3].contains(#""name":"Dog""#))
        #expect(configurations()[2] == configurations()[4] && !configurations()[4].contains("bark"))
        #expect(subscriber.messages.contains("0 aumd/kitchen/sound/bark "))
        let later = try Broker.Subscriber(broker)
        #expect(later.hears { $0.contains("1 aumd/kitchen/sound/dog OFF") && $0.contains("1 \(configurations()[4].dropFirst(2))") })
        #expect(!later.messages.contains { $0.contains("bark") })
    }

    @Test("Where the broker's clients may, they have the daemon pause and go on; what the broker keeps of that, and all else, does nothing")
    func commands() throws {
        let broker = try Broker()
        let path = folder.file("c"), topic = "aumd/kitchen/listening/set"
        try broker.publish("OFF", at: topic, isRetained: true)
        let server = LineServer(folder.file("s"))
        let running = try bridge(to: broker, control: path)
        #expect(server.accept())
        server.send(Lines.status() + "\n")
        #expect(notices.contain("Events come from"))
        try broker.publish("ON", at: topic)
        #expect(notices.contain("\(path): the daemon cannot be asked to pause or to go on (No such file or directory)"))
        let control = try ControlSocket(path: path, mode: 0o600)
        for (text, request) in [("OFF", PauseRequest.pause(seconds: nil)), ("ON", .resume), ("off", .pause(seconds: nil))] {
            try broker.publish(text, at: topic)
            #expect(eventually(10) { control.next() == .success(.pause(request)) }, "\(text)")
        }
        try broker.publish("3", at: topic)
        #expect(notices.contain("What came at \(topic) is neither ON nor OFF"))
        broker.stop()
        #expect(notices.contain("is not reached ("))
        try broker.start()
        #expect(server.accept())
        server.send(Lines.status() + "\n")
        let later = try Broker.Subscriber(broker)
        #expect(later.hears { $0.contains { $0.hasSuffix(" aumd/kitchen/availability online") } })
        try broker.publish("ON", at: topic)
        #expect(eventually(10) { control.next() == .success(.pause(.resume)) })
        #expect(running.end() && control.next() == nil)
    }

    @Test("Where they may not, nothing is asked of the daemon")
    func noCommands() throws {
        let broker = try Broker()
        let server = LineServer(folder.file("s")), subscriber = try Broker.Subscriber(broker)
        let running = try bridge(to: broker)
        #expect(server.accept())
        server.send(Lines.status() + "\n")
        #expect(subscriber.hears("0 aumd/kitchen/availability online"))
        try broker.publish("OFF", at: "aumd/kitchen/listening/set")
        server.send(Lines.status("silent") + "\n")
        #expect(subscriber.hears("0 aumd/kitchen/status \(Lines.status("silent"))") && running.end())
        #expect(!notices.texts.contains { $0.contains("asked") || $0.contains("listening/set") })
    }

    @Test("A socket of something else, which sends no lines, is left, and fills no memory")
    func foreignSocket() throws {
        let broker = try Broker()
        let server = LineServer(folder.file("s"))
        let running = try bridge(to: broker)
        #expect(server.accept())
        server.send(String(repeating: "x", count: 3 << 20))
        #expect(server.accept())
        server.send(Lines.status() + "\n")
        #expect(notices.contain("Events come from"))
        #expect(running.end())
    }

    @Test("Where the broker goes, the daemon is left alone until there is one, and all that the new one keeps is right")
    func brokerLoss() throws {
        let broker = try Broker()
        let server = LineServer(folder.file("s"))
        let running = try bridge(to: broker)
        #expect(server.accept())
        server.send(Lines.status() + "\n" + Lines.event("open", 1, "Dog") + "\n")
        #expect(notices.contain("Events come from"))
        broker.stop()
        #expect(notices.contain("127.0.0.1:\(broker.port) is not reached ("))
        server.send(Lines.event("close", 1, "Dog") + "\n")
        try broker.start()
        #expect(server.accept())
        server.send(Lines.status("silent") + "\n" + Lines.event("open", 2, "Bark", parents: ["Dog"]) + "\n")
        let subscriber = try Broker.Subscriber(broker)
        #expect(subscriber.hears { $0.contains { $0.contains("aumd/kitchen/sound/dog ON") } && $0.contains { $0.contains("availability online") } })
        #expect(subscriber.messages.contains { $0.contains("homeassistant/device/aumd_kitchen/config") })
        #expect(subscriber.messages.contains { $0.contains("aumd/kitchen/status \(Lines.status("silent"))") })
        #expect(notices.texts.count { $0.hasPrefix("Connected to") } == 2)
        #expect(running.end())
    }

    @Test("A broker that refuses the password is quoted, once, and asked again until it takes it")
    func password() throws {
        let file = folder.file("passwords")
        func allow(_ password: String) throws {
            let made = Process()
            made.executableURL = URL(filePath: "/usr/bin/env")
            made.arguments = ["mosquitto_passwd", "-b", "-c", file, "ears", password]
            try made.run()
            made.waitUntilExit()
            #expect(made.terminationStatus == 0)
        }
        try allow("other")
        let broker = try Broker("password_file \(file)")
        let running = try bridge(to: broker) { ($0.user, $0.password) = ("ears", "right") }
        #expect(notices.contain("is not reached (Connection Refused: not authorised.)"))
        broker.stop()
        try allow("right")
        try broker.start()
        #expect(notices.contain("Connected to"))
        #expect(notices.texts.count { $0.contains("not authorised") } == 1)
        let subscriber = try Broker.Subscriber(broker, ["-u", "ears", "-P", "right"])
        #expect(subscriber.hears("1 aumd/kitchen/availability offline"))
        #expect(running.end())
    }

    @Test("TLS: a broker with a certificate of a trusted authority is taken, another is not")
    func encryption() throws {
        let made = Process()
        made.executableURL = URL(filePath: "/bin/sh")
        made.currentDirectoryURL = URL(filePath: folder.path)
        made.arguments = ["-c", """
            for name in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -subj /CN=$name -days 2; done
            openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1
            echo subjectAltName=IP:127.0.0.1 > names
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names
            """]
        made.standardError = FileHandle.nullDevice
        try made.run()
        made.waitUntilExit()
        #expect(made.terminationStatus == 0)
        let broker = try Broker("allow_anonymous true\ncertfile \(folder.file("server.pem"))\nkeyfile \(folder.file("server.key"))")
        func trusting(_ authority: String?) throws -> Running {
            try bridge(to: broker) { ($0.isEncrypted, $0.certificateFile) = (true, authority.map { folder.file($0) }) }
        }
        for authority in ["other.pem", nil] {
            let running = try trusting(authority)
            #expect(notices.contain("certificate verify failed"))
            #expect(running.end())
        }
        #expect(!notices.texts.contains { $0.hasPrefix("Connected to") })
        let running = try trusting("ca.pem")
        #expect(notices.contain("Connected to"))
        let subscriber = try Broker.Subscriber(broker, ["--cafile", folder.file("ca.pem"), "-h", "127.0.0.1"])
        #expect(subscriber.hears("1 aumd/kitchen/availability offline"))
        #expect(running.end())
        #expect(throws: BrokerError.certificates(path: folder.file("none.pem"), reason: "Invalid function arguments provided.")) { try trusting("none.pem") }
    }
}
