import Glibc

/// Zero-initialised floats on a cache line of their own, of fixed size for life.
///
/// Large ones lie in huge pages where the system has some: with pages of 4 KiB, a pass over more than 8 MiB misses the
/// address cache on every page (madvise(2), MADV_HUGEPAGE).
final class AlignedBuffer: @unchecked Sendable {
    static let hugePage = 2 << 20

    let count: Int
    let pointer: UnsafeMutablePointer<Float>
    /// What the floats are a part of; nil where they are on their own.
    private let memory: WeightArena?

    init(count: Int, in memory: WeightArena? = nil) {
        self.count = count
        self.memory = memory
        let bytes = count * MemoryLayout<Float>.stride
        pointer = Self.allocate(bytes: bytes, in: memory).bindMemory(to: Float.self, capacity: count)
        pointer.initialize(repeating: 0, count: count)
    }

    convenience init(_ values: [Float], padding: Int, in memory: WeightArena? = nil) {
        self.init(count: padding, in: memory)
        for (i, value) in values.enumerated() { pointer[i] = value }
    }

    /// Memory of any type with the same placement: a part of `memory`, or else the caller's to free.
    static func allocate(bytes: Int, in memory: WeightArena? = nil) -> UnsafeMutableRawPointer {
        if let memory { return memory.allocate(bytes: bytes) }
        let isLarge = bytes >= hugePage
        let raw = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: isLarge ? hugePage : 64)
        if isLarge { madvise(raw, bytes, Int32(MADV_HUGEPAGE)) }
        return raw
    }

    deinit { if memory == nil { pointer.deallocate() } }
}
