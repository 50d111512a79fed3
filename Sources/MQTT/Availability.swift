/// Whether the daemon is there, as a retained message; the broker itself says "offline" where this process goes without a word.
package enum Availability {
    /// Where it is published.
    static func topic(_ topic: String) -> String { "\(topic)/availability" }

    /// The message of a daemon below `topic`.
    package static func message(_ topic: String, isOnline: Bool) -> Message {
        Message(Self.topic(topic), isOnline ? "online" : "offline", isRetained: true)
    }
}
