import Tagging

/// The kinds of entry in the journal, each with a MESSAGE_ID that never changes and an entry in `aumd.catalog`.
public enum JournalMessage: String, Sendable, CaseIterable {
    case eventOpened = "3345b015447b4d3894d4e18bb40047a5"
    case eventConfirmed = "b18a313ac1894f2dafa553a16d2fc306"
    case eventClosed = "c86ff2bf47f246c3bfbc59397c3ba830"
    case eventRetracted = "20a0b95756e745aa96539ba5baf081fe"
    case gap = "866b5bfeeb4c4a458be8c69cefb03ca3"
    case started = "39e7a030e4ea480c9d3066d812b524fe"
    case capturing = "0152889fa20843baa36e6c4f702fef0d"
    case deviceLost = "f1cff822e3c3406680d524f82823bc72"
    case deviceBack = "1f2663f6cf3d4f1398b3b566574b0977"
    case deviceSilent = "f3b26f4d769c46a0abfee2de8672fcb0"
    case deviceStalled = "256d162244634604b374041c734b2dc3"
    case paused = "d1807586fa49415095c4e00dbb73dac2"
    case pauseEnded = "35b97ffedec54824b1e6555ff22fddf2"
    case stopped = "a30a0f64840d45bca9bd86abe0c541c2"
    case eventRecorded = "7da7447bde7e44a1b45f75cd4800de38"
    case soundKept = "34c4755704b849e39a955ed1ab16fbe8"

    /// As 32 hexadecimal digits, the form of the MESSAGE_ID field.
    public var id: String { rawValue }

    /// The entry that a record makes, or nil: scores, updates other than the confirmation, and status records
    /// that change neither the state nor its reason make none.
    ///
    /// - Parameter previous: The source's last status record.
    init?(_ record: Record, previous: StatusRecord?) {
        switch record {
        case .event(let event):
            switch (event.phase, event.reason) {
            case (.open, _): self = .eventOpened
            case (.update, .confirmed): self = .eventConfirmed
            case (.update, _): return nil
            case (.close, _): self = .eventClosed
            case (.retract, _): self = .eventRetracted
            }
        case .gap(let gap): self = gap.cause == .paused ? .pauseEnded : .gap
        case .status(let status):
            if status.repeats(previous) { return nil }
            // A start with a message says why the device cannot be opened.
            let wasAway = [.silent, .stalled, .deviceLost].contains(previous?.state) || previous?.state == .starting && previous?.message != nil
            switch status.state {
            case .starting: self = status.message == nil ? .started : .deviceLost
            case .capturing: self = wasAway ? .deviceBack : .capturing
            case .silent: self = .deviceSilent
            case .stalled: self = .deviceStalled
            case .deviceLost: self = .deviceLost
            case .paused: self = .paused
            case .stopping: self = .stopped
            }
        case .scores: return nil
        case .recording(let recording): self = recording.label == nil ? .soundKept : .eventRecorded
        }
    }

    /// Priority of syslog(3); `isAlarm` makes a warning of an event that opens or is confirmed.
    func priority(isAlarm: Bool) -> JournalPriority {
        switch self {
        case .eventOpened, .eventConfirmed: isAlarm ? .warning : .info
        case .eventClosed, .eventRetracted, .eventRecorded, .soundKept, .started, .capturing, .pauseEnded, .stopped: .info
        case .gap, .deviceSilent, .deviceStalled: .warning
        case .deviceLost: .error
        case .deviceBack, .paused: .notice
        }
    }
}

/// Priorities of syslog(3).
public enum JournalPriority: Int, Sendable {
    case error = 3
    case warning = 4
    case notice = 5
    case info = 6
}
