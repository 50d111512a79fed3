import Capture
import TestSupport
import Testing

@Suite("The timeline")
struct TimelineTests {
    private let second: Int64 = 1_000_000_000

    /// Anchors every 320 samples of a device of `rate`, from sample `start` of its clock on for `seconds`, each late by
    /// up to `lateness` nanoseconds.
    private func run(
        _ timeline: inout Timeline, clock: inout Int64, ring: inout Int64, rate: Double, seconds: Double,
        resume: Gap.Cause? = nil, lateness: Int64 = 10_000
    ) -> [Gap] {
        var gaps: [Gap] = []
        var random = SeededRandom(seed: UInt64(bitPattern: ring))  // the same in every run: what an anchor is late by decides the last sample
        var resume = resume
        for _ in 0..<Int(seconds * rate / 320) {
            clock += 320
            let time = Int64(Double(clock) / rate * 1e9) + Int64.random(in: 0..<lateness, using: &random)
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

    @Test("finds samples that were lost without a word, within about a second, however late the capture thread comes",
          arguments: [400, 1600, 16_000], [10_000, 15_000_000] as [Int64])
    func slip(lost: Int64, lateness: Int64) {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        #expect(run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 20) == [])
        clock += lost
        let gaps = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 1.2, lateness: lateness)
        #expect(gaps.count == 1 && gaps[0].cause == .slip && abs(gaps[0].samples - lost) <= (lateness > 10_000 ? 16 : 1), "\(gaps)")
    }

    @Test("takes a capture thread that comes late for no loss, nor a device whose blocks come now early, now late",
          arguments: [([30], 5), ([30, 0], 200), ([30, -30], 200)] as [([Int64], Int)])
    func lateAnchors(milliseconds: [Int64], count: Int) {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        _ = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 20)
        // For more than 2 s.
        for step in 0..<count {
            ring += 40_000 / Int64(count)
            clock += 40_000 / Int64(count)
            let late = milliseconds[step % milliseconds.count] * 1_000_000
            #expect(timeline.anchor(position: ring, nanoseconds: clock * 62_500 + late) == nil)
        }
    }

    @Test("is right after a second where a server's first block came late")
    func lateFirst() {
        var timeline = Timeline(rate: 16_000)
        timeline.setOffset(0, at: 0)
        _ = timeline.resume(position: 320, nanoseconds: 320 * 62_500 + 300_000_000, cause: .xrun)
        var clock: Int64 = 320
        var ring: Int64 = 320
        #expect(run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 1.2) == [])
        #expect(abs(timeline.utc(of: ring + 16_000)!.nanoseconds - (ring + 16_000) * 62_500) < 1_000_000)
    }

    @Test("takes back nothing where samples come earlier than they should")
    func earlyResumption() {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        _ = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 20)
        #expect(timeline.resume(position: ring + 320, nanoseconds: clock * 62_500, cause: .xrun) == nil)
        #expect(timeline.gapSamples == 0)
    }

    @Test("is not upset by a device that was away for an hour")
    func longAbsence() {
        var timeline = Timeline(rate: 16_000)
        var clock: Int64 = 0
        var ring: Int64 = 0
        timeline.setOffset(0, at: 0)
        _ = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 60, lateness: 2_000_000)
        clock += 3600 * 16_000
        let gaps = run(&timeline, clock: &clock, ring: &ring, rate: 16_000, seconds: 5, resume: .deviceLost, lateness: 2_000_000)
        #expect(gaps.count == 1 && abs(gaps[0].samples - 3600 * 16_000) < 3600 * 16_000 / 10_000, "\(gaps)")
        #expect(abs(timeline.utc(of: ring + timeline.gapSamples)!.nanoseconds - clock * 62_500) < 5_000_000)
    }

    @Test("never goes back in time where the system clock does by less than a minute")
    func monotonic() {
        var timeline = Timeline(rate: 16_000)
        _ = timeline.resume(position: 0, nanoseconds: 0, cause: .xrun)
        var last = StreamInstant(nanoseconds: .min)
        var offset = 1000 * second
        for step in Int64(1)...1000 {
            if step % 100 == 0 { offset += step % 200 == 0 ? 3600 * second : -59 * second }
            timeline.setOffset(offset, at: step * second / 10)
            _ = timeline.anchor(position: step * 1600, nanoseconds: step * second / 10)
            let instant = timeline.utc(of: step * 1600)!
            #expect(instant > last)
            last = instant
        }
    }

    /// A timeline of a device whose clock is right, and the instants of positions on it.
    private func steady() -> Timeline {
        var timeline = Timeline(rate: 16_000)
        timeline.setOffset(0, at: 0)
        _ = timeline.resume(position: 0, nanoseconds: 0, cause: .xrun)
        return timeline
    }

    @Test("follows a system clock that is set forward at once, and has no earlier sample later for that")
    func setForward() {
        var timeline = steady()
        let last = timeline.utc(of: 32_000)!
        timeline.setOffset(3600 * second, at: 2 * second)
        #expect(timeline.utc(of: 16_000)! <= last)
        #expect(timeline.utc(of: 48_000)!.nanoseconds == 3603 * second)
    }

    @Test("follows a system clock that is a minute or more behind at once, as it was wrong before", arguments: [60, 3600, 86_400] as [Int64])
    func corrected(by: Int64) {
        var timeline = steady()
        #expect(timeline.utc(of: 32_000)!.nanoseconds == 2 * second)
        timeline.setOffset(-by * second, at: 2 * second)
        for position in [31_000, 48_000, 32_000] as [Int64] {
            #expect(timeline.utc(of: position)!.nanoseconds == position * 62_500 - by * second)
        }
    }

    @Test("approaches a system clock that is set back by less so slowly that no two columns of passes 3 s apart come together")
    func setBack() {
        var timeline = steady()
        var last = timeline.utc(of: 0)!
        for pass in Int64(1)...100 {
            timeline.setOffset(-59 * second, at: 3 * pass * second)
            // The last column of the pass before is at the beginning of this one.
            let next = timeline.utc(of: 48_000 * (pass - 1) + 2560)!
            #expect(next > last)
            last = timeline.utc(of: 48_000 * pass)!
        }
    }
}
