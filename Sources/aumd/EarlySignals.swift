import Glibc
import Synchronization

/// Signals that come while the model is loaded, before the services take them: they wait, also where they are ignored at first
/// (as of a shell's background job), and are raised again once somebody takes them. A mask would not keep them: Dispatch's main
/// thread waits with an empty one.
enum EarlySignals {
    private static let seen = Atomic<UInt64>(0)

    /// Keeps these signals from now on, until another handler takes them.
    static func keep(_ signals: [Int32]) {
        for number in signals {
            signal(number) { number in _ = EarlySignals.seen.bitwiseOr(1 << UInt64(number), ordering: .relaxed) }
        }
    }

    /// Raises those of these signals that have come, for the handler that they have by now.
    static func raiseAgain(_ signals: [Int32]) {
        for number in signals {
            let bit: UInt64 = 1 << UInt64(number)
            if seen.bitwiseAnd(~bit, ordering: .relaxed).oldValue & bit != 0 { kill(getpid(), number) }
        }
    }
}
