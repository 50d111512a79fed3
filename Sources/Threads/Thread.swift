import CLinux
import Glibc

/// Starts a detached thread that takes no signals: those are for the main thread.
///
/// - Parameter name: what top(1) shows, at most 15 bytes.
/// - Returns: 0, or pthread_create(3)'s error number.
package func startThread(_ name: StaticString, _ body: @escaping @Sendable () -> Void) -> Int32 {
    final class Box {
        let name: StaticString
        let body: @Sendable () -> Void
        init(_ name: StaticString, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    var blocked = sigset_t()
    var before = sigset_t()
    sigfillset(&blocked)
    pthread_sigmask(SIG_SETMASK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let box = Unmanaged.passRetained(Box(name, body))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
            nameThread(box.name)
            box.body()
            return nil
        }, box.toOpaque())
    guard code == 0 else {
        box.release()
        return code
    }
    pthread_detach(thread)
    return 0
}

/// Names the calling thread as top(1) shows it, at most 15 bytes.
package func nameThread(_ name: StaticString) {
    name.withUTF8Buffer { bytes in
        bytes.withMemoryRebound(to: CChar.self) { aumd_name_thread($0.baseAddress) }
    }
}
