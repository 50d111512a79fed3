import Sinks
import Synchronization

/// What systemd hears of the program (sd_notify(3)): READY with the first analysed sound, the watchdog from the analysis loop, a
/// status line with level and what is heard. Nothing where no manager listens.
final class ServiceManager: Sendable {
    // Relaxed: a value on its own.
    private let ready = Atomic(false)

    /// Whether the first sound has been analysed. From any thread.
    var isReady: Bool { ready.load(ordering: .relaxed) }

    /// What the pipeline reports, as messages to the manager.
    func supervision() -> Pipeline.Supervision {
        var supervision = Pipeline.Supervision()
        guard Notifier.isActive else { return supervision }
        let interval = (Notifier.watchdogMicroseconds ?? 0) / 4
        var next = ContinuousClock.now
        supervision.alive = {
            let now = ContinuousClock.now
            guard interval > 0, now >= next else { return }
            next = now + .microseconds(interval)
            Notifier.watchdog()
        }
        supervision.ready = { [self] in
            // First: a hang-up that READY brings is one of a service that is ready.
            ready.store(true, ordering: .relaxed)
            Notifier.ready(status: "Listening.")
        }
        supervision.status = { status, labels in
            if status.state == .stopping { Notifier.stopping() }
            let level = status.levelDBFS.map { "\(Int($0.rounded())) dBFS" } ?? "no sound yet"
            let heard = labels.isEmpty ? "nothing of note" : labels.joined(separator: ", ")
            switch status.state {
            case .capturing: Notifier.status("\(level), \(heard)")
            case .paused: Notifier.status("paused (\(status.message ?? ""))")
            case .starting, .silent, .stalled, .deviceLost, .stopping: Notifier.status(status.message ?? status.state.rawValue)
            }
        }
        return supervision
    }
}
