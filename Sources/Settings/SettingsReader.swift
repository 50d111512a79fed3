import Yams

/// Reads the nodes of a file against the tables of keys and collects all that is wrong.
struct SettingsReader {
    let document: Document
    private(set) var settings = Settings()
    private(set) var errors: [SettingsError] = []

    /// Keys that hold more keys, and the keys whose own keys are names that the user chooses.
    private static let sections = ["source", "stream", "events", "output", "recordings", "mqtt"]
    private static let collections = ["events.default", "events.labels", "events.groups", "recordings.labels", "recordings.without", "mqtt.sensors"]
    private static let validKeys = Key<Settings>.all.map(\.path) + Key<Settings.Rule>.all.map { "events.default.\($0.path)" } + sections + collections

    private struct Entry {
        /// From the root, as errors show it.
        let path: String
        let name: String
        let key: Node
        let value: Node
    }

    init(document: Document) { self.document = document }

    /// - Parameter upper: what will be laid over the file.
    mutating func readAll(under upper: Settings) {
        guard let root = document.root, let entries = entries(of: root, at: "") else { return }
        for entry in entries { readSetting(entry) }
        // Each of the two holds alone; the buffer has to hold more than one period. What is laid over a file that says one of them
        // may mend it.
        let (said, upper) = (settings.source, upper.source)
        let isSaid = said.periodMilliseconds != nil && said.bufferMilliseconds != nil
        let isLast = upper.periodMilliseconds == nil && upper.bufferMilliseconds == nil
        if errors.isEmpty, isSaid || isLast, let problem = settings.combinationError(at: { origins["source.\($0)"] }) {
            errors.append(problem)
        }
    }

    /// Where keys with a single value are, for what only shows when values meet.
    private var origins: [String: Origin] = [:]

    private mutating func readSetting(_ entry: Entry) {
        switch entry.path {
        case let path where Self.sections.contains(path):
            for entry in entries(of: entry.value, at: path) ?? [] { readSetting(entry) }
        case "events.default":
            settings.events.standard = readRule(entry)
        case "events.labels":
            for entry in entries(of: entry.value, at: entry.path) ?? [] {
                settings.events.labels[entry.name] = readRule(entry)
            }
        case "events.groups":
            for entry in entries(of: entry.value, at: entry.path) ?? [] { readGroup(entry) }
        case "recordings.labels":
            settings.recordings.labels = readLabels(entry)
        case "recordings.without":
            settings.recordings.without = readLabels(entry)
        case "mqtt.sensors":
            settings.mqtt.sensors = readLabels(entry)
        default:
            guard let key = Key<Settings>.all.first(where: { $0.path == entry.path }) else {
                return errors.append(
                    .unknownKey(document.origin(entry.key), key: entry.path, nearest: nearestKey(to: entry)))
            }
            origins[entry.path] = document.origin(entry.value)
            var changed = settings
            read(entry, key, into: &changed)
            settings = changed
        }
    }

    private mutating func readRule(_ entry: Entry) -> Settings.Rule {
        var rule = Settings.Rule()
        rule.origin = document.origin(entry.key)
        for entry in entries(of: entry.value, at: entry.path) ?? [] {
            guard let key = Key<Settings.Rule>.all.first(where: { $0.path == entry.name }) else {
                let nearest = nearest(to: entry.name, among: Key<Settings.Rule>.all.map(\.path))
                errors.append(.unknownKey(document.origin(entry.key), key: entry.path, nearest: nearest))
                continue
            }
            read(entry, key, into: &rule)
            if entry.name == "off" { rule.offOrigin = document.origin(entry.value) }
        }
        if let high = rule.on, let low = rule.off, low > high {
            errors.append(
                .impossibleValue(rule.offOrigin, key: "\(entry.path).off", value: "\(low)", allowed: "at most the \"on\" of \(high)"))
            // The rules of a model's labels would report it again.
            rule.off = nil
        }
        return rule
    }

    private mutating func readGroup(_ entry: Entry) {
        guard !isNull(entry.value) else { return }
        let name = Value(text: entry.name, isQuoted: true)
        if case .failure(let problem) = name.string(limit: 255) {
            errors.append(problem.error(name, key: "the name of a group", at: document.origin(entry.key)))
        }
        guard let labels = readLabels(entry) else { return }
        var members: [Settings.Member] = []
        for member in labels {
            if let other = settings.events.groups.first(where: { $1.contains { $0.label == member.label } })?.key
                ?? (members.contains { $0.label == member.label } ? entry.name : nil)
            {
                errors.append(
                    .impossibleValue(
                        member.origin, key: entry.path, value: "joined by \"\(member.label)\"",
                        allowed: "each label to one group (it is in \"\(other)\")"))
                continue
            }
            members.append(member)
        }
        settings.events.groups[entry.name] = members
    }

    /// A list of labels, without what is none in it; nil where there is none, or where it is no list.
    private mutating func readLabels(_ entry: Entry) -> [Settings.Member]? {
        let expected = "a list of labels, such as [Siren, Alarm clock]"
        guard !isNull(entry.value) else { return nil }
        guard let sequence = entry.value.sequence else {
            wrongType(entry, entry.value, expected: expected)
            return nil
        }
        var members: [Settings.Member] = []
        for node in sequence {
            guard let label = node.scalar?.string, !label.isEmpty else {
                wrongType(entry, node, expected: expected)
                continue
            }
            var member = Settings.Member(label)
            member.origin = document.origin(node)
            members.append(member)
        }
        return members
    }

    private mutating func read<Root>(_ entry: Entry, _ key: Key<Root>, into root: inout Root) {
        guard !isNull(entry.value) else { return }
        guard let scalar = entry.value.scalar else {
            return wrongType(entry, entry.value, expected: "a single value")
        }
        let value = Value(text: scalar.string, isQuoted: scalar.style != .plain)
        do throws(Value.Problem) {
            try key.set(&root, value)
        } catch {
            errors.append(error.error(value, key: entry.path, at: document.origin(entry.value)))
        }
    }

    /// The entries of a mapping; nil after an error. Nothing at all counts as empty.
    private mutating func entries(of node: Node, at path: String) -> [Entry]? {
        guard !isNull(node) else { return [] }
        guard let mapping = node.mapping else {
            let origin = document.origin(node)
            errors.append(
                .wrongType(
                    origin, key: path.isEmpty ? "the file" : path, found: Self.kind(node), expected: "keys with values"))
            return nil
        }
        var entries: [Entry] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                errors.append(
                    .wrongType(document.origin(key), key: "a key", found: Self.kind(key), expected: "a text"))
                continue
            }
            let full = path.isEmpty ? Self.quoted(name) : "\(path).\(Self.quoted(name))"
            entries.append(Entry(path: full, name: name, key: key, value: value))
        }
        return entries
    }

    private mutating func wrongType(_ entry: Entry, _ node: Node, expected: String) {
        errors.append(
            .wrongType(document.origin(node), key: entry.path, found: Self.kind(node), expected: expected))
    }

    /// The nearest valid key; one of another section counts as one edit further away.
    private func nearestKey(to entry: Entry) -> String {
        let section = entry.path.dropLast(Self.quoted(entry.name).count)
        return Self.validKeys.min { score($0) < score($1) } ?? ""

        func score(_ candidate: String) -> (Int, Int) {
            let name = candidate.split(separator: ".").last ?? ""
            let (edits, prefix) = distance(entry.name, String(name))
            return (edits + (candidate.dropLast(name.count) == section ? 0 : 1), prefix)
        }
    }

    /// Nothing, `~` or `null`: not said.
    private func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    private static func kind(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): Value(text: scalar.string, isQuoted: scalar.style != .plain).shown
        case .mapping: "keys with values"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// A part of a path, in quotes where it is not a plain word.
    static func quoted(_ name: String) -> String {
        let isWord = !name.isEmpty && name.utf8.allSatisfy {
            $0 < 0x80 && ($0 == UInt8(ascii: "_") || Character(Unicode.Scalar($0)).isLetter || Character(Unicode.Scalar($0)).isNumber)
        }
        return isWord ? name : Value(text: name, isQuoted: true).shown
    }
}
