import Synchronization

/// A ring of samples of fixed size between one writer and one reader. When it is full the writer overwrites the oldest
/// elements, and the reader learns exactly how many it missed.
///
/// Thread contract: exactly one thread calls `write`; exactly one thread calls `read`. Neither ever waits, allocates
/// or takes a lock. `writePosition` may be read by any thread.
///
/// Positions count elements since the start and never wrap (64 bits).
///
/// Why the writer can drop the oldest although the reader may be copying it: the writer first announces how far it
/// is going to write (`claimed`), then stores the elements, then publishes them (`published`), as in a sequence lock.
/// The reader copies, then looks at `claimed`: whatever of its copy the writer may have been overwriting meanwhile is
/// thrown away and counted as skipped. The elements themselves are atomics, so that even a copy that is thrown away
/// was no data race. (Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012.)
package final class RingBuffer: @unchecked Sendable {
    /// How many elements it holds.
    package let capacity: Int
    private let elements: UnsafeMutablePointer<Atomic<Float>>  // (capacity)
    private let claimed = Atomic<Int64>(0)
    private let published = Atomic<Int64>(0)
    /// The next position to read. Only the reader touches it.
    package private(set) var readPosition: Int64 = 0

    /// Filled with zeros, which brings all its pages in.
    package init(capacity: Int) {
        precondition(capacity > 0, "a ring holds at least one element")
        self.capacity = capacity
        elements = .allocate(capacity: capacity)
        for index in 0..<capacity { (elements + index).initialize(to: Atomic(0)) }
    }

    deinit {
        elements.deinitialize(count: capacity)
        elements.deallocate()
    }

    /// The memory to lock.
    var memory: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: elements, count: capacity * MemoryLayout<Atomic<Float>>.stride)
    }

    /// How many elements have been written since the start.
    package var writePosition: Int64 {
        // Acquire: pairs with the release in `write`; whoever sees the position sees what was stored before it,
        // the elements here and anything the writer put elsewhere first (the markers).
        published.load(ordering: .acquiring)
    }

    /// Writer only. Appends the elements; of more than `capacity` only the last `capacity` survive.
    package func write(_ source: UnsafeBufferPointer<Float>) {
        // Relaxed: only the writer stores it.
        let start = published.load(ordering: .relaxed)
        let end = start + Int64(source.count)
        // Relaxed is enough: each element store below releases it.
        claimed.store(end, ordering: .relaxed)
        let skipped = max(0, source.count - capacity)
        var slot = Int((start + Int64(skipped)) % Int64(capacity))
        for index in skipped..<source.count {
            // Release: pairs with the acquire of the element in `read`. A reader that copied this element, and not
            // the older one it wanted, is then certain to see the claim above.
            elements[slot].store(source[index], ordering: .releasing)
            slot += 1
            if slot == capacity { slot = 0 }
        }
        // Release: pairs with the acquire in `writePosition`.
        published.store(end, ordering: .releasing)
    }

    /// What one call of `read` did; `readPosition` has moved on by the sum.
    package enum Outcome: Equatable {
        /// This many elements were copied; 0: there are none yet.
        case copied(Int)
        /// This many elements were overwritten before they could be read; nothing was copied.
        case skipped(Int64)
    }

    /// Reader only. Passes over what has been overwritten by now, but not beyond position `end`. Returns how many elements that
    /// were; what is overwritten later, `read` finds.
    package func skip(upTo end: Int64) -> Int64 {
        // Relaxed: nothing is copied by it.
        let oldest = claimed.load(ordering: .relaxed) - Int64(capacity)
        let skipped = max(0, min(oldest, end) - readPosition)
        readPosition += skipped
        return skipped
    }

    /// Reader only. Copies the next elements, but none at or after position `end`.
    package func read(into buffer: UnsafeMutableBufferPointer<Float>, upTo end: Int64 = .max) -> Outcome {
        let limit = min(end, writePosition)
        let count = Int(min(limit - readPosition, Int64(buffer.count)))
        if count <= 0 { return .copied(0) }
        // Elements that are gone already need no copying. Relaxed: a hint, the check below decides.
        if claimed.load(ordering: .relaxed) - Int64(capacity) <= readPosition {
            var slot = Int(readPosition % Int64(capacity))
            for index in 0..<count {
                // Acquire: pairs with the release of the element in `write`, and keeps the load of `claimed` below
                // after this one.
                buffer[index] = elements[slot].load(ordering: .acquiring)
                slot += 1
                if slot == capacity { slot = 0 }
            }
        }
        // Relaxed: the acquires above order it; if any copied element was of the writer's next lap, this load sees
        // the claim stored before it.
        let oldest = claimed.load(ordering: .relaxed) - Int64(capacity)
        if oldest > readPosition {
            let skipped = min(oldest, limit) - readPosition
            readPosition += skipped
            return .skipped(skipped)
        }
        readPosition += Int64(count)
        return .copied(count)
    }
}
