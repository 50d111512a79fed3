import ArgumentParser
import Glibc
import Sinks

@main
struct Aumd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aumd",
        abstract: "Listens to a microphone and says, while it happens, which sounds are present.",
        discussion: """
            Examples:
              aumd listen                             a live view of the microphone
              aumd listen --demo                      of a bundled scene
              aumd listen --device hw:CARD=USB | jq   events as JSON lines
              aumd tag --top 3 *.flac                 what is heard in files
              aumd learn "Our doorbell" bell*.wav     a sound of your own
              aumd follow --phase close               events of the service
              aumd mqtt --broker mqtt://broker.lan    its events to Home Assistant
              aumd pause --for 90m                    closes the service's microphone
              aumd suggest --per-day 1 events.ndjson  thresholds for fewer of them
            """,
        version: Version.text,
        subcommands: [
            Listen.self, TagFiles.self, Learn.self, Follow.self, Pause.self, Resume.self, Keep.self, Suggest.self, CarryToBroker.self, Devices.self,
            ShowModel.self, Check.self, Bench.self,
        ])

    /// Sets what every subcommand relies on: a closed pipe is an error of write(2) and not a signal, and no file of ours takes
    /// the place of a standard stream that the caller has closed.
    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
        do {
            var command = try parseAsRoot()
            try checkArguments(of: command)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            report(failure)
            Glibc.exit(failure.exit.rawValue)
        } catch {
            end(error)
        }
    }

    /// Ends as `exit(withError:)` does, which would not notice that help or version could not be written.
    private static func end(_ error: any Error) -> Never {
        let code = exitCode(for: error)
        // Its lines are the parser's, what is in them may be the caller's.
        let message = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false)
            .map { String($0).printable }.joined(separator: "\n")
        if !code.isSuccess {
            if !message.isEmpty { writeError("\(message)\n") }
        } else if !message.isEmpty {
            do throws(Failure) { try say(message) } catch {
                report(error)
                Glibc.exit(error.exit.rawValue)
            }
        }
        Glibc.exit(code.rawValue)
    }
}

extension Aumd {
    /// Arguments that are not UTF-8 text, as the parser sees them. Swift's strings are Unicode: they would name other files.
    static let mangledArguments = UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc))
        .compactMap { $0 }.filter { String(validatingCString: $0) == nil }.map { String(cString: $0) }

    /// - Throws: ``Failure`` with every argument that is not UTF-8 text, but for the files that `tag` reports one by one.
    private static func checkArguments(of command: any ParsableCommand) throws(Failure) {
        let files = (command as? TagFiles)?.files ?? []
        let mangled = mangledArguments.filter { !files.contains($0) }
        guard mangled.isEmpty else { throw Failure(mangled: mangled) }
    }
}

enum Version {
    static let text = "0.1.0"
}

extension SystemExit {
    /// For a command that has said everything already.
    var exitCode: ExitCode { ExitCode(rawValue) }
}
