import CKernels

/// How fast one core of this machine is with one version of the kernels, measured now: the roofs of the roofline model (Williams,
/// Waterman and Patterson 2009).
public struct MachineLimits: Sendable {
    /// fp32 multiply-adds a second.
    public var multiplyAdds: Double
    /// int8 multiply-adds a second, summed as integers.
    public var int8MultiplyAdds: Double
    /// exp a second, as the kernels compute it.
    public var exponentials: Double
    /// Bytes a second, read from a buffer of the size given.
    public var bytes: Double

    /// Measures, in some 0.1 s.
    ///
    /// - Parameter working: bytes of the buffer that is read: the weights' size, so that caches count as they do there.
    public init(_ kernels: Kernels, working: Int) {
        let table = kernels.table.pointee
        let buffer = AlignedBuffer(count: max(working / 4, 1 << 12))
        let repeats = max(1, (1 << 22) / buffer.count)
        multiplyAdds = Self.rate(1 << 23) { _ = table.limit_multiply_adds(1 << 23) }
        int8MultiplyAdds = Self.rate(1 << 23) { _ = table.limit_int8_multiply_adds(1 << 23) }
        exponentials = Self.rate(1 << 21) { _ = table.limit_exponentials(1 << 21) }
        bytes = Self.rate(4 * buffer.count * repeats) {
            for _ in 0..<repeats { _ = table.limit_read(buffer.pointer, buffer.count) }
        }
    }

    /// Seconds that `cost` takes at least, where reading weights and arithmetic overlap perfectly.
    public func seconds(_ cost: Cost) -> Double {
        max(
            Double(cost.multiplyAdds) / multiplyAdds + Double(cost.int8MultiplyAdds) / int8MultiplyAdds
                + Double(cost.exponentials) / exponentials,
            Double(cost.weightBytes) / bytes)
    }

    /// Things a second, the best of nine runs: a limit is what the machine can do undisturbed.
    private static func rate(_ count: Int, _ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        let best = (0..<9).map { _ in clock.measure(body) }.min()!
        return Double(count) / (best / .seconds(1))
    }
}
