import Sinks
import Tagging

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
