import Glibc
import Tagging

extension Settings {
    /// A class of the model and the thresholds that its folder gives for it.
    public typealias ModelLabel = (name: String, on: Float?, off: Float?, provisionalOn: Float?, habituation: Float)

    /// The rule of each of a model's labels: what was said about the label, over what was said about all, over the
    /// model's own thresholds, over `LabelRule`'s defaults.
    ///
    /// A sensitivity s moves the thresholds that the model chose: log odds of `on` - s, `off` in the same proportion. Said of a
    /// label, it brings these back where all labels were given others.
    ///
    /// Where the user chose `on` alone, an inherited `off` gives way and falls to it, and the model's provisional threshold moves
    /// with it: as far above or below, in log odds, as it is from the model's own `on`.
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
            let said = events.labels[label.name] ?? Rule(), merged = merged(label.name)
            var rule = LabelRule()
            let sensitivity = merged.sensitivity ?? 0
            let (on, off) = (label.on ?? rule.on, label.off ?? rule.off)
            let moved = lowered(on, by: sensitivity)
            rule.on = merged.on ?? moved
            rule.off = merged.off ?? (merged.on == nil ? max(off * (moved / on), .leastNonzeroMagnitude) : off)
            let change = merged.on.map { logOdds(on) - logOdds($0) } ?? sensitivity
            rule.provisionalOn = merged.provisionalOn ?? (rule.on < 1 ? label.provisionalOn.map { lowered($0, by: change) } : nil)
            // An `on` that the user chose is the score that is enough.
            rule.habituation = merged.on == nil ? label.habituation : 0
            if rule.off > rule.on {
                if let off = said.off {
                    errors.append(
                        .impossibleValue(
                            said.offOrigin ?? said.origin, key: "events.labels.\(SettingsReader.quoted(label.name)).off", value: "\(off)",
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
            unknownLabel(label, origin, among: names)
        }
    }

    /// What was said about a label, over what was said about all.
    func merged(_ label: String) -> Rule {
        let said = events.labels[label] ?? Rule()
        var merged = said.merging(over: events.standard)
        // A sensitivity is of the model's thresholds: the label has them, whatever holds for all.
        if said.sensitivity != nil { (merged.on, merged.off, merged.provisionalOn) = (said.on, said.off, said.provisionalOn) }
        return merged
    }

    /// The labels that have a sensor of `aumd mqtt`.
    ///
    /// - Parameter names: Of the model's labels.
    /// - Throws: `InvalidSettings` with every name that the model does not have.
    public func sensors(among names: [String]) throws(InvalidSettings) -> [String] {
        try Self.labels(mqtt.sensors ?? [], among: names)
    }

    /// The labels whose events are recorded; nil: all.
    ///
    /// - Parameter names: Of the model's labels.
    /// - Throws: `InvalidSettings` with every name that the model does not have.
    public func recordedLabels(among names: [String]) throws(InvalidSettings) -> [String]? {
        guard let said = recordings.labels else { return nil }
        return try Self.labels(said, among: names)
    }

    /// The labels whose sound is in no recording.
    ///
    /// - Parameter labels: The model's, with the names of their ancestors.
    /// - Throws: `InvalidSettings` with every name that the model does not have, and every one that is mute, or has a mute label below it.
    public func unrecordedLabels(among labels: [(name: String, ancestors: [String])]) throws(InvalidSettings) -> [String] {
        let said = recordings.without ?? []
        let names = try Self.labels(said, among: labels.map(\.name))
        let errors: [SettingsError] = said.compactMap { member in
            let mute = labels.first { label in
                (label.name == member.label || label.ancestors.contains(member.label)) && merged(label.name).mute == true
            }
            guard let mute else { return nil }
            return .impossibleValue(
                member.origin, key: "recordings.without", value: "\"\(member.label)\"",
                allowed: "labels that are reported: \"\(mute.name)\" is mute, and would not be noticed")
        }
        guard errors.isEmpty else { throw InvalidSettings(errors) }
        return names
    }

    /// Labels that an option names.
    ///
    /// - Parameters:
    ///   - option: What errors call it, such as "--label".
    ///   - names: Of the model's labels.
    /// - Throws: `InvalidSettings` with every name that the model does not have.
    public static func labels(_ labels: [String], option: String, among names: [String]) throws(InvalidSettings) -> [String] {
        let members = labels.map { label in
            var member = Member(label)
            member.origin = .option(option)
            return member
        }
        return try Self.labels(members, among: names)
    }

    private static func labels(_ members: [Member], among names: [String]) throws(InvalidSettings) -> [String] {
        let errors = members.filter { !names.contains($0.label) }.map { unknownLabel($0.label, $0.origin, among: names) }
        guard errors.isEmpty else { throw InvalidSettings(errors) }
        return members.map(\.label)
    }
}

private func unknownLabel(_ label: String, _ origin: Origin?, among names: [String]) -> SettingsError {
    .unknownLabel(origin, label: label, nearest: nearestLabel(to: label, among: names))
}

/// A threshold whose log odds are lower by `sensitivity`; 0 gives its own bits. Stays inside 0 to 1.
func lowered(_ threshold: Float, by sensitivity: Double) -> Float {
    guard sensitivity != 0, threshold < 1 else { return threshold }
    return min(max(Float(1 / (1 + exp(sensitivity - logOdds(threshold)))), 1e-6), 1 - 1e-6)
}

func logOdds(_ threshold: Float) -> Double { log(Double(threshold) / (1 - Double(threshold))) }
