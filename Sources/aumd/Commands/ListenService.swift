import Glibc
import ServiceLifecycle
import Sinks
import Synchronization
import Threads
import UnixSignals

/// Runs the pipeline on a thread of its own until its source ends.
struct ListenService: Service {
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
                if code != 0 { continuation.resume(throwing: Failure(.osError, SinkError.thread(errno: code).description)) }
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
struct HangUpService: Service {
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
