import Foundation

/// A journal that answers: the machine's own, or one started here and taken away again with its files.
public final class Journal {
    private var daemon: Process?
    private var made: [String] = []
    private static let folders = ["/run/systemd/journal", "/run/log/journal"]

    /// That takes root, and systemd-journald(8).
    public struct Unavailable: Error, CustomStringConvertible {
        public var description: String { "no journal answers and none can be started: run as root with systemd installed" }
    }

    public init() throws {
        if Self.answers { return }
        guard geteuid() == 0 else { throw Unavailable() }
        made = Self.folders.filter { !FileManager.default.fileExists(atPath: $0) }
        try? FileManager.default.createDirectory(atPath: Self.folders[0], withIntermediateDirectories: true)
        let daemon = Process()
        daemon.executableURL = URL(filePath: "/lib/systemd/systemd-journald")
        daemon.standardInput = FileHandle.nullDevice
        daemon.standardOutput = FileHandle.nullDevice
        daemon.standardError = FileHandle.nullDevice
        self.daemon = daemon
        try daemon.run()
        guard eventually(10, { Self.answers }) else { throw Unavailable() }
    }

    deinit {
        guard let daemon else { return }
        if daemon.isRunning {
            daemon.terminate()
            daemon.waitUntilExit()
        }
        for folder in made { try? FileManager.default.removeItem(atPath: folder) }
    }

    private static var answers: Bool {
        let connection = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: (folders[0] + "/socket").utf8) }
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    /// The entries that match (journalctl(1)), oldest first, once there are so many or ten seconds have passed: of each, the values of every
    /// field.
    public func entries(_ matches: String..., count: Int) -> [[String: [String]]] {
        var entries: [[String: [String]]] = []
        _ = eventually(10) {
            entries = Self.read(matches)
            return entries.count >= count
        }
        return entries
    }

    private static func read(_ matches: [String]) -> [[String: [String]]] {
        let reader = Process(), pipe = Pipe()
        reader.executableURL = URL(filePath: "/usr/bin/env")
        reader.arguments = ["journalctl", "-q", "--no-pager", "--all", "-o", "json"] + matches
        reader.standardOutput = pipe
        guard (try? reader.run()) != nil, let output = try? pipe.fileHandleForReading.readToEnd() else { return [] }
        reader.waitUntilExit()
        return output.split(separator: UInt8(ascii: "\n")).compactMap { line in
            (try? JSONSerialization.jsonObject(with: line) as? [String: Any])?.mapValues(values)
        }
    }

    /// A field is a text, the bytes of one that is not all printable, or a list of these.
    private static func values(_ field: Any) -> [String] {
        if let bytes = field as? [Int] { return [String(decoding: bytes.map(UInt8.init), as: UTF8.self)] }
        if let list = field as? [Any] { return list.flatMap(values) }
        return [field as? String ?? "\(field)"]
    }
}
