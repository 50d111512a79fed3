import Capture
import Sinks

/// What the source is doing, in the words of status records.
struct SourceStatus {
    private(set) var state = StatusRecord.State.starting
    /// What is wrong in this state, in words.
    private(set) var message: String?
    /// Since when the device has been away, or closed.
    private(set) var lostAt: ContinuousClock.Instant?

    mutating func change(to new: SourceState) {
        switch new {
        case .capturing: state = .capturing
        case .waiting: state = .starting
        case .lost(.device(_, .stalled)), .lost(.pipe(_, .stalled)): state = .stalled
        case .lost: state = .deviceLost
        case .silent: state = .silent
        case .paused: state = .paused
        }
        message = new.reason
        switch new {
        case .lost, .paused: lostAt = lostAt ?? .now
        case .capturing, .waiting, .silent: lostAt = nil
        }
    }

    /// The source has ended, or the program is to.
    mutating func stop(_ failure: Failure?) {
        state = .stopping
        message = failure?.description
    }
}
