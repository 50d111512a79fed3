import ArgumentParser
import EventClient
import Glibc
import Settings
import Sinks
import Threads

/// `aumd suggest`: from a log of events, thresholds under which there would have been fewer.
struct Suggest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Suggests thresholds for a place, from a log of what was heard there.",
        discussion: """
            Reads records as JSON lines, of 'aumd listen', its output file or the journal, and prints what to write into the configuration \
            so that no more than so many events a day of each label would have been reported; \(SettingsOptions.systemFile) says which \
            thresholds hold by now. The surest events stay. Take over the labels that were wrong: what is right and frequent is not to be \
            suppressed. A label's ancestors rise with it, or would be reported in its place; one that is all the same wants a second time.

            Examples:
              journalctl -t aumd -o cat --output-fields=AUMD_JSON --since -7d | aumd suggest
              aumd suggest --per-day 0 --label Engine --label Wind events.ndjson
            """)

    @Argument(help: "Files of records; the standard input otherwise.", completion: .file())
    var files: [String] = []
    @Option(help: ArgumentHelp("Events of each label that a day of sound may have.", valueName: "n"))
    var perDay = 1.0
    @Option(help: ArgumentHelp("Only events of this label, or of one below it; may be given again.", valueName: "label"))
    var label: [String] = []
    @Option(help: ArgumentHelp("Configuration file whose thresholds hold by now; \(SettingsOptions.systemFile) where there is one.", valueName: "file"), completion: .file())
    var config: String?
    @OptionGroup var model: ModelOptions

    func validate() throws {
        guard perDay >= 0, perDay.isFinite else { throw ValidationError("--per-day \(perDay): a number of events, 0 or more.") }
    }

    func run() throws {
        let settings = try SettingsOptions.withoutOptions(config, isOfDevice: false)
        let labels = try model.load(settings: settings).thresholds
        let filter = RecordFilter(labels: Set(try Settings.checked(label, option: "--label", among: labels.map(\.name))))
        var log = EventLog()
        for file in files.isEmpty ? ["-"] : files { try read(file, into: &log, filter) }
        guard log.seconds > 0, log.seconds.isFinite else {
            throw Failure(.dataError, "No time passes in these records; give it the lines that 'aumd listen --format ndjson' wrote.")
        }
        // A log from outside may speak of any time.
        let allowed = Int(min(perDay * log.seconds / 86_400, 1e9))
        let suggestions: [Settings.Suggestion]
        do throws(InvalidSettings) {
            suggestions = try settings.suggestions(
                for: log.events.map { ($0.label, $0.parents, $0.peak) }, allowed: allowed, labels: labels)
        } catch { throw Failure(error) }
        try say(Self.text(suggestions, seconds: log.seconds, perDay: perDay))
    }

    /// The suggestions as a part of a configuration file.
    static func text(_ suggestions: [Settings.Suggestion], seconds: Double, perDay: Double) -> String {
        let hours = seconds / 3600
        let rate = "\(Sentence.decimal(perDay, perDay.rounded() == perDay ? 0 : 2)) a day of each label, in \(Sentence.decimal(hours, hours < 10 ? 2 : 0)) hours"
        guard !suggestions.isEmpty else { return "# No more than \(rate): nothing to change." }
        return (["# At most \(rate):", "events:", "  labels:"] + suggestions.map { suggestion in
            let value =
                switch suggestion.value {
                case .sensitivity(let sensitivity): "sensitivity: \(sensitivity)"
                case .on(let on): "on: \(on)"
                case .mute: "mute: true"
                }
            let events = suggestion.events > 0 ? "\(suggestion.events) before, \(suggestion.left) after" : "with those below it"
            let label = suggestion.label.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "    \"\(label)\": {\(value)}  # \(events)"
        }).joined(separator: "\n")
    }

    /// Adds the records of a file; what is none is passed over.
    private func read(_ path: String, into log: inout EventLog, _ filter: RecordFilter) throws(Failure) {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0, let file = fdopen(descriptor, "r") else {
            throw Failure(.noInput, "\(path) cannot be read: \(errorText(errno)).")
        }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?, capacity = 0
        defer { free(line) }
        while case let count = getline(&line, &capacity, file), count > 0, let line {
            let bytes = UnsafeRawBufferPointer(start: line, count: count)
            if let record = FollowedRecord(Array(bytes)) { log.add(record, counts: filter.passes(record)) }
        }
        guard ferror(file) == 0 else { throw Failure(.ioError, "\(path) cannot be read: \(errorText(errno)).") }
    }
}
