import Synchronization

/// Seconds of the newest sound that are to be kept: asked on any thread, taken on the analysis thread. The last one counts.
final class KeepRequest: Sendable {
    // Relaxed: a value on its own.
    private let seconds = Atomic(0)

    func ask(seconds: Int) { self.seconds.store(seconds, ordering: .relaxed) }

    /// nil where nothing was asked since the last call.
    func take() -> Int? {
        let asked = seconds.exchange(0, ordering: .relaxed)
        return asked > 0 ? asked : nil
    }
}
