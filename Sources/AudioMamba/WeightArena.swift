/// The memory a model's weights lie in, one after the other as a column reads them.
///
/// A recurrent step of a large model is bound by reading its weights once. Here a matrix is followed by what is read next, so
/// that a kernel's prefetching runs on into it, and all of them share huge pages: most matrices are smaller than one.
final class WeightArena: @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private let reserved: Int
    private var used = 0

    /// - Parameter bytes: an upper bound of what will be allocated; what is never touched costs addresses only.
    init(reserving bytes: Int) {
        reserved = bytes
        start = AlignedBuffer.allocate(bytes: bytes)
    }

    /// The next bytes, on a cache line of their own, for as long as this memory lives.
    func allocate(bytes: Int) -> UnsafeMutableRawPointer {
        precondition(used + bytes <= reserved, "more weights than were reserved for")
        defer { used += (bytes + 63) / 64 * 64 }
        return start + used
    }

    deinit { start.deallocate() }
}
