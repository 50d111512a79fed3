import Sinks
import Tagging

/// Which sound is kept.
public struct RecordingRules: Sendable, Equatable {
    /// Labels whose events are recorded, an event of a label below one of them too; nil: all.
    public var labels: Set<String>?
    /// Labels whose sound is in no recording, nor that of a label below one of them.
    public var without: Set<String>
    /// Seconds that are kept before the onset.
    public var before: Double
    /// Seconds that are kept after the offset.
    public var after: Double
    /// Seconds of an event that are kept at most, from its onset on.
    public var longest: Double

    /// What is said about recordings.
    public init(labels: Set<String>?, without: Set<String> = [], before: Double, after: Double, longest: Double) {
        self.labels = labels
        self.without = without
        self.before = before
        self.after = after
        self.longest = longest
    }

    func includes(_ event: EventRecord) -> Bool { labels.map { event.isOf($0) } ?? true }

    func forbids(_ event: EventRecord) -> Bool { event.isOf(without) }
}

extension EventRecord {
    /// Whether it has one of the labels, or one below.
    fileprivate func isOf(_ labels: Set<String>) -> Bool { labels.contains(label) || parents.contains(where: labels.contains) }
}

/// The sound of one event, or some that was asked for.
public struct Recording: Sendable, Equatable {
    /// The event's; or its own.
    public var id: ULID
    /// Name of the source.
    public var source: String
    /// The event's, as it was last reported; nil of sound that was asked for.
    public var label: String?
    /// Names of every ancestor of the label, nearest first.
    public var parents: [String]
    /// Where in the source's timeline.
    public var range: Range<Int64>
    /// Samples a second.
    public var rate: Int
    /// (range.count), mono.
    public var samples: [Int16]

    package init(event: EventRecord, range: Range<Int64>, rate: Int, samples: [Int16]) {
        self.init(id: event.id, source: event.source, label: event.label, parents: event.parents, range: range, rate: rate, samples: samples)
    }

    init(id: ULID, source: String, label: String?, parents: [String], range: Range<Int64>, rate: Int, samples: [Int16]) {
        self.id = id
        self.source = source
        self.label = label
        self.parents = parents
        self.range = range
        self.rate = rate
        self.samples = samples
    }
}

extension Recording {
    /// What people read in place of a label where there is none.
    var title: String { label ?? "Kept" }
}

/// Keeps the newest sound, and cuts out that of the events that there were: a state machine without clock, thread or file.
///
/// An event is recorded once it is confirmed and closed, or has lasted for longer than is kept; one that is retracted is not. Where there
/// are sounds that no recording is to have, it waits until these would have been noticed, and is not made where one was, surely or not.
/// Positions are those of the source's timeline.
public struct Recorder {
    /// An event that is open, or waits for the sound after its offset.
    private struct Pending {
        var event: EventRecord
        var onset: Int64
        /// Where the sound ends, once the event is closed.
        var offset: Int64?
        var isWritten = false
    }

    /// An event that no recording is to have, as long as sound of it is held.
    private struct Forbidden {
        var id: ULID
        var onset: Int64
        /// Where it ends, once that is known.
        var offset: Int64?
    }

    /// Seconds after its offset in which an event is closed, twice what that takes with the bundled model: one that is not by then
    /// is taken to go on.
    private static let closing = 10.0
    /// Seconds until a sound that nothing announced is confirmed, with the bundled model nineteen times in twenty.
    private static let confirming = 5.5
    /// Seconds more that are held, for an event that is confirmed later still.
    private static let spare = 5.0

    private let rules: RecordingRules
    private let rate: Int
    private let before: Int64
    private let after: Int64
    private let longest: Int64
    private let closing: Int64
    private let confirming: Int64
    private var history: SoundHistory
    private var pending: [Pending] = []
    private var forbidden: [Forbidden] = []

    /// - Parameters:
    ///   - rate: Of the source, samples a second.
    ///   - position: Of the first sample that will come.
    public init(_ rules: RecordingRules, rate: Int, from position: Int64) {
        func samples(_ seconds: Double) -> Int64 { Int64((seconds * Double(rate)).rounded()) }
        self.rules = rules
        self.rate = rate
        before = samples(rules.before)
        after = samples(rules.after)
        longest = samples(rules.longest)
        closing = samples(Self.closing)
        confirming = rules.without.isEmpty ? 0 : samples(Self.confirming)
        history = SoundHistory(from: position, capacity: Int(before + longest + after + closing + samples(Self.spare)))
    }

    /// Takes the samples that follow, in -1…1.
    public mutating func append(_ samples: UnsafeBufferPointer<Float>) { history.append(samples) }

    /// Takes what was reported of an event, with its onset and offset.
    public mutating func take(_ event: EventRecord, onset: Int64, offset: Int64?) {
        forbidden.removeAll { $0.id == event.id }
        if event.phase != .retract, rules.forbids(event) { forbidden.append(Forbidden(id: event.id, onset: onset, offset: offset)) }
        let place = pending.firstIndex { $0.event.id == event.id }
        var entry = Pending(event: event, onset: onset, isWritten: place.map { pending[$0].isWritten } ?? false)
        if event.phase == .close { entry.offset = offset ?? history.held.upperBound }
        if event.phase == .retract || event.phase == .close && (entry.isWritten || !rules.includes(event)) {
            if let place { pending.remove(at: place) }
        } else if let place {
            pending[place] = entry
        } else {
            pending.append(entry)
        }
    }

    /// The recordings that are complete, or all of closed events where no more sound follows.
    public mutating func takeComplete(isLast: Bool = false) -> [Recording] {
        var complete: [Recording] = []
        for index in pending.indices where !pending[index].isWritten {
            let entry = pending[index]
            let end = min(entry.offset ?? .max, entry.onset + longest) + after
            let due = entry.offset == nil ? end + closing : end + confirming
            guard entry.event.status == .confirmed, rules.includes(entry.event), entry.offset != nil || !isLast,
                isLast || due <= history.held.upperBound
            else { continue }
            pending[index].isWritten = true
            let range = (entry.onset - before..<max(end, entry.onset - before)).clamped(to: history.held)
            let isForbidden = forbidden.contains { $0.onset < range.upperBound && $0.offset ?? .max > range.lowerBound }
            guard !range.isEmpty, !isForbidden else { continue }
            complete.append(Recording(event: entry.event, range: range, rate: rate, samples: history.copy(range)))
        }
        pending.removeAll { $0.isWritten && $0.offset != nil }
        forbidden.removeAll { $0.offset.map { $0 < history.held.lowerBound } ?? false }
        return complete
    }

    /// The newest sound, whatever is in it, or as much of it as is held; nil where none is.
    ///
    /// - Parameter id: Of a recording that begins at a position.
    public func newest(seconds: Int, source: String, id: (Int64) -> ULID) -> Recording? {
        let start = max(history.held.lowerBound, history.held.upperBound - Int64(seconds) * Int64(rate))
        let range = start..<history.held.upperBound
        guard !range.isEmpty else { return nil }
        return Recording(id: id(start), source: source, label: nil, parents: [], range: range, rate: rate, samples: history.copy(range))
    }

    /// The timeline goes on elsewhere; what is held by then is what there is of every event.
    public mutating func restart(at position: Int64) {
        pending.removeAll()
        forbidden.removeAll()
        history.restart(at: position)
    }
}
