import Glibc
import Tagging

/// What the live view shows, gathered from records. A value without clock or terminal.
public struct TerminalState: Sendable {
    /// A label among the highest scores.
    struct LabelScore: Sendable {
        var label: String
        /// The latest score, or what is left of it: falls by a fifth in 0.16 s, so that a short sound can be read.
        var score: Float
        /// Highest score of the last seconds, falling slowly: what the rows are sorted by, so that they do not dance.
        var peakHold: Float
    }

    /// An event of the list, newest first.
    struct Line: Sendable {
        enum Mark: Sendable { case provisional, confirmed, retracted, gap }
        var id: ULID?
        var label: String
        var mark: Mark
        var onset: RecordTime
        var duration: Double?
        var isOpen: Bool
        var peak: Float
    }

    /// Events kept for the list; older ones leave it.
    static let maximumLines = 64

    private(set) var source = ""
    private(set) var device: String?
    private(set) var state = StatusRecord.State.starting
    private(set) var message: String?
    /// What another output has to say to people.
    public var notice: String?
    private(set) var time: RecordTime?
    private(set) var levelDBFS: Float?
    /// Highest level of the last seconds, falling 12 dB a second.
    private(set) var peakDBFS: Float = -120
    private(set) var topScores: [LabelScore] = []
    private(set) var lines: [Line] = []
    private(set) var xruns: UInt64 = 0
    private(set) var lostSamples: UInt64 = 0
    private(set) var lateWindows: UInt64 = 0
    private var sawProvisional = false
    private var scoresHaveLevel = false
    private var lastScores: RecordTime?

    /// Nothing heard yet.
    public init() {}

    /// Takes a record in. Recordings are not shown.
    public mutating func apply(_ record: Record) {
        switch record {
        case .event(let event): apply(event)
        case .gap(let gap):
            source = gap.source
            insert(
                Line(
                    id: nil, label: "gap: \(gap.cause.rawValue)", mark: .gap, onset: gap.from,
                    duration: Double(gap.to.milliseconds - gap.from.milliseconds) / 1000, isOpen: false, peak: .nan))
        case .status(let status):
            source = status.source
            device = status.device ?? device
            state = status.state
            message = status.message
            advance(to: status.time)
            xruns = status.xruns
            lostSamples = status.lostSamples
            lateWindows = status.lateWindows
            if !scoresHaveLevel || status.state != .capturing { setLevel(status.levelDBFS) }
            if status.state != .capturing { topScores.removeAll() }
        case .scores(let scores): apply(scores)
        case .recording: break
        }
    }

    private mutating func apply(_ scores: ScoresRecord) {
        source = scores.source
        // The causal scores are the present; late ones serve only where there are no others.
        if scores.status == .provisional { sawProvisional = true }
        guard scores.status == .provisional || !sawProvisional else { return }
        // Scores come once a column or twice.
        let elapsed = lastScores.map { Double(scores.time.milliseconds - $0.milliseconds) / 1000 } ?? 0
        let seconds = min(max(elapsed, 0), 1)
        advance(to: scores.time)
        lastScores = scores.time
        // Scores that are late bring none: then the status has it.
        if let level = scores.levelDBFS { setLevel(level, after: seconds) }
        scoresHaveLevel = scores.levelDBFS != nil
        for index in topScores.indices {
            topScores[index].score *= Float(pow(0.8, seconds / 0.16))
            topScores[index].peakHold *= Float(pow(0.97, seconds / 0.16))
        }
        for tag in scores.tags where tag.score.isFinite {
            if let index = topScores.firstIndex(where: { $0.label == tag.label }) {
                topScores[index].score = max(topScores[index].score, tag.score)
                topScores[index].peakHold = max(topScores[index].peakHold, tag.score)
            } else {
                topScores.append(LabelScore(label: tag.label, score: tag.score, peakHold: tag.score))
            }
        }
        topScores.removeAll { $0.peakHold < 0.02 }
        topScores.sort { $0.peakHold != $1.peakHold ? $0.peakHold > $1.peakHold : $0.label < $1.label }
        if topScores.count > 32 { topScores.removeLast(topScores.count - 32) }
    }

    private mutating func apply(_ event: EventRecord) {
        source = event.source
        let mark: Line.Mark =
            event.phase == .retract ? .retracted : event.status == .confirmed ? .confirmed : .provisional
        let line = Line(
            id: event.id, label: event.label, mark: mark, onset: event.onset, duration: event.duration,
            isOpen: event.offset == nil && (event.phase == .open || event.phase == .update), peak: event.peak)
        if let index = lines.firstIndex(where: { $0.id == event.id }) {
            lines.remove(at: index)
        }
        insert(line)
    }

    /// Lines are in the order of their onsets: where the clock has been corrected, those of before would stay above all that follow.
    private mutating func advance(to new: RecordTime) {
        if let time, new.milliseconds < time.milliseconds - 60_000 { lines.removeAll { !$0.isOpen } }
        time = new
    }

    private mutating func insert(_ line: Line) {
        let index = lines.firstIndex { $0.onset.milliseconds <= line.onset.milliseconds } ?? lines.count
        lines.insert(line, at: index)
        if lines.count > Self.maximumLines { lines.removeLast() }
    }

    private mutating func setLevel(_ level: Float?, after seconds: Double = 0) {
        levelDBFS = level
        peakDBFS = max(level ?? -120, peakDBFS - 12 * Float(seconds))
    }

    /// How the event of a label stands, if one is open.
    func openMark(_ label: String) -> Line.Mark? {
        lines.first { $0.isOpen && $0.label == label }?.mark
    }
}
