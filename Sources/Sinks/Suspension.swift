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
        // Only what is safe in a signal handler (signal-safety(7)): write, kill and an atomic.
        signal(SIGTSTP) { _ in
            let text = Suspension.givingBack
            _ = write(Suspension.watched.load(ordering: .relaxed), text.utf8Start, text.utf8CodeUnitCount)
            kill(getpid(), SIGSTOP)
            // From here on it has been continued.
            Suspension.resumed.store(true, ordering: .relaxed)
        }
    }

    /// Whether the program was stopped and continued since the last call.
    static func hasResumed() -> Bool { resumed.exchange(false, ordering: .relaxed) }
}
