import Tagging

/// One line of the event stream, schema `aumd/1` (`aumd-1.schema.json`). Fields are only ever added, never renamed.
public enum Record: Sendable, Equatable {
    /// A sound event opened, changed, closed or was retracted.
    case event(EventRecord)
    /// Sound is missing.
    case gap(GapRecord)
    /// How the daemon is doing.
    case status(StatusRecord)
    /// The highest scores of one column.
    case scores(ScoresRecord)
    /// The sound of an event is in a file.
    case recording(RecordingRecord)

    /// Name of the schema, in every line.
    public static let schema = "aumd/1"

    /// The `type` field's values.
    public enum Kind: String, Sendable, CaseIterable {
        case event, gap, status, scores, recording
    }

    /// Which kind it is.
    public var kind: Kind {
        switch self {
        case .event: .event
        case .gap: .gap
        case .status: .status
        case .scores: .scores
        case .recording: .recording
        }
    }
}

extension Set<Record.Kind> {
    /// Everything but scores: what an event stream holds unless asked for more.
    public static let events: Self = [.event, .gap, .status, .recording]
    /// Scores too.
    public static let all = Set(Record.Kind.allCases)
}

/// Samples of the source that never reached the model.
public struct GapRecord: Sendable, Equatable {
    /// What made the gap.
    public enum Cause: String, Sendable, CaseIterable {
        /// The device's buffer ran over before it was read.
        case xrun
        /// The machine slept.
        case suspend
        /// The device stood still.
        case stall
        /// The device was away.
        case deviceLost = "device_lost"
        /// The analysis did not keep up and the ring ran over.
        case overflow
        /// Nobody reported a loss, but the device's samples stayed behind the clock.
        case slip
        /// The device was closed on purpose.
        case paused
    }

    /// Name of the source.
    public var source: String
    /// The first missing sample.
    public var from: RecordTime
    /// The first sample that is there again.
    public var to: RecordTime
    /// Missing samples, at the source's own rate.
    public var samples: Int64
    /// What made the gap.
    public var cause: Cause
    /// Whether the hidden state was reset; shorter gaps are filled with noise at the room's floor and events go on across them.
    public var reset: Bool

    /// A gap of one source.
    public init(source: String, from: RecordTime, to: RecordTime, samples: Int64, cause: Cause, reset: Bool) {
        self.source = source
        self.from = from
        self.to = to
        self.samples = samples
        self.cause = cause
        self.reset = reset
    }
}

/// How the daemon is doing; sent on every change of state and at intervals.
public struct StatusRecord: Sendable, Equatable {
    /// What the source is doing.
    public enum State: String, Sendable, CaseIterable {
        /// The source is being opened.
        case starting
        /// Sound arrives and is analysed.
        case capturing
        /// The device delivers nothing but zeros.
        case silent
        /// The device, or a live pipe, delivers nothing.
        case stalled
        /// The device is away or cannot be opened; it is tried again.
        case deviceLost = "device_lost"
        /// The device is closed on purpose: in quiet hours, or as was asked.
        case paused
        /// The daemon is ending; nothing follows.
        case stopping
    }

    /// Name of the source.
    public var source: String
    /// When this held.
    public var time: RecordTime
    /// What the source is doing.
    public var state: State
    /// RMS level of the newest step in dB of full scale, a full-scale sine's being -3.01; nil before any sound and while the
    /// device is away or closed.
    public var levelDBFS: Float?
    /// RMS level of the sound since the last status; nil where there was none.
    public var meanLevelDBFS: Float?
    /// The highest level of a step in it.
    public var highestLevelDBFS: Float?
    /// Overruns of the device since the start.
    public var xruns: UInt64
    /// Samples that were overwritten before they could be analysed, since the start.
    public var lostSamples: UInt64
    /// Samples that were no numbers, or beyond all sound, and were heard as 0, since the start.
    public var brokenSamples: UInt64
    /// Window passes that had not ended two columns after they began, since the start.
    public var lateWindows: UInt64
    /// Columns that were never confirmed, because a window pass came too late for them, since the start.
    public var unconfirmedColumns: UInt64
    /// The latest the capture thread came to a full period since the start, milliseconds; nil where there is no device.
    public var worstWakeUpMilliseconds: Double?
    /// Whether the capture thread runs under SCHED_FIFO; nil where there is no such thread, or not yet.
    public var realtime: Bool?
    /// Name of the device, where there is one.
    public var device: String?
    /// A sentence about the state, such as the error that took the device away.
    public var message: String?

    /// Whether people have nothing to learn from it after `previous`: the state is the same, and for the same reason.
    func repeats(_ previous: StatusRecord?) -> Bool {
        state == previous?.state && message == previous?.message
    }

    /// A state of one source; counts are since the start.
    public init(
        source: String, time: RecordTime, state: State, levelDBFS: Float? = nil, meanLevelDBFS: Float? = nil, highestLevelDBFS: Float? = nil,
        xruns: UInt64 = 0, lostSamples: UInt64 = 0, brokenSamples: UInt64 = 0, lateWindows: UInt64 = 0, unconfirmedColumns: UInt64 = 0,
        worstWakeUpMilliseconds: Double? = nil, realtime: Bool? = nil, device: String? = nil, message: String? = nil
    ) {
        self.source = source
        self.time = time
        self.state = state
        self.levelDBFS = levelDBFS
        self.meanLevelDBFS = meanLevelDBFS
        self.highestLevelDBFS = highestLevelDBFS
        self.xruns = xruns
        self.lostSamples = lostSamples
        self.brokenSamples = brokenSamples
        self.lateWindows = lateWindows
        self.unconfirmedColumns = unconfirmedColumns
        self.worstWakeUpMilliseconds = worstWakeUpMilliseconds
        self.realtime = realtime
        self.device = device
        self.message = message
    }
}

/// A label with its score.
public struct Tag: Sendable, Equatable {
    /// Display name.
    public var label: String
    /// AudioSet id.
    public var mid: String
    /// Sigmoid probability.
    public var score: Float

    /// A label with its score.
    public init(label: String, mid: String, score: Float) {
        self.label = label
        self.mid = mid
        self.score = score
    }
}

/// The highest scores of one column.
public struct ScoresRecord: Sendable, Equatable {
    /// Name of the source.
    public var source: String
    /// The column's first sample.
    public var time: RecordTime
    /// Which track of scores they are of.
    public var status: Event.Status
    /// As in `StatusRecord`; nil for scores that come late.
    public var levelDBFS: Float?
    /// By falling score.
    public var tags: [Tag]

    /// Scores of one column of one source.
    public init(source: String, time: RecordTime, status: Event.Status, levelDBFS: Float?, tags: [Tag]) {
        self.source = source
        self.time = time
        self.status = status
        self.levelDBFS = levelDBFS
        self.tags = tags
    }
}

/// The sound of an event, in a file that is whole.
public struct RecordingRecord: Sendable, Equatable {
    /// The event's; its own, of sound that was asked for.
    public var id: ULID
    /// Name of the source.
    public var source: String
    /// The event's label when it was recorded; nil of sound that was asked for.
    public var label: String?
    /// Names of every ancestor of the label, nearest first.
    public var parents: [String]
    /// FLAC, mono, at the source's rate.
    public var file: String
    /// The first sample.
    public var from: RecordTime
    /// The end of the last sample.
    public var to: RecordTime

    /// A recording of one event.
    public init(id: ULID, source: String, label: String?, parents: [String], file: String, from: RecordTime, to: RecordTime) {
        self.id = id
        self.source = source
        self.label = label
        self.parents = parents
        self.file = file
        self.from = from
        self.to = to
    }
}

/// The tags of a whole file: a line of the same schema, `type` "clip", outside the stream of a source.
public struct ClipRecord: Sendable, Equatable {
    /// Its name as it was given.
    public var file: String
    /// Seconds.
    public var duration: Double
    /// As in `EventRecord`.
    public var model: String
    /// By falling score.
    public var tags: [Tag]

    /// The tags of one file.
    public init(file: String, duration: Double, model: String, tags: [Tag]) {
        self.file = file
        self.duration = duration
        self.model = model
        self.tags = tags
    }
}

/// The embedding of a whole file: a line of the same schema, `type` "embedding", as that of a clip.
public struct EmbeddingRecord: Sendable, Equatable {
    /// Its name as it was given.
    public var file: String
    /// Seconds.
    public var duration: Double
    /// As in `EventRecord`.
    public var model: String
    /// (D).
    public var embedding: [Float]

    /// The embedding of one file.
    public init(file: String, duration: Double, model: String, embedding: [Float]) {
        self.file = file
        self.duration = duration
        self.model = model
        self.embedding = embedding
    }
}
