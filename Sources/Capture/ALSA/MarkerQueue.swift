import Synchronization

/// What the capture thread says about the stream, apart from the samples. Plain bits: the capture thread makes and
/// stores it without allocating.
struct Marker: BitwiseCopyable, Sendable {
    enum Kind: UInt8, Sendable {
        /// At `nanoseconds` the device had captured `available` samples beyond `position`.
        case anchor
        /// As `anchor`, and the samples from `position` on do not follow on those before it, because of `cause`.
        case resume
        /// The samples stop at `position`; `problem` says why.
        case lost
        /// Not there yet; `problem` says why.
        case waiting
        /// The samples stop at `position`: the device has been closed, as was asked.
        case paused
    }

    var kind: Kind
    var cause: Gap.Cause = .xrun
    var problem: DeviceFault = .stalled
    /// Ring position the marker belongs before.
    var position: Int64
    var available: Int64 = 0
    /// CLOCK_BOOTTIME, which also counts the time a machine sleeps.
    var nanoseconds: Int64 = 0
}

/// A device problem as plain bits.
enum DeviceFault: BitwiseCopyable, Sendable {
    case stalled
    /// A libasound function failed with this positive errno value.
    case failed(LibraryCall, errno: Int32)
    /// `CaptureShared.openingError` has it.
    case opening
}

/// The libasound functions of the steady loop.
enum LibraryCall: UInt8, Sendable {
    case snd_pcm_prepare, snd_pcm_start, snd_pcm_avail, snd_pcm_readi, poll
}

/// A queue of fixed size between one writer and one reader, for markers. Unlike the ring of samples it never
/// overwrites: a marker that does not fit is refused, and the writer decides what that means.
///
/// Thread contract: exactly one thread calls `push`; exactly one thread calls `first` and `removeFirst`.
final class MarkerQueue: @unchecked Sendable {
    let capacity: Int
    private let markers: UnsafeMutablePointer<Marker>  // (capacity)
    private let pushed = Atomic<Int>(0)
    private let removed = Atomic<Int>(0)

    init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        markers = .allocate(capacity: capacity)
        markers.initialize(repeating: Marker(kind: .anchor, position: 0), count: capacity)
    }

    deinit { markers.deallocate() }

    var memory: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: markers, count: capacity * MemoryLayout<Marker>.stride)
    }

    /// Writer only. False, and nothing pushed, when fewer than `reserve` + 1 places are free: anchors leave a
    /// reserve for the markers that must not be lost.
    func push(_ marker: Marker, reserve: Int = 0) -> Bool {
        let end = pushed.load(ordering: .relaxed)  // Relaxed: only the writer stores it.
        // Acquire: pairs with the release in `removeFirst`; the reader is done with a place before it is stored to.
        guard end - removed.load(ordering: .acquiring) + reserve < capacity else { return false }
        markers[end % capacity] = marker
        // Release: pairs with the acquire in `first`; the marker is complete before it can be seen.
        pushed.store(end + 1, ordering: .releasing)
        return true
    }

    /// Reader only. The oldest marker, which stays.
    var first: Marker? {
        let start = removed.load(ordering: .relaxed)  // Relaxed: only the reader stores it.
        // Acquire: pairs with the release in `push`.
        guard start < pushed.load(ordering: .acquiring) else { return nil }
        return markers[start % capacity]
    }

    /// Reader only.
    func removeFirst() {
        let start = removed.load(ordering: .relaxed)
        // Release: pairs with the acquire in `push`; the marker has been copied before its place is free.
        removed.store(start + 1, ordering: .releasing)
    }
}
