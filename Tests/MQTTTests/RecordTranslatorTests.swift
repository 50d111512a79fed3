import Foundation
import MQTT
import TestSupport
import Testing

@Suite("Records become messages") struct RecordTranslatorTests {
    private func translator(_ sensors: [String] = [], isProvisionalEnough: Bool = false) -> RecordTranslator {
        RecordTranslator(topic: "aumd/kitchen", sensors: sensors, isProvisionalEnough: isProvisionalEnough)
    }

    private func taken(_ line: String, by translator: inout RecordTranslator) -> [String] {
        translator.take(Array(line.utf8)).map { "\($0.isRetained ? 1 : 0) \($0.topic) \(String(decoding: $0.payload, as: UTF8.self))" }
    }

    @Test("Each record goes to the topic of its type as it is written, but scores; the broker keeps the status alone")
    func topics() {
        var translator = translator()
        #expect(taken(Lines.status(), by: &translator) == ["1 aumd/kitchen/status \(Lines.status())"])
        #expect(taken(Lines.gap, by: &translator) == ["0 aumd/kitchen/gap \(Lines.gap)"])
        #expect(taken(Lines.recording, by: &translator) == ["0 aumd/kitchen/recording \(Lines.recording)"])
        #expect(taken(Lines.scores, by: &translator) == [])
        for phase in ["open", "update", "close", "retract"] {
            let line = Lines.event(phase, 1, "Bark")
            #expect(taken(line, by: &translator) == [#"0 aumd/kitchen/event {"event_type":"\#(phase)",\#(line.dropFirst())"#])
        }
    }

    @Test("What is no record of this schema becomes nothing and changes nothing", arguments: [
        "", "{", "null", "[]", "3", "{}", "\u{0}", #"{"schema":"aumd/1"}"#, #"{"schema":"aumd/1","type":"event"}"#, #"{"schema":"aumd/1","type":3}"#,
        #"{"schema":"aumd/2","type":"event","phase":"open","id":"1","label":"Bark","parents":[],"status":"confirmed"}"#,
    ])
    func noRecord(line: String) {
        var translator = translator(["Bark"])
        #expect(taken(line, by: &translator) == [])
        #expect(translator.states == [Message("aumd/kitchen/sound/bark", "OFF", isRetained: true)])
    }

    @Test("A sensor is on while an event of its label or of one below lasts, confirmed, or provisional where that is enough",
          arguments: 0..<40, [false, true])
    func sensors(seed: UInt64, isProvisionalEnough: Bool) throws {
        let tree = ["Bark": ["Dog", "Animal"], "Dog": ["Animal"], "Meow": ["Cat", "Animal"], "Animal": [], "Speech": []]
        var random = SeededRandom(seed: seed)
        let sensors = ["Dog", "Animal", "Meow", "Rain"]
        var translator = translator(sensors, isProvisionalEnough: isProvisionalEnough)
        // By id: the label of what is there and counts, nil where it does not count.
        var there: [Int: String?] = [:]
        var before = Set<String>(), changes = 0
        for _ in 0..<60 {
            let id = Int.random(in: 0..<5, using: &random)
            let label = try #require(tree.keys.sorted().randomElement(using: &random))
            let status = Bool.random(using: &random) ? "confirmed" : "provisional"
            let phase = there[id] == nil ? "open" : try #require(["update", "update", "close", "retract"].randomElement(using: &random))
            there[id] = phase == "close" || phase == "retract" ? nil : .some(status == "confirmed" || isProvisionalEnough ? label : nil)
            let on = Set(sensors.filter { sensor in
                there.values.contains { label in label.map { $0 == sensor || tree[$0]!.contains(sensor) } ?? false }
            })
            let expected = sensors.filter { on.contains($0) != before.contains($0) }.map {
                "1 aumd/kitchen/sound/\($0.lowercased()) \(on.contains($0) ? "ON" : "OFF")"
            }
            let line = Lines.event(phase, id, label, parents: tree[label]!, status: status)
            #expect(taken(line, by: &translator).dropFirst() == expected[...])
            #expect(translator.states.map { $0.payload == Array("ON".utf8) } == sensors.map(on.contains))
            changes += expected.count
            before = on
        }
        #expect(changes > 10)
        #expect(translator.reset().count == before.count)
        #expect(translator.states.allSatisfy { $0.payload == Array("OFF".utf8) })
        #expect(translator.reset().isEmpty)
    }

    @Test("What the daemon has dropped is counted until the stream ends")
    func dropped() {
        var translator = translator()
        #expect(translator.dropped == 0)
        _ = taken(Lines.status(dropped: 7), by: &translator)
        _ = taken(Lines.event("open", 1, "Bark"), by: &translator)
        #expect(translator.dropped == 7)
        _ = translator.reset()
        #expect(translator.dropped == 0)
    }

    @Test("Home Assistant is told of entities whose topics are those of the messages, each with a name of its own")
    func discovery() throws {
        var translator = translator(["Chirp, tweet", "Dog"])
        let message = Discovery.message(name: "kitchen/2", version: "1.2", translator: translator)
        #expect(message.topic == "homeassistant/device/aumd_kitchen_2/config" && message.isRetained)
        let payload = try #require(try JSONSerialization.jsonObject(with: Data(message.payload)) as? [String: Any])
        #expect(payload["availability_topic"] as? String == Availability.message("aumd/kitchen", isOnline: true).topic)
        #expect((payload["device"] as? [String: Any])?["identifiers"] as? [String] == ["aumd_kitchen_2"])
        #expect((payload["device"] as? [String: Any])?["name"] as? String == "aumd kitchen/2")
        #expect((payload["origin"] as? [String: String]) == ["name": "aumd", "sw_version": "1.2"])
        let components = try #require(payload["components"] as? [String: [String: Any]])
        #expect(Set(components.keys) == ["events", "level", "highest_level", "microphone", "sound_chirp_tweet", "sound_dog"])
        #expect(Set(components.values.map { $0["unique_id"] as? String }).count == components.count)
        let published = Set(
            [Lines.event("open", 1, "Dog"), Lines.status()].flatMap { translator.take(Array($0.utf8)) }.map(\.topic)
                + translator.states.map(\.topic))
        #expect(Set(components.values.map { $0["state_topic"] as? String }) == Set(published.map(Optional.some)))
        #expect(components["events"]?["event_types"] as? [String] == ["open", "update", "close", "retract"])
        #expect(components["sound_chirp_tweet"]?["name"] as? String == "Chirp, tweet")
        let more = Discovery.message(name: "kitchen/2", version: "1.2", translator: translator, canPause: true)
        let switched = try #require(try JSONSerialization.jsonObject(with: Data(more.payload)) as? [String: Any])
        let listening = try #require((switched["components"] as? [String: [String: Any]])?["listening"])
        #expect(listening["platform"] as? String == "switch" && listening["command_topic"] as? String == "aumd/kitchen/listening/set")
        #expect(listening["state_topic"] as? String == "aumd/kitchen/status")
    }

    @Test("Home Assistant takes the sensors of alarms for those of what they warn of, all others for sounds")
    func alarms() throws {
        let labels = ["Smoke detector, smoke alarm", "Carbon monoxide detector, CO detector", "Alarm clock"]
        let message = Discovery.message(name: "kitchen", version: "1", translator: translator(labels))
        let payload = try #require(try JSONSerialization.jsonObject(with: Data(message.payload)) as? [String: Any])
        let components = try #require(payload["components"] as? [String: [String: Any]])
        for (label, kind) in zip(labels, ["smoke", "carbon_monoxide", "sound"]) {
            #expect(components.values.first { $0["name"] as? String == label }?["device_class"] as? String == kind)
        }
    }

    @Test("Where nothing was announced before, or the same, or what was is no such message, nothing is taken away", arguments: [
        "", "{", "[]", #"{"components":3}"#, #"{"components":{}}"#, #"{"components":{"x":3}}"#, #"{"components":{"level":{"platform":"sensor"}}}"#,
    ])
    func nothingToRemove(old: String) {
        let message = Discovery.message(name: "kitchen", version: "1", translator: translator(["Dog"]))
        #expect(Discovery.removal(of: Array(old.utf8), for: message) == [])
        #expect(Discovery.removal(of: message.payload, for: message) == [])
    }
}
