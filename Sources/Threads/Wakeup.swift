import CLinux
import Glibc

/// One eventfd(2): a thread signals, another waits, alone or among other descriptors in poll(2). Signals before the wait
/// are not lost; they add up until they are cleared.
package final class Wakeup: Sendable {
    /// Readable while signalled.
    package let descriptor: Int32

    /// Ends the process where no file descriptor is left: the program makes sure at its start that there are enough.
    package init() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(descriptor >= 0, "eventfd: no file descriptor left (errno \(errno))")
    }

    deinit { close(descriptor) }

    /// Neither blocks nor allocates.
    package func signal() {
        var one: UInt64 = 1
        // Fails only where 2^64 - 2 signals are pending, and then the descriptor is readable anyway.
        _ = write(descriptor, &one, 8)
    }

    /// Takes all signals so far.
    package func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }

    /// Waits until signalled, at most so long; -1: for ever. Returns whether it was.
    package func wait(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let end = nanosecondsNow(CLOCK_MONOTONIC) + Int64(milliseconds) * 1_000_000
        while true {
            let nanoseconds = max(0, end - nanosecondsNow(CLOCK_MONOTONIC))
            let left = milliseconds < 0 ? -1 : Int32((nanoseconds + 999_999) / 1_000_000)
            let result = poll(&entry, 1, left)
            // A signal handled on this thread cuts poll short.
            guard result < 0, errno == EINTR else { return result > 0 }
        }
    }
}
