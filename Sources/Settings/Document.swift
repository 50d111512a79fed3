import Yams

/// A YAML file as a tree of nodes that keep each value's text, line and column.
struct Document {
    let path: String
    /// nil where the file holds nothing but comments.
    let root: Node?

    /// - Throws: `SettingsError.notYAML` or `.duplicateKey`; the parser stops at the first.
    init(_ text: String, path: String) throws(SettingsError) {
        self.path = path
        // A byte order mark is no part of the text.
        let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        // Without rules: `on`, `no` and `0660` stay the texts that they are.
        do { root = try compose(yaml: text, .basic) } catch { throw Self.error(error, text: text, path: path) }
    }

    func origin(_ node: Node) -> Origin {
        .file(path: path, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
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
        case .duplicatedKeysInMapping(let keys, let context):
            let origin = Origin.file(path: path, line: context.mark.line, column: context.mark.column)
            return .duplicateKey(origin, key: keys.first.map { "\($0)" } ?? "a key")
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
