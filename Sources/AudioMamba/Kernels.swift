import CKernels

/// One implementation of the blocks' arithmetic. All of them agree to fp32 rounding; each is reproducible bit for bit.
public struct Kernels: Sendable, CustomStringConvertible {
    // The tables are constants of CKernels: never written, alive for ever.
    nonisolated(unsafe) let table: UnsafePointer<aumd_kernels>

    /// Those this processor can run, best first; the last is the scalar reference.
    public static let available: [Kernels] = {
        var list = [UnsafePointer<aumd_kernels>?](repeating: nil, count: Int(AUMD_MAX_KERNELS))
        let count = list.withUnsafeMutableBufferPointer { aumd_kernels_available($0.baseAddress) }
        return list.prefix(count).compactMap { $0.map(Kernels.init(table:)) }
    }()

    /// The fastest that this processor can run.
    public static var best: Kernels { available[0] }
    /// Plain loops and libm.
    public static var reference: Kernels { available[available.count - 1] }

    /// Floats that one instruction works on.
    var lanes: Int { table.pointee.lanes }

    public var description: String { String(cString: table.pointee.name) }
}

/// `count` rounded up to whole vectors: the distance between two rows of activations.
func padded(_ count: Int) -> Int {
    (count + Int(AUMD_LANES) - 1) / Int(AUMD_LANES) * Int(AUMD_LANES)
}
