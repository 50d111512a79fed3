/// Whether the microphone is to be closed, as the daemon is asked: `pause`, `pause SECONDS` or `resume`.
package enum PauseRequest: Sendable, Equatable {
    /// Close the microphone: for so many seconds, or until it is to go on (nil).
    case pause(seconds: Int?)
    /// Listen.
    case resume

    /// Seconds that a pause may last: a year.
    package static let longest = 366 * 86_400

    /// nil where the text is no request; white space around its words does not matter.
    package init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        switch (words.first, words.count) {
        case ("resume", 1): self = .resume
        case ("pause", 1): self = .pause(seconds: nil)
        case ("pause", 2):
            guard let seconds = Int(words[1]), (1...Self.longest).contains(seconds) else { return nil }
            self = .pause(seconds: seconds)
        default: return nil
        }
    }

    /// As it is sent.
    package var text: String {
        switch self {
        case .pause(nil): "pause"
        case .pause(let seconds?): "pause \(seconds)"
        case .resume: "resume"
        }
    }
}
