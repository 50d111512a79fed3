import CKernels
import Dispatch
import Glibc
import Synchronization

/// Threads that share the loops of a pass. A pass has hundreds of loops of less than a millisecond: to wake a thread for
/// each, as `DispatchQueue.concurrentPerform` does, costs more than it saves. So helpers come from Dispatch once a pass
/// and look for work until it ends.
///
/// The caller works too, and does all of it where no helper comes: nobody waits for a thread that has not begun.
final class ThreadTeam: @unchecked Sendable {
    private let threads: Int
    /// The pass that helpers may serve; they leave when it has changed.
    private let pass = Atomic<Int>(0)
    /// Number of the loop, and below it how many of its parts nobody has taken. The number keeps a thread that was held up
    /// from taking a part of a later loop for one of the loop it looked at.
    private let ticket = Atomic<UInt64>(0)
    private static let partBits: UInt64 = 16
    private let finished = Atomic<Int>(0)
    /// Written while no part can be taken; published by `ticket` (release), read after a part was taken (acquire).
    private var work: (Int) -> Void = { _ in }

    init(threads: Int) {
        precondition(threads > 0)
        self.threads = threads
    }

    /// Calls `body`, in which ``split(_:unit:_:)`` shares its work with helpers.
    func together(_ body: () -> Void) {
        guard threads > 1 else { return body() }
        let number = pass.add(1, ordering: .relaxed).newValue
        for _ in 1..<threads { DispatchQueue.global().async { self.help(number) } }
        body()
        pass.add(1, ordering: .relaxed)
    }

    /// Runs `body` over `range`, cut into as many parts as there are threads; returns when all have ended.
    ///
    /// - Parameters:
    ///   - unit: each part but the last holds a multiple of so many.
    ///   - body: writes nothing that another part reads or writes.
    func split(_ range: Range<Int>, unit: Int = 1, _ body: (Range<Int>) -> Void) {
        let units = (range.count + unit - 1) / unit
        let parts = min(threads, units)
        guard parts > 1 else { return body(range) }
        let part = { (index: Int) in
            let start = range.lowerBound + units * index / parts * unit
            let end = range.lowerBound + units * (index + 1) / parts * unit
            body(start..<min(end, range.upperBound))
        }
        withoutActuallyEscaping(part) { part in
            work = part
            finished.store(0, ordering: .relaxed)
            let loop = (ticket.load(ordering: .relaxed) >> Self.partBits) &+ 1
            ticket.store(loop << Self.partBits | UInt64(parts), ordering: .releasing)
            while takePart() {}
            var spins = Self.spinLimit
            while finished.load(ordering: .acquiring) < parts { wait(&spins) }
            work = { _ in }
        }
    }

    private func help(_ number: Int) {
        var spins = Self.spinLimit
        while pass.load(ordering: .relaxed) == number {
            if takePart() { spins = Self.spinLimit } else { wait(&spins) }
        }
    }

    /// Takes a part of the loop and does it; false where none is left.
    private func takePart() -> Bool {
        var seen = ticket.load(ordering: .acquiring)
        while true {
            let left = seen & (1 << Self.partBits - 1)
            guard left > 0 else { return false }
            let (taken, now) = ticket.weakCompareExchange(
                expected: seen, desired: seen - 1, successOrdering: .acquiring, failureOrdering: .acquiring)
            if taken {
                perform(Int(left) - 1)
                finished.add(1, ordering: .releasing)
                return true
            }
            seen = now
        }
    }

    /// Not inlined: whatever this retains is let go of before the part counts as finished.
    @inline(never)
    private func perform(_ part: Int) { work(part) }

    /// Spins that a thread waits for before it lets others have the processor.
    private static let spinLimit = 1000

    private func wait(_ spins: inout Int) {
        if spins > 0 {
            spins -= 1
            aumd_pause()
        } else {
            sched_yield()
        }
    }
}
