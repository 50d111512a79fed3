import Glibc
import Tagging

extension Settings {
    /// An event as a log has it: label, ancestors, highest score.
    public typealias LoggedEvent = (label: String, parents: [String], peak: Float)

    /// What to say of a label, so that fewer of its events are reported.
    public struct Suggestion: Equatable, Sendable {
        /// What to set.
        public enum Value: Equatable, Sendable {
            /// The label's sensitivity.
            case sensitivity(Double)
            /// Its `on`, where the settings have one already.
            case on(Float)
            /// Its scores are beyond any threshold.
            case mute
        }

        /// Its display name.
        public let label: String
        /// What to set for it.
        public let value: Value
        /// Events of the label in the log that these settings would report.
        public let events: Int
        /// How many of them reach the new threshold.
        public let left: Int
    }

    /// Thresholds under which no more than `allowed` events of each label would have been reported.
    ///
    /// A label that had more gets the threshold that its surest events alone reach, `allowed` of them. What it does not claim any more would be
    /// its parents', whose scores a log does not have: their log odds are raised as much.
    ///
    /// - Parameters:
    ///   - events: Of a log. Those below the thresholds that hold by now do not count.
    ///   - labels: The model's.
    /// - Returns: By falling number of events, then in the order of `labels`. Mute labels, and those that the model does not have, are left out.
    /// - Throws: `InvalidSettings`, as `rules(labels:)`.
    public func suggestions(for events: [LoggedEvent], allowed: Int, labels: [ModelLabel]) throws(InvalidSettings) -> [Suggestion] {
        let rules = try rules(labels: labels)
        let index = Dictionary(uniqueKeysWithValues: labels.enumerated().map { ($1.name, $0) })
        var peaks = [[Float]](repeating: [], count: labels.count), parents = [Set<Int>](repeating: [], count: labels.count)
        for event in events {
            guard let label = index[event.label], !rules[label].mute, event.peak >= rules[label].on else { continue }
            peaks[label].append(event.peak)
            parents[label].formUnion(event.parents.compactMap { index[$0] })
        }
        // Log odds by which each threshold is to rise.
        var rises = [Double](repeating: 0, count: labels.count)
        for label in labels.indices where peaks[label].count > allowed {
            let first = peaks[label].sorted(by: >)[allowed]
            let rise = first < 1 ? logOdds(first) - logOdds(rules[label].on) : .infinity
            for raised in parents[label].union([label]) { rises[raised] = max(rises[raised], rise + 0.005) }
        }
        let said = labels.indices.filter { rises[$0] > 0 && !rules[$0].mute }.map { label in
            let value = raised(labels[label], rules[label], by: rises[label])
            let left = value.threshold.map { threshold in peaks[label].count { $0 >= threshold } } ?? 0
            return Suggestion(label: labels[label].name, value: value.said, events: peaks[label].count, left: left)
        }
        // Swift's sort is stable.
        return said.sorted { $0.events > $1.events }
    }

    /// What gives a label a threshold that is higher by so much, in numbers of two or four digits, and that threshold; nil where it is mute.
    private func raised(_ label: ModelLabel, _ rule: LabelRule, by rise: Double) -> (said: Suggestion.Value, threshold: Float?) {
        let merged = merged(label.name)
        if merged.on != nil {
            let on = (Double(lowered(rule.on, by: -rise)) * 10_000).rounded(.up) / 10_000
            return on < 1 ? (.on(Float(on)), Float(on)) : (.mute, nil)
        }
        let sensitivity = (((merged.sensitivity ?? 0) - rise) * 100).rounded(.down) / 100
        guard sensitivity >= -10 else { return (.mute, nil) }
        return (.sensitivity(sensitivity), lowered(label.on ?? LabelRule().on, by: sensitivity))
    }
}
