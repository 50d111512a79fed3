import Foundation
import TestSupport
import Testing

@Suite("aumd mqtt")
struct BrokerTests {
    private let folder = TemporaryFolder()

    @Test("A broker gets the events of a running daemon, record by record, and hears that it is away once it has ended")
    func live() throws {
        let broker = try Broker()
        let subscriber = try Broker.Subscriber(broker)
        let file = folder.path + "/bursts.wav"
        try Sound.wav(Sound.bursts(seconds: 8)).write(to: URL(filePath: file))
        try folder.write(Sound.everything + "\nsource: {name: kitchen}\nmqtt: {sensors: [Music, Dog], provisional: true, broker: \"\(broker.url)\"}\n", to: "all.yaml")
        let result = try Program.shell(
            """
            cd '\(folder.path)'
            "$AUMD" mqtt --config all.yaml --socket s 2> errors & bridge=$!
            until grep -q 'No such file' errors; do sleep 0.1; done
            "$AUMD" listen --config all.yaml --socket s --source bursts.wav --pace --format ndjson > lines || exit
            until grep -q 'it was closed' errors; do sleep 0.1; done
            kill -TERM $bridge
            wait $bridge
            """)
        #expect(result.status == 0, "\(result.errors)")
        #expect(subscriber.hears { $0.count { $0 == "0 aumd/kitchen/availability offline" } == 2 })
        let lines = try folder.read("lines").split(separator: "\n")
        let events = subscriber.messages.filter { $0.hasPrefix("0 aumd/kitchen/event ") }
        // The bridge tries the socket each second: what came before is told of open events alone.
        let first = try #require(events.first?.split(separator: ",", maxSplits: 1).last)
        let begin = try #require(lines.firstIndex { $0.dropFirst() == first })
        let expected = lines[begin...].filter { $0.contains(#""type":"event""#) }.map { $0.dropFirst() }
        let received = events.compactMap { $0.split(separator: ",", maxSplits: 1).last }
        #expect(received == expected && expected.count > 5)
        #expect(subscriber.messages.contains { $0.hasPrefix("0 aumd/kitchen/status {") })
        // With provisional events, as the file says, the sensor is on before anything of it is confirmed.
        let messages = subscriber.messages
        let on = try #require(messages.firstIndex(of: "0 aumd/kitchen/sound/music ON"))
        let confirmed = messages.firstIndex { $0.contains(#""status":"confirmed""#) && $0.contains(#""Music""#) }
        #expect(on < confirmed ?? messages.endIndex)
        #expect(messages.last == "0 aumd/kitchen/availability offline")
        #expect(messages.contains("0 aumd/kitchen/availability online"))
        let said = try folder.read("errors").split(separator: "\n").map { $0.dropFirst("aumd: ".count) }
        #expect(said.first?.contains("is not reached") == false && said.contains { $0 == "notice: Events come from s." }, "\(said)")
    }

    @Test("Where the process goes without a word, the broker says for it that the daemon is away")
    func will() throws {
        let broker = try Broker()
        let subscriber = try Broker.Subscriber(broker)
        let result = try Program.shell(
            """
            cd '\(folder.path)'
            AUMD_SOURCE_NAME=a/b "$AUMD" mqtt --broker \(broker.url) --socket s 2> errors & bridge=$!
            "$AUMD" listen --demo --format ndjson --socket s > lines & listener=$!
            until grep -q 'Events come from' errors; do sleep 0.1; done
            kill -KILL $bridge
            kill -TERM $listener
            wait
            """)
        #expect(result.status == 0)
        #expect(subscriber.hears("0 aumd/a_b/availability online"))
        #expect(subscriber.hears { $0.last == "0 aumd/a_b/availability offline" })
    }

    @Test("What it cannot work with it says in one sentence, with the code of sysexits", arguments: [
        ("", 64, "No broker is named; give --broker mqtt://HOST, or mqtt.broker in c.yaml."),
        ("mqtt: {broker: \"http://b\"}", 78, "c.yaml:1:16: mqtt.broker is \"http://b\"; give mqtt://HOST"),
        ("mqtt: {broker: \"mqtt://user@b\"}", 78, "user and password_file have keys of their own"),
        ("mqtt: {broker: \"mqtt://b:0\"}", 78, "mqtt.broker is"),
        ("mqtt: {broker: \"mqtt://b\", sensors: [Brak]}", 78, "c.yaml:1:38: the model has no label \"Brak\"; the nearest is \"Bark\"."),
        ("mqtt: {broker: \"mqtt://b\", sensors: Bark}", 78, "c.yaml:1:37: mqtt.sensors is Bark; give a list of labels"),
        ("mqtt: {broker: \"mqtt://b\", topic: \"a/#\"}", 78, "mqtt.topic cannot be \"a/#\"; give a topic without + and #"),
        ("mqtt: {broker: \"mqtt://b\", user: u, password_file: none}", 66, "none: the password cannot be read (No such file or directory)"),
        ("mqtt: {broker: \"mqtts://b\", ca_file: none}", 66, "none: no certificates can be read there"),
        ("mqtt: {brokers: \"mqtt://b\"}", 78, "c.yaml:1:8: there is no key mqtt.brokers; the nearest is mqtt.broker."),
    ])
    func refuses(text: String, status: Int32, sentence: String) throws {
        try folder.write(text + "\n", to: "c.yaml")
        let result = try Program.shell("cd '\(folder.path)' && exec \"$AUMD\" mqtt --config c.yaml")
        #expect(result.status == status)
        #expect(result.errors.hasPrefix("aumd: ") && result.errors.contains(sentence), "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count == 1)
    }

    @Test("aumd check looks at the labels of sensors")
    func check() throws {
        try folder.write("mqtt:\n  sensors:\n    - Bark\n    - Brak\n", to: "c.yaml")
        let result = try Program.shell("cd '\(folder.path)' && exec \"$AUMD\" check c.yaml")
        #expect(result.status == 78)
        #expect(result.errors == "aumd: c.yaml:4:7: the model has no label \"Brak\"; the nearest is \"Bark\".\n")
    }
}
