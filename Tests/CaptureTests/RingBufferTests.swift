import Capture
import Testing

@Suite("The ring")
struct RingBufferTests {
    /// Writes a run of numbers that goes on from call to call, so that each value is its own position.
    private func write(_ ring: RingBuffer, _ count: Int) {
        let start = ring.writePosition
        let values = (0..<count).map { Float(start + Int64($0)) }
        values.withUnsafeBufferPointer { ring.write($0) }
    }

    private func read(_ ring: RingBuffer, _ count: Int, upTo end: Int64 = .max) -> (RingBuffer.Outcome, [Float]) {
        var values = [Float](repeating: -1, count: count)
        let outcome = values.withUnsafeMutableBufferPointer { ring.read(into: $0, upTo: end) }
        return (outcome, values)
    }

    @Test("gives back what was written, for every capacity, head, count and reader's block")
    func everySmallCase() {
        for capacity in 1...6 {
            for head in 0...2 * capacity {
                for count in 0...2 * capacity + 1 {
                    for block in 1...capacity + 1 {
                        let ring = RingBuffer(capacity: capacity)
                        // Brings both positions to `head`.
                        for _ in 0..<head {
                            write(ring, 1)
                            #expect(read(ring, 1).0 == .copied(1))
                        }
                        write(ring, count)
                        var expected = head
                        if count > capacity {
                            #expect(read(ring, block).0 == .skipped(Int64(count - capacity)))
                            expected += count - capacity
                        }
                        while expected < head + count {
                            let size = min(block, head + count - expected)
                            let (outcome, values) = read(ring, block)
                            #expect(outcome == .copied(size))
                            #expect(values.prefix(size).elementsEqual((expected..<expected + size).map(Float.init)))
                            #expect(values.dropFirst(size).allSatisfy { $0 == -1 })
                            expected += size
                        }
                        #expect(read(ring, block).0 == .copied(0))
                        #expect(ring.readPosition == ring.writePosition)
                    }
                }
            }
        }
    }

    @Test("stops reading where it is told to, also among overwritten samples")
    func limits() {
        for limit in Int64(0)...8 {
            let ring = RingBuffer(capacity: 4)
            write(ring, 8)
            if limit == 0 {
                #expect(read(ring, 8, upTo: limit).0 == .copied(0))
                continue
            }
            #expect(read(ring, 8, upTo: limit).0 == .skipped(min(limit, 4)))
            #expect(ring.readPosition == min(limit, 4))
            #expect(read(ring, 8, upTo: limit).0 == .copied(Int(max(0, limit - 4))))
        }
    }

    @Test("passes over what was overwritten at once, up to where it is told to")
    func skips() {
        for written in 0...12 {
            for limit in Int64(0)...12 {
                let ring = RingBuffer(capacity: 4)
                write(ring, written)
                let overwritten = min(max(0, Int64(written) - 4), limit)
                #expect(ring.skip(upTo: limit) == overwritten && ring.readPosition == overwritten)
                #expect(ring.skip(upTo: limit) == 0)
            }
        }
    }

    @Test("between two threads, fast writer: every sample arrives intact and in place, or is counted as skipped")
    func twoThreads() async {
        let ring = RingBuffer(capacity: 64)
        let total: Int64 = 400_000
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await onThread {
                    var size = 1
                    while ring.writePosition < total {
                        // Floats count to 2^24 exactly.
                        let start = ring.writePosition
                        let values = (0..<size).map { Float(start + Int64($0)) }
                        values.withUnsafeBufferPointer { ring.write($0) }
                        size = size % 97 + 1
                    }
                }
            }
            group.addTask {
                await onThread {
                    var values = [Float](repeating: 0, count: 50)
                    var wrong = 0
                    while ring.readPosition < total {
                        let start = ring.readPosition
                        let outcome = values.withUnsafeMutableBufferPointer { ring.read(into: $0) }
                        switch outcome {
                        case .copied(let count):
                            for i in 0..<count where values[i] != Float(start + Int64(i)) { wrong += 1 }
                            if ring.readPosition != start + Int64(count) { wrong += 1 }
                        case .skipped(let count):
                            if count < 1 || ring.readPosition != start + count { wrong += 1 }
                        }
                    }
                    #expect(wrong == 0)
                }
            }
        }
        #expect(ring.readPosition >= total)
    }
}
