/// What is published to a broker (MQTT 3.1.1, section 3.3), with quality of service 1: at least once.
package struct Message: Sendable, Equatable {
    /// Its levels are parted by `/`.
    package var topic: String
    /// UTF-8 text: JSON, or a word.
    package var payload: [UInt8]
    /// Whether the broker keeps it for those who subscribe later: right for states, wrong for what happened once.
    package var isRetained: Bool

    /// A message of these bytes.
    package init(_ topic: String, _ payload: [UInt8], isRetained: Bool) {
        self.topic = topic
        self.payload = payload
        self.isRetained = isRetained
    }

    /// A message of this text.
    package init(_ topic: String, _ payload: String, isRetained: Bool) {
        self.init(topic, Array(payload.utf8), isRetained: isRetained)
    }
}
