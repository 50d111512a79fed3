import ArgumentParser
import AudioMamba
import Capture
import Glibc
import Logging
import ServiceLifecycle
import Settings
import Sinks
import Synchronization
import Threads
import UnixSignals

/// `aumd listen`: the main job.
struct Listen: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Listens and tells which sounds are present, while it happens.",
        discussion: """
            On a terminal it shows a live view, into a pipe it writes JSON lines (schema aumd/1).

            Examples:
              aumd listen --demo
              aumd listen --device hw:CARD=USB --journal
              aumd listen --format ndjson | jq -r 'select(.phase == "open").label'
              ffmpeg -i URL -f s16le -ar 16000 -ac 1 - | aumd listen --source -
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, text
    }

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var settingsOptions: SettingsOptions
    @OptionGroup var sourceOptions: SourceOptions
    @Option(help: "What the standard output gets in place of the live view: ndjson, or text for sentences.")
    var format: Format?

    func run() async throws {
        try Descriptors.check()
        let settings = try settingsOptions.merged()
        try sourceOptions.check(beside: settingsOptions)
        let model = try modelOptions.load(settings: settings.model)
        let tagging = try model.tagging(rules: model.rules(settings))
        let source = try sourceOptions.source(settings)
        let logger = ServiceLog.logger
        let outputs = try Outputs(
            settings: settings, format: format, patience: source.patience, logger: logger,
            onReaderGone: { source.stop() })
        defer { outputs.finish() }

        var options = Pipeline.Options(name: source.name ?? settings.sourceName)
        options.device = source.device
        options.filterBank = model.filterBank
        options.scoreCount = outputs.scoreCount
        options.statusInterval = outputs.showsView ? min(1, settings.statusInterval) : settings.statusInterval
        options.analysis.window = settings.usesWindow
        options.analysis.chunk = settings.stream.chunk
        options.analysis.lookahead = settings.stream.lookahead
        var supervision = Pipeline.Supervision.serviceManager()
        let ready = supervision.ready
        supervision.ready = { [source = source.source] in
            ready()
            for refusal in source.statistics.refusals { outputs.notify(refusal) }
        }
        let pipeline = try Pipeline(
            source: source.source, model: model, tagging: tagging, options: options, records: outputs.records,
            supervision: supervision)

        let service = ListenService(pipeline: pipeline, outputs: outputs, stop: { source.stop() })
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                          failureTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: HangUpService(outputs: outputs, stop: { source.stop() })),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "aumd") { _ in
                    var log = ServiceLog()
                    log.logLevel = .critical
                    return log
                }))
        try await group.run()
        let lost = outputs.finish()
        let broken = source.source.statistics.nonFiniteSamples
        if broken > 0 { logger.warning("\(broken) values were no numbers, or beyond all sound, and were heard as 0.") }
        if lost { throw SystemExit.ioError.exitCode }
    }
}

/// Runs the pipeline on a thread of its own until its source ends.
private struct ListenService: Service {
    // Handed to the analysis thread and touched by nothing else.
    nonisolated(unsafe) let pipeline: Pipeline
    let outputs: Outputs
    let stop: @Sendable () -> Void

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let code = startThread("analysis") {
                    let result = Result { () throws(Failure) in try pipeline.run() }.mapError { $0 as any Error }
                    outputs.drain()
                    continuation.resume(with: result)
                }
                if code != 0 { continuation.resume(throwing: Failure(.osError, "No thread can be started (error \(code)).")) }
            }
        } onGracefulShutdown: {
            outputs.hurry()
            stop()
        }
    }
}

/// Whether the first sound has been analysed. Relaxed: a value on its own.
private let hasBeenReady = Atomic<Bool>(false)

/// Reopens output files on SIGHUP, as logrotate asks, and ends where it means that the terminal was closed.
private struct HangUpService: Service {
    let outputs: Outputs
    let stop: @Sendable () -> Void
    /// Standard descriptors on the terminal that controls this process (credentials(7)). Asked at the start: once it is closed it
    /// controls none. Any other terminal may close, as the one that a daemon was started from.
    private let terminals = (STDIN_FILENO...STDERR_FILENO).filter { tcgetsid($0) == getsid(0) }

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            if terminalIsClosed {
                outputs.hurry()
                stop()
                continue
            }
            // READY would end the start of a service that still waits for its device.
            let isReady = hasBeenReady.load(ordering: .relaxed)
            if isReady { Notifier.reloading() }
            outputs.reopen()
            if isReady { Notifier.ready(status: "Output files reopened.") }
        }
    }

    private var terminalIsClosed: Bool {
        terminals.contains { descriptor in
            var entry = pollfd(fd: descriptor, events: 0, revents: 0)
            return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
        }
    }
}

extension Pipeline.Supervision {
    /// Tells the service manager: READY with the first analysed audio, the watchdog from the analysis loop, a status
    /// line with level and what is heard.
    static func serviceManager() -> Self {
        guard Notifier.isActive else { return Self() }
        let interval = (Notifier.watchdogMicroseconds ?? 0) / 4
        var next = ContinuousClock.now
        var supervision = Self()
        supervision.alive = {
            let now = ContinuousClock.now
            guard interval > 0, now >= next else { return }
            next = now + .microseconds(interval)
            Notifier.watchdog()
        }
        supervision.ready = {
            Notifier.ready(status: "Listening.")
            hasBeenReady.store(true, ordering: .relaxed)
        }
        supervision.status = { status, labels in
            if status.state == .stopping { Notifier.stopping() }
            let level = status.levelDBFS.map { "\(Int($0.rounded())) dBFS" } ?? "no sound yet"
            let heard = labels.isEmpty ? "nothing of note" : labels.joined(separator: ", ")
            Notifier.status(status.state == .capturing ? "\(level), \(heard)" : status.message ?? status.state.rawValue)
        }
        return supervision
    }
}
