import Sinks
import Tagging
import Testing

/// One record of every kind and of every shape that an event takes.
enum Samples {
    static let labels = [
        Label(name: "Bark", mid: "/m/05tny_", parents: [1, 2]),
        Label(name: "Dog", mid: "/m/0bt9lr", parents: [2]),
        Label(name: "Animal", mid: "/m/0jbk"),
        Label(name: "Smoke detector, smoke alarm", mid: "/m/01y3hg"),
    ]
    /// 2026-11-23T04:18:22.000Z
    static let anchor: Int64 = 1_795_407_502_000
    static let model = "aumd-small@1f3c0a9b"

    static let tags = [
        Tag(label: "Bark", mid: "/m/05tny_", score: 0.71), Tag(label: "Dog", mid: "/m/0bt9lr", score: 1e-7),
    ]

    static func clock(_ position: Int64) -> RecordTime { .clock(milliseconds: anchor + position / 16) }
    static func stream(_ position: Int64) -> RecordTime { .stream(milliseconds: position / 16) }

    /// The actions of a tagger on a made-up scene: a bark announced and confirmed, a false alarm, a bark that the end
    /// of the stream cuts.
    static func actions() -> [Action] {
        var rules = Array(repeating: LabelRule(on: 0.5, off: 0.3, cooldown: 0), count: labels.count)
        rules[3].group = "alarm"
        var tagger = Tagger(TaggerConfiguration(labels: labels, rules: rules))
        var actions: [Action] = []
        for column in 0..<40 {
            let bark: Float = (3..<8).contains(column) ? 0.71 : 0
            let dog: Float = (3..<8).contains(column) ? 0.8 : 0
            let alarm: Float = (12..<14).contains(column) ? 0.6 : 0
            tagger.provisional(start: Int64(column) * 2560, scores: [bark, dog, 0, alarm].span, into: &actions)
        }
        for column in 0..<40 {
            let bark: Float = (2..<9).contains(column) || column >= 36 ? 0.93 : 0
            tagger.confirmed(start: Int64(column) * 2560, scores: [bark, 0, 0, 0].span, into: &actions)
        }
        tagger.interrupt(into: &actions)
        return actions
    }

    private static func events(_ time: (Int64) -> RecordTime) -> [EventRecord] {
        var ids = EventIDs(source: "kitchen")
        return actions().map { action in
            EventRecord(
                action, at: 640_000, id: ids.id(of: action, time: time), source: "kitchen", model: model, labels: labels, time: time)
        }
    }

    /// The first of the scene: a bark is announced.
    static func event(_ time: (Int64) -> RecordTime = clock) throws -> EventRecord { try #require(events(time).first) }

    static func records(_ time: (Int64) -> RecordTime = clock) throws -> [Record] {
        var records = events(time).map(Record.event)
        for cause in GapRecord.Cause.allCases {
            records.append(
                .gap(
                    GapRecord(
                        source: "kitchen", from: time(16_000), to: time(20_800), samples: 4800, cause: cause,
                        reset: cause != .xrun)))
        }
        for state in StatusRecord.State.allCases {
            records.append(.status(StatusRecord(source: "kitchen", time: time(32_000), state: state)))
        }
        records += [
            .status(
                StatusRecord(
                    source: "kitchen", time: time(32_000), state: .deviceLost, levelDBFS: -52.1, meanLevelDBFS: -50, highestLevelDBFS: -31.24, xruns: 2, lostSamples: 3, brokenSamples: 4,
                    lateWindows: 1, unconfirmedColumns: 2, worstWakeUpMilliseconds: 0.25, realtime: true, device: "hw:CARD=USB", message: "No such device\n\"gone\" \u{1} \\ ü 🎤")),
            .scores(
                ScoresRecord(
                    source: "kitchen", time: time(2560), status: .provisional, levelDBFS: -40, tags: tags)),
            .scores(ScoresRecord(source: "kitchen", time: time(2560), status: .confirmed, levelDBFS: nil, tags: [])),
            .scores(
                ScoresRecord(
                    source: "kitchen", time: time(2560), status: .confirmed, levelDBFS: -.infinity,
                    tags: [Tag(label: "Dog", mid: "/m/0bt9lr", score: .nan)])),
        ]
        var event = try event(time)
        (event.phase, event.revision, event.reason) = (.retract, 1, .absorbed)
        event.partOf = EventRecord.Other(id: ULID(milliseconds: 5, source: "kitchen", number: 7), label: "Dog")
        records.append(.event(event))
        records.append(
            .recording(
                RecordingRecord(
                    id: event.id, source: "kitchen", label: "Bark", parents: ["Dog", "Animal"], file: "/srv/sounds/ü \"b\".flac", from: time(16_000), to: time(48_000))))
        records.append(
            .recording(
                RecordingRecord(
                    id: event.id, source: "kitchen", label: nil, parents: [], file: "/srv/sounds/kept.flac", from: time(16_000), to: time(48_000))))
        return records
    }

    /// A device that is waited for, and lost later, each time for two reasons; told at intervals.
    static let absences: [Record] = [
        (StatusRecord.State.starting, nil), (.starting, "it is not there"), (.starting, "it is not there"),
        (.starting, "it is busy"), (.capturing, nil), (.deviceLost, "it is not there"), (.deviceLost, "it is not there"),
        (.deviceLost, "it is busy"), (.deviceLost, "it is busy"), (.capturing, nil),
    ].map { .status(StatusRecord(source: "kitchen", time: .stream(milliseconds: 0), state: $0, message: $1)) }

    static func lines(_ records: [Record]) -> String {
        var encoder = RecordEncoder()
        return records.enumerated().map {
            String(decoding: encoder.line($0.element, sequence: UInt64($0.offset)), as: UTF8.self)
        }.joined()
    }

    /// Every record, and a clip and its embedding, with clock and with stream times, numbered as one stream.
    static func everyLine() throws -> [String] {
        var encoder = RecordEncoder(), lines: [String] = []
        for time in [clock, stream] {
            for record in try records(time) {
                lines.append(String(decoding: encoder.line(record, sequence: UInt64(lines.count)), as: UTF8.self))
            }
            let clip = ClipRecord(file: "a/ü \"b\".wav", duration: 10.24, model: model, tags: tags)
            lines.append(String(decoding: encoder.line(clip, sequence: UInt64(lines.count)), as: UTF8.self))
            let embedding = EmbeddingRecord(file: clip.file, duration: clip.duration, model: model, embedding: [-1.5, 0, 0.1])
            lines.append(String(decoding: encoder.line(embedding, sequence: UInt64(lines.count)), as: UTF8.self))
        }
        return lines
    }
}
