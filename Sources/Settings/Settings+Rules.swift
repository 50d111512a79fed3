import Glibc
import Tagging

extension Settings {
    /// A class of the model and the thresholds that its folder gives for it.
    public typealias ModelLabel = (name: String, on: Float?, off: Float?, provisionalOn: Float?)

    /// The rule of each of a model's labels: what was said about the label, over what was said about all, over the
    /// model's own thresholds, over `LabelRule`'s defaults.
    ///
    /// A sensitivity s moves the thresholds that the model chose: log odds of `on` - s, `off` in the same proportion.
    ///
    /// Where only one threshold of a label was chosen by the user, an inherited `off` gives way and falls to `on`, and the
    /// model's provisional threshold, which belongs to its own `on`, is left out.
    ///
    /// - Returns: (labels.count), in their order.
    /// - Throws: `InvalidSettings` with every name that the model does not have, and every `off` above its `on`.
    public func rules(labels: [ModelLabel]) throws(InvalidSettings) -> [LabelRule] {
        var errors: [SettingsError] = []
        let names = labels.map(\.name)
        let known = Set(names)
        var groups: [String: String] = [:]
        for (group, members) in events.groups {
            for member in members {
                groups[member.label] = group
                if !known.contains(member.label) { errors.append(unknown(member.label, member.origin)) }
            }
        }
        for (label, rule) in events.labels where !known.contains(label) { errors.append(unknown(label, rule.origin)) }

        var rules: [LabelRule] = []
        for label in labels {
            let said = events.labels[label.name] ?? Rule()
            let merged = said.merging(over: events.standard)
            var rule = LabelRule()
            let sensitivity = merged.sensitivity ?? 0
            let (on, off) = (label.on ?? rule.on, label.off ?? rule.off)
            let moved = lowered(on, by: sensitivity)
            rule.on = merged.on ?? moved
            rule.off = merged.off ?? (merged.on == nil ? off * (moved / on) : off)
            rule.provisionalOn =
                merged.provisionalOn ?? (merged.on == nil ? label.provisionalOn.map { lowered($0, by: sensitivity) } : nil)
            if rule.off > rule.on {
                if let off = said.off {
                    errors.append(
                        .impossibleValue(
                            said.origin, key: "events.labels.\"\(label.name)\".off", value: "\(off)",
                            allowed: "at most the \"on\" that holds for the label, \(rule.on)"))
                }
                rule.off = rule.on
            }
            rule.minimumDuration = merged.minimumDuration ?? rule.minimumDuration
            rule.minimumGap = merged.minimumGap ?? rule.minimumGap
            rule.cooldown = merged.cooldown ?? rule.cooldown
            rule.mute = merged.mute ?? rule.mute
            rule.group = groups[label.name]
            rules.append(rule)
        }
        guard errors.isEmpty else { throw InvalidSettings(errors) }
        return rules

        func unknown(_ label: String, _ origin: Origin?) -> SettingsError {
            .unknownLabel(origin, label: label, nearest: nearest(to: label, among: names))
        }
    }
}

/// A threshold whose log odds are lower by `sensitivity`; 0 gives its own bits. Stays inside 0 to 1.
private func lowered(_ threshold: Float, by sensitivity: Double) -> Float {
    guard sensitivity != 0, threshold < 1 else { return threshold }
    let odds = log(Double(threshold) / (1 - Double(threshold))) - sensitivity
    return min(max(Float(1 / (1 + exp(-odds))), 1e-6), 1 - 1e-6)
}
