/// What the daemon is asked by its control socket: a datagram of text each.
package enum ControlRequest: Sendable, Equatable {
    /// To close the microphone, or open it.
    case pause(PauseRequest)
    /// To keep the newest sound: `keep SECONDS`.
    case keep(seconds: Int)

    /// Seconds that can be asked for; so many are kept as the daemon still holds.
    package static let keepable = 1...300

    /// nil where the text is no request; white space around its words does not matter.
    package init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        if words.count == 2, words[0] == "keep", let seconds = Int(words[1]), Self.keepable.contains(seconds) {
            self = .keep(seconds: seconds)
        } else if let request = PauseRequest(text) {
            self = .pause(request)
        } else {
            return nil
        }
    }

    /// As it is sent.
    package var text: String {
        switch self {
        case .pause(let request): request.text
        case .keep(let seconds): "keep \(seconds)"
        }
    }
}
