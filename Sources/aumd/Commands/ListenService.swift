import Glibc
import ServiceLifecycle
import Sinks
import Threads
import UnixSignals

/// Runs the pipeline on a thread of its own until its source ends.
struct ListenService: Service {
    // Handed to the analysis thread and touched by nothing else.
    nonisolated(unsafe) let pipeline: Pipeline
    let outputs: Outputs
    let stop: @Sendable () -> Void

    func run() async throws {
        // The group has taken them by now.
        EarlySignals.raiseAgain([SIGINT, SIGTERM])
        try await withGracefulShutdownHandler {
            try await withThread("analysis") { () throws(Failure) in
                defer { outputs.drain() }
                try pipeline.run()
            }
        } onGracefulShutdown: {
            outputs.cutShort()
            stop()
        }
    }
}

/// Reopens output files on SIGHUP, as logrotate asks, and ends where it means that the terminal was closed.
struct HangUpService: Service {
    let outputs: Outputs
    let manager: ServiceManager
    let stop: @Sendable () -> Void
    /// Standard descriptors on the terminal that controls this process (credentials(7)). Asked at the start: once it is closed it
    /// controls none. Any other terminal may close, as the one that a daemon was started from.
    private let terminals = (STDIN_FILENO...STDERR_FILENO).filter { tcgetsid($0) == getsid(0) }

    func run() async throws {
        let hangUps = await UnixSignalsSequence(trapping: .sighup)
        EarlySignals.raiseAgain([SIGHUP])
        for await _ in hangUps.cancelOnGracefulShutdown() {
            if terminalIsClosed {
                outputs.cutShort()
                stop()
                continue
            }
            // READY would end the start of a service that still waits for its device.
            let isReady = manager.isReady
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
