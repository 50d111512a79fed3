/// Hears alarms by their temporal pattern: a tone, whatever its pitch, that sounds in groups of so many pulses, with rests of the right
/// length between and around them, and in other such groups whenever the pattern's period is over. No model is asked, and none would know
/// better: a smoke alarm differs from an alarm clock in nothing else.
///
/// Every 20 or 40 ms, each band of mel is looked at for a group that has just ended. Memory is fixed when it is made. A value.
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

    /// How far a period may be off, as a share of it. The standards allow a tenth.
    static let tolerance = 0.13
    /// Looks in the time of a pulse, no more than one each 20 ms; and seconds for which a better place is waited for, once there is a group.
    private static let looks = 12.5, shortestStep = 0.02, settling = 0.2
    /// Alarms that are remembered.
    private static let remembered = 8

    private struct Group: Sendable {
        var match: PulseTemplates.Match
        /// Poorest correlation, and beginning, of the run of so many groups that ends with it; 0 where there is none.
        var poorest: SIMD4<Float>
        var begin: SIMD4<Int>

        init(_ match: PulseTemplates.Match) {
            self.match = match
            (poorest, begin) = (SIMD4(0, match.correlation, 0, 0), SIMD4(repeating: match.first))
        }

        /// Makes it the one that comes after another.
        mutating func follow(_ previous: Group) {
            for count in 2..<4 {
                poorest[count] = min(match.correlation, previous.poorest[count - 1])
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
    private let templates: PulseTemplates
    private let rate: Double  // frames a second
    private let hop: Int64
    private let shift: Int64
    private let melCount: Int
    private let stepFrames: Int
    private let settlingFrames: Int
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
        templates = PulseTemplates(pattern, rate: rate)
        track = TonalTrack(parameters: parameters, frames: templates.longest)
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
            if templates.endWithPulse(track, band) { bands[band].tone = track.count }
            // Most bands have had no tone: they need no closer look.
            if let tone = bands[band].tone, track.count - tone <= templates.longestEnd, let match = templates.match(track, band) {
                bands[band].seen = track.count
                if match.correlation > bands[band].best?.match.correlation ?? 0 { bands[band].best = Group(match) }
            }
            guard let best = bands[band].best, track.count - bands[band].seen > settlingFrames else { continue }
            bands[band].previous = take(best, after: bands[band].previous)
            bands[band].best = nil
        }
    }

    /// A group that is complete: with those before it, an alarm; while there is one, more of it.
    ///
    /// - Returns: the group, with what it follows.
    private mutating func take(_ group: Group, after previous: Group?) -> Group {
        guard let previous else { return group }
        var group = group
        let periods = Double(group.match.first - previous.match.first) / rate / pattern.period
        let whole = periods.rounded()
        guard (1...2).contains(whole), abs(periods - whole) <= Self.tolerance * whole else { return group }
        // Of three, one may be drowned between two others.
        if whole == 1 || groups == 3 { group.follow(previous) }
        let score = group.poorest[groups]
        let now = origin + Int64(track.count) * hop
        let until = now + Int64(pattern.period * (2 + 2 * Self.tolerance) * rate) * hop
        if let index = alarms.indices.last, alarms[index].until >= now, middle(of: previous.match.first) < alarms[index].offset {
            alarms[index].score = max(alarms[index].score, score)
            alarms[index].offset = max(alarms[index].offset, middle(of: group.match.last))
            alarms[index].until = until
        } else if score > self.score(at: now) {
            if alarms.count == Self.remembered { alarms.removeFirst() }
            alarms.append(Alarm(score: score, onset: middle(of: group.begin[groups]), offset: middle(of: group.match.last), known: now, until: until))
        }
        return group
    }

    /// Where the middle of a frame lies.
    private func middle(of frame: Int) -> Int64 { origin + Int64(frame) * hop + shift }
}
