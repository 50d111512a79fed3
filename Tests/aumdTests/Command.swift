import Foundation
import TestSupport

/// A program that was run to its end.
struct Command {
    let status: Int32
    let output: String
    let errors: String

    /// - Parameters:
    ///   - environment: Over the tests' own.
    init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let scratch = TemporaryFolder()
        let files = ["output", "errors"].map { scratch.url.appending(path: $0) }
        for file in files { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.currentDirectoryURL = packageRoot
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        // Files and not pipes: whatever a program writes, it cannot wait for its reader.
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        process.waitUntilExit()
        status = process.terminationStatus
        output = try String(contentsOf: files[0], encoding: .utf8)
        errors = try String(contentsOf: files[1], encoding: .utf8)
    }
}

extension Command {
    /// Whether the system has a program of this name.
    static func exists(_ name: String) -> Bool { (try? Command("sh", ["-c", "command -v \(name)"]).status) == 0 }
}

extension TemporaryFolder {
    var url: URL { URL(filePath: path) }

    /// Every file below, by its path from here, with its permissions and content.
    func files() throws -> [String: File] {
        var files: [String: File] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
            let file = url.appending(path: name).path(percentEncoded: false)
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
            files[name] = File(
                mode: (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0,
                content: try Data(contentsOf: URL(filePath: file)))
        }
        return files
    }

    func write(_ text: String, to name: String, mode: Int = 0o644) throws {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path(percentEncoded: false))
    }

    func read(_ name: String) throws -> String { try String(contentsOf: url.appending(path: name), encoding: .utf8) }

    struct File: Equatable {
        var mode: Int
        var content: Data
    }
}

/// The folder that holds Package.swift.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
