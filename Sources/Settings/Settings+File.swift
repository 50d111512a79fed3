import Glibc

extension Settings {
    /// Reads a configuration file: YAML, every key optional, an empty file is fine.
    ///
    /// - Throws: `InvalidSettings` with everything that is wrong with the file.
    public init(file path: String) throws(InvalidSettings) {
        let text: String
        do throws(SettingsError) {
            text = try readText(path)
        } catch {
            throw InvalidSettings([error])
        }
        try self.init(yaml: text, path: path)
    }

    /// Reads the text of a configuration file.
    ///
    /// - Parameter path: What errors call the file.
    /// - Throws: `InvalidSettings` with everything that is wrong with the text.
    public init(yaml text: String, path: String = "aumd.yaml") throws(InvalidSettings) {
        var reader: SettingsReader
        do throws(SettingsError) {
            reader = SettingsReader(document: try Document(text, path: path))
        } catch {
            throw InvalidSettings([error])
        }
        reader.readAll()
        guard reader.errors.isEmpty else { throw InvalidSettings(reader.errors) }
        self = reader.settings
    }
}

/// The whole of a text file.
private func readText(_ path: String) throws(SettingsError) -> String {
    /// Far above any configuration; keeps a device file from filling the memory.
    let limit = 1 << 20
    // Not to wait for the writer of a named pipe.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var count = 0
    while count <= limit {
        let got = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, $0.count - count) }
        if got < 0, errno == EINTR { continue }
        guard got >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
        if got == 0 { break }
        count += got
    }
    guard count <= limit else { throw .unreadable(path: path, reason: "it is larger than 1 MiB") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
        throw .unreadable(path: path, reason: "it is not UTF-8 text")
    }
    return text
}
