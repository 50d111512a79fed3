import Glibc
import Sinks
import Synchronization

/// Writes what `aumd tag` found, in the format asked for, to the standard output.
final class TagOutput: Sendable {
    private let format: TagFiles.Format
    /// A label track has no place for the file's name but its labels.
    private let namesFiles: Bool
    private let sequence = Atomic<UInt64>(0)
    private let ended = Atomic(false)
    private let failed = Atomic(false)
    /// Whether the file had an event.
    private let hasEvents = Atomic(false)

    /// Nothing more can be written: the reader has closed the pipe, or the disk is full.
    var hasEnded: Bool { ended.load(ordering: .relaxed) }
    /// It ended for an error, which was said.
    var hasFailed: Bool { failed.load(ordering: .relaxed) }

    init(format: TagFiles.Format, mode: TagFiles.Mode, fileCount: Int) {
        self.format = format
        namesFiles = fileCount > 1
        guard format == .csv else { return }
        switch mode {
        case .offline: write("file,label,mid,score\n")
        case .stream: write("file,onset,offset,label,mid,peak\n")
        case .scores: write("file,time,label,mid,score\n")
        }
    }

    /// A clip's tags, by falling score.
    func write(_ clip: ClipRecord) {
        switch format {
        case .ndjson: write(.clip(clip))
        case .csv:
            for tag in clip.tags {
                write(Self.row(clip.file, tag.label, tag.mid, "\(tag.score)"))
            }
        case .audacity:
            for tag in clip.tags {
                write("0\t\(clip.duration)\t\(audacityLabel(clip.file, tag.label)) \(Self.percent(tag.score))\n")
            }
        case .text:
            write("\(clip.file.printable)\n")
            for tag in clip.tags { write("  \(Self.percent(tag.score))  \(tag.label.printable)\n") }
        }
    }

    /// A sink for the events, or the scores, of one file.
    func sink(file: String) -> some RecordSink & Sendable {
        hasEvents.store(false, ordering: .relaxed)
        return StreamLines(output: self, file: file)
    }

    fileprivate func write(_ event: EventRecord, file: String) {
        if format == .ndjson { return write(.event(event)) }
        guard event.phase == .close, let offset = event.offset else { return }
        hasEvents.store(true, ordering: .relaxed)
        switch format {
        case .csv:
            write(Self.row(file, event.onset.text, offset.text, event.label, event.mid, "\(event.peak)"))
        case .audacity: write("\(event.onset.text)\t\(offset.text)\t\(audacityLabel(file, event.label))\n")
        case .text, .ndjson:
            let label = "\(event.label.printable) \(Self.percent(event.peak))"
            write("\(file.printable)  \(event.onset.text) to \(offset.text) s  \(label)\n")
        }
    }

    /// The scores of a column, as confirmed.
    fileprivate func write(_ scores: ScoresRecord, file: String) {
        switch format {
        case .ndjson: write(.scores(scores))
        case .csv:
            for tag in scores.tags {
                write(Self.row(file, scores.time.text, tag.label, tag.mid, "\(tag.score)"))
            }
        case .text, .audacity:
            let tags = scores.tags.map { "\($0.label.printable) \(Self.percent($0.score))" }
            write("\(file.printable)  \(scores.time.text) s  \(tags.joined(separator: ", "))\n")
        }
    }

    /// All events of a file are written: says so to a person where there was none.
    func endEvents(of file: String) {
        if !hasEvents.load(ordering: .relaxed), format == .text { write("\(file.printable)  nothing heard\n") }
    }

    /// A line of JSON; all files' are numbered as one stream.
    private func write(_ record: Record) {
        var encoder = RecordEncoder()
        write(encoder.line(record, sequence: sequence.wrappingAdd(1, ordering: .relaxed).oldValue))
    }

    private func write(_ text: String) { write(Array(text.utf8)) }

    private func write(_ bytes: [UInt8]) {
        if hasEnded { return }
        switch writeAll(bytes, to: STDOUT_FILENO) {
        case .done: return
        case .readerGone: break
        case .failed(let code, _):
            report(Failure(unwritable: code))
            failed.store(true, ordering: .relaxed)
        }
        ended.store(true, ordering: .relaxed)
    }

    private func audacityLabel(_ file: String, _ label: String) -> String {
        (namesFiles ? "\(file): \(label)" : label).printable
    }

    private static func percent(_ score: Float) -> String {
        // A score of 1 alone is 100 %.
        let value = score.isFinite ? min(Int((score * 100).rounded()), score < 1 ? 99 : 100) : 0
        return String(repeating: " ", count: value < 10 ? 2 : value < 100 ? 1 : 0) + "\(value) %"
    }

    /// A line of RFC 4180.
    private static func row(_ fields: String...) -> String { fields.map(csv).joined(separator: ",") + "\n" }

    /// A field of it. By scalars: a quote and an accent after it are one character, and no quote.
    private static func csv(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard scalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return text }
        return "\"" + scalars.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
    }
}

private struct StreamLines: RecordSink, Sendable {
    let output: TagOutput
    let file: String

    mutating func write(_ record: NumberedRecord, dropped: UInt64) -> Bool {
        switch record.record {
        case .event(let event): output.write(event, file: file)
        case .scores(let scores) where scores.status == .confirmed: output.write(scores, file: file)
        default: break
        }
        return !output.hasEnded
    }
}
