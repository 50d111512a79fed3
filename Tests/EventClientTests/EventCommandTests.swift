import EventClient
import Foundation
import TestSupport
import Testing

@Suite("Commands are run") struct EventCommandTests {
    private let folder = TemporaryFolder()

    private func run(_ command: String, _ environment: [String: String] = [:], input: String = "") throws -> (status: Int32, output: String) {
        let file = folder.file("output")
        let status = try EventCommand.run("{ \(command)\n} > '\(file)' 2>&1", environment: environment, input: Array(input.utf8))
        return (status, String(decoding: try Data(contentsOf: URL(filePath: file)), as: UTF8.self))
    }

    @Test("With its input, its variables over those of the process, and its status", arguments: [
        ("cat", 0, "{}\n"), ("echo $EVENT_LABEL", 0, "Chirp, tweet\n"), ("echo $HOME", 0, "/nowhere\n"), ("test -n \"$PATH\"", 0, ""),
        ("exit 7", 7, ""), ("kill -9 $$", 137, ""),
        // Where SIGPIPE were ignored, yes would complain and never mind.
        ("yes | head -1; echo $?", 0, "y\n0\n"),
    ])
    func command(command: String, status: Int32, output: String) throws {
        signal(SIGPIPE, SIG_IGN)
        let result = try run(command, ["EVENT_LABEL": "Chirp, tweet", "HOME": "/nowhere"], input: "{}")
        #expect(result.status == status && result.output == output)
    }

    @Test("A command that does not read its input holds up nobody")
    func unread() throws {
        signal(SIGPIPE, SIG_IGN)
        #expect(try run("exec 0<&-; sleep 0.1", input: String(repeating: "x", count: 60_000)).status == 0)
        #expect(try run("true", input: String(repeating: "x", count: 60_000)).status == 0)
    }
}
