/// Everything a tagger needs to know about a model and its user's wishes. Immutable.
public struct TaggerConfiguration: Sendable {
    /// The model's classes in the order of its scores.
    public let labels: [Label]
    /// One rule a label, same order.
    public let rules: [LabelRule]
    /// The model's sample rate in Hz, the unit of every sample position.
    public let sampleRate: Int
    /// Samples a column covers: 2560, which is 16 frames of 10 ms at 16 kHz.
    public let columnLength: Int
    /// Samples from one provisional score's column to the next's: a column's, or half as many where scores come twice as often.
    public let stepLength: Int
    /// Whether the confirmed scores know nothing of what follows, as those of a model with one direction.
    public let isCausal: Bool

    /// Names of the labels that may have events: of those that are not mute.
    public var reportedNames: [String] { zip(labels, rules).compactMap { $1.mute ? nil : $0.name } }

    /// Whoever makes it has checked what a person wrote (the settings, a model's `config.json`): that it holds is a precondition.
    ///
    /// - Parameters:
    ///   - labels: each with every ancestor's ancestors among its own, nearest first.
    ///   - rules: one a label, 0 < off <= on <= 1, 0 < provisionalOn <= 1, durations from 0 to 86400 s, habituation from 0 to 100.
    ///   - columnLength: two samples or more, a whole number of steps.
    public init(
        labels: [Label], rules: [LabelRule], sampleRate: Int = 16_000, columnLength: Int = 2_560, stepLength: Int? = nil,
        isCausal: Bool = false
    ) {
        let stepLength = stepLength ?? columnLength
        precondition(labels.count == rules.count, "a rule is needed for each label")
        precondition(sampleRate > 0 && columnLength > 1 && stepLength > 0 && columnLength % stepLength == 0)
        for (index, label) in labels.enumerated() {
            for parent in label.parents {
                precondition(labels.indices.contains(parent) && parent != index, "\(label.name) has an ancestor that is no label")
                // A complete list that does not hold the label itself also rules out cycles.
                precondition(
                    labels[parent].parents.allSatisfy { $0 != index && label.parents.contains($0) },
                    "\(label.name) has not all ancestors of \(labels[parent].name)")
            }
        }
        for rule in rules {
            precondition(0 < rule.off && rule.off <= rule.on && rule.on <= 1)
            precondition(rule.provisionalOn.map { 0 < $0 && $0 <= 1 } ?? true)
            precondition((0...100).contains(rule.habituation))
            for seconds in [rule.minimumDuration, rule.minimumGap, rule.cooldown] { precondition((0...86_400).contains(seconds)) }
        }
        self.labels = labels
        self.rules = rules
        self.sampleRate = sampleRate
        self.columnLength = columnLength
        self.stepLength = stepLength
        self.isCausal = isCausal
    }
}
