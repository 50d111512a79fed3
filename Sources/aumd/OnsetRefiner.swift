import AudioMamba
import Frontend
import Tagging

/// Moves the onsets of events from where scores crossed a threshold to where the sound rose, and those of alarms, with their offsets, to
/// where their pulses were.
///
/// An onset is computed once for a crossing and kept: later frames do not change it.
struct OnsetRefiner {
    private struct Known {
        var number: UInt64
        var label: Int
        var crossing: Int64
        var onset: Int64
    }

    private var flux: SpectralFlux
    private var known: [Known]
    /// Of each label, where its last closed event and its cooldown ended, or that of a group's other label: the next one cannot
    /// have begun before.
    private var ends: [Int64]
    /// Of each label, where a descendant's last closed event, and the label's cooldown after that, ended: an event that is found
    /// after it did not begin before.
    private var descendantEnds: [Int64]
    private let cooldowns: [Int64]  // (labels), samples
    private let groups: [[Int]]  // (labels): who shares an event with each, itself among them
    private let shortest: Int64
    /// How many labels are the model's; the others are alarms.
    private let modelLabelCount: Int

    /// - Parameters:
    ///   - seconds: how long after its crossing an event may be reported.
    ///   - capacity: events at once.
    init(model: Model, tagging: TaggerConfiguration, seconds: Double, capacity: Int) {
        flux = SpectralFlux(parameters: model.filterBank, seconds: seconds)
        // A column is the resolution of an offset: half of one is the shortest event.
        shortest = Int64(model.configuration.columnSamples / 2)
        modelLabelCount = model.configuration.labels.count
        ends = [Int64](repeating: .min, count: tagging.labels.count)
        descendantEnds = ends
        cooldowns = tagging.rules.map { Int64(($0.cooldown * Double(tagging.sampleRate)).rounded()) }
        groups = tagging.rules.indices.map { label in
            let group = tagging.rules[label].group
            return group == nil ? [label] : tagging.rules.indices.filter { tagging.rules[$0].group == group }
        }
        known = []
        known.reserveCapacity(capacity)
    }

    /// Takes the next frames, (frames, melCount), before the actions that they lead to.
    mutating func append(_ logMel: UnsafeBufferPointer<Float>, start: Int64) { flux.append(logMel, start: start) }

    /// Ends a run of columns, after its last actions.
    mutating func reset() { flux.reset() }

    /// Corrects what the tagger appended from an index on.
    ///
    /// - Parameter alarms: of the labels after the model's.
    mutating func correct(_ actions: inout [Action], from first: Int, alarms: [AlarmDetector]) {
        for index in first..<actions.count {
            let event = actions[index].event
            if event.label >= modelLabelCount {
                correct(&actions[index].event, alarms[event.label - modelLabelCount])
                continue
            }
            var onset = self.onset(of: event)
            if let offset = event.offset { onset = min(onset, max(event.onset, offset - shortest)) }
            actions[index].event.onset = onset
            if actions[index].phase == .close, let offset = event.offset {
                for label in event.parents { descendantEnds[label] = max(descendantEnds[label], offset + cooldowns[label]) }
                for label in groups[event.label] { ends[label] = max(ends[label], offset + cooldowns[label]) }
            }
            if actions[index].phase == .close || actions[index].phase == .retract {
                known.removeAll { $0.number == event.number }
            }
        }
    }

    /// An alarm is known from its second or third group of pulses on, and over when there is no other: its scores say neither where it began nor where it
    /// ended. Two alarms are farther apart than a crossing from the columns it lies between.
    private func correct(_ event: inout Event, _ detector: AlarmDetector) {
        guard let alarm = detector.alarm(knownAt: event.onset + 4 * shortest) else { return }
        event.onset = min(event.onset, alarm.onset)
        if let offset = event.offset { event.offset = min(offset, max(event.onset + shortest, alarm.offset)) }
    }

    private mutating func onset(of event: Event) -> Int64 {
        let place = known.firstIndex { $0.number == event.number }
        let earliest = min(event.onset, ends[event.label])
        if let place, known[place].crossing == event.onset, known[place].label == event.label {
            return max(earliest, known[place].onset)
        }
        let rise = max(flux.onset(near: event.onset), min(event.onset, descendantEnds[event.label]))
        let entry = Known(number: event.number, label: event.label, crossing: event.onset, onset: max(earliest, rise))
        if let place { known[place] = entry } else { known.append(entry) }
        return entry.onset
    }
}
