import Yams

/// A YAML file as a tree of nodes that keep each value's text, line and column.
struct Document {
    let path: String
    /// nil where the file holds nothing but comments.
    let root: Node?
    /// The text as it was parsed.
    private let text: String.UnicodeScalarView

    /// Put before a key that is there twice: the parser refuses such a mapping as a whole, but the other errors of the
    /// file are to be told as well. A private-use character, which a key of ours never has.
    private static let mark: Unicode.Scalar = "\u{E000}"
    /// Duplicates that are told at once.
    private static let duplicateLimit = 100

    /// - Throws: `SettingsError.notYAML` or `.duplicateKey`.
    init(_ text: String, path: String) throws(SettingsError) {
        self.path = path
        // A byte order mark is no part of the text.
        var text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        for count in 1...Self.duplicateLimit + 1 {
            do {
                // Without rules: `on`, `no` and `0660` stay the texts that they are.
                root = try compose(yaml: text, .basic)
                self.text = text.unicodeScalars
                return
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                guard let marked = Self.mark(text, line: context.mark.line, column: context.mark.column, count: count) else {
                    let origin = Origin.file(path: path, line: context.mark.line, column: context.mark.column)
                    throw .notYAML(origin, problem: "the key \(keys.first ?? "") is there twice")
                }
                text = marked
            } catch {
                throw Self.error(error, text: text, path: path)
            }
        }
        throw .notYAML(.file(path: path, line: 1, column: 1), problem: "more than \(Self.duplicateLimit) keys are there twice")
    }

    func origin(_ node: Node) -> Origin {
        guard let mark = node.mark else { return .file(path: path, line: 1, column: 1) }
        let before = text.split(separator: "\n", maxSplits: mark.line, omittingEmptySubsequences: false)
            .dropFirst(mark.line - 1).first?.prefix(mark.column - 1)
        let marks = before?.count { $0 == Self.mark } ?? 0
        return .file(path: path, line: mark.line, column: mark.column - marks)
    }

    /// A key's text; nil for a key that is a list or a mapping.
    func key(_ node: Node) -> String? {
        guard let text = node.scalar?.string else { return nil }
        return text.unicodeScalars.first == Self.mark ? String(text.unicodeScalars.drop { $0 == Self.mark }) : text
    }

    /// Marks the key at a place, inside its quotes if it has any, `count` times: as often as no other copy of it.
    private static func mark(_ text: String, line: Int, column: Int, count: Int) -> String? {
        var scalars = Array(text.unicodeScalars)
        var start = 0
        for _ in 1..<max(line, 1) {
            guard let end = scalars[start...].firstIndex(of: "\n") else { return nil }
            start = end + 1
        }
        var at = start + column - 1
        guard scalars.indices.contains(at) else { return nil }
        if scalars[at] == "\"" || scalars[at] == "'" { at += 1 }
        scalars.insert(contentsOf: repeatElement(mark, count: count), at: at)
        var marked = String.UnicodeScalarView()
        marked.append(contentsOf: scalars)
        return String(marked)
    }

    /// The parser's own errors, as a place and a few words.
    private static func error(_ error: any Error, text: String, path: String) -> SettingsError {
        func place(_ mark: Mark, _ problem: String) -> SettingsError { place(mark.line, mark.column, problem) }
        func place(_ line: Int, _ column: Int, _ problem: String) -> SettingsError {
            .notYAML(.file(path: path, line: line, column: column), problem: problem)
        }
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            return place(mark, context.map { "\($0.text) from line \($0.mark.line): \(problem)" } ?? problem)
        case .composer(_, let problem, let mark, _):
            return place(mark, problem)
        case .reader(let problem, let offset, _, _):
            let before = text.utf8.prefix(offset ?? 0)
            let line = before.count { $0 == UInt8(ascii: "\n") } + 1
            let column = before.reversed().prefix { $0 != UInt8(ascii: "\n") }.count + 1
            return place(line, column, problem)
        default:
            return .unreadable(path: path, reason: "\(error)")
        }
    }
}
