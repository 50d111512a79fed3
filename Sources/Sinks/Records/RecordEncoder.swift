/// Turns records into lines of JSON, each with a newline at its end. Keeps its buffer; one thread uses it at a time.
public struct RecordEncoder {
    private var json = JSONWriter()

    /// An encoder with an empty buffer.
    public init() {}

    /// The line of a record, valid until the next call.
    ///
    /// - Parameters:
    ///   - sequence: The record's number in this process.
    ///   - dropped: Records lost to this reader so far, for a status record.
    public mutating func line(_ record: Record, sequence: UInt64, dropped: UInt64 = 0) -> [UInt8] {
        begin(record.kind.rawValue)
        switch record {
        case .event(let event): write(event, sequence)
        case .gap(let gap): write(gap, sequence)
        case .status(let status): write(status, sequence, dropped)
        case .scores(let scores): write(scores, sequence)
        case .recording(let recording): write(recording, sequence)
        }
        return end()
    }

    /// The line of a clip, valid until the next call.
    public mutating func line(_ clip: ClipRecord, sequence: UInt64) -> [UInt8] {
        begin("clip", of: clip.file, clip.duration, clip.model, sequence)
        write(clip.tags)
        return end()
    }

    /// The line of a clip's embedding, valid until the next call.
    public mutating func line(_ clip: EmbeddingRecord, sequence: UInt64) -> [UInt8] {
        begin("embedding", of: clip.file, clip.duration, clip.model, sequence)
        json.key("embedding")
        json.beginArray()
        for value in clip.embedding { json.value(value) }
        json.endArray()
        return end()
    }

    private mutating func begin(_ type: String) {
        json.clear()
        json.beginObject()
        json.field("schema", Record.schema)
        json.field("type", type)
    }

    private mutating func begin(_ type: String, of file: String, _ duration: Double, _ model: String, _ sequence: UInt64) {
        begin(type)
        json.field("seq", sequence)
        json.field("file", file)
        json.field("duration", duration)
        json.field("model", model)
    }

    private mutating func end() -> [UInt8] {
        json.endObject()
        json.endLine()
        return json.bytes
    }

    private mutating func write(_ event: EventRecord, _ sequence: UInt64) {
        json.field("phase", event.phase.rawValue)
        json.field("id", event.id.description)
        json.field("seq", sequence)
        json.field("rev", event.revision)
        json.field("source", event.source)
        json.field("time", event.time)
        json.field("label", event.label)
        json.field("mid", event.mid)
        write(parents: event.parents)
        json.field("group", event.group)
        json.field("score", event.score)
        json.field("peak", event.peak)
        json.field("status", event.status.rawValue)
        json.field("onset", event.onset)
        json.field("onset_error", event.onsetError)
        json.field("offset", orNull: event.offset)
        json.field("offset_error", event.offsetError)
        json.field("duration", event.duration)
        json.field("reason", event.reason?.rawValue)
        json.field("part_of", event.partOf?.id.description)
        json.field("model", event.model)
    }

    private mutating func write(_ gap: GapRecord, _ sequence: UInt64) {
        json.field("seq", sequence)
        json.field("source", gap.source)
        json.field("from", gap.from)
        json.field("to", gap.to)
        json.field("samples", gap.samples)
        json.field("cause", gap.cause.rawValue)
        json.field("reset", gap.reset)
    }

    private mutating func write(_ status: StatusRecord, _ sequence: UInt64, _ dropped: UInt64) {
        json.field("seq", sequence)
        json.field("source", status.source)
        json.field("time", status.time)
        json.field("state", status.state.rawValue)
        write(level: status.levelDBFS, "level_dbfs")
        write(level: status.meanLevelDBFS, "level_mean_dbfs")
        write(level: status.highestLevelDBFS, "level_max_dbfs")
        json.field("xruns", status.xruns)
        json.field("dropped", dropped)
        json.field("lost_samples", status.lostSamples)
        json.field("broken_samples", status.brokenSamples)
        json.field("late_windows", status.lateWindows)
        json.field("unconfirmed_columns", status.unconfirmedColumns)
        json.field("worst_wake_up_ms", status.worstWakeUpMilliseconds)
        json.field("realtime", status.realtime)
        json.field("device", status.device)
        json.field("message", status.message)
    }

    private mutating func write(_ recording: RecordingRecord, _ sequence: UInt64) {
        json.field("id", recording.id.description)
        json.field("seq", sequence)
        json.field("source", recording.source)
        json.field("label", orNull: recording.label)
        write(parents: recording.parents)
        json.field("file", recording.file)
        json.field("from", recording.from)
        json.field("to", recording.to)
    }

    private mutating func write(_ scores: ScoresRecord, _ sequence: UInt64) {
        json.field("seq", sequence)
        json.field("source", scores.source)
        json.field("time", scores.time)
        json.field("status", scores.status.rawValue)
        write(level: scores.levelDBFS, "level_dbfs")
        write(scores.tags)
    }

    private mutating func write(level: Float?, _ name: StaticString) {
        json.field(name, orNull: level.map { (Double($0) * 10).rounded() / 10 })
    }

    private mutating func write(parents: [String]) {
        json.key("parents")
        json.beginArray()
        for parent in parents { json.value(parent) }
        json.endArray()
    }

    private mutating func write(_ tags: [Tag]) {
        json.key("tags")
        json.beginArray()
        for tag in tags {
            json.beginObject()
            json.field("label", tag.label)
            json.field("mid", tag.mid)
            json.field("score", tag.score)
            json.endObject()
        }
        json.endArray()
    }
}
