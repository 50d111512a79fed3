/// What a log of records (schema aumd/1) tells of the events in it: which, how surely, and in how much sound.
package struct EventLog {
    /// An event that was confirmed and is over.
    package struct Event {
        package var label: String
        /// Names of every ancestor of the label.
        package var parents: [String]
        /// Highest score of the label.
        package var peak: Float
    }

    /// In the order of the log.
    package private(set) var events: [Event] = []
    /// Seconds of sound that were heard from its first record to its last: without gaps, and without the time between two starts.
    package var seconds: Double { max(0, elapsed - lost) }
    private var elapsed = 0.0
    private var lost = 0.0
    private var last: Double?

    package init() {}

    /// Adds the next record. `counts`: whether it is of what somebody wants to know of, if it is an event.
    package mutating func add(_ record: FollowedRecord, counts: Bool = true) {
        if let time = record.time {
            // Nobody listened before a start, whose first record has the number 0, and after a stop.
            if let last, record.sequence != 0 { elapsed += max(0, time - last) }
            last = record.isLast ? nil : time
        }
        lost += record.gap
        if counts, record.kind == .event, record.phase == .close, let label = record.label, let peak = record.peak {
            events.append(Event(label: label, parents: record.parents, peak: peak))
        }
    }
}
