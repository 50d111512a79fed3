/// The label graph in the form the tracks ask of it: fixed tables, built once.
struct Ontology: Sendable {
    /// How long after an ancestor's onset a descendant still renames its event instead of opening one of its own.
    static let renameSeconds = 1.0
    /// How long after a descendant's offset an ancestor that is still heard counts as its tail.
    static let absorbSeconds = 2.0

    let count: Int
    /// (count), each label's ancestors, nearest first.
    let ancestors: [[Int]]
    /// (count), each label's descendants.
    let descendants: [[Int]]
    /// (count), group index or -1.
    let group: [Int]
    let groupCount: Int
    /// (groupCount), members of each group.
    let members: [[Int]]
    /// (count, words), bit a of row d is set where a is an ancestor of d.
    private let bits: [UInt64]
    private let words: Int

    init(_ configuration: TaggerConfiguration) {
        count = configuration.labels.count
        words = (count + 63) / 64
        var bits = [UInt64](repeating: 0, count: count * words)
        var descendants = [[Int]](repeating: [], count: count)
        for (index, label) in configuration.labels.enumerated() {
            for parent in label.parents {
                bits[index * words + parent / 64] |= 1 << UInt64(parent % 64)
                descendants[parent].append(index)
            }
        }
        self.bits = bits
        self.descendants = descendants
        ancestors = configuration.labels.map(\.parents)
        var names: [String: Int] = [:]
        var group = [Int](repeating: -1, count: count)
        var members: [[Int]] = []
        for (index, rule) in configuration.rules.enumerated() where !rule.mute {
            guard let name = rule.group else { continue }
            let found = names[name] ?? members.count
            if found == members.count {
                names[name] = found
                members.append([])
            }
            group[index] = found
            members[found].append(index)
        }
        self.group = group
        self.members = members
        groupCount = members.count
    }

    func isAncestor(_ label: Int, of other: Int) -> Bool {
        bits[other * words + label / 64] & (1 << UInt64(label % 64)) != 0
    }

    func shareGroup(_ first: Int, _ second: Int) -> Bool {
        group[first] >= 0 && group[first] == group[second]
    }

    /// Whether an event of `second` says, in other words, what an event of `first` says.
    func isCovered(_ first: Int, by second: Int) -> Bool {
        first == second || isAncestor(first, of: second) || shareGroup(first, second)
    }

    /// Whether two labels can name the same sound.
    func areRelated(_ first: Int, _ second: Int) -> Bool {
        isCovered(first, by: second) || isAncestor(second, of: first)
    }
}
