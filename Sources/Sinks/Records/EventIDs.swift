import Tagging

/// Gives each event of one source its id when it opens and keeps it until the event is closed or retracted, so that a
/// corrected onset or a corrected clock never changes it.
public struct EventIDs: Sendable {
    /// Name of the source, part of every id.
    public let source: String
    private var ids: [UInt64: ULID] = [:]

    /// Ids for one source.
    public init(source: String) { self.source = source }

    /// The id of an event that is open; nil of any other.
    public subscript(number: UInt64) -> ULID? { ids[number] }

    /// The id of an action's event.
    ///
    /// - Parameter time: Turns a sample position into a time.
    public mutating func id(of action: Action, time: (Int64) -> RecordTime) -> ULID {
        let number = action.event.number
        let id =
            ids[number]
            ?? ULID(milliseconds: time(action.event.openedOnset).milliseconds, source: source, number: number)
        switch action.phase {
        case .open, .update: ids[number] = id
        case .close, .retract: ids[number] = nil
        }
        return id
    }
}
