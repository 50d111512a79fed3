import Synchronization

/// A sentence for the foot of the live view, from any thread: on a line of its own it would be painted over.
public final class TerminalNotice: Sendable {
    private let current = Mutex<(text: String, since: ContinuousClock.Instant)?>(nil)
    /// How long it stands.
    private static let duration = Duration.seconds(20)

    /// Nothing to say.
    public init() {}

    /// The latest that was said; nil where that is long ago.
    public var text: String? {
        get {
            current.withLock { current in
                current.flatMap { ContinuousClock.now - $0.since < Self.duration ? $0.text : nil }
            }
        }
        set { current.withLock { $0 = newValue.map { ($0, .now) } } }
    }
}
