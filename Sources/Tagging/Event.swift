/// One sound with a beginning and an end, as far as it is known at the moment of an action.
///
/// A value: an action carries a snapshot, complete in itself. Positions are samples at the model's rate, counted from
/// the start of the stream.
public struct Event: Sendable, Equatable {
    /// Which track of scores the event rests on.
    public enum Status: String, Sendable {
        /// Only the recurrent, causal scores have spoken so far.
        case provisional
        /// The window pass, or the only pass there is, has decided.
        case confirmed
    }

    /// Counts events from 0 in the order of their opening; the same for the whole life of an event.
    public internal(set) var number: UInt64
    /// Index of the label. May change while the event is open: to a descendant, or to what the window pass decided.
    public internal(set) var label: Int
    /// Every ancestor of `label`, nearest first.
    public internal(set) var parents: [Int]
    /// The rule's group, if it has one.
    public internal(set) var group: String?
    /// The label's score in the column that opened, confirmed or renamed the event.
    public internal(set) var score: Float
    /// The highest score so far, in the track the event rests on.
    public internal(set) var peak: Float
    /// Which track the event rests on by now.
    public internal(set) var status: Status
    /// Where the score came up through its `off` threshold, interpolated between the centres of two columns. The caller may
    /// refine it, as by spectral flux.
    public var onset: Int64
    /// Seconds: how far the crossing may be off, scores being what they are. Half a column (0.08 s) when confirmed, since there is
    /// a score a column; a whole one (0.16 s) where scores are causal, which may need a second column of a sound.
    public internal(set) var onsetError: Double
    /// nil while the sound goes on. Provisional until the event is closed. The caller may move it to where the stream ended.
    public var offset: Int64?
    /// As `onsetError`, of `offset`.
    public internal(set) var offsetError: Double
    /// The onset as reported when the event opened, for ids that must not change with a corrected onset.
    public internal(set) var openedOnset: Int64
    /// 0 when opened, then one more at each action.
    public internal(set) var revision: Int
}

/// What a step of the tagger reports.
public struct Action: Sendable, Equatable {
    /// What an action does to its event.
    public enum Phase: String, Sendable, CaseIterable {
        /// The event is new.
        case open
        /// Something about an open event is known better.
        case update
        /// The last word: the sound was there, from onset to offset.
        case close
        /// The last word: there was no such event.
        case retract
    }

    /// Why, where the phase alone does not say it.
    public enum Reason: String, Sendable {
        /// Update: the window pass found the event too; label, onset and score are its own from here on.
        case confirmed
        /// Update: a descendant of the label was recognised in the same sound.
        case moreSpecific = "more specific"
        /// Update: the provisional score has fallen; `offset` says where, until the close corrects it.
        case ended
        /// Update: the provisional score rose again within one confirmed sound; `offset` is nil again.
        case resumed
        /// Retract: the window pass went by and its score did not cross.
        case notConfirmed = "not confirmed"
        /// Retract: it turned out to be part of another event, `partOf`.
        case absorbed
        /// Close or retract: the stream was cut or ended.
        case interrupted
    }

    /// What happened.
    public var phase: Phase
    /// The event as it stands after the action.
    public var event: Event
    /// nil for an `open` and for an ordinary `close`.
    public var reason: Reason?
    /// Of an `absorbed` event: number of the one that goes on for both; nil where that has been decided already.
    public var partOf: UInt64?
}
