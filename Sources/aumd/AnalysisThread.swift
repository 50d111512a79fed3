import CLinux
import Glibc

/// Starts the analysis thread: it blocks on its source, so it is no task of the concurrency pool.
enum AnalysisThread {
    static func start(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                aumd_name_thread("analysis")
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        precondition(code == 0, "pthread_create: no thread left")
        pthread_detach(thread)
    }
}
