import Synchronization
import Threads

/// The first opening of a device, on a thread of its own: a plug-in or a sound server can hang in it, and whoever waits for it must
/// be able to stop waiting. What nobody waits for any more is closed once it has opened.
final class FirstOpening: Sendable {
    private let ended = Wakeup()
    private let outcome = Mutex<Outcome>(.cancelled)

    enum Outcome: ~Copyable {
        case opened(ALSADevice)
        case failed(CaptureError)
        /// No longer waited for.
        case cancelled
    }

    init(_ request: CaptureRequest) throws(CaptureError) {
        let code = startThread("opening") { [self] in
            var result = FirstOpening.open(request)
            outcome.withLock { swap(&$0, &result) }
            ended.signal()
        }
        if code != 0 { throw .system(call: "pthread_create", errno: code) }
    }

    private static func open(_ request: CaptureRequest) -> Outcome {
        do throws(CaptureError) { return .opened(try ALSADevice(request)) } catch { return .failed(error) }
    }

    /// Waits for it, or until `cancel`; once.
    func wait() -> Outcome {
        _ = ended.wait(milliseconds: -1)
        var result = Outcome.cancelled
        outcome.withLock { swap(&$0, &result) }
        return result
    }

    /// Ends the wait. From any thread.
    func cancel() { ended.signal() }
}
