import Tagging

/// What a reader that comes later is sent first, or it would never hear of a sound that began before: the last status of every
/// source and the last record of every event that is not closed, in the order in which they were sent.
struct RetainedRecords {
    private(set) var records: [NumberedRecord] = []

    mutating func forgetEvents() { records.removeAll { $0.record.kind == .event } }

    /// Takes in a record that is being sent.
    mutating func take(_ record: NumberedRecord) {
        switch record.record {
        case .status(let status):
            records.removeAll { if case .status(let other) = $0.record { other.source == status.source } else { false } }
        case .event(let event):
            records.removeAll { if case .event(let other) = $0.record { other.id == event.id } else { false } }
            if event.phase == .close || event.phase == .retract { return }
        case .gap, .scores, .recording: return
        }
        records.append(record)
    }
}
