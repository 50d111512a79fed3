/// Why a tagger cannot be made from a configuration.
public enum TaggerConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There have to be as many rules as labels.
    case ruleCount(labels: Int, rules: Int)
    /// A label names itself, or no label at all, as its ancestor.
    case ancestorIndex(label: String, index: Int)
    /// An ancestor's own ancestors are missing from a label's list, or two labels are each other's ancestors.
    case ancestorsIncomplete(label: String, ancestor: String)
    /// Thresholds have to satisfy 0 < off <= on <= 1.
    case thresholds(label: String, on: Float, off: Float)
    /// The threshold of provisional scores has to satisfy 0 < on <= 1.
    case provisionalThreshold(label: String, on: Float)
    /// A duration is negative, not a number, or longer than a day.
    case duration(label: String, name: String, seconds: Double)
    /// Sample rate and step length have to be positive, and a column has two samples or more, and a whole number of steps.
    case timeBase(sampleRate: Int, columnLength: Int, stepLength: Int)

    /// What is wrong, where, and what to do, in one sentence.
    public var description: String {
        switch self {
        case .ruleCount(let labels, let rules):
            "There are \(labels) labels but \(rules) rules; give one rule for each label."
        case .ancestorIndex(let label, let index):
            "Label \"\(label)\" names ancestor \(index), which is not another label of the model; correct its parents."
        case .ancestorsIncomplete(let label, let ancestor):
            "Label \"\(label)\" has the ancestor \"\(ancestor)\" but not all of that one's ancestors; list every ancestor, nearest first."
        case .thresholds(let label, let on, let off):
            "Label \"\(label)\" has the thresholds on \(on) and off \(off); choose 0 < off <= on <= 1."
        case .provisionalThreshold(let label, let on):
            "Label \"\(label)\" has the provisional threshold \(on); choose a value above 0, at most 1."
        case .duration(let label, let name, let seconds):
            "Label \"\(label)\" has \(name) \(seconds) s; choose a value from 0 to 86400."
        case .timeBase(let sampleRate, let columnLength, let stepLength):
            "A sample rate of \(sampleRate) Hz with columns of \(columnLength) samples and steps of \(stepLength) is impossible; all have to be positive, and a column two samples or more, and a whole number of steps."
        }
    }
}

/// Everything a tagger needs to know about a model and its user's wishes. Checked when made, then immutable.
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

    /// - Throws: `TaggerConfigurationError` for whatever cannot be run as it stands.
    public init(
        labels: [Label], rules: [LabelRule], sampleRate: Int = 16_000, columnLength: Int = 2_560, stepLength: Int? = nil,
        isCausal: Bool = false
    ) throws(TaggerConfigurationError) {
        guard labels.count == rules.count else {
            throw .ruleCount(labels: labels.count, rules: rules.count)
        }
        let stepLength = stepLength ?? columnLength
        guard sampleRate > 0, columnLength > 1, stepLength > 0, columnLength % stepLength == 0 else {
            throw .timeBase(sampleRate: sampleRate, columnLength: columnLength, stepLength: stepLength)
        }
        for (index, label) in labels.enumerated() {
            for parent in label.parents {
                guard labels.indices.contains(parent), parent != index else {
                    throw .ancestorIndex(label: label.name, index: parent)
                }
                // A complete list that does not hold the label itself also rules out cycles.
                guard labels[parent].parents.allSatisfy({ $0 != index && label.parents.contains($0) }) else {
                    throw .ancestorsIncomplete(label: label.name, ancestor: labels[parent].name)
                }
            }
            let rule = rules[index]
            guard rule.off > 0, rule.off <= rule.on, rule.on <= 1 else {
                throw .thresholds(label: label.name, on: rule.on, off: rule.off)
            }
            if let provisional = rule.provisionalOn, !(provisional > 0 && provisional <= 1) {
                throw .provisionalThreshold(label: label.name, on: provisional)
            }
            let durations = [
                ("minimum duration", rule.minimumDuration), ("minimum gap", rule.minimumGap), ("cooldown", rule.cooldown),
            ]
            for (name, seconds) in durations {
                guard seconds >= 0, seconds <= 86_400 else {
                    throw .duration(label: label.name, name: name, seconds: seconds)
                }
            }
        }
        self.labels = labels
        self.rules = rules
        self.sampleRate = sampleRate
        self.columnLength = columnLength
        self.stepLength = stepLength
        self.isCausal = isCausal
    }
}
