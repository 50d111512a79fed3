extension Settings {
    /// Takes the `AUMD_…` variables of an environment, one for each key with a single value. An empty variable says
    /// nothing; for unknown ones see ``unknownVariables(in:)``.
    ///
    /// - Throws: `InvalidSettings` with all variables that are wrong.
    public init(environment: [String: String]) throws(InvalidSettings) {
        self.init()
        var errors: [SettingsError] = []
        for key in Key<Settings>.all {
            guard let text = environment[key.variable], !text.isEmpty else { continue }
            do throws(SettingsError) {
                try set(key.path, to: text, origin: key.variable)
            } catch {
                errors.append(error)
            }
        }
        guard errors.isEmpty else { throw InvalidSettings(errors) }
    }

    /// Whether a key has this variable.
    public static func isVariable(_ name: String) -> Bool { Key<Settings>.all.contains { $0.variable == name } }

    /// A sentence for each `AUMD_…` variable that no key has. None is an error: another program may use the prefix.
    public static func unknownVariables(in environment: [String: String]) -> [String] {
        let known = Key<Settings>.all.map(\.variable)
        return environment.keys.filter { $0.hasPrefix("AUMD_") && !isVariable($0) }.sorted().map {
            let nearest = nearest(to: $0, among: known)
            // Where few letters are right, the nearest is none that was meant.
            let isNear = 3 * distance($0, nearest).0 <= $0.count - "AUMD_".count
            return "\($0) is no variable of aumd, and is ignored" + (isNear ? "; the nearest is \(nearest)." : ".")
        }
    }

    /// Sets one key from its text, by the rules of the file. For command-line options.
    ///
    /// - Parameters:
    ///   - key: Name in the file, such as "source.rate".
    ///   - origin: What errors call it, such as "--rate".
    /// - Throws: `SettingsError.unknownKey`, `.wrongType` or `.impossibleValue`.
    public mutating func set(_ key: String, to text: String, origin: String) throws(SettingsError) {
        guard let entry = Key<Settings>.all.first(where: { $0.path == key }) else {
            throw .unknownKey(
                .option(origin), key: key, nearest: nearest(to: key, among: Key<Settings>.all.map(\.path)))
        }
        let value = Value(text: text, isQuoted: false)
        do throws(Value.Problem) {
            try entry.set(&self, value)
        } catch {
            throw error.error(value, key: key, at: .option(origin))
        }
    }

    /// Checks what only shows when values meet; call it on the merged settings.
    ///
    /// - Throws: `SettingsError.impossibleValue`.
    public func checkCombination() throws(SettingsError) {
        if let error = combinationError(at: { _ in nil }) { throw error }
    }

    /// - Parameter origin: Where a key of `source` was said.
    func combinationError(at origin: (String) -> Origin?) -> SettingsError? {
        guard bufferMilliseconds < 2 * periodMilliseconds else { return nil }
        return .impossibleValue(
            origin("buffer_ms") ?? origin("period_ms"), key: "source.buffer_ms",
            value: Value.short(bufferMilliseconds),
            allowed: "at least two periods (source.period_ms is \(Value.short(periodMilliseconds)))")
    }
}

extension Value {
    /// The value as errors show it.
    var shown: String {
        let whole = String(text.prefix(60).map { $0.isNewline ? " " : $0 }) + (text.count > 60 ? "…" : "")
        return isQuoted ? "\"\(whole)\"" : whole.isEmpty ? "empty" : whole
    }
}

extension Value.Problem {
    func error(_ value: Value, key: String, at origin: Origin) -> SettingsError {
        switch self {
        case .type(let expected): .wrongType(origin, key: key, found: value.shown, expected: expected)
        case .range(let allowed): .impossibleValue(origin, key: key, value: value.shown, allowed: allowed)
        }
    }
}
