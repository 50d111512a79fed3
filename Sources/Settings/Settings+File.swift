import Glibc

extension Settings {
    /// Reads a configuration file: YAML, every key optional, an empty file is fine.
    ///
    /// - Parameter upper: What will be laid over it: a combination that this may mend is left to `checkCombination()`.
    /// - Throws: `InvalidSettings` with everything that is wrong with the file.
    public init(file path: String, under upper: Settings = Settings()) throws(InvalidSettings) {
        try self.init(Self.reading(file: path, under: upper))
    }

    /// Reads a configuration file as far as it is right, and says what is not.
    public static func reading(
        file path: String, under upper: Settings = Settings()
    ) -> (settings: Settings, errors: [SettingsError]) {
        do throws(SettingsError) {
            return reading(yaml: try readText(path), path: path, under: upper)
        } catch { return (Settings(), [error]) }
    }

    private static func reading(
        yaml text: String, path: String, under upper: Settings
    ) -> (settings: Settings, errors: [SettingsError]) {
        do throws(SettingsError) {
            var reader = SettingsReader(document: try Document(text, path: path))
            reader.readAll(under: upper)
            return (reader.settings, reader.errors)
        } catch { return (Settings(), [error]) }
    }

    /// Reads the text of a configuration file.
    ///
    /// - Parameters:
    ///   - path: What errors call the file.
    ///   - upper: What will be laid over it.
    /// - Throws: `InvalidSettings` with everything that is wrong with the text.
    public init(yaml text: String, path: String = "aumd.yaml", under upper: Settings = Settings()) throws(InvalidSettings) {
        try self.init(Self.reading(yaml: text, path: path, under: upper))
    }

    private init(_ reading: (settings: Settings, errors: [SettingsError])) throws(InvalidSettings) {
        guard reading.errors.isEmpty else { throw InvalidSettings(reading.errors) }
        self = reading.settings
    }
}

/// The whole of a text file.
private func readText(_ path: String) throws(SettingsError) -> String {
    /// Far above any configuration; keeps a device file from filling the memory.
    let limit = 1 << 20
    // Not to wait for ever for the writer of a pipe.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var count = 0
    while count <= limit {
        guard hasBytes(descriptor) else { throw .unreadable(path: path, reason: "it is a pipe that nobody writes to") }
        let got = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, $0.count - count) }
        if got < 0, errno == EINTR || errno == EAGAIN { continue }
        guard got >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
        if got == 0 { break }
        count += got
    }
    guard count <= limit else { throw .unreadable(path: path, reason: "it is larger than 1 MiB") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
        let good = validPrefix(bytes[..<count])
        let line = good.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        throw .notYAML(
            .file(path: path, line: line.count, column: String(decoding: line.last ?? [], as: UTF8.self).count + 1),
            problem: "it is not UTF-8 text from here on")
    }
    return text
}

/// Waits until something can be read, or the end; false after seconds in vain.
private func hasBytes(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 5000) != 0
}

/// The bytes before the first that are not UTF-8.
private func validPrefix(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var parser = Unicode.UTF8.ForwardParser(), rest = bytes.makeIterator(), count = 0
    while case .valid(let scalar) = parser.parseScalar(from: &rest) { count += scalar.count }
    return bytes.prefix(count)
}
