import Glibc
import Logging
import Sinks

/// Log lines on the standard error: one sentence each, with the priority prefix of sd-daemon(3) where the service
/// manager collects them (JOURNAL_STREAM), in words otherwise.
struct ServiceLog: LogHandler {
    static let logger = Logger(label: "aumd") { _ in ServiceLog() }
    /// For a library that has little to say to people.
    static let quietLogger = Logger(label: "aumd") { _ in
        var log = ServiceLog()
        log.logLevel = .critical
        return log
    }

    var metadata = Logger.Metadata()
    var logLevel: Logger.Level = .notice
    /// Whether the journal reads the standard error.
    static let isJournal: Bool = {
        // Programs below a unit inherit the variable; it names the descriptor that it holds for (systemd.exec(5)).
        guard let variable = getenv("JOURNAL_STREAM") else { return false }
        var status = stat()
        return fstat(STDERR_FILENO, &status) == 0 && String(cString: variable) == "\(status.st_dev):\(status.st_ino)"
    }()

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let details = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
            .map { " \($0.key)=\($0.value)" }.joined()
        let error = event.error.map { " (\($0))" } ?? ""
        let prefix = Self.isJournal ? "<\(priority(event.level))>" : "aumd: \(event.level): "
        writeError("\(prefix)\("\(event.message)\(error)\(details)".printable)\n")
    }

    /// syslog(3)'s number.
    private func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
