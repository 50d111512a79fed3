import Glibc
import Logging
import Settings
import Sinks
import Synchronization

/// The sinks that were asked for, each behind its own bounded queue and thread.
final class Outputs: Sendable {
    /// Scores of each column that somebody wants to see.
    let scoreCount: Int
    /// The live view has the standard output.
    let showsView: Bool
    /// Reports a sentence to the person: in the log, or at the foot of a live view that shares its terminal.
    let notify: @Sendable (String) -> Void
    private let threads: [SinkThread]
    private let socket: SocketSink?
    private let queues: [RecordQueue]
    private let sourcePatience: Int?
    private let isCutShort = Atomic(false)
    /// What `finish` has returned.
    private let lost = Mutex<Bool?>(nil)

    /// Milliseconds that each sink may take to write what is left.
    private static let patience: Int32 = 2000
    /// Labels the live view shows.
    private static let viewScores = 8

    /// - Parameters:
    ///   - labels: those that may have events.
    ///   - patience: milliseconds that the source can wait for a reader that takes nothing; nil: for ever.
    ///   - onReaderGone: the reader of the standard output has closed it.
    /// - Throws: ``Failure`` for an output that cannot be opened.
    init(
        settings: Settings, labels: [String], format: Listen.Format?, patience: Int?, logger: Logger,
        onReaderGone: @escaping @Sendable () -> Void
    ) throws(Failure) {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let showsView = format == nil && isTerminal && TerminalSink.movesCursor()
        let foot = TerminalNotice()
        let sharesTerminal = showsView && isatty(STDERR_FILENO) == 1
        let notify: @Sendable (String) -> Void = { if sharesTerminal { foot.text = $0 } else { logger.warning("\($0)") } }
        let onNotice: @Sendable (SinkNotice) -> Void = { notify($0.description) }
        let kinds: Set<Record.Kind> = settings.scores > 0 ? .all : .events
        let patientQueue = { RecordQueue(kinds: kinds, patience: patience) }
        var threads: [SinkThread] = []
        do throws(SinkError) {
            if showsView {
                let view = TerminalSink(notice: foot)
                threads.append(try SinkThread(view, queue: RecordQueue(kinds: .all), onReaderGone: onReaderGone))
            } else if settings.writesStandardOutput, (format ?? (isTerminal ? .text : .ndjson)) == .text {
                threads.append(try SinkThread(TextSink(onNotice: onNotice), queue: patientQueue(), onReaderGone: onReaderGone))
            } else if settings.writesStandardOutput {
                let lines = NDJSONFile.standardOutput(onNotice: onNotice)
                threads.append(try SinkThread(lines, queue: patientQueue(), onReaderGone: onReaderGone))
            }
            if let path = settings.output.file {
                threads.append(try SinkThread(NDJSONFile(path: path, onNotice: onNotice), queue: patientQueue()))
            }
            if let path = settings.output.metrics {
                let metrics = try MetricsFile(path: path, labels: labels, onNotice: onNotice)
                threads.append(try SinkThread(metrics, queue: RecordQueue(kinds: .events, patience: patience)))
            }
            if settings.writesJournal {
                let journal = JournalSink(hasPriorities: ServiceLog.isJournal, onNotice: onNotice)
                threads.append(try SinkThread(journal, queue: RecordQueue(kinds: .events, patience: patience)))
            }
            socket = try settings.output.socket.map { path throws(SinkError) in
                try SocketSink(
                    path: path, mode: UInt32(settings.socketMode), queue: RecordQueue(kinds: kinds), onNotice: onNotice)
            }
        } catch {
            throw Failure(.cannotCreate, error.description)
        }
        sourcePatience = patience
        self.threads = threads
        self.showsView = showsView
        self.notify = notify
        queues = threads.map(\.queue) + (socket.map { [$0.queue] } ?? [])
        scoreCount = max(settings.scores, showsView ? Self.viewScores : 0)
    }

    /// Offers a record to every output; waits where one has patience, and its reader takes nothing. From one thread.
    func send(_ record: Record) {
        for queue in queues { queue.send(record) }
    }

    /// Ends all patience with readers, now and later. From any thread.
    func stopWaiting() {
        for queue in queues { queue.stopWaiting() }
    }

    /// Reopens files (log rotation).
    func reopen() {
        for thread in threads { thread.queue.requestReopen() }
    }

    /// Somebody has asked the program to end: it waits for no reader any more. From any thread.
    func cutShort() {
        isCutShort.store(true, ordering: .relaxed)
        stopWaiting()
    }

    /// Waits until everything is written, as long as the source could wait for its readers.
    func drain() {
        let begin = ContinuousClock.now
        for thread in threads {
            while !thread.stop(milliseconds: 100) {
                if isCutShort.load(ordering: .relaxed) { return }
                if let sourcePatience, ContinuousClock.now - begin >= .milliseconds(sourcePatience) { return }
            }
        }
    }

    /// Writes what is left and ends the threads. Once that is done it does nothing more.
    ///
    /// - Returns: whether an output ended without its last record, for a full disk or a reader that takes nothing; false where the
    ///   program was asked to end: what was lost until then has been reported.
    @discardableResult
    func finish() -> Bool {
        lost.withLock { lost in
            if let lost { return lost }
            let ended = threads.map { $0.stop(milliseconds: Self.patience) }
            socket?.stop(milliseconds: Self.patience)
            if isCutShort.load(ordering: .relaxed) {
                lost = false
            } else {
                let isStuck = ended.contains(false)
                if isStuck { report("An output's reader takes nothing; what was left for it is lost.") }
                lost = isStuck || threads.contains { $0.endedFailing }
            }
            return lost!
        }
    }
}
