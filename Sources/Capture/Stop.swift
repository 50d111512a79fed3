import Synchronization
import Threads

/// The end of a source, asked for from any thread at any time, also before it begins. It stays asked for.
final class Stop: Sendable {
    /// Signalled from then on, for whoever waits.
    let wakeup = Wakeup()
    private let flag = Atomic(false)

    // Relaxed: a flag on its own; whoever was woken up has the signal's system call in between.
    var isSet: Bool { flag.load(ordering: .relaxed) }

    func set() {
        flag.store(true, ordering: .relaxed)
        wakeup.signal()
    }
}
