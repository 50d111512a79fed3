import Foundation
import Sinks
import Tagging

/// A line of an event stream (schema aumd/1), as far as `aumd follow` looks at it.
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

    /// Of an event.
    package var phase: Action.Phase? { (fields["phase"] as? String).flatMap(Action.Phase.init) }
    /// The label and its ancestors.
    package var labels: Set<String> {
        Set([fields["label"] as? String].compactMap { $0 } + (fields["parents"] as? [String] ?? []))
    }
    /// Records that the daemon has dropped for this reader, as a status says.
    package var dropped: Int? { fields["dropped"] as? Int }

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

/// Which records somebody wants; what is not said does not matter.
package struct RecordFilter: Sendable {
    /// An event counts with its ancestors.
    package let labels: Set<String>
    package let phases: Set<Action.Phase>
    package let kinds: Set<Record.Kind>

    /// Everything, unless something is said.
    package init(labels: Set<String> = [], phases: Set<Action.Phase> = [], kinds: Set<Record.Kind> = []) {
        self.labels = labels
        self.phases = phases
        self.kinds = kinds
    }

    /// Whether a record is wanted.
    package func passes(_ record: FollowedRecord) -> Bool {
        let isOfLabel = record.kind == .event || record.kind == .recording
        // Who names labels means what has one, who names phases means events.
        let isWanted =
            if !kinds.isEmpty {
                kinds.contains(record.kind)
            } else if !phases.isEmpty {
                record.kind == .event
            } else {
                labels.isEmpty || isOfLabel
            }
        guard isWanted else { return false }
        if record.kind == .event, !phases.isEmpty, !(record.phase.map(phases.contains) ?? false) { return false }
        return !isOfLabel || labels.isEmpty || !labels.isDisjoint(with: record.labels)
    }
}
