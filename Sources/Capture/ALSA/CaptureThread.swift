import Glibc
import Threads
import Synchronization

/// Locks memory so that the capture thread never waits for the disk; the first refusal's errno goes to `report`.
func lockMemory(_ memory: UnsafeRawBufferPointer, report: borrowing Atomic<Int32>) {
    let code = mlock(memory.baseAddress, memory.count) == 0 ? 0 : errno
    // Relaxed: a value on its own.
    if report.load(ordering: .relaxed) <= 0 { report.store(code, ordering: .relaxed) }
}

func unlockMemory(_ memory: UnsafeRawBufferPointer) {
    munlock(memory.baseAddress, memory.count)
}

/// The capture thread: a POSIX thread with a stack of its own, locked in memory, under SCHED_FIFO where the system
/// allows it.
final class CaptureThread: @unchecked Sendable {
    /// The guard page and the stack above it.
    private let mapping: UnsafeMutableRawBufferPointer
    private let stack: UnsafeMutableRawBufferPointer
    private var thread = pthread_t()
    /// Under SCHED_FIFO.
    private static let priority: Int32 = 20
    private let shared: CaptureShared

    /// What the new thread begins with; handed over whole, so that no two threads ever hold it.
    private final class Beginning {
        let shared: CaptureShared
        var loop: CaptureLoop
        var device: ALSADevice?

        init(shared: CaptureShared, loop: consuming CaptureLoop, device: consuming ALSADevice?) {
            self.shared = shared
            self.loop = loop
            self.device = device
        }
    }

    init(shared: CaptureShared, loop: consuming CaptureLoop, device: consuming ALSADevice?) throws(CaptureError) {
        self.shared = shared
        let guardSize = Int(getpagesize()), size = 512 * 1024
        guard let memory = mmap(nil, guardSize + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED
        else { throw .system(call: "mmap", errno: errno) }
        // Below a stack of one's own there is no guard unless one makes it.
        mprotect(memory, guardSize, PROT_NONE)
        mapping = UnsafeMutableRawBufferPointer(start: memory, count: guardSize + size)
        stack = UnsafeMutableRawBufferPointer(start: memory + guardSize, count: size)
        lockMemory(UnsafeRawBufferPointer(stack), report: shared.locking)
        lockMemory(shared.ring.memory, report: shared.locking)
        lockMemory(shared.markers.memory, report: shared.locking)

        let beginning = Beginning(shared: shared, loop: loop, device: device)
        let pointer = Unmanaged.passRetained(beginning)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstack(&attributes, stack.baseAddress!, size)
        let code = pthread_create(&thread, &attributes, CaptureThread.main, pointer.toOpaque())
        pthread_attr_destroy(&attributes)
        if code != 0 {
            pointer.release()
            munmap(mapping.baseAddress, mapping.count)
            throw .system(call: "pthread_create", errno: code)
        }
    }

    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
        let beginning = Unmanaged<Beginning>.fromOpaque(pointer!).takeRetainedValue()
        let shared = beginning.shared
        nameThread("capture")
        silenceALSAMessages()
        var parameters = sched_param(sched_priority: CaptureThread.priority)
        let refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters)
        shared.scheduling.store(refused, ordering: .relaxed)
        beginning.loop.run(first: beginning.device.take())
        shared.ended.signal()
        return nil
    }

    /// Asks the loop to end and waits for it, for at most `milliseconds`: a sound server that hangs in an opening
    /// must not keep the program from ending. In that case the thread and its stack are left behind.
    func stop(milliseconds: Int32 = 2000) {
        shared.stopping.signal()
        if shared.ended.wait(milliseconds: milliseconds) {
            pthread_join(thread, nil)
            munmap(mapping.baseAddress, mapping.count)
        } else {
            pthread_detach(thread)
        }
    }
}
