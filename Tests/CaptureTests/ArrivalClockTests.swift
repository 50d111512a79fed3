import Capture
import TestSupport
import Testing

/// A pipe's producer that makes sound at 16 kHz from time 0 on, and what the clock says of it.
private struct Arrivals {
    var clock: ArrivalClock?
    var position: Int64 = 0
    var gaps: [Int64] = []
    private var generator: SeededRandom

    init(seed: UInt64 = 1) { generator = SeededRandom(seed: seed) }

    /// Samples come until so many were made, each block when its last one was made, at `speed`, and up to `jitter` seconds later.
    ///
    /// - Parameter lost: seconds of sound that were made and never come.
    mutating func come(until end: Double, block: Int64 = 1024, jitter: Double = 0, speed: Double = 1, lost: Double = 0, at least: Double = 0) {
        while Double(position) / 16_000 < end {
            position += block
            let made = Double(position - gaps.reduce(0, +)) / 16_000 / speed + lost
            let time = Int64(1e9 * max(least, made + Double.random(in: 0...jitter, using: &generator)))
            if clock == nil { clock = ArrivalClock(rate: 16_000, position: position, nanoseconds: time) }
            let missing = clock!.arrived(position: position, nanoseconds: time, waited: Int64(1e9 * least) < time)
            if missing > 0 {
                gaps.append(missing)
                position += missing
            }
        }
    }

    /// What is made from `start` on is held up until `end`, and comes from then on at `speed` until nothing is held any more.
    mutating func comeLate(from start: Double, to end: Double, speed: Double) {
        var delay = 0.0
        repeat {
            position += 1024
            let made = Double(position - gaps.reduce(0, +)) / 16_000
            delay = end + (made - start) / speed - made
            let time = Int64(1e9 * (made + max(0, delay)))
            let missing = clock!.arrived(position: position, nanoseconds: time, waited: speed < .infinity)
            if missing > 0 { gaps.append(missing) }
            position += missing
        } while delay > 0
    }

    /// Seconds by which the newest sample's time is off.
    func error(speed: Double = 1, lost: Double = 0) -> Double {
        Double(clock!.time(of: position)) * 1e-9 - (Double(position - gaps.reduce(0, +)) / 16_000 / speed + lost)
    }
}

@Suite("The time of a pipe's sound")
struct ArrivalClockTests {
    @Test("is right however unevenly it comes, and nothing is missing", arguments: 1...8 as ClosedRange<UInt64>)
    func jitter(seed: UInt64) {
        var arrivals = Arrivals(seed: seed)
        arrivals.come(until: 100, jitter: 0.4)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isLive)
        #expect(abs(arrivals.error()) < 0.1)
    }

    @Test("is live beyond doubt after ten seconds of its pace, in blocks or after a backlog too, and never where it comes faster",
          arguments: [(1.0, 1024, 0.0), (1, 96_000, 0), (1, 1024, 18), (1.2, 1024, 0), (2, 1024, 0), (30, 1024, 0)] as [(Double, Int64, Double)])
    func pace(speed: Double, block: Int64, backlog: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: backlog, at: backlog)
        arrivals.come(until: backlog + 9 * speed, block: block, speed: speed, at: backlog)
        #expect(arrivals.clock?.keepsPace != true)
        for seconds in [30.0, 60, 300] {
            arrivals.come(until: backlog + seconds, block: block, speed: speed, at: backlog)
            #expect(arrivals.clock!.keepsPace == (speed == 1))
        }
    }

    @Test("is live beyond doubt all the same where nothing came for a while soon after it began, or it began with several bursts")
    func paceAfterStall() {
        var stalled = Arrivals()
        stalled.come(until: 3)
        stalled.clock!.resume(nanoseconds: 17_000_000_000)
        stalled.come(until: 60, lost: 14)
        #expect(stalled.clock!.keepsPace)
        var bursts = Arrivals()
        for (made, time) in [(6.0, 0.0), (12, 0.5), (18, 1)] { bursts.come(until: made, at: time) }
        bursts.come(until: 80, block: 96_000, at: 1)
        #expect(bursts.clock!.keepsPace)
    }

    @Test("is right where it comes in blocks, of which only the first part is waited for", arguments: [0.5, 0.8, 1.2, 2, 3, 6])
    func blocks(seconds: Double) {
        var clock: ArrivalClock?
        var position: Int64 = 0
        for block in 1...Int(100 / seconds) {
            let made = Double(block) * seconds, end = Int64(made * 16_000)
            var isFirst = true
            while position < end {
                position = min(end, position + 4096)
                let time = Int64(made * 1e9)
                if clock == nil { clock = ArrivalClock(rate: 16_000, position: position, nanoseconds: time) }
                #expect(clock!.arrived(position: position, nanoseconds: time, waited: isFirst) == 0)
                isFirst = false
            }
            if block > 1 { #expect(abs(Double(clock!.time(of: position)) * 1e-9 - made) < 0.1) }
        }
        #expect(clock!.isLive)
    }

    @Test("goes back by what was buffered before it came", arguments: [1.0, 5.0, 18.0])
    func burst(seconds: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: seconds, at: seconds)
        // At once, before anything can have been told of it.
        #expect(abs(arrivals.error()) < 0.1)
        arrivals.come(until: 60, at: seconds)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isLive)
        #expect(abs(arrivals.error()) < 0.1)
    }

    @Test("is settled once half a second is over, nothing came for a while, or it is no live sound, and does not move then")
    func settling() {
        for (speed, block) in [(1.0, 1024), (1.0, 160), (300.0, 1024)] {
            var arrivals = Arrivals()
            arrivals.come(until: 0.4, block: Int64(block), speed: speed)
            #expect(!arrivals.clock!.isSettled)
            var paused = arrivals
            #expect(paused.clock!.settle() == 0)
            #expect(paused.clock!.isSettled && paused.clock!.isLive)
            arrivals.come(until: speed == 1 ? 0.6 : 30, block: Int64(block), speed: speed)
            #expect(arrivals.clock!.isSettled && arrivals.clock!.isLive == (speed == 1))
            let origin = arrivals.clock!.origin
            arrivals.come(until: 60, block: Int64(block), speed: speed)
            #expect(arrivals.clock!.origin == origin)
        }
    }

    @Test("has a gap where sound was lost, of its length")
    func lost() {
        var arrivals = Arrivals()
        arrivals.come(until: 30)
        arrivals.come(until: 80, jitter: 0.2, lost: 15)
        #expect(arrivals.gaps.count == 1 && abs(arrivals.gaps[0] - 15 * 16_000) < 3200, "\(arrivals.gaps)")
        #expect(abs(arrivals.error(lost: 15)) < 0.25)
    }

    @Test("has none where sound was late and then came all at once")
    func late() {
        var arrivals = Arrivals()
        arrivals.come(until: 30)
        arrivals.come(until: 45, at: 45)
        arrivals.come(until: 100)
        #expect(arrivals.gaps.isEmpty)
        #expect(abs(arrivals.error()) < 0.1)
    }

    @Test("has none where sound was late and then came faster than it lasts", arguments: [1.2, 1.5, 2, 10, .infinity])
    func catchUp(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 33)
        arrivals.comeLate(from: 33, to: 63, speed: speed)
        #expect(arrivals.gaps.isEmpty)
        #expect(abs(arrivals.error()) < 0.1)
        arrivals.come(until: Double(arrivals.position) / 16_000 + 60)
        #expect(arrivals.gaps.isEmpty)
        #expect(abs(arrivals.error()) < 0.1)
    }

    @Test("goes on growing where sound turns out to have waited longer than it seemed", arguments: [0.5, 5.0, 20.0])
    func backlog(seconds: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 1)
        // What was buffered comes once the beginning is over.
        var last = arrivals.clock!.time(of: arrivals.position - 1024)
        for _ in 0..<Int(seconds * 16_000 / 1024) {
            arrivals.position += 1024
            _ = arrivals.clock!.arrived(position: arrivals.position, nanoseconds: 1_000_000_000, waited: false)
        }
        for step in 1..<2000 {
            arrivals.position += 1024
            _ = arrivals.clock!.arrived(position: arrivals.position, nanoseconds: 1_000_000_000 + Int64(step) * 64_000_000, waited: true)
            let time = arrivals.clock!.time(of: arrivals.position)
            #expect(time - last >= 64_000_000 * 3 / 4 - 1)
            last = time
        }
        #expect(arrivals.clock!.isLive && abs(Double(last) * 1e-9 - (1 + 1999 * 0.064)) < 0.1)
    }

    @Test("has a gap at once where nothing came for long and what comes now is not what was held up", arguments: [0, 0.1])
    func resumption(jitter: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 30, jitter: jitter)
        arrivals.clock!.resume(nanoseconds: 50_000_000_000)
        #expect(!arrivals.clock!.isSettled)
        arrivals.come(until: 32.2, jitter: jitter, lost: 20)
        #expect(arrivals.clock!.isSettled)
        #expect(arrivals.gaps.count == 1 && abs(arrivals.gaps[0] - 20 * 16_000) < 1700, "\(arrivals.gaps)")
        arrivals.come(until: 100, jitter: jitter, lost: 20)
        #expect(arrivals.gaps.count == 1 && abs(arrivals.error(lost: 20)) < 0.15)
    }

    @Test("has it too where blocks are long, or a part of what was held up comes first",
          arguments: [(16_000, 0), (16_000, 16_000), (12_800, 0), (1600, 32_000)] as [(Int64, Int64)])
    func resumptionInBlocks(block: Int64, held: Int64) {
        var arrivals = Arrivals()
        arrivals.come(until: 30, block: block)
        arrivals.clock!.resume(nanoseconds: 50_000_000_000)
        // In pieces, as they are read.
        func come(_ samples: Int64, at time: Double) {
            let end = arrivals.position + samples
            while arrivals.position < end, arrivals.gaps.isEmpty {
                arrivals.come(until: Double(arrivals.position + 1) / 16_000, block: 1600, at: time)
            }
        }
        come(held, at: 50)
        let lost = 50 * 16_000 - arrivals.position - block
        for number in 0..<(10 * 16_000 / block) { come(block, at: 50 + Double(number * block) / 16_000) }
        #expect(arrivals.gaps.count == 1 && abs(arrivals.gaps[0] - lost) < 1600, "\(arrivals.gaps), \(lost)")
    }

    @Test("has none where nothing came for long and then all that was held up", arguments: [1.2, 2, 50, .infinity])
    func resumptionOfAll(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 33)
        arrivals.clock!.resume(nanoseconds: 63_000_000_000)
        arrivals.comeLate(from: 33, to: 63, speed: speed)
        arrivals.come(until: Double(arrivals.position) / 16_000 + 60)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isSettled)
        #expect(abs(arrivals.error()) < 0.1)
    }

    @Test("has none where what comes after a pause is hardly late")
    func hardlyLate() {
        var arrivals = Arrivals()
        arrivals.come(until: 30)
        arrivals.clock!.resume(nanoseconds: 30_000_000_000)
        arrivals.come(until: 60, lost: 0.04)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isSettled)
    }

    @Test("is that of a file after all where it comes as fast as it lasts, and then all at once")
    func fastAfterAll() {
        var arrivals = Arrivals()
        arrivals.come(until: 15)
        #expect(arrivals.clock!.keepsPace)
        arrivals.come(until: 60, speed: .infinity, at: 15)
        #expect(!arrivals.clock!.isLive && !arrivals.clock!.keepsPace && abs(Double(arrivals.clock!.origin)) < 1e8)
    }

    @Test("follows a producer whose clock is off", arguments: [0.9995, 1.0005])
    func drift(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 7200, jitter: 0.05, speed: speed)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isLive)
        #expect(abs(arrivals.error(speed: speed)) < 0.15)
    }

    @Test("is not settled before it is known to be a file, which comes many times faster than it lasts", arguments: [5, 8, 20, 300])
    func slowFile(speed: Double) {
        var arrivals = Arrivals()
        while arrivals.position < 40 * 16_000 {
            arrivals.come(until: Double(arrivals.position + 1) / 16_000, speed: speed)
            #expect(!arrivals.clock!.isSettled || !arrivals.clock!.isLive)
        }
        #expect(arrivals.clock!.isSettled)
    }

    @Test("counts from the first sample where it comes faster than it lasts", arguments: [1.5, 3, 8, 20, 300])
    func file(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 1000, speed: speed)
        #expect(arrivals.gaps.isEmpty && !arrivals.clock!.isLive)
        #expect(abs(Double(arrivals.clock!.origin)) < 1e8)
    }
}
