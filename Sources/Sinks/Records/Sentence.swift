import Tagging

/// What a record says, as a sentence a person can read: the journal's MESSAGE and the text format's lines.
///
/// Times are left out: the reader's own log has them. Names are as they are; a line for a terminal is ``printable``.
public enum Sentence {
    /// nil for records that are not worth a line: scores, and updates that neither confirm nor rename.
    public static func text(_ record: Record) -> String? {
        switch record {
        case .event(let event): self.event(event)
        case .gap(let gap): self.gap(gap)
        case .status(let status): self.status(status)
        case .scores: nil
        case .recording(let recording):
            "\(recording.source): \(recording.label ?? "what was heard last, as was asked,") is recorded in \(recording.file)"
        }
    }

    private static func event(_ event: EventRecord) -> String? {
        let score = decimal(event.score, 2)
        switch (event.phase, event.reason) {
        case (.open, _):
            return "\(event.source): \(event.label) began (score \(score), \(event.status.rawValue))"
        case (.update, .confirmed):
            let former = event.formerLabel.map { ", reported as \($0) before" } ?? ""
            return "\(event.source): \(event.label) is confirmed (score \(score)\(former))"
        case (.update, .moreSpecific):
            let former = event.formerLabel.map { "\($0) is " } ?? ""
            return "\(event.source): \(former)more precisely \(event.label) (score \(score), \(event.status.rawValue))"
        case (.update, _):
            return nil
        case (.close, let reason):
            let cut = reason == .interrupted ? ", cut off" : ""
            return "\(event.source): \(event.label) ended after \(decimal(event.duration ?? 0, 2)) s"
                + " (peak \(decimal(event.peak, 2))\(cut))"
        case (.retract, .absorbed):
            let other = event.partOf.flatMap { $0.label == event.label ? nil : $0.label }
            return "\(event.source): \(event.label) was part of \(other ?? "another event")"
        case (.retract, .interrupted):
            return "\(event.source): \(event.label) was cut off before it was confirmed"
        case (.retract, _):
            return "\(event.source): \(event.label) was not confirmed"
        }
    }

    private static func gap(_ gap: GapRecord) -> String {
        let seconds = decimal(Double(gap.to.milliseconds - gap.from.milliseconds) / 1000, 3)
        let cause =
            switch gap.cause {
            case .xrun: "the device's buffer ran over"
            case .suspend: "the machine slept"
            case .stall: "the source delivered nothing"
            case .deviceLost: "the device was away"
            case .overflow: "the analysis did not keep up"
            case .slip: "they were lost on their way without a word"
            case .paused: "listening was paused"
            }
        return "\(gap.source): \(seconds) s of sound are missing, \(cause)"
    }

    private static func status(_ status: StatusRecord) -> String {
        let device = status.device.map { " \($0)" } ?? ""
        let state =
            switch status.state {
            case .starting: "starting"
            case .capturing: "listening to\(device.isEmpty ? " the source" : device)"
            case .silent: "the device\(device) delivers only zeros"
            case .stalled: "the \(device.isEmpty ? "source" : "device")\(device) delivers nothing"
            case .deviceLost: "the device\(device) is away and is tried again"
            case .paused: "listening\(device.isEmpty ? "" : " to\(device)") is paused"
            case .stopping: "stopping"
            }
        return "\(status.source): \(state)" + (status.message.map { " (\($0))" } ?? "")
    }

    /// A number with so many digits after the point, without locale; "-" for what is no number.
    package static func decimal(_ value: some BinaryFloatingPoint, _ digits: Int) -> String {
        let value = Double(value)
        guard value.isFinite, abs(value) < 1e12 else { return "-" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((abs(value) * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % Int(scale))
        return "\(sign)\(scaled / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
