/// Hears alarms by their temporal pattern: a tone, whatever its pitch, that sounds in groups of so many pulses, with rests of the right
/// length between and around them, and in other such groups whenever the pattern's period is over. No model is asked, and none would know
/// better: a smoke alarm differs from an alarm clock in nothing else.
///
/// Every 20 or 40 ms, and for each band of mel, the last seconds are compared with a group of pulses that would just have ended: the correlation
/// of the band's prominence with the pattern of on and off, over tempos that a standard allows and pulses that a room makes longer. What
/// correlates may still be one pulse fewer or more, or a tone without rests: each pulse must rise and fall, and the places where the
/// next would be must not. Memory is fixed when it is made. A value.
public struct AlarmDetector: Sendable {
    /// An alarm that sounded, or sounds still. Positions in samples.
    public struct Alarm: Sendable, Equatable {
        /// The poorest correlation of as many groups as are wanted, the best that followed each other.
        public internal(set) var score: Float
        /// Where its first pulse began.
        public let onset: Int64
        /// Where its last pulse so far ended.
        public internal(set) var offset: Int64
        /// Where there was enough of it.
        public let known: Int64
        /// Where it is over, should no other group come: a group may be drowned.
        public internal(set) var until: Int64
    }

    /// A group below this correlation is none.
    static let leastCorrelation: Float = 0.6
    /// A pulse stands out from the bands beside its own, and from the rests before and after it, by this at least, and no more than this rises
    /// where none is to be: 0.5, of natural logarithms of energy, is 2.2 dB.
    static let leastRise = 0.5
    /// Share of the pulses' mean prominence, over that of the rest before them, that the least of them has.
    static let leastShare = 0.5
    /// How far a period may be off, as a share of it. The standards allow a tenth.
    static let tolerance = 0.13
    /// Tempos that are tried.
    private static let tempos = [0.9, 0.95, 1, 1.05, 1.1]
    /// Shares of a pulse by which a room may make it longer, and the rest after it shorter.
    private static let lengthenings = [-0.06, 0, 0.1, 0.24, 0.4, 0.6]
    /// Looks in the time of a pulse, no more than one each 20 ms; and seconds for which a better place is waited for, once there is a group.
    private static let looks = 12.5, shortestStep = 0.02, settling = 0.2
    /// Alarms that are remembered.
    private static let remembered = 8

    /// The pattern at a tempo: where its slots and rests begin, in frames after the beginning of a group that ends with the newest frame. The first
    /// and the last slot are those where no pulse is to be.
    private struct Template: Sendable {
        /// Of the first slot, among `edges`.
        var first: Int
        var count: Int
        /// Share of all that is pulses.
        var duty: Double
    }

    private struct Group: Sendable {
        var correlation: Float
        /// Where its first pulse begins and its last one ends, in frames.
        var first: Int
        var last: Int
        /// Poorest correlation, and beginning, of the run of so many groups that ends with it; 0 where there is none.
        var poorest: SIMD4<Float>
        var begin: SIMD4<Int>

        init(correlation: Float, first: Int, last: Int) {
            (self.correlation, self.first, self.last) = (correlation, first, last)
            (poorest, begin) = (SIMD4(0, correlation, 0, 0), SIMD4(repeating: first))
        }

        /// Makes it the one that comes after another.
        mutating func follow(_ previous: Group) {
            for count in 2..<4 {
                poorest[count] = min(correlation, previous.poorest[count - 1])
                begin[count] = previous.begin[count - 1]
            }
        }
    }

    private struct Band: Sendable {
        /// Frame at which as much as a short pulse stood out last.
        var tone: Int?
        /// The best group of those that are being looked at, and the frame at which there was one last.
        var best: Group?
        var seen = 0
        /// The last one before.
        var previous: Group?
    }

    private let pattern: TemporalPattern
    private let groups: Int
    private let templates: [Template]
    private let edges: [Int]  // (templates, slots and rests + 1)
    private let rate: Double  // frames a second
    private let hop: Int64
    private let shift: Int64
    private let melCount: Int
    private let stepFrames: Int
    private let settlingFrames: Int
    /// Of the shortest pulse, and from the end of the last pulse of a group, or of what looks like one, to the group's own end at most.
    private let pulseFrames: Int, restFrames: Int
    private var track: TonalTrack
    private var bands: [Band]
    private var alarms: [Alarm] = []
    private var origin: Int64 = 0

    /// A detector of a pattern in the log-mel that such parameters give.
    ///
    /// - Parameter groups: how many have to follow each other, 2, or 3 with one more that is drowned between them.
    public init(_ pattern: TemporalPattern, groups: Int, parameters: FilterBankParameters = .init()) {
        precondition((2...3).contains(groups))
        self.pattern = pattern
        self.groups = groups
        let rate = Double(parameters.sampleRate) / Double(parameters.hopLength)
        self.rate = rate
        hop = Int64(parameters.hopLength)
        shift = Int64(parameters.frameLength / 2)
        melCount = parameters.melCount
        stepFrames = max(1, Int((max(pattern.on / Self.looks, Self.shortestStep) * rate).rounded()))
        settlingFrames = Int((Self.settling * rate).rounded())
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
        pulseFrames = Int(((Self.tempos[0] + Self.lengthenings[0]) * pattern.on * rate).rounded(.down))
        restFrames = Int((Self.tempos[Self.tempos.count - 1] * (2 * pattern.on + pattern.off) * rate).rounded(.up))
        track = TonalTrack(parameters: parameters, frames: templates.map(\.count).max() ?? 0)
        bands = [Band](repeating: Band(), count: track.bands.count)
        alarms.reserveCapacity(Self.remembered)
    }

    /// Takes the next frames of a run.
    ///
    /// - Parameters:
    ///   - logMel: (frames, melCount).
    ///   - start: position of the first frame's first sample; read at the first call of a run.
    public mutating func append(_ logMel: UnsafeBufferPointer<Float>, start: Int64) {
        if track.count == 0 { origin = start }
        for frame in 0..<(logMel.count / melCount) {
            track.append(UnsafeBufferPointer(rebasing: logMel[(frame * melCount)..<((frame + 1) * melCount)]))
            if track.count % stepFrames == 0 { look() }
        }
    }

    /// Ends the run: the next frame is not the neighbour of the last, and what was heard is forgotten.
    public mutating func reset() {
        track.reset()
        for band in bands.indices { bands[band] = Band() }
        alarms.removeAll(keepingCapacity: true)
    }

    /// The score at a position up to which frames have been taken: that of the alarm which sounds there, 0 where none does.
    public func score(at position: Int64) -> Float {
        guard let alarm = alarm(knownAt: position), position <= alarm.until else { return 0 }
        return alarm.score
    }

    /// The last alarm that there was enough of at a position.
    public func alarm(knownAt position: Int64) -> Alarm? { alarms.last { $0.known <= position } }

    private mutating func look() {
        for band in bands.indices {
            if standsOut(band) { bands[band].tone = track.count }
            if let group = group(band), group.correlation > bands[band].best?.correlation ?? 0 { bands[band].best = group }
            guard let best = bands[band].best, track.count - bands[band].seen > settlingFrames else { continue }
            bands[band].previous = take(best, after: bands[band].previous)
            bands[band].best = nil
        }
    }

    /// Whether the newest frames of a band may be those of a pulse.
    private func standsOut(_ band: Int) -> Bool {
        guard track.count >= pulseFrames else { return false }
        return track.sum(band, (track.count - pulseFrames)..<track.count) >= Self.leastRise * Double(pulseFrames)
    }

    /// The group that ends with the newest frame in a band, if one does. Most bands have had no tone: they need no closer look.
    private mutating func group(_ band: Int) -> Group? {
        guard let tone = bands[band].tone, track.count - tone <= restFrames else { return nil }
        var best: Group?
        for template in templates where template.count <= track.count {
            guard let correlation = correlation(template, band), correlation >= Self.leastCorrelation else { continue }
            bands[band].seen = track.count
            guard correlation > best?.correlation ?? 0 else { continue }
            let begin = track.count - template.count
            best = Group(
                correlation: correlation, first: begin + edges[template.first + 2], last: begin + edges[template.first + 2 * pattern.pulses + 1])
        }
        return best
    }

    /// The correlation of a band's last frames with a template, where they have its pulses and rests; else nil.
    private func correlation(_ template: Template, _ band: Int) -> Float? {
        let begin = track.count - template.count
        // Of slot or rest i; slots have even numbers, 0 and `last` are those without a pulse.
        let last = 2 * pattern.pulses + 2
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
        pulses /= Double(pattern.pulses)
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

    /// A group that is complete: with those before it, an alarm; while there is one, more of it.
    ///
    /// - Returns: the group, with what it follows.
    private mutating func take(_ group: Group, after previous: Group?) -> Group {
        guard let previous else { return group }
        var group = group
        let periods = Double(group.first - previous.first) / rate / pattern.period
        let whole = periods.rounded()
        guard (1...2).contains(whole), abs(periods - whole) <= Self.tolerance * whole else { return group }
        // Of three, one may be drowned between two others.
        if whole == 1 || groups == 3 { group.follow(previous) }
        let score = group.poorest[groups]
        let now = origin + Int64(track.count) * hop
        let until = now + Int64(pattern.period * (2 + 2 * Self.tolerance) * rate) * hop
        if let index = alarms.indices.last, alarms[index].until >= now, middle(of: previous.first) < alarms[index].offset {
            alarms[index].score = max(alarms[index].score, score)
            alarms[index].offset = max(alarms[index].offset, middle(of: group.last))
            alarms[index].until = until
        } else if score > self.score(at: now) {
            if alarms.count == Self.remembered { alarms.removeFirst() }
            alarms.append(Alarm(score: score, onset: middle(of: group.begin[groups]), offset: middle(of: group.last), known: now, until: until))
        }
        return group
    }

    /// Where the middle of a frame lies.
    private func middle(of frame: Int) -> Int64 { origin + Int64(frame) * hop + shift }
}
