import Tagging

/// Gives each event of one source its id when it opens and keeps it until the event is closed or retracted, so that a
/// corrected onset or a corrected clock never changes it.
public struct EventNames: Sendable {
    /// Name of the source, part of every id.
    public let source: String
    /// Part of every id.
    public let seed: UInt64
    private var names: [UInt64: ULID] = [:]

    /// Names for one source.
    ///
    /// - Parameter seed: One value a run for a live source, a constant for a file.
    public init(source: String, seed: UInt64) {
        self.source = source
        self.seed = seed
    }

    /// The id of an action's event.
    ///
    /// - Parameter time: Turns a sample position into a time.
    public mutating func id(of action: Action, time: (Int64) -> RecordTime) -> ULID {
        let number = action.event.number
        let id =
            names[number]
            ?? ULID(
                milliseconds: time(action.event.openedOnset).milliseconds, seed: seed, source: source, number: number)
        switch action.phase {
        case .open, .update: names[number] = id
        case .close, .retract: names[number] = nil
        }
        return id
    }
}
