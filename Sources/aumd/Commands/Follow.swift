import ArgumentParser
import EventClient
import Glibc
import Settings
import Sinks
import Tagging
import Threads

/// `aumd follow`: the records of a running daemon, for pipes and commands, for ever.
struct Follow: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints what a running 'aumd listen' hears, or runs a command for it, and goes on when that was restarted.",
        discussion: """
            Reads the daemon's socket. A new reader first gets the last status and the events that are open.

            A command is run by sh, one at a time, with the record on its standard input, and in its environment EVENT_ID, \
            EVENT_PHASE, EVENT_STATUS, EVENT_LABEL, EVENT_SOURCE, EVENT_ONSET, EVENT_OFFSET, EVENT_DURATION, EVENT_SCORE, and \
            EVENT_FILE of a recording, each where the record has it.

            Examples:
              aumd follow | jq
              aumd follow --label Dog --phase close --exec 'notify-send "$EVENT_LABEL at $EVENT_ONSET"'
              aumd follow --label Dog --type recording --exec 'cp "$EVENT_FILE" /srv/dogs/'
            """)

    @Option(help: ArgumentHelp("The daemon's Unix socket; \(CarryToBroker.systemSocket) otherwise.", valueName: "path"), completion: .file())
    var socket: String?
    @Option(help: ArgumentHelp("Only events of this label, or of one below it, and their recordings; may be given again.", valueName: "label"))
    var label: [String] = []
    @Option(help: ArgumentHelp("Only events of this phase: open, update, close, retract; may be given again.", valueName: "phase"))
    var phase: [Action.Phase] = []
    @Option(help: ArgumentHelp("Only records of this type: event, gap, status, scores, recording; may be given again.", valueName: "type"))
    var type: [Record.Kind] = []
    @Option(help: ArgumentHelp("Run this command for each record, in place of printing it.", valueName: "command"))
    var exec: String?
    @Option(help: ArgumentHelp("Model folder, for its labels; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var model: String?

    func run() throws {
        let settings = try Settings(options: [("output.socket", socket, "--socket")]).merging(over: SettingsOptions.withoutOptions(nil))
        let filter = RecordFilter(labels: Set(try checkedLabels(settings)), phases: Set(phase), kinds: Set(type))
        let path = settings.output.socket ?? CarryToBroker.systemSocket
        // Whoever has started it may have had them blocked, and it has no handler that waits for them.
        var ending = sigset_t()
        sigemptyset(&ending)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&ending, number) }
        sigprocmask(SIG_UNBLOCK, &ending, nil)
        // Said once when it begins.
        var isAway = false
        while true {
            let (reason, wasThere) = try follow(path, filter)
            guard let reason else { return }
            if wasThere || !isAway { ServiceLog.logger.warning("\(EventStream.awayNotice(path, reason))") }
            isAway = true
            guard waitForMore(-1, milliseconds: 1000) else { return }
        }
    }

    /// Takes the records of one daemon, to its end.
    ///
    /// - Returns: why no more comes, nil where nobody reads what is printed; and whether the daemon was there.
    private func follow(_ path: String, _ filter: RecordFilter) throws(Failure) -> (ended: String?, wasThere: Bool) {
        var events: EventStream
        do throws(EventStream.ErrorNumber) { events = try EventStream(path: path) } catch { return (errorText(error.code), false) }
        var dropped: UInt64 = 0
        while let lines = events.lines() {
            for line in lines where !(try take(line, filter, &dropped)) { return (nil, true) }
            guard waitForMore(events.descriptor) else { return (nil, true) }
        }
        return ("it was closed", true)
    }

    /// Prints a record or runs the command for it. Returns false where nobody reads any more.
    private func take(_ line: [UInt8], _ filter: RecordFilter, _ dropped: inout UInt64) throws(Failure) -> Bool {
        guard let record = FollowedRecord(line) else { return true }
        if exec != nil, let count = record.dropped {
            if count > dropped { ServiceLog.logger.warning("\(count - dropped) records were lost: the command was too slow for them.") }
            dropped = count
        }
        guard filter.passes(record) else { return true }
        guard let exec else {
            switch writeAll(line + [UInt8(ascii: "\n")], to: STDOUT_FILENO) {
            case .done: return true
            case .readerGone: return false
            case .failed(let code, _): throw Failure(unwritable: code)
            }
        }
        do throws(EventCommand.SpawnError) {
            let status = try EventCommand.run(exec, environment: record.environment, input: line)
            if status != 0 { ServiceLog.logger.warning("The command ended with status \(status): \(exec)") }
        } catch {
            ServiceLog.logger.warning("The command cannot be run: \(errorText(error.code)).")
        }
        return true
    }

    /// Waits until there is more of the daemon, or so long; false where nobody reads the standard output any more.
    private func waitForMore(_ descriptor: Int32, milliseconds: Int32 = -1) -> Bool {
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: exec == nil ? STDOUT_FILENO : -1, events: 0, revents: 0),
        ]
        _ = poll(&entries, nfds_t(entries.count), milliseconds)
        return entries[1].revents & Int16(POLLERR | POLLNVAL) == 0
    }

    /// - Throws: ``Failure`` for labels that the model does not have. Without any, no model is looked at.
    private func checkedLabels(_ settings: Settings) throws(Failure) -> [String] {
        guard !label.isEmpty else { return [] }
        let names = try ModelOptions.load(model, settings: settings).labelNames
        return try Settings.checked(label, option: "--label", among: names)
    }
}

extension Action.Phase: ExpressibleByArgument {}
extension Record.Kind: ExpressibleByArgument {}
