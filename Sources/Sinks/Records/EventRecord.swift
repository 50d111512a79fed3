import Tagging

/// What the tagger reported of an event, with names and times in place of indices and positions.
public struct EventRecord: Sendable, Equatable {
    /// What happened to the event.
    public var phase: Action.Phase
    /// The same for the whole life of the event.
    public var id: ULID
    /// 0 when opened, then one more in each record of the event.
    public var revision: Int
    /// Name of the source.
    public var source: String
    /// When this is sent: the end of the newest sound that has been heard.
    public var time: RecordTime
    /// The label's display name.
    public var label: String
    /// The display name that the record before had, where it was another.
    public var formerLabel: String?
    /// The label's AudioSet id.
    public var mid: String
    /// Names of every ancestor of the label, nearest first.
    public var parents: [String]
    /// The rule's group, if it has one.
    public var group: String?
    /// Score in the column that opened, confirmed or renamed the event.
    public var score: Float
    /// Highest score so far of this label and status; begins anew when the event is confirmed or renamed.
    public var peak: Float
    /// Which track of scores the event rests on.
    public var status: Event.Status
    /// Where the sound began.
    public var onset: RecordTime
    /// Seconds: what scores resolve of the onset, not what a model gets wrong.
    public var onsetError: Double
    /// nil while the sound goes on; provisional until the phase is `close`.
    public var offset: RecordTime?
    /// As `onsetError`, where the offset is known.
    public var offsetError: Double?
    /// Why, where the phase alone does not say it.
    public var reason: Action.Reason?
    /// Of an absorbed event: id and label of the one that goes on for both; nil where that has been decided already.
    public var partOf: Other?
    /// Name of the model and the beginning of its hash: `aumd-small@1f3c…`.
    public var model: String

    /// Another event, as it was last reported.
    public struct Other: Sendable, Equatable {
        /// Its id.
        public var id: ULID
        /// Its label's display name.
        public var label: String

        /// An event by id and label.
        public init(id: ULID, label: String) {
            self.id = id
            self.label = label
        }
    }

    /// Puts names and times in place of an action's indices and positions.
    ///
    /// - Parameters:
    ///   - position: Of the end of the newest sound.
    ///   - former: Index of the label that the event's last record had.
    ///   - partOf: The event that `action.partOf` numbers.
    ///   - id: From `EventIDs`, the same for the whole life of the event.
    ///   - time: Turns a sample position into a time.
    public init(
        _ action: Action, at position: Int64, former: Int? = nil, partOf: Other? = nil, id: ULID, source: String, model: String,
        labels: [Label], time: (Int64) -> RecordTime
    ) {
        let event = action.event
        phase = action.phase
        self.id = id
        revision = event.revision
        self.source = source
        self.time = time(position)
        label = labels[event.label].name
        formerLabel = former.flatMap { $0 == event.label ? nil : labels[$0].name }
        mid = labels[event.label].mid
        parents = event.parents.map { labels[$0].name }
        group = event.group
        score = event.score
        peak = event.peak
        status = event.status
        onset = time(event.onset)
        onsetError = event.onsetError
        offset = event.offset.map(time)
        offsetError = event.offset.map { _ in event.offsetError }
        reason = action.reason
        self.partOf = partOf
        self.model = model
    }

    /// Seconds from onset to offset, where the offset is known.
    public var duration: Double? {
        offset.map { Double($0.milliseconds - onset.milliseconds) / 1000 }
    }
}
