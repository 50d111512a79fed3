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
        json.clear()
        json.beginObject()
        json.key("schema")
        json.value(Record.schema)
        json.key("type")
        json.value(record.kind.rawValue)
        switch record {
        case .event(let event): write(event, sequence)
        case .gap(let gap): write(gap, sequence)
        case .status(let status): write(status, sequence, dropped)
        case .scores(let scores): write(scores, sequence)
        case .clip(let clip): write(clip, sequence)
        }
        json.endObject()
        json.endLine()
        return json.bytes
    }

    private mutating func write(_ event: EventRecord, _ sequence: UInt64) {
        json.key("phase")
        json.value(event.phase.rawValue)
        json.key("id")
        json.value(event.id.description)
        json.key("seq")
        json.value(sequence)
        json.key("rev")
        json.value(event.revision)
        json.key("source")
        json.value(event.source)
        json.key("time")
        json.value(event.time)
        json.key("label")
        json.value(event.label)
        json.key("mid")
        json.value(event.mid)
        json.key("parents")
        json.beginArray()
        for parent in event.parents { json.value(parent) }
        json.endArray()
        if let group = event.group {
            json.key("group")
            json.value(group)
        }
        json.key("score")
        json.value(event.score)
        json.key("peak")
        json.value(event.peak)
        json.key("status")
        json.value(event.status.rawValue)
        json.key("onset")
        json.value(event.onset)
        json.key("onset_error")
        json.value(event.onsetError)
        json.key("offset")
        if let offset = event.offset { json.value(offset) } else { json.null() }
        if let error = event.offsetError {
            json.key("offset_error")
            json.value(error)
        }
        if let duration = event.duration {
            json.key("duration")
            json.value(duration)
        }
        if let reason = event.reason {
            json.key("reason")
            json.value(reason.rawValue)
        }
        json.key("model")
        json.value(event.model)
    }

    private mutating func write(_ gap: GapRecord, _ sequence: UInt64) {
        begin(sequence, gap.source)
        json.key("from")
        json.value(gap.from)
        json.key("to")
        json.value(gap.to)
        json.key("samples")
        json.value(gap.samples)
        json.key("cause")
        json.value(gap.cause.rawValue)
        json.key("reset")
        json.value(gap.reset)
    }

    private mutating func write(_ status: StatusRecord, _ sequence: UInt64, _ dropped: UInt64) {
        begin(sequence, status.source)
        json.key("time")
        json.value(status.time)
        json.key("state")
        json.value(status.state.rawValue)
        level(status.levelDBFS)
        json.key("xruns")
        json.value(status.xruns)
        json.key("dropped")
        json.value(dropped)
        json.key("lost_samples")
        json.value(status.lostSamples)
        json.key("broken_samples")
        json.value(status.brokenSamples)
        json.key("late_windows")
        json.value(status.lateWindows)
        json.key("unconfirmed_columns")
        json.value(status.unconfirmedColumns)
        if let delay = status.worstWakeUp {
            json.key("worst_wake_up_ms")
            json.value(delay)
        }
        if let realtime = status.realtime {
            json.key("realtime")
            json.value(realtime)
        }
        if let device = status.device {
            json.key("device")
            json.value(device)
        }
        if let message = status.message {
            json.key("message")
            json.value(message)
        }
    }

    private mutating func write(_ scores: ScoresRecord, _ sequence: UInt64) {
        begin(sequence, scores.source)
        json.key("time")
        json.value(scores.time)
        json.key("status")
        json.value(scores.status.rawValue)
        level(scores.levelDBFS)
        tags(scores.tags)
    }

    private mutating func write(_ clip: ClipRecord, _ sequence: UInt64) {
        json.key("seq")
        json.value(sequence)
        json.key("file")
        json.value(clip.file)
        json.key("duration")
        json.value(clip.duration)
        json.key("model")
        json.value(clip.model)
        tags(clip.tags)
    }

    private mutating func begin(_ sequence: UInt64, _ source: String) {
        json.key("seq")
        json.value(sequence)
        json.key("source")
        json.value(source)
    }

    private mutating func level(_ level: Float?) {
        json.key("level_dbfs")
        if let level { json.value((Double(level) * 10).rounded() / 10) } else { json.null() }
    }

    private mutating func tags(_ tags: [Tag]) {
        json.key("tags")
        json.beginArray()
        for tag in tags {
            json.beginObject()
            json.key("label")
            json.value(tag.label)
            json.key("mid")
            json.value(tag.mid)
            json.key("score")
            json.value(tag.score)
            json.endObject()
        }
        json.endArray()
    }
}
