import EventClient
import Sinks
import Tagging

/// Turns the lines of an event stream (schema aumd/1) into messages, and keeps the state of the sensors: a state machine without
/// clock, thread or connection.
///
/// Each record goes to `TOPIC/` and its type; scores are left out. An event has an `event_type` too, its phase, as Home Assistant
/// wants it of an event entity. Each sensor is a label, ON at `TOPIC/sound/` and its name in small letters while an event of the
/// label or of one below it lasts.
package struct RecordTranslator: Sendable {
    /// What every topic begins with, such as aumd/kitchen.
    package let topic: String
    /// Labels that have a sensor.
    package let sensors: [String]
    /// Whether a provisional event switches a sensor on, or a confirmed one only.
    package let isProvisionalEnough: Bool
    /// Ids of the events that hold a sensor on. (sensors.count)
    private var holders: [Set<String>]
    /// Records that the daemon has dropped for this reader, as it says.
    package private(set) var dropped: UInt64 = 0

    /// Nothing has been heard yet.
    package init(topic: String, sensors: [String], isProvisionalEnough: Bool) {
        self.topic = topic
        self.sensors = sensors
        self.isProvisionalEnough = isProvisionalEnough
        holders = Array(repeating: [], count: sensors.count)
    }

    /// The messages that a line calls for; none for scores, and for what is no record of this schema.
    package mutating func take(_ line: [UInt8]) -> [Message] {
        guard let record = FollowedRecord(line) else { return [] }
        let full = "\(topic)/\(record.kind.rawValue)"
        switch record.kind {
        case .event:
            guard let phase = record.phase else { return [] }
            // The record stays as it is written: its numbers are not to be rounded on the way.
            let payload = Array("{\"event_type\":\"\(phase.rawValue)\",".utf8) + line.dropFirst()
            return [Message(full, payload, isRetained: false)] + switched(by: record, phase)
        case .status:
            dropped = record.dropped ?? dropped
            return [Message(full, line, isRetained: true)]
        case .gap, .recording:
            return [Message(full, line, isRetained: false)]
        case .scores:
            return []
        }
    }

    /// The state of every sensor.
    package var states: [Message] { sensors.indices.map(state) }

    /// The stream has ended: nothing will follow of the events that are open.
    ///
    /// - Returns: the state of the sensors that were on.
    package mutating func reset() -> [Message] {
        dropped = 0
        let on = holders.indices.filter { !holders[$0].isEmpty }
        holders = Array(repeating: [], count: sensors.count)
        return on.map(state)
    }

    /// Where a label's sensor is: `sound/` and its words.
    package static func sensor(_ label: String) -> String {
        "sound/" + label.joinedWords
    }

    private mutating func switched(by event: FollowedRecord, _ phase: Action.Phase) -> [Message] {
        guard let id = event.id else { return [] }
        let names = event.labels
        let isDecided = isProvisionalEnough || event.status == .confirmed
        let lasts = phase != .close && phase != .retract && isDecided
        var messages: [Message] = []
        for index in sensors.indices {
            let wasOn = !holders[index].isEmpty
            let isOfSensor = names.contains(sensors[index])
            if isOfSensor, lasts { holders[index].insert(id) } else { holders[index].remove(id) }
            if wasOn == holders[index].isEmpty { messages.append(state(index)) }
        }
        return messages
    }

    private func state(_ index: Int) -> Message {
        Message("\(topic)/\(Self.sensor(sensors[index]))", holders[index].isEmpty ? "OFF" : "ON", isRetained: true)
    }
}
