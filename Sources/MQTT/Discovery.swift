import Foundation
import Tagging

/// What Home Assistant reads to make a device of a daemon: one retained message for all its entities (MQTT integration, "Device
/// discovery payload").
package enum Discovery {
    /// The message: an event entity of all that is heard, the mean and the highest level since the last status, whether the microphone is
    /// in order, a switch for it, and each sensor.
    ///
    /// - Parameters:
    ///   - name: The source's, which people see.
    ///   - version: The program's.
    ///   - canPause: Whether there is a switch.
    package static func message(name: String, version: String, translator: RecordTranslator, canPause: Bool = false) -> Message {
        let topic = translator.topic
        let identifier = "aumd_" + String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "_" })
        var components = [
            "events": Component(
                platform: "event", name: "Sounds", stateTopic: "\(topic)/event", eventTypes: Action.Phase.allCases.map(\.rawValue)),
            "level": level("Level", "level_mean_dbfs", topic),
            "highest_level": level("Highest level", "level_max_dbfs", topic),
            "microphone": Component(
                platform: "binary_sensor", name: "Microphone", stateTopic: "\(topic)/status",
                valueTemplate: "{{ 'OFF' if value_json.state in ['capturing', 'paused'] else 'ON' }}", deviceClass: "problem",
                entityCategory: "diagnostic"),
        ]
        if canPause {
            components["listening"] = Component(
                platform: "switch", name: "Listening", stateTopic: "\(topic)/status",
                valueTemplate: "{{ 'OFF' if value_json.state == 'paused' else 'ON' }}", commandTopic: ListeningSwitch.topic(topic))
        }
        for label in translator.sensors {
            let sensor = RecordTranslator.sensor(label)
            components[sensor.replacing("/", with: "_")] = Component(
                platform: "binary_sensor", name: label, stateTopic: "\(topic)/\(sensor)", deviceClass: deviceClass(label))
        }
        for key in components.keys { components[key]?.uniqueId = "\(identifier)_\(key)" }
        let origin = Origin(name: "aumd", swVersion: version)
        let device = Device(identifiers: [identifier], name: "aumd \(name)", manufacturer: "aumd", swVersion: version)
        let payload = Payload(
            device: device, origin: origin, availabilityTopic: Availability.topic(topic), components: components)
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Nothing in it but texts, which always can be encoded.
        let bytes = (try? encoder.encode(payload)).map(Array.init) ?? []
        return Message("homeassistant/device/\(identifier)/config", bytes, isRetained: true)
    }

    /// What Home Assistant takes a label's sensor for: alarms it shows, and offers to automations and voice assistants, as what they warn of.
    private static func deviceClass(_ label: String) -> String {
        switch label {
        case "Smoke detector, smoke alarm": "smoke"
        case "Carbon monoxide detector, CO detector": "carbon_monoxide"
        default: "sound"
        }
    }

    /// A sensor of one of the levels in a status.
    private static func level(_ name: String, _ field: String, _ topic: String) -> Component {
        Component(
            platform: "sensor", name: name, stateTopic: "\(topic)/status", valueTemplate: "{{ value_json.\(field) }}",
            unitOfMeasurement: "dBFS", stateClass: "measurement", entityCategory: "diagnostic")
    }

    /// What takes away the entities of an older message that a newer one does not have, as of a label that has no sensor any more.
    ///
    /// Home Assistant removes an entity of which nothing is left but its platform; leaving it out of the message does not.
    ///
    /// - Returns: a message to be published before the newer one, and one for each state that the broker keeps; none where nothing goes.
    package static func removal(of old: [UInt8], for new: Message) -> [Message] {
        let decoder = JSONDecoder()
        guard let before = try? decoder.decode(Kept.self, from: Data(old)).components,
            let after = try? decoder.decode(Kept.self, from: Data(new.payload)).components,
            var payload = (try? JSONSerialization.jsonObject(with: Data(new.payload))) as? [String: Any],
            var components = payload["components"] as? [String: Any]
        else { return [] }
        let gone = before.filter { after[$0.key] == nil }
        for (key, component) in gone { components[key] = ["platform": component.platform] }
        payload["components"] = components
        guard !gone.isEmpty,
            let bytes = try? JSONSerialization.data(withJSONObject: payload, options: [.sortedKeys, .withoutEscapingSlashes])
        else { return [] }
        let states = gone.values.compactMap(\.stateTopic).filter { topic in !after.values.contains { $0.stateTopic == topic } }
        return [Message(new.topic, Array(bytes), isRetained: true)] + states.sorted().map { Message($0, [], isRetained: true) }
    }

    /// Of a message that was published before.
    private struct Kept: Decodable {
        struct Component: Decodable {
            var platform: String
            var stateTopic: String?

            enum CodingKeys: String, CodingKey {
                case platform
                case stateTopic = "state_topic"
            }
        }

        var components: [String: Component]
    }

    private struct Payload: Encodable {
        var device: Device
        var origin: Origin
        var availabilityTopic: String
        var components: [String: Component]
    }

    private struct Origin: Encodable {
        var name: String
        var swVersion: String
    }

    private struct Device: Encodable {
        var identifiers: [String]
        var name: String
        var manufacturer: String
        var swVersion: String
    }

    private struct Component: Encodable {
        var platform: String
        var name: String
        var uniqueId: String?
        var stateTopic: String
        var eventTypes: [String]?
        var valueTemplate: String?
        var commandTopic: String?
        var unitOfMeasurement: String?
        var stateClass: String?
        var deviceClass: String?
        var entityCategory: String?
    }
}
