/// The label that a name which is none may have meant; nil where none is like it.
///
/// A slip of the pen first: a label that a third of the letters at most tells from the name. Then the label with the most letters in
/// words that the name has too, or a form of ("barking"); of equals the one with the fewest other letters, then the first.
func nearestLabel(to name: String, among labels: [String]) -> String? {
    let typo = nearest(to: name, among: labels)
    if 3 * distance(name, typo).0 <= name.count { return typo }
    let wanted = words(name)
    let best = labels.map { (label: $0, likeness: likeness(words($0), wanted)) }.max { $0.likeness < $1.likeness }
    return best.flatMap { $0.likeness.shared > 0 ? $0.label : nil }
}

/// Letters of a label in words that are wanted, and letters in others, to compare.
private struct Likeness: Comparable {
    var shared = 0
    var other = 0

    static func < (first: Self, second: Self) -> Bool { (first.shared, -first.other) < (second.shared, -second.other) }
}

private func likeness(_ label: [Substring], _ wanted: [Substring]) -> Likeness {
    var likeness = Likeness()
    var left = wanted
    for word in label {
        if let match = left.firstIndex(where: { isForm($0, of: word) || isForm(word, of: $0) }) {
            likeness.shared += min(word.count, left.remove(at: match).count)
        } else {
            likeness.other += word.count
        }
    }
    return likeness
}

/// Whether a word is another, or a form of it, as "barking" of "bark".
private func isForm(_ word: Substring, of stem: Substring) -> Bool {
    word.hasPrefix(stem) && ["", "s", "es", "er", "ed", "ing"].contains(word.dropFirst(stem.count))
}

private func words(_ name: String) -> [Substring] {
    name.lowercased().split { !($0.isLetter || $0.isNumber) }
}
