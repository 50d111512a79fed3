/// Scores per column in, actions on events out: a pure state machine without clock, thread or output.
///
/// Two tracks of scores may feed it. The *provisional* one is causal and current: it opens events at once. The
/// *confirmed* one comes later, in chunks, and decides: it gives an open event its final label, onset and offset under
/// the same number, retracts what it does not find, and opens what the provisional one missed. A model with one track
/// only calls `confirmed` alone. Whatever the provisional scores were, the events that are closed in the end are those
/// that the confirmed scores alone would have given.
///
/// What is reported of labels that are each other's ancestors, per track:
/// - several that start together: one event, of the most specific label, which lists the others as parents;
/// - a descendant within 1 s of an ancestor's onset renames the ancestor's event;
/// - an ancestor is absorbed while a descendant's event is open and for 2 s after it, and if it is still up then, has
///   an event of its own from the descendant's offset on;
/// - a descendant that starts later than 1 s into an ancestor's event has its own (a piano within ten minutes of music), and an
///   ancestor's that is confirmed goes on beside that of a descendant which joins its group's event: what is confirmed stays.
///
/// At any moment at most one event of a label has no offset. A provisional event whose score has fallen carries a
/// provisional offset (an `update`), so that the next sound of the label can open before the last one is decided.
///
/// A provisional event is decided when the confirmed track is `Tagger.matchSeconds` past its onset, or later, as a rule at
/// most 3 s past it, while a confirmed segment that reports it may still begin. The provisional path adds no delay: an event
/// opens with the first column that reaches `provisionalOn`, plus what `LabelRule.minimumDuration` asks for. Its columns
/// may overlap, so that scores come sooner than once a column (`TaggerConfiguration.stepLength`).
///
/// Steady state allocates nothing: all state is made by `init`, and `actions` is the caller's array, to be reused.
/// Not thread safe: one thread at a time feeds a tagger.
public struct Tagger: Sendable {
    /// How far apart, in seconds, the two tracks may see the onset of one sound.
    public static let matchSeconds = 1.0

    /// The labels and rules it was made with.
    public let configuration: TaggerConfiguration

    struct Live: Sendable {
        var event: Event
        /// Slot in the confirmed track, or -1 while undecided.
        var confirmedSlot = -1
        /// Segments of the provisional track that it stands for and that are still up.
        var provisionalCount = 0
    }

    let ontology: Ontology
    var provisionalTrack: Track
    var confirmedTrack: Track
    private let matchWindow: Int64
    /// Events that may be open or undecided at once; what the provisional track finds beyond is left to the confirmed one.
    public let capacity: Int

    /// Events not yet closed or retracted; a freed place keeps its number in `freePlaces`.
    var live: [Live]
    private var freePlaces: [Int]
    /// Places of `live` in use, oldest event first.
    var order: [Int]
    var placeOfProvisional: [Int]  // (segments), -1: none
    var placeOfConfirmed: [Int]  // (segments), -1: none
    private var pending: [Int]
    private var number: UInt64 = 0

    /// A tagger before its first column. Allocates everything it will need.
    public init(_ configuration: TaggerConfiguration) {
        self.configuration = configuration
        ontology = Ontology(configuration)
        provisionalTrack = Track(configuration, ontology, .provisional)
        confirmedTrack = Track(configuration, ontology, .confirmed)
        matchWindow = Int64(Tagger.matchSeconds * Double(configuration.sampleRate))
        let count = configuration.labels.count
        // Undecided events of one label are a gap apart; eight a label cover several seconds of every label at once.
        capacity = 64 + 8 * count
        live = []
        live.reserveCapacity(capacity)
        freePlaces = []
        freePlaces.reserveCapacity(capacity)
        order = []
        order.reserveCapacity(capacity)
        pending = []
        pending.reserveCapacity(capacity)
        placeOfProvisional = Array(repeating: -1, count: count)
        placeOfConfirmed = Array(repeating: -1, count: count)
    }

    /// Takes the causal scores of a column.
    ///
    /// - Parameters:
    ///   - start: Position of the column's first sample. Columns between two interruptions follow each other in steps of
    ///     `TaggerConfiguration.stepLength`.
    ///   - scores: (labels), sigmoid probabilities; NaN counts as below every threshold.
    ///   - actions: What to report is appended, in order.
    public mutating func provisional(start: Int64, scores: Span<Float>, into actions: inout [Action]) {
        precondition(scores.count == ontology.count, "a score is needed for each label")
        provisionalTrack.step(start: start, scores: scores)
        for index in provisionalTrack.transitions.indices {
            let transition = provisionalTrack.transitions[index]
            switch transition.kind {
            case .began: provisionalBegan(transition, into: &actions)
            case .renamed: provisionalRenamed(transition, into: &actions)
            case .ended: provisionalEnded(transition, into: &actions)
            case .dropped: provisionalDropped(transition, into: &actions)
            }
        }
        settleCooldowns()
    }

    /// Takes the deciding scores of a column, in order. Parameters as for `provisional`, but that columns do not overlap.
    public mutating func confirmed(start: Int64, scores: Span<Float>, into actions: inout [Action]) {
        precondition(scores.count == ontology.count, "a score is needed for each label")
        confirmedTrack.step(start: start, scores: scores)
        for index in confirmedTrack.transitions.indices {
            let transition = confirmedTrack.transitions[index]
            switch transition.kind {
            case .began: confirmedBegan(transition, into: &actions)
            case .renamed: confirmedRenamed(transition, into: &actions)
            case .ended: confirmedEnded(transition, into: &actions)
            case .dropped: break  // Only the provisional track does.
            }
        }
        decidePending(into: &actions)
        settleCooldowns()
    }

    /// Ends a run of columns: at a gap that reset the hidden state, or at the end of the stream.
    ///
    /// Feed the window pass's last columns to `confirmed` first. Events the confirmed track holds open are closed where
    /// its last column ended; what it has not decided is retracted. The next column of either track may start anywhere
    /// later; cooldowns go on in stream time.
    public mutating func interrupt(into actions: inout [Action]) {
        provisionalTrack.interrupt()
        for slot in placeOfProvisional.indices { placeOfProvisional[slot] = -1 }
        for place in order { live[place].provisionalCount = 0 }
        gatherUndecided(until: .max)
        for place in pending {
            if let other = confirmedCover(of: live[place].event) { absorb(place, into: other, &actions) }
        }
        confirmedTrack.interrupt()
        for index in confirmedTrack.transitions.indices {
            let transition = confirmedTrack.transitions[index]
            close(placeOfConfirmed[transition.slot], transition, .interrupted, into: &actions)
        }
        while let place = order.first {
            let isPast = confirmedTrack.end >= live[place].event.offset ?? provisionalTrack.end
            retract(place, isPast ? .notConfirmed : .interrupted, into: &actions)
        }
        settleCooldowns()
    }

    // MARK: Reporting

    var hasRoom: Bool { order.count < capacity - ontology.count }

    mutating func open(
        _ transition: Track.Transition, _ status: Event.Status, into actions: inout [Action]
    ) -> Int {
        let event = Event(
            number: number, label: transition.label, parents: configuration.labels[transition.label].parents,
            group: configuration.rules[transition.label].group, score: transition.score, peak: transition.peak,
            status: status, onset: transition.onset, onsetError: resolution(status), offset: nil,
            offsetError: resolution(.provisional), openedOnset: transition.onset, revision: 0)
        number += 1
        let place: Int
        if let free = freePlaces.popLast() {
            place = free
            live[place] = Live(event: event)
        } else {
            place = live.count
            live.append(Live(event: event))
        }
        order.append(place)
        actions.append(Action(phase: .open, event: event, reason: nil))
        return place
    }

    mutating func update(_ place: Int, _ reason: Action.Reason, into actions: inout [Action]) {
        if live[place].confirmedSlot >= 0 { live[place].event.peak = confirmedTrack.segments[live[place].confirmedSlot].peak }
        live[place].event.revision += 1
        actions.append(Action(phase: .update, event: live[place].event, reason: reason))
    }

    mutating func close(
        _ place: Int, _ transition: Track.Transition, _ reason: Action.Reason?, into actions: inout [Action]
    ) {
        live[place].event.offset = transition.offset
        live[place].event.offsetError = resolution(.confirmed)
        live[place].event.peak = transition.peak
        live[place].event.revision += 1
        actions.append(Action(phase: .close, event: live[place].event, reason: reason))
        forget(place)
    }

    mutating func retract(_ place: Int, _ reason: Action.Reason, partOf other: Int? = nil, into actions: inout [Action]) {
        live[place].event.revision += 1
        let whole = other.map { live[$0].event.number }
        actions.append(Action(phase: .retract, event: live[place].event, reason: reason, partOf: whole))
        forget(place)
    }

    private mutating func forget(_ place: Int) {
        if live[place].confirmedSlot >= 0 { placeOfConfirmed[live[place].confirmedSlot] = -1 }
        if live[place].provisionalCount > 0 {
            for slot in placeOfProvisional.indices where placeOfProvisional[slot] == place {
                placeOfProvisional[slot] = -1
            }
        }
        if let index = order.firstIndex(of: place) { order.remove(at: index) }
        freePlaces.append(place)
    }

    /// Gives the provisional track the cooldowns that hold, after everything else in a step, since events end, change their label
    /// and go. Retracted events leave none.
    private mutating func settleCooldowns() {
        for label in 0..<ontology.count { provisionalTrack.states[label].coolUntil = coolUntil(label) }
    }

    /// No provisional event of a label begins before: the end, and the cooldown, of those that the confirmed track closed, and of
    /// those that have ended and may still be.
    func coolUntil(_ label: Int) -> Int64 {
        var until = confirmedTrack.states[label].coolUntil
        let cooldown = provisionalTrack.limits[label].cooldown
        for place in order {
            let event = live[place].event
            guard let offset = event.offset else { continue }
            let counts = event.label == label || ontology.shareGroup(event.label, label)
                || cooldown > 0 && ontology.isAncestor(label, of: event.label)
            if counts { until = max(until, offset + cooldown) }
        }
        return until
    }

    mutating func rename(_ place: Int, _ transition: Track.Transition) {
        live[place].event.label = transition.label
        live[place].event.parents = configuration.labels[transition.label].parents
        live[place].event.group = configuration.rules[transition.label].group
        live[place].event.onset = transition.onset
        live[place].event.score = transition.score
        live[place].event.peak = transition.peak
    }

    /// Seconds to which a track's scores resolve when they crossed a threshold.
    func resolution(_ status: Event.Status) -> Double {
        let column = Double(configuration.columnLength) / Double(configuration.sampleRate)
        return status == .confirmed && !configuration.isCausal ? column / 2 : column
    }

    // MARK: Deciding

    /// Whether a confirmed onset can be that of an undecided event.
    func matches(_ event: Event, onset: Int64) -> Bool {
        abs(event.onset - onset) <= matchWindow
            || (event.onset <= onset ? onset < event.offset ?? .max : event.onset < confirmedTrack.end)
    }

    /// pending = the undecided events that began no later than `onset`, oldest first.
    private mutating func gatherUndecided(until onset: Int64) {
        pending.removeAll(keepingCapacity: true)
        for place in order where live[place].confirmedSlot < 0 && live[place].event.onset <= onset { pending.append(place) }
    }

    /// Retracts the events that the confirmed track has passed without a segment for them.
    private mutating func decidePending(into actions: inout [Action]) {
        gatherUndecided(until: confirmedTrack.end - matchWindow)
        for place in pending {
            let event = live[place].event
            if confirmedTrack.mayBegin(relatedTo: event.label, within: matchWindow, of: event.onset) { continue }
            if let other = confirmedCover(of: event) {
                absorb(place, into: other, &actions)
            } else {
                retract(place, .notConfirmed, into: &actions)
            }
        }
    }

    /// The confirmed event, still open, that reports the same sound.
    private func confirmedCover(of event: Event) -> Int? {
        order.first {
            live[$0].confirmedSlot >= 0 && ontology.isCovered(event.label, by: live[$0].event.label)
                && live[$0].event.onset < event.offset ?? .max
        }
    }

    /// Retracts an undecided event in favour of another, which stands for its provisional segments from then on.
    mutating func absorb(_ place: Int, into other: Int, _ actions: inout [Action]) {
        let moved = moveSegments(from: place, to: other)
        retract(place, .absorbed, partOf: other, into: &actions)
        if moved > 0, live[other].event.offset != nil, openPlace(of: live[other].event.label) == nil {
            live[other].event.offset = nil
            update(other, .resumed, into: &actions)
        }
    }

    /// Lets an event stand for the provisional segments of another. Returns how many they are.
    mutating func moveSegments(from place: Int, to other: Int) -> Int {
        let moved = live[place].provisionalCount
        for slot in placeOfProvisional.indices where placeOfProvisional[slot] == place { placeOfProvisional[slot] = other }
        live[place].provisionalCount = 0
        live[other].provisionalCount += moved
        return moved
    }

    /// The event of a label, or of its group, that has no offset yet.
    func openPlace(of label: Int) -> Int? {
        order.first {
            live[$0].event.offset == nil && (live[$0].event.label == label || ontology.shareGroup(live[$0].event.label, label))
        }
    }
}
