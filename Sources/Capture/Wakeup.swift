import CLinux
import Glibc

/// An eventfd(2): one thread signals, another waits in poll(2). Signals before the wait are not lost.
final class Wakeup: Sendable {
    let descriptor: Int32

    init() throws(CaptureError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        if descriptor < 0 { throw .system(call: "eventfd", errno: errno) }
    }

    deinit { close(descriptor) }

    /// Neither blocks nor allocates.
    func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Takes all signals so far.
    func clear() {
        var count: UInt64 = 0
        _ = Glibc.read(descriptor, &count, 8)
    }
}
