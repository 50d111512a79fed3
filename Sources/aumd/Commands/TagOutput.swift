import Glibc
import Sinks

/// Writes what `aumd tag` found, in the format asked for, to the standard output.
final class TagOutput {
    private let format: TagFiles.Format
    /// A label track has no place for the file's name but its labels.
    private let namesFiles: Bool
    private var encoder = RecordEncoder()
    /// Lines of JSON so far; all files' are numbered as one stream.
    private var sequence: UInt64 = 0

    /// Nothing more can be written: the reader has closed the pipe, or the disk is full.
    private(set) var hasEnded = false
    /// It ended for an error, which was reported.
    private(set) var hasFailed = false

    init(format: TagFiles.Format, mode: TagFiles.Mode, fileCount: Int) {
        self.format = format
        namesFiles = fileCount > 1
        guard format == .csv else { return }
        switch mode {
        case .offline: write("file,label,mid,score\n")
        case .stream: write("file,onset,offset,label,mid,peak\n")
        case .scores: write("file,time,label,mid,score\n")
        case .embedding: preconditionFailure("embeddings are lines of JSON")
        }
    }

    /// A clip's tags, by falling score.
    func write(_ clip: ClipRecord) {
        switch format {
        case .ndjson: write(encoder.line(clip, sequence: nextSequence()))
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

    /// A clip's embedding, as a line of JSON.
    func write(_ clip: EmbeddingRecord) { write(encoder.line(clip, sequence: nextSequence())) }

    /// An event: in ndjson each of its records, otherwise one line when it is closed.
    func write(_ event: EventRecord, file: String) {
        if format == .ndjson { return write(encoder.line(.event(event), sequence: nextSequence())) }
        guard event.phase == .close, let offset = event.offset else { return }
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
    func write(_ scores: ScoresRecord, file: String) {
        switch format {
        case .ndjson: write(encoder.line(.scores(scores), sequence: nextSequence()))
        case .csv:
            for tag in scores.tags {
                write(Self.row(file, scores.time.text, tag.label, tag.mid, "\(tag.score)"))
            }
        case .text, .audacity:
            let tags = scores.tags.map { "\($0.label.printable) \(Self.percent($0.score))" }
            write("\(file.printable)  \(scores.time.text) s  \(tags.joined(separator: ", "))\n")
        }
    }

    /// For a person: a file without events has a line, too.
    func writeNothingHeard(file: String) {
        if format == .text { write("\(file.printable)  nothing heard\n") }
    }

    private func nextSequence() -> UInt64 {
        defer { sequence += 1 }
        return sequence
    }

    private func write(_ text: String) { write(Array(text.utf8)) }

    private func write(_ bytes: [UInt8]) {
        if hasEnded { return }
        switch writeAll(bytes, to: STDOUT_FILENO) {
        case .done: return
        case .readerGone: break
        case .failed(let code, _):
            report(Failure(unwritable: code))
            hasFailed = true
        }
        hasEnded = true
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
