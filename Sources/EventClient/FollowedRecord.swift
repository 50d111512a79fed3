import Foundation
import Sinks
import Tagging

/// A line of an event stream (schema aumd/1), as far as those who read it again look at it.
package struct FollowedRecord {
    /// Its type.
    package let kind: Record.Kind
    private let fields: [String: Any]

    /// nil for what is no record of this schema.
    package init?(_ line: [UInt8]) {
        guard let fields = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
            fields["schema"] as? String == Record.schema, let kind = (fields["type"] as? String).flatMap(Record.Kind.init)
        else { return nil }
        self.kind = kind
        self.fields = fields
    }

    /// Of an event, or of the event that a recording has.
    package var id: String? { fields["id"] as? String }
    /// Of an event, or of scores.
    package var status: Event.Status? { (fields["status"] as? String).flatMap(Event.Status.init) }
    /// Of an event.
    package var phase: Action.Phase? { (fields["phase"] as? String).flatMap(Action.Phase.init) }
    /// Of an event or a recording.
    package var label: String? { fields["label"] as? String }
    /// Names of every ancestor of the label.
    package var parents: [String] { fields["parents"] as? [String] ?? [] }
    /// The label and its ancestors.
    package var labels: Set<String> { Set([label].compactMap { $0 } + parents) }
    /// Highest score of an event.
    package var peak: Float? { (fields["peak"] as? NSNumber)?.floatValue }
    /// Its number, from 0 at each start.
    package var sequence: Int? { fields["seq"] as? Int }
    /// When it was sent, in seconds since 1970, or from the start of a file.
    package var time: Double? { seconds("time") }
    /// Whether it says that the daemon ends.
    package var isLast: Bool { fields["state"] as? String == StatusRecord.State.stopping.rawValue }
    /// Seconds of sound that it says are missing.
    package var gap: Double {
        guard kind == .gap, let from = seconds("from"), let to = seconds("to") else { return 0 }
        return max(0, to - from)
    }
    /// Records that the daemon has dropped for this reader, as a status says.
    package var dropped: UInt64? { fields["dropped"] as? UInt64 }

    private func seconds(_ key: String) -> Double? {
        if let number = fields[key] as? NSNumber { return number.doubleValue }
        return (fields[key] as? String).flatMap { try? Self.rfc3339.parse($0) }?.timeIntervalSince1970
    }

    private static let rfc3339 = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// What a command learns of it without reading JSON.
    package var environment: [String: String] {
        var variables: [String: String] = [:]
        for key in ["id", "phase", "status", "label", "source", "onset", "offset", "duration", "score", "file"] {
            switch fields[key] {
            case let text as String: variables["EVENT_\(key.uppercased())"] = text
            case let number as NSNumber: variables["EVENT_\(key.uppercased())"] = "\(number.doubleValue)"
            default: break
            }
        }
        return variables
    }
}
