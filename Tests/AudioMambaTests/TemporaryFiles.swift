import Foundation

/// A path nobody uses yet, in the system's temporary folder.
func temporaryPath(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appending(path: "aumd-tests-\(UUID().uuidString)-\(name)").path
}

func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
}
