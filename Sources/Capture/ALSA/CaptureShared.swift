import Synchronization
import Threads

/// What the capture thread and the rest share; everything is either immutable or safe between the threads.
final class CaptureShared: @unchecked Sendable {
    let ring: RingBuffer
    let markers = MarkerQueue(capacity: 4096)
    /// Capture thread → reader: there is something.
    let arrived = Wakeup()
    /// Anyone → capture thread: end.
    let stopping = Wakeup()
    /// The capture thread has ended.
    let ended = Wakeup()
    /// Anyone → capture thread: `isPaused` has changed.
    let pauseChanged = Wakeup()
    /// The device is to be closed.
    private let paused = Atomic(false)

    // Counters: written by the capture thread, each on its own; relaxed everywhere, no other memory hangs on them.
    let xruns = Atomic<Int>(0)
    let brokenSamples = Atomic<Int64>(0)
    /// Nanoseconds.
    let worstWakeUp = Atomic<Int64>(0)
    /// -1: not known yet, 0: granted, else the errno value.
    let scheduling = Atomic<Int32>(-1)
    let locking = Atomic<Int32>(-1)
    /// Hz; 0 until the first device was opened. Release and acquire are not needed: nothing else hangs on it.
    let rate = Atomic<Int>(0)

    /// Why the last opening failed. Not of the steady loop: taken only between two devices and by the reader.
    let openingError = Mutex<CaptureError?>(nil)

    init(ringCapacity: Int) {
        ring = RingBuffer(capacity: ringCapacity)
    }

    // Relaxed: a value on its own; whoever is woken by `pauseChanged` after the store reads it by way of the kernel.
    var isPaused: Bool { paused.load(ordering: .relaxed) }

    func setPaused(_ value: Bool) {
        paused.store(value, ordering: .relaxed)
        pauseChanged.signal()
    }
}
