import Tagging

/// What stands: the last status of every source and every event that is not closed, each as it was last told, in that order. A
/// reader that comes later begins with it, or it would never hear of a sound that began before.
struct Standing {
    private(set) var records: [NumberedRecord] = []

    mutating func forgetEvents() { records.removeAll { $0.record.kind == .event } }

    /// Takes in a record that has been told.
    mutating func take(_ record: NumberedRecord) {
        switch record.record {
        case .status(let status):
            records.removeAll { if case .status(let other) = $0.record { other.source == status.source } else { false } }
        case .event(let event):
            records.removeAll { if case .event(let other) = $0.record { other.id == event.id } else { false } }
            if event.phase == .close || event.phase == .retract { return }
        case .gap, .scores: return
        }
        records.append(record)
    }
}
