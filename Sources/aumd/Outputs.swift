import Glibc
import Logging
import Settings
import Sinks
import Synchronization

/// The sinks that were asked for, each behind its own bounded queue and thread.
final class Outputs: Sendable {
    /// What the pipeline sends to.
    let records: RecordStream
    /// Scores of each column that somebody wants to see.
    let scoreCount: Int
    /// The live view has the standard output.
    let showsView: Bool
    /// Says a sentence to the person: in the log, or at the foot of a live view that shares its terminal.
    let notify: @Sendable (String) -> Void
    private let threads: [SinkThread]
    private let socket: SocketSink?
    private let sourcePatience: Int?
    private let isHurried = Atomic(false)
    /// What `finish` has returned.
    private let lost = Mutex<Bool?>(nil)

    /// Milliseconds that each sink may take to write what is left.
    private static let patience: Int32 = 2000
    /// Labels the live view shows.
    private static let viewScores = 8

    /// - Parameters:
    ///   - patience: milliseconds that the source can wait for a reader that takes nothing; nil: for ever.
    ///   - onReaderGone: the reader of the standard output has closed it.
    /// - Throws: ``Failure`` for an output that cannot be opened.
    init(
        settings: Settings, format: Listen.Format?, patience: Int?, logger: Logger,
        onReaderGone: @escaping @Sendable () -> Void
    ) throws(Failure) {
        let kinds: RecordKinds = settings.scores > 0 ? .all : .events
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let showsView = format == nil && isTerminal && TerminalSink.movesCursor()
        let foot = TerminalNotice()
        let sharesTerminal = showsView && isatty(STDERR_FILENO) == 1
        let notify: @Sendable (String) -> Void = { if sharesTerminal { foot.text = $0 } else { logger.warning("\($0)") } }
        let onNotice: @Sendable (SinkNotice) -> Void = { notify($0.description) }
        var threads: [SinkThread] = []
        var socket: SocketSink?
        do throws(SinkError) {
            if showsView {
                threads.append(
                    try SinkThread(
                        TerminalSink(notice: foot), queue: RecordQueue(kinds: .all), interval: TerminalSink.interval,
                        onReaderGone: onReaderGone))
            } else if settings.writesStandardOutput {
                let queue = RecordQueue(kinds: kinds, patience: patience)
                if (format ?? (isTerminal ? .text : .ndjson)) == .text {
                    threads.append(try SinkThread(TextSink(onNotice: onNotice), queue: queue, onReaderGone: onReaderGone))
                } else {
                    threads.append(
                        try SinkThread(
                            NDJSONFile.standardOutput(onNotice: onNotice), queue: queue, onReaderGone: onReaderGone))
                }
            }
            if let path = settings.output.file {
                threads.append(
                    try SinkThread(
                        NDJSONFile(path: path, onNotice: onNotice), queue: RecordQueue(kinds: kinds, patience: patience)))
            }
            if settings.writesJournal {
                let journal = JournalSink(hasPriorities: ServiceLog.isJournal, onNotice: onNotice)
                threads.append(try SinkThread(journal, queue: RecordQueue(kinds: .events, patience: patience)))
            }
            if let path = settings.output.socket {
                socket = try SocketSink(
                    path: path, mode: UInt32(settings.socketMode), queue: RecordQueue(kinds: kinds), onNotice: onNotice)
            }
        } catch {
            throw Failure(.cannotCreate, error.description)
        }
        sourcePatience = patience
        self.threads = threads
        self.socket = socket
        self.showsView = showsView
        self.notify = notify
        scoreCount = max(settings.scores, showsView ? Self.viewScores : 0)
        records = RecordStream(threads.map(\.queue) + (socket.map { [$0.queue] } ?? []))
    }

    /// Reopens files (log rotation).
    func reopen() {
        for thread in threads { thread.queue.requestReopen() }
    }

    /// Somebody has asked the program to end: it waits for no reader any more. From any thread.
    func hurry() {
        isHurried.store(true, ordering: .relaxed)
        records.hurry()
    }

    /// Waits until everything is written, as long as the source could wait for its readers.
    func drain() {
        let begin = ContinuousClock.now
        for thread in threads {
            while !thread.stop(milliseconds: 100) {
                if isHurried.load(ordering: .relaxed) { return }
                if let sourcePatience, ContinuousClock.now - begin >= .milliseconds(sourcePatience) { return }
            }
        }
    }

    /// Writes what is left and ends the threads. Once that is done it does nothing more.
    ///
    /// - Returns: whether an output ended without its last record, for a full disk or a reader that takes nothing; but not where it
    ///   was to hurry.
    @discardableResult
    func finish() -> Bool {
        lost.withLock { lost in
            if let lost { return lost }
            let ended = threads.map { $0.stop(milliseconds: Self.patience) }
            socket?.stop(milliseconds: Self.patience)
            let isStuck = ended.contains(false) && !isHurried.load(ordering: .relaxed)
            if isStuck { report("An output's reader takes nothing; what was left for it is lost.") }
            lost = isStuck || threads.contains { $0.endedFailing }
            return lost!
        }
    }
}
