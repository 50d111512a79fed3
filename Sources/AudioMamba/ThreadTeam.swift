import CKernels
import Dispatch
import Glibc
import Synchronization

/// Threads that share the loops of a pass. A pass has hundreds of loops of less than a millisecond: to wake a thread for
/// each, as `DispatchQueue.concurrentPerform` does, costs more than it saves. So helpers come from Dispatch once a pass
/// and look for work until it ends.
///
/// The caller works too, and does all of it where no helper comes: nobody waits for a thread that has not begun. A pass
/// allocates nothing: a loop is a value, `Loop`, where a closure would be memory of its own.
final class ThreadTeam<Loop>: @unchecked Sendable {
    private let threads: Int
    private let perform: (Loop, Range<Int>) -> Void
    /// Each calls a helper.
    private var calls: [any DispatchSourceUserDataAdd] = []
    /// Odd while a pass runs; its helpers leave when it has changed.
    private let pass = Atomic<Int>(0)
    /// Number of the loop, and below it how many of its parts nobody has taken. The number keeps a thread that was held up
    /// from taking a part of a later loop for one of the loop it looked at.
    private let ticket = Atomic<UInt64>(0)
    private static var partBits: UInt64 { 16 }
    private let finished = Atomic<Int>(0)
    /// Written while no part can be taken; published by `ticket` (release), read after a part was taken (acquire).
    private var work: Work?

    /// A loop over a range, cut into parts that each but the last hold a multiple of `unit`.
    private struct Work {
        let loop: Loop
        let range: Range<Int>
        let unit: Int
        let parts: Int

        func range(of part: Int) -> Range<Int> {
            let units = (range.count + unit - 1) / unit
            let start = range.lowerBound + units * part / parts * unit
            let end = range.lowerBound + units * (part + 1) / parts * unit
            return start..<min(end, range.upperBound)
        }
    }

    /// - Parameter perform: does a loop over a part of its range; writes nothing that another part reads or writes.
    init(threads: Int, perform: @escaping (Loop, Range<Int>) -> Void) {
        precondition(threads > 0)
        self.threads = threads
        self.perform = perform
        for _ in 1..<threads {
            let call = DispatchSource.makeUserDataAddSource(queue: .global(qos: .userInitiated))
            call.setEventHandler { [weak self] in self?.help() }
            call.activate()
            calls.append(call)
        }
    }

    deinit {
        for call in calls { call.cancel() }
    }

    /// Calls `body`, in which ``split(_:unit:_:)`` shares its work with helpers.
    func together(_ body: () -> Void) {
        guard threads > 1 else { return body() }
        pass.add(1, ordering: .relaxed)
        for call in calls { call.add(data: 1) }
        body()
        pass.add(1, ordering: .relaxed)
    }

    /// Does a loop over `range`, cut into as many parts as there are threads; returns when all have ended.
    ///
    /// - Parameter unit: each part but the last holds a multiple of so many.
    func split(_ range: Range<Int>, unit: Int = 1, _ loop: Loop) {
        let parts = min(threads, (range.count + unit - 1) / unit)
        guard parts > 1 else { return perform(loop, range) }
        work = Work(loop: loop, range: range, unit: unit, parts: parts)
        finished.store(0, ordering: .relaxed)
        let number = (ticket.load(ordering: .relaxed) >> Self.partBits) &+ 1
        ticket.store(number << Self.partBits | UInt64(parts), ordering: .releasing)
        while takePart() {}
        var spins = Self.spinLimit
        while finished.load(ordering: .acquiring) < parts { wait(&spins) }
        work = nil
    }

    /// Serves the pass that runs, until it ends.
    private func help() {
        let number = pass.load(ordering: .relaxed)
        guard number % 2 == 1 else { return }
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
                performPart(Int(left) - 1)
                finished.add(1, ordering: .releasing)
                return true
            }
            seen = now
        }
    }

    /// Not inlined: whatever this retains is let go of before the part counts as finished.
    @inline(never)
    private func performPart(_ part: Int) {
        if let work { perform(work.loop, work.range(of: part)) }
    }

    /// Spins that a thread waits for before it lets others have the processor.
    private static var spinLimit: Int { 1000 }

    private func wait(_ spins: inout Int) {
        if spins > 0 {
            spins -= 1
            aumd_pause()
        } else {
            sched_yield()
        }
    }
}
