import Foundation
import TestSupport
import Testing

@Suite("aumd(1)")
struct ManualTests {
    private static let path = packageRoot.appending(path: "systemd/aumd.1").path(percentEncoded: false)

    /// What the parser knows of a command.
    private struct Tool: Decodable {
        var command: ParsedCommand
    }

    private struct ParsedCommand: Decodable {
        var commandName: String
        var arguments: [Argument]?
        var subcommands: [ParsedCommand]?
    }

    private struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }

        var names: [Name]?
    }

    @Test("The manual names every command, every option and every exit status that the program has")
    func complete() throws {
        let dump = try Program.run("--experimental-dump-help")
        let tool = try JSONDecoder().decode(Tool.self, from: Data(dump.output.utf8))
        let manual = try String(contentsOfFile: Self.path, encoding: .utf8)
        let commands = try #require(tool.command.subcommands).filter { $0.commandName != "help" }
        #expect(commands.count == 13)
        for command in commands {
            #expect(manual.contains("\n.SS \(command.commandName)\n"))
            for name in (command.arguments ?? []).flatMap({ $0.names ?? [] }) where name.kind == "long" {
                #expect(manual.contains("\\-\\-\(name.name.replacing("-", with: "\\-"))"), "\(command.commandName) --\(name.name)")
            }
        }
        for status in [64, 65, 66, 69, 71, 73, 74, 77, 78] { #expect(manual.contains("\(status) ")) }
    }

    @Test("groff has nothing to say about it", .enabled(if: Command.exists("groff")))
    func groff() throws {
        let result = try Command("groff", ["-man", "-ww", "-z", "-Kutf8", Self.path])
        #expect(result.status == 0 && result.errors == "", "\(result.errors)")
    }
}
