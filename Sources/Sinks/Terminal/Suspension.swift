import Glibc
import Synchronization

/// Ctrl-Z while the live view stands: the shell gets its cursor and its line wrap back before the program stops, and the view
/// is painted anew when it goes on.
enum Suspension {
    /// Below the picture, wrap lines again and show the cursor.
    static let givingBack: StaticString = "\r\n\u{1B}[?7h\u{1B}[?25h"

    private static let resumed = Atomic(false)
    private static let watched = Atomic<Int32>(-1)

    /// Watches for SIGTSTP from the first call on; `descriptor` is the terminal.
    static func watch(_ descriptor: Int32) {
        guard watched.exchange(descriptor, ordering: .relaxed) != descriptor else { return }
        signal(SIGTSTP, suspend)
    }

    /// Only what is safe in a signal handler (signal-safety(7)): write, signal, pthread_sigmask, raise and an atomic.
    fileprivate static func stop() {
        _ = write(watched.load(ordering: .relaxed), givingBack.utf8Start, givingBack.utf8CodeUnitCount)
        // SIGSTOP would also stop where no shell can continue: there the kernel ignores this one.
        signal(SIGTSTP, SIG_DFL)
        var own = sigset_t()
        var before = sigset_t()
        sigemptyset(&own)
        sigaddset(&own, SIGTSTP)
        pthread_sigmask(SIG_UNBLOCK, &own, &before)
        raise(SIGTSTP)
        // From here on it has been continued.
        pthread_sigmask(SIG_SETMASK, &before, nil)
        signal(SIGTSTP, suspend)
        resumed.store(true, ordering: .relaxed)
    }

    /// Whether the program was stopped and continued since the last call.
    static func hasResumed() -> Bool { resumed.exchange(false, ordering: .relaxed) }
}

private func suspend(_: Int32) { Suspension.stop() }
