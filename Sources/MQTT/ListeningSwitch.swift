import Control

/// What the broker's clients may ask of the daemon, where they may ask anything: `ON` or `OFF` at `TOPIC/listening/set`.
package enum ListeningSwitch {
    /// Where it is asked.
    package static func topic(_ base: String) -> String { "\(base)/listening/set" }

    /// nil for what is neither.
    static func request(_ payload: [UInt8]) -> ControlRequest? {
        switch String(decoding: payload, as: UTF8.self).uppercased() {
        case "ON": .pause(.resume)
        case "OFF": .pause(.pause(seconds: nil))
        default: nil
        }
    }
}
