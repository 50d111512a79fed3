import Capture
import TestSupport
import Testing

@Suite("The timeline")
struct TimelineTests {
    private let second: Int64 = 1_000_000_000

    /// Anchors every 320 samples of a device of `rate`, from sample `start` of its clock on for `seconds`, each late by
    /// up to 10 µs.
    private func run(
        _ timeline: inout Timeline, clock: inout Int64, ring: inout Int64, rate: Double, seconds: Double,
        resume: Gap.Cause? = nil
    ) -> [Gap] {
        var gaps: [Gap] = []
        var random = SeededRandom(seed: UInt64(bitPattern: ring))  // the same in every run: what an anchor is late by decides the last sample
        var resume = resume
        for _ in 0..<Int(seconds * rate / 320) {
            clock += 320
            let time = Int64(Double(clock) / rate * 1e9) + Int64.random(in: 0..<10_000, using: &random)
            ring += 320
            if let cause = resume {
                if let gap = timeline.resume(position: ring, nanoseconds: time, cause: cause) { gaps.append(gap) }
                resume = nil
            } else if let gap = timeline.anchor(position: ring, nanoseconds: time) {
                gaps.append(gap)
            }
        }
        return gaps
    }

    @Test("gives a gap its true length, whatever the device's true rate", arguments: [15_990.0, 16_000, 16_016])
    func gapLength(rate: Double) {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        #expect(run(&timeline, clock: &clock, ring: &ring, rate: rate, seconds: 60) == [])
        timeline.setOffset(0, at: 0)
        let second = timeline.utc(of: ring)!.nanoseconds - timeline.utc(of: ring - 16_000)!.nanoseconds
        #expect(abs(16_000e9 / Double(second) / rate - 1) < 2e-6)
        for missing: Int64 in [1, 7, 320, 16_000, 160_000] {
            clock += missing
            let gaps = run(&timeline, clock: &clock, ring: &ring, rate: rate, seconds: 10, resume: .xrun)
            #expect(gaps == [Gap(samples: missing, cause: .xrun)])
        }
    }

    @Test("keeps the fractions of samples, so that the gaps' errors do not add up")
    func gapFractions() {
        var timeline = Timeline(rate: 16_000)
        let sample = 62_500.0
        var time = 0.0
        var ring: Int64 = 0
        for gap in 0...40 {
            for step in 0..<50 {
                ring += 320
                time += 320 * sample
                if gap > 0 && step == 0 {
                    time += 1000.4 * sample
                    #expect(timeline.resume(position: ring, nanoseconds: Int64(time), cause: .xrun) != nil)
                } else {
                    #expect(timeline.anchor(position: ring, nanoseconds: Int64(time)) == nil)
                }
            }
            #expect(abs(Double(timeline.gapSamples) - Double(gap) * 1000.4) < 0.6)
        }
    }

    @Test("finds samples that were lost without a word, within about a second")
    func slip() {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        #expect(run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 20) == [])
        clock += 1600
        let gaps = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 1.2)
        #expect(gaps.count == 1 && gaps[0].cause == .slip && abs(gaps[0].samples - 1600) <= 1)
    }

    @Test("never goes back in time, whatever the system clock does")
    func monotonic() {
        var timeline = Timeline(rate: 16_000)
        _ = timeline.resume(position: 0, nanoseconds: 0, cause: .xrun)
        var last = StreamInstant(nanoseconds: .min)
        var offset = 1000 * second
        for step in Int64(1)...1000 {
            if step % 100 == 0 { offset += step % 200 == 0 ? 3600 * second : -1800 * second }
            timeline.setOffset(offset, at: step * second / 10)
            _ = timeline.anchor(position: step * 1600, nanoseconds: step * second / 10)
            let instant = timeline.utc(of: step * 1600)!
            #expect(instant > last)
            last = instant
        }
    }
}
