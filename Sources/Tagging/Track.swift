import Glibc

/// One track of scores, provisional or confirmed, cut into segments: hysteresis, durations and the ontology.
///
/// A segment is where scores stay at or above `off` and reach `on`: it begins where they came up through `off`, at most
/// ``lookBack`` before they reached `on`. Segments that follow each other by less than the minimum gap are one, so an end
/// is reported when it can no longer be a gap.
///
/// Knows nothing of the other track. A segment belongs to one label (or group) at a time; a label that is up without a
/// segment of its own is absorbed by a descendant's.
struct Track: Sendable {
    /// Seconds. The confirmed track is often sure late of what it has heard from the beginning: event F1 on the validation
    /// split's soundscapes rises up to 3 s, and no further at 4. What the provisional one reports is reported at once, and must
    /// not seem to have been heard long before.
    static func lookBack(_ status: Event.Status) -> Double { status == .confirmed ? 3 : 0.5 }

    /// A score below this counts as this where its rise is measured: how far down nothing at all lies means nothing.
    static let floor: Float = 0.02

    /// How far above ``floor``, in log odds, a score counts as hovering at most: what is an event counts no more.
    static let hoverLimit: Float = 2

    /// Seconds over which hovering is averaged, exponentially, and that it lies back: a sound's own rise is none.
    static let hoverSeconds = 10.0, hoverLag = 1.0

    /// Columns over which a score's rise is measured.
    static let riseColumns = 2

    /// What a column changed. `slot` names a segment from `began` to `ended` or `dropped`, then may be used again.
    struct Transition: Sendable {
        enum Kind: Sendable { case began, renamed, ended, dropped }
        var kind: Kind
        var slot: Int
        var label: Int
        var onset: Int64
        var offset: Int64
        var score: Float
        var peak: Float
        /// Of `dropped`: the descendant's segment.
        var takenBy: Int

        init(_ kind: Kind, _ slot: Int, _ segment: Segment, takenBy: Int = -1) {
            self.kind = kind
            self.slot = slot
            self.takenBy = takenBy
            (label, onset, offset) = (segment.label, segment.onset, segment.offset)
            (score, peak) = (segment.score, segment.peak)
        }
    }

    struct Segment: Sendable {
        var label = -1
        /// Labels that keep it going: one, or the active members of a group. 0: the slot is free.
        var members = 0
        var group = -1
        var onset: Int64 = 0
        var offset: Int64 = 0
        var peak: Float = 0
        var score: Float = 0
    }

    enum Phase: Sendable {
        case idle
        /// Above threshold, for less than the minimum duration.
        case rising
        /// Up, reported by a descendant's segment.
        case absorbed
        /// Up, with a segment.
        case member
    }

    struct LabelState: Sendable {
        var phase = Phase.idle
        var previous = Float.nan
        var steps = 0
        /// Where the score last came up through `off`, of a label that is idle or in a gap; `Int64.min` while it is below.
        var upAt = Int64.min
        /// Where a member's score went down through `off`, until it reaches `on` again; `Int64.min` while it has not.
        var downAt = Int64.min
        var onset: Int64 = 0
        var peak: Float = 0
        var slot = -1
        /// Mean log odds above ``floor``, outside events, until ``hoverLag`` ago.
        var hover: Float = 0
        /// No event of this label starts before.
        var coolUntil = Int64.min
        /// Where its last segment ended.
        var endedAt = Int64.min / 2
    }

    struct Limits: Sendable {
        var on: Float
        var off: Float
        /// Whether `on` is for the score where it will be a column on.
        var ahead: Bool
        var steps: Int
        var gap: Int64
        var cooldown: Int64
        var habituation: Float
        var mute: Bool
    }

    let ontology: Ontology
    let limits: [Limits]  // (labels)
    let column: Int64
    /// Samples from one score to the next: the columns that they are of may overlap.
    let step: Int64
    let lookBack: Int64
    let status: Event.Status
    let renameWindow: Int64
    let absorbWindow: Int64

    var states: [LabelState]  // (labels)
    private let riseSteps: Int
    /// Scores of the last `riseSteps` steps, as a ring, (riseSteps, labels); NaN before the first.
    var earlier: [Float]
    var oldest = 0
    /// Log odds above ``floor`` of the last ``hoverLag``, as a ring, (lagSteps, labels).
    private var excess: [Float]
    private var oldestExcess = 0
    private let lagSteps: Int
    /// Share of one step in the mean.
    private let hoverShare: Float
    var segments: [Segment]  // (labels), at most one a label
    var freeSlots: [Int]
    var groupSlot: [Int]  // (groups), -1: none open
    var starting: [Int]
    /// What the last `step` or `interrupt` changed, in order.
    var transitions: [Transition]
    /// End of the last column.
    private(set) var end = Int64.min

    /// - Parameter status: which of a rule's thresholds hold.
    init(_ configuration: TaggerConfiguration, _ ontology: Ontology, _ status: Event.Status) {
        let rate = Double(configuration.sampleRate)
        self.ontology = ontology
        self.status = status
        column = Int64(configuration.columnLength)
        let stepLength = status == .provisional ? configuration.stepLength : configuration.columnLength
        step = Int64(stepLength)
        riseSteps = Self.riseColumns * configuration.columnLength / stepLength
        lookBack = Int64(Self.lookBack(status) * rate)
        renameWindow = Int64(Ontology.renameSeconds * rate)
        absorbWindow = Int64(Ontology.absorbSeconds * rate)
        limits = configuration.rules.map { rule in
            // Rounded to samples first: seven times 0.16 s is seven columns, whatever the last bit says. In whole columns also where
            // steps are shorter, or the provisional track would report what the confirmed one must take back.
            let minimum = Int((rule.minimumDuration * rate).rounded())
            let columns = max(1, (minimum + configuration.columnLength - 1) / configuration.columnLength)
            let early = status == .provisional ? rule.provisionalOn : nil
            let on = early ?? rule.on
            return Limits(
                on: on, off: min(on, rule.off), ahead: early != nil,
                steps: 1 + (columns - 1) * configuration.columnLength / stepLength,
                gap: Int64((rule.minimumGap * rate).rounded()), cooldown: Int64((rule.cooldown * rate).rounded()),
                habituation: rule.habituation, mute: rule.mute)
        }
        let count = ontology.count
        states = Array(repeating: LabelState(), count: count)
        earlier = Array(repeating: .nan, count: riseSteps * count)
        lagSteps = max(1, Int((Self.hoverLag * rate / Double(stepLength)).rounded(.down)))
        hoverShare = Float(1 - exp(-Double(stepLength) / (Self.hoverSeconds * rate)))
        excess = Array(repeating: 0, count: lagSteps * count)
        segments = Array(repeating: Segment(), count: count)
        freeSlots = Array((0..<count).reversed())
        groupSlot = Array(repeating: -1, count: ontology.groupCount)
        starting = []
        starting.reserveCapacity(count)
        transitions = []
        transitions.reserveCapacity(4 * count)
    }

    /// Takes the scores of the column that begins at `start`; the changes are in `transitions`.
    mutating func step(start: Int64, scores: Span<Float>) {
        transitions.removeAll(keepingCapacity: true)
        starting.removeAll(keepingCapacity: true)
        end = start + column
        let centre = start + column / 2
        for label in 0..<ontology.count where !limits[label].mute {
            let score = scores[label]
            let limit = limits[label]
            let lagged = oldestExcess * ontology.count + label
            states[label].hover += hoverShare * (excess[lagged] - states[label].hover)
            switch states[label].phase {
            case .idle:
                noteRise(label, score, centre)
                startRising(label, score, centre)
            case .rising:
                guard score >= limit.off else {
                    states[label].phase = .idle
                    break
                }
                states[label].steps += 1
                states[label].peak = max(states[label].peak, score)
                if states[label].steps >= limit.steps { starting.append(label) }
            case .absorbed:
                guard score >= limit.off else {
                    states[label].phase = .idle
                    break
                }
                states[label].peak = max(states[label].peak, score)
                starting.append(label)
            case .member:
                guard staysMember(label, score, centre) else {
                    leave(label, at: states[label].downAt)
                    startRising(label, score, centre)
                    break
                }
                states[label].peak = max(states[label].peak, score)
                let slot = states[label].slot
                segments[slot].peak = max(segments[slot].peak, score)
            }
            states[label].previous = score
            earlier[oldest * ontology.count + label] = score
            excess[lagged] = hovering(label, score)
        }
        oldest = (oldest + 1) % riseSteps
        oldestExcess = (oldestExcess + 1) % lagSteps
        guard !starting.isEmpty else { return }
        sortStarting(scores)
        for label in starting { begin(label, start: start, score: scores[label]) }
    }

    /// Ends every segment where the last column ended and forgets what was rising: the next column is not its neighbour.
    mutating func interrupt() {
        transitions.removeAll(keepingCapacity: true)
        for label in 0..<ontology.count {
            if states[label].phase == .member { leave(label, at: states[label].downAt == .min ? end : states[label].downAt) }
            states[label].phase = .idle
            states[label].previous = .nan
            states[label].upAt = .min
            states[label].hover = 0
        }
        for index in earlier.indices { earlier[index] = .nan }
        for index in excess.indices { excess[index] = 0 }
    }

    /// Whether a segment that reports an event with `onset` may still begin: of a related label that waits for its minimum
    /// duration, or has been at `off` or above since, not longer than can be looked back, or is the tail of a descendant that
    /// has ended, and will be reported as such.
    func mayBegin(relatedTo label: Int, within window: Int64, of onset: Int64) -> Bool {
        for other in 0..<ontology.count where ontology.areRelated(label, other) {
            let state = states[other]
            switch state.phase {
            case .rising:
                if state.onset <= onset + window { return true }
            case .idle:
                if state.upAt != .min, state.upAt <= onset + window, end - lookBack < onset { return true }
            case .absorbed:
                if let ended = descendantEnd(of: other), ownOnset(other, after: ended) <= onset + window { return true }
            case .member: break
            }
        }
        return false
    }
}
