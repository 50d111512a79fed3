import Capture
import Testing

/// A pipe's producer that makes sound at 16 kHz from time 0 on, and what the clock says of it.
private struct Arrivals {
    var clock: ArrivalClock?
    var position: Int64 = 0
    var gaps: [Int64] = []
    private var generator = SystemRandomNumberGenerator()

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
    @Test("is right however unevenly it comes, and nothing is missing")
    func jitter() {
        var arrivals = Arrivals()
        arrivals.come(until: 100, jitter: 0.4)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isLive)
        #expect(abs(arrivals.error()) < 0.1)
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

    @Test("goes back by what was buffered before it came", arguments: [1.0, 5.0])
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
            paused.clock!.settle()
            #expect(paused.clock!.isSettled && paused.clock!.isLive)
            arrivals.come(until: speed == 1 ? 0.6 : 11, block: Int64(block), speed: speed)
            #expect(arrivals.clock!.isSettled && arrivals.clock!.isLive == (speed == 1))
            let origin = arrivals.clock!.origin
            arrivals.come(until: 20, block: Int64(block), speed: speed)
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

    @Test("follows a producer whose clock is off", arguments: [0.9995, 1.0005])
    func drift(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 7200, jitter: 0.05, speed: speed)
        #expect(arrivals.gaps.isEmpty && arrivals.clock!.isLive)
        #expect(abs(arrivals.error(speed: speed)) < 0.15)
    }

    @Test("counts from the first sample where it comes faster than it lasts", arguments: [1.5, 3, 8, 20, 300])
    func file(speed: Double) {
        var arrivals = Arrivals()
        arrivals.come(until: 1000, speed: speed)
        #expect(arrivals.gaps.isEmpty && !arrivals.clock!.isLive)
        #expect(abs(Double(arrivals.clock!.origin)) < 1e8)
    }
}
