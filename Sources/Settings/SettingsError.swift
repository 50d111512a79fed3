/// Where a setting was said.
public enum Origin: Sendable, Equatable, CustomStringConvertible {
    /// Line and column count from 1.
    case file(path: String, line: Int, column: Int)
    /// An environment variable or a command-line option, by its name.
    case option(String)

    public var description: String {
        switch self {
        case .file(let path, let line, let column): "\(path):\(line):\(column)"
        case .option(let name): name
        }
    }
}

/// One thing that is wrong with the settings.
public enum SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file cannot be read; `reason` is strerror(3)'s, or says what the file is instead.
    case unreadable(path: String, reason: String)
    /// The file is not YAML; `problem` is the parser's.
    case notYAML(Origin, problem: String)
    /// There is no such key.
    case unknownKey(Origin, key: String, nearest: String)
    /// The model has no such label; nor one like it, where `nearest` is nil.
    case unknownLabel(Origin?, label: String, nearest: String?)
    /// A value is of another type than its key calls for.
    case wrongType(Origin, key: String, found: String, expected: String)
    /// A value is of the right type, but cannot be.
    case impossibleValue(Origin?, key: String, value: String, allowed: String)
    /// A key is there twice in one mapping; the origin is the first's.
    case duplicateKey(Origin, key: String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(path): the configuration file cannot be read (\(reason)); check its path and permissions."
        case .notYAML(let origin, let problem):
            "\(origin): this is not YAML (\(problem)); correct the line, or the one above it."
        case .unknownKey(let origin, let key, let nearest):
            "\(origin): there is no key \(key); the nearest is \(nearest)."
        case .unknownLabel(let origin, let label, let nearest):
            "\(prefix(origin))the model has no label \"\(label)\"; \(Self.advice(nearest))"
        case .wrongType(let origin, let key, let found, let expected):
            "\(origin): \(key) is \(found); give \(expected)."
        case .impossibleValue(let origin, let key, let value, let allowed):
            "\(prefix(origin))\(key) cannot be \(value); give \(allowed)."
        case .duplicateKey(let origin, let key):
            "\(origin): the key \(key) is there twice in its section; keep one of them."
        }
    }

    private static func advice(_ nearest: String?) -> String {
        guard let nearest else { return "'aumd model --labels' lists those it has." }
        return "the nearest is \"\(nearest)\"" + (nearest.contains(",") ? " (in { } or [ ] in quotes, for its comma)." : ".")
    }

    private func prefix(_ origin: Origin?) -> String { origin.map { "\($0): " } ?? "" }

    /// Line and column, for reporting in the order of the file.
    var position: (Int, Int) {
        switch self {
        case .notYAML(.file(_, let line, let column), _), .unknownKey(.file(_, let line, let column), _, _),
            .unknownLabel(.file(_, let line, let column), _, _), .wrongType(.file(_, let line, let column), _, _, _),
            .impossibleValue(.file(_, let line, let column), _, _, _),
            .duplicateKey(.file(_, let line, let column), _):
            (line, column)
        default: (0, 0)
        }
    }
}

/// Everything that is wrong with a configuration, at least one thing, in the order of the file.
public struct InvalidSettings: Error, Sendable, Equatable, CustomStringConvertible {
    public let errors: [SettingsError]

    /// - Parameter errors: at least one.
    public init(_ errors: [SettingsError]) {
        self.errors = errors.sorted { $0.position < $1.position }
    }

    /// One sentence a line.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
