import Sinks
import Threads

/// Runs what blocks on a thread of its own, and waits for its end.
///
/// - Throws: what `body` throws, and ``Failure`` where no thread can be started.
func withThread(_ name: StaticString, _ body: @escaping @Sendable () throws(Failure) -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let code = startThread(name) {
            continuation.resume(with: Result { () throws(Failure) in try body() }.mapError { $0 as any Error })
        }
        if code != 0 { continuation.resume(throwing: Failure(.osError, SinkError.thread(errno: code).description)) }
    }
}
