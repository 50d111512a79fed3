/// When the tone of an alarm sounds: groups of equal pulses, over and over. The standards for alarms say this, and not which tone.
public struct TemporalPattern: Sendable, Equatable {
    /// Pulses of a group.
    public let pulses: Int
    /// Seconds that a pulse lasts, and that the rest between two of a group does.
    public let on, off: Double
    /// Seconds from the last pulse of a group to the first of the next.
    public let pause: Double

    /// "Temporal three", the signal to leave a building on fire (ISO 8201:2017; NFPA 72, section 18.4.2): that of smoke alarms.
    public static let three = TemporalPattern(pulses: 3, on: 0.5, off: 0.5, pause: 1.5)
    /// "Temporal four", of carbon monoxide alarms (NFPA 72, section 29.5; UL 2034).
    public static let four = TemporalPattern(pulses: 4, on: 0.1, off: 0.1, pause: 5)

    /// Seconds from one group's beginning to the next one's.
    public var period: Double { Double(pulses) * (on + off) - off + pause }
}
