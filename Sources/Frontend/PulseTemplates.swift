/// A group of a pattern's pulses as it may come, at every tempo that a standard allows and with pulses that a room makes longer: what the last
/// seconds of a band are compared with.
///
/// A group is there where the band's prominence correlates with the pattern of on and off. What correlates may still be one pulse fewer
/// or more, or a tone without rests: so each pulse must rise and fall, and the places where the next ones would be must not.
struct PulseTemplates: Sendable {
    /// A group that ends with the newest frame, rests and all: where its first pulse begins and its last one ends, in frames.
    struct Match: Sendable {
        var correlation: Float
        var first: Int
        var last: Int
    }

    /// A group below this correlation is none.
    static let leastCorrelation: Float = 0.6
    /// A pulse stands out from the bands beside its own, and from the rests before and after it, by this at least, and no more than this rises
    /// where none is to be: 0.5, of natural logarithms of energy, is 2.2 dB.
    static let leastRise = 0.5
    /// Share of the pulses' mean prominence, over that of the rest before them, that the least of them has.
    static let leastShare = 0.5
    /// Tempos that are tried.
    private static let tempos = [0.9, 0.95, 1, 1.05, 1.1]
    /// Shares of a pulse by which a room may make it longer, and the rest after it shorter.
    private static let lengthenings = [-0.06, 0, 0.1, 0.24, 0.4, 0.6]

    /// The pattern at a tempo: where its slots and rests begin, in frames after the beginning of a group that ends with the newest frame. The first
    /// and the last slot are those where no pulse is to be.
    private struct Template: Sendable {
        /// Of the first slot, among `edges`.
        var first: Int
        var count: Int
        /// Share of all that is pulses.
        var duty: Double
    }

    /// Frames of the longest group.
    let longest: Int
    /// Frames from the end of the last pulse of a group, or of what looks like one, to the group's own end at most.
    let longestEnd: Int
    private let pulses: Int
    private let templates: [Template]
    private let edges: [Int]  // (templates, slots and rests + 1)
    /// Of the shortest pulse.
    private let pulseFrames: Int

    /// - Parameter rate: frames a second.
    init(_ pattern: TemporalPattern, rate: Double) {
        var templates: [Template] = [], edges: [Int] = []
        for tempo in Self.tempos {
            for lengthening in Self.lengthenings {
                let on = pattern.on * (tempo + lengthening), off = pattern.off * tempo - pattern.on * lengthening
                let first = edges.count
                var end = 0.0, pulseFrames = 0
                edges.append(0)
                for part in 0..<(2 * pattern.pulses + 3) {
                    end += part % 2 == 0 ? on : off
                    edges.append(Int((end * rate).rounded()))
                    let isPulse = part % 2 == 0 && part > 0 && part < 2 * pattern.pulses + 2
                    if isPulse { pulseFrames += edges[first + part + 1] - edges[first + part] }
                }
                let count = edges[edges.count - 1]
                templates.append(Template(first: first, count: count, duty: Double(pulseFrames) / Double(count)))
            }
        }
        self.templates = templates
        self.edges = edges
        pulses = pattern.pulses
        longest = templates.map(\.count).max() ?? 0
        longestEnd = Int((Self.tempos[Self.tempos.count - 1] * (2 * pattern.on + pattern.off) * rate).rounded(.up))
        pulseFrames = Int(((Self.tempos[0] + Self.lengthenings[0]) * pattern.on * rate).rounded(.down))
    }

    /// Whether the newest frames of a band may be those of a pulse.
    func endWithPulse(_ track: TonalTrack, _ band: Int) -> Bool {
        guard track.count >= pulseFrames else { return false }
        return track.sum(band, (track.count - pulseFrames)..<track.count) >= Self.leastRise * Double(pulseFrames)
    }

    /// The group that ends with the newest frame of a band, if one does.
    func match(_ track: TonalTrack, _ band: Int) -> Match? {
        var best: Match?
        for template in templates where template.count <= track.count {
            guard let correlation = correlation(template, track, band), correlation >= Self.leastCorrelation,
                correlation > best?.correlation ?? 0
            else { continue }
            let begin = track.count - template.count
            best = Match(
                correlation: correlation, first: begin + edges[template.first + 2], last: begin + edges[template.first + 2 * pulses + 1])
        }
        return best
    }

    /// The correlation of a band's last frames with a template, where they have its pulses and rests; else nil.
    private func correlation(_ template: Template, _ track: TonalTrack, _ band: Int) -> Float? {
        let begin = track.count - template.count
        // Of slot or rest i; slots have even numbers, 0 and `last` are those without a pulse.
        let last = 2 * self.pulses + 2
        func sum(_ i: Int) -> Double { track.sum(band, (begin + edges[template.first + i])..<(begin + edges[template.first + i + 1])) }
        func mean(_ i: Int) -> Double { sum(i) / Double(edges[template.first + i + 1] - edges[template.first + i]) }
        var pulses = 0.0, weakest = Double.infinity
        for slot in stride(from: last - 2, to: 0, by: -2) {
            let level = mean(slot)
            // Beside a tone's own band, others have its rests for pulses.
            guard level >= Self.leastRise, level - mean(slot + 1) >= Self.leastRise, level - mean(slot - 1) >= Self.leastRise else { return nil }
            pulses += level
            weakest = min(weakest, level)
        }
        pulses /= Double(self.pulses)
        let before = mean(1)
        guard weakest - before >= Self.leastShare * (pulses - before),
            mean(0) - before < Self.leastRise, mean(last) - mean(last - 1) < Self.leastRise
        else { return nil }
        let frames = begin..<track.count, count = Double(template.count), duty = template.duty
        let all = track.sum(band, frames)
        let on = stride(from: 2, to: last, by: 2).reduce(0) { $0 + sum($1) }
        let variance = track.squareSum(band, frames) - all * all / count
        return Float((on - duty * all) / (max(variance, 1e-9) * count * duty * (1 - duty)).squareRoot())
    }
}
