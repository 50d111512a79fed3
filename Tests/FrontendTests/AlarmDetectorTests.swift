import Foundation
import Frontend
import TestSupport
import Testing

@Suite("An alarm is heard by its temporal pattern")
struct AlarmDetectorTests {
    private static let rate = 16_000.0

    /// Pulses as (seconds that it sounds, seconds of rest after it), over quiet noise, with as many seconds of that before and after.
    private static func sound(
        _ pulses: [(on: Double, off: Double)], hertz: Double? = 3100, quiet: Double = 2, noise: Float = 0.001, tail: Double = 0
    ) -> [Float] {
        var random = SeededRandom(seed: 1)
        var level: Float = 0, samples: [Float] = []
        func append(_ seconds: Double, sounds: Bool) {
            for _ in 0..<Int(seconds * rate) {
                // A room holds a sound for a while.
                level = sounds ? 0.1 : tail > 0 ? level * Float(exp(-6.9 / (tail * rate))) : 0
                let wave = hertz.map { Float(sin(2 * .pi * $0 * Double(samples.count) / rate)) } ?? Float.random(in: -1...1, using: &random)
                samples.append(level * wave + Float.random(in: -noise...noise, using: &random))
            }
        }
        append(quiet, sounds: false)
        for pulse in pulses {
            append(pulse.on, sounds: true)
            append(pulse.off, sounds: false)
        }
        append(quiet, sounds: false)
        return samples
    }

    /// How many groups have to follow each other.
    private static func groups(_ pattern: TemporalPattern) -> Int { pattern == .three ? 2 : 3 }

    /// So many groups of a pattern, some of them silent.
    private static func groups(_ pattern: TemporalPattern, _ count: Int, tempo: Double = 1, drowned: Set<Int> = []) -> [(on: Double, off: Double)] {
        (0..<count).flatMap { group -> [(on: Double, off: Double)] in
            let period = pattern.period * tempo
            if drowned.contains(group) { return [(0, period)] }
            return (1...pattern.pulses).map { (pattern.on * tempo, ($0 < pattern.pulses ? pattern.off : pattern.pause) * tempo) }
        }
    }

    /// A detector that has heard it all, a step at a time, and its scores after each, as far as they differ from the one before.
    private func listen(
        _ pattern: TemporalPattern, to samples: [Float], start: Int64 = 0, frames: () -> Int = { 8 }
    ) throws -> (detector: AlarmDetector, scores: [(position: Int64, score: Float)]) {
        let logMel = try Frontend.logMel(samples, rate: Int(Self.rate))
        var detector = AlarmDetector(pattern, groups: Self.groups(pattern)), scores: [(position: Int64, score: Float)] = []
        var at = 0
        while at < logMel.count {
            let end = min(logMel.count, at + frames() * 128)
            logMel[at..<end].withUnsafeBufferPointer { detector.append($0, start: start + Int64(at / 128 * 160)) }
            at = end
            let position = start + Int64(at / 128 * 160), score = detector.score(at: position)
            if score != scores.last?.score ?? 0 { scores.append((position, score)) }
        }
        return (detector, scores)
    }

    private func seconds(_ position: Int64) -> Double { Double(position) / Self.rate }

    @Test("in the second or third group, from its first pulse to its last, at any pitch and at the tempos that standards allow",
        arguments: [TemporalPattern.three, .four], [0.9, 0.95, 1, 1.05, 1.1])
    func hears(pattern: TemporalPattern, tempo: Double) throws {
        for hertz in [520.0, 2750, 3100, 3517] {
            let samples = Self.sound(Self.groups(pattern, 3, tempo: tempo), hertz: hertz)
            let (detector, scores) = try listen(pattern, to: samples)
            // A band beside the tone's own may know it a moment sooner, and less well.
            let known = try #require(scores.first { $0.score > 0.85 }, "\(hertz) Hz: \(scores)")
            let enough = 2 + (Double(Self.groups(pattern)) * pattern.period - pattern.pause) * tempo
            #expect((enough...(enough + 1.8)).contains(seconds(known.position)), "\(hertz) Hz: \(seconds(known.position))")
            let alarm = try #require(detector.alarm(knownAt: Int64(samples.count)))
            #expect(abs(seconds(alarm.onset) - 2) <= 0.05, "\(hertz) Hz: \(seconds(alarm.onset))")
            let last = 2 + (3 * pattern.period - pattern.pause) * tempo
            #expect(abs(seconds(alarm.offset) - last) <= 0.05, "\(hertz) Hz: \(seconds(alarm.offset)), \(last)")
        }
    }

    @Test("in a room that holds it, and with noise as loud", arguments: [TemporalPattern.three, .four])
    func rooms(pattern: TemporalPattern) throws {
        for (tail, noise) in [(0.3, 0.001), (0.6, 0.001), (0, 0.1), (0.3, 0.1)] as [(Double, Float)] {
            let (_, scores) = try listen(pattern, to: Self.sound(Self.groups(pattern, 3), noise: noise, tail: tail))
            #expect(scores.contains { $0.score > (pattern == .three ? 0.75 : 0.6) }, "\(tail) s, noise \(noise): \(scores)")
        }
    }

    @Test("and nothing else is: other numbers and lengths of pulses, other rests, one group, no tone", arguments: [
        ("a beep a second", [(0.5, 0.5)]),
        ("a tone without rests", [(2.5, 1.5)]),
        ("two pulses", [(0.5, 0.5), (0.5, 1.5)]),
        ("four pulses", [(0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 1.5)]),
        ("three of them, a long pause", [(0.5, 0.5), (0.5, 0.5), (0.5, 4)]),
        ("three long ones", [(1, 1), (1, 1), (1, 3)]),
        ("three quick ones", [(0.25, 0.25), (0.25, 0.25), (0.25, 1)]),
        ("an alarm clock", [(0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 0.4)]),
        ("four short ones every 3 s", [(0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 2.3)]),
        ("three short ones", [(0.1, 0.1), (0.1, 0.1), (0.1, 5)]),
        ("one of their length", [(0.7, 5)]),
        ("telephones", [(0.4, 0.2), (0.4, 2)]),
    ] as [(String, [(on: Double, off: Double)])])
    func others(_ name: String, pulses: [(on: Double, off: Double)]) throws {
        let repeated = (0..<max(3, Int(25 / pulses.reduce(0) { $0 + $1.on + $1.off }))).flatMap { _ in pulses }
        for pattern in [TemporalPattern.three, .four] {
            for tail in [0, 0.3] {
                let (_, scores) = try listen(pattern, to: Self.sound(repeated, tail: tail))
                #expect(!scores.contains { $0.score >= (pattern == .three ? 0.75 : 0.6) }, "\(tail): \(scores)")
            }
        }
    }

    @Test("not in one group fewer, and not where noise comes and goes so", arguments: [TemporalPattern.three, .four])
    func once(pattern: TemporalPattern) throws {
        #expect(try listen(pattern, to: Self.sound(Self.groups(pattern, Self.groups(pattern) - 1), quiet: 6)).scores.isEmpty)
        #expect(try listen(pattern, to: Self.sound(Self.groups(pattern, 4), hertz: nil)).scores.isEmpty)
    }

    @Test("for as long as groups come, over one that is drowned, and is over when two are missing", arguments: [TemporalPattern.three, .four])
    func ends(pattern: TemporalPattern) throws {
        let samples = Self.sound(Self.groups(pattern, 12, drowned: [3, 6, 7, 8]), quiet: 2.5 * pattern.period)
        let (detector, scores) = try listen(pattern, to: samples)
        #expect(scores.map { $0.score > 0 }.filter { !$0 }.count == 2)
        let begin = 2.5 * pattern.period, length = pattern.period - pattern.pause
        let ended = try #require(scores.first { $0.score == 0 })
        let first = try #require(detector.alarm(knownAt: ended.position))
        #expect(abs(seconds(first.onset) - begin) <= 0.03)
        #expect(abs(seconds(first.offset) - (begin + 5 * pattern.period + length)) <= 0.05)
        let second = try #require(detector.alarm(knownAt: Int64(samples.count)))
        #expect(abs(seconds(second.onset) - (begin + 9 * pattern.period)) <= 0.03)
        #expect(abs(seconds(second.offset) - (begin + 11 * pattern.period + length)) <= 0.05)
    }

    @Test("wherever the stream began, the same for any split of the frames", arguments: 1...4 as ClosedRange<UInt64>)
    func split(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let samples = Self.sound(Self.groups(.three, 3)), start: Int64 = 123_456_789
        let whole = try listen(.three, to: samples).detector
        let pieces = try listen(.three, to: samples, start: start) { Int.random(in: 1...60, using: &random) }.detector
        for position in stride(from: Int64(0), through: Int64(samples.count - 400), by: 160) {
            #expect(whole.score(at: position) == pieces.score(at: start + position))
        }
        #expect(whole.alarm(knownAt: .max)?.onset == pieces.alarm(knownAt: .max).map { $0.onset - start })
    }

    @Test("but not from groups on both sides of a gap")
    func resets() throws {
        let logMel = try Frontend.logMel(Self.sound(Self.groups(.three, 1), quiet: 1.25), rate: Int(Self.rate))
        var detector = AlarmDetector(.three, groups: 2)
        for round in 0..<3 {
            let start = Int64(round * logMel.count / 128 * 160)
            logMel.withUnsafeBufferPointer { detector.append($0, start: start) }
            detector.reset()
            #expect(detector.alarm(knownAt: .max) == nil)
        }
    }
}
