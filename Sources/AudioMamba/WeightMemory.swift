import Glibc

/// The memory a model's weights lie in, one after the other as a column reads them.
///
/// A recurrent step of a large model is bound by reading its weights once. Here a matrix is followed by what is read next, so
/// that a kernel's prefetching runs on into it, and all of them share huge pages where the system has some (madvise(2),
/// MADV_HUGEPAGE): most matrices are smaller than one.
final class WeightMemory: @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private var reserved: Int
    private var used = 0

    /// - Parameter bytes: an upper bound of what will be allocated; only addresses are taken until it is.
    init(reserving bytes: Int) {
        let page = AlignedBuffer.hugePage
        reserved = (bytes / page + 1) * page
        let region = mmap(nil, reserved + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let region, region != MAP_FAILED else { fatalError("no memory for \(bytes) bytes of weights") }
        let before = (page - Int(bitPattern: region) % page) % page
        start = region + before
        if before > 0 { munmap(region, before) }
        if before < page { munmap(start + reserved, page - before) }
        madvise(start, reserved, Int32(MADV_HUGEPAGE))
    }

    /// Zeros on a cache line of their own, for as long as this memory lives.
    func allocate(bytes: Int) -> UnsafeMutableRawPointer {
        precondition(used + bytes <= reserved, "more weights than were reserved for")
        defer { used += (bytes + 63) / 64 * 64 }
        return start + used
    }

    /// Gives back the addresses that nothing was allocated in.
    func trim() {
        let page = AlignedBuffer.hugePage
        let kept = max((used + page - 1) / page, 1) * page
        if kept < reserved { munmap(start + kept, reserved - kept) }
        reserved = kept
    }

    deinit { munmap(start, reserved) }
}
