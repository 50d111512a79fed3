import Foundation

/// A folder of its own for one test, removed with everything in it when its value goes.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() {
        let template = FileManager.default.temporaryDirectory.appending(path: "aumd-test-XXXXXX").path
        path = template.withCString { template in
            let name = strdup(template)!
            defer { free(name) }
            guard let made = mkdtemp(name) else { fatalError("\(template): no such folder can be made (errno \(errno))") }
            return String(cString: made)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of what has this name in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }
}
