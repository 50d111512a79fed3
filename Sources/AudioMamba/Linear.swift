import CKernels

/// How the blocks' projections are kept and multiplied. Patch embedding, dt_proj, head and everything that is no matrix stay
/// fp32.
///
/// A recurrent step of a large model is bound by reading its weights, which the narrow ones halve and quarter.
public enum WeightStorage: String, Sendable, CaseIterable {
    case float32
    /// Rounded to nearest even, 8 bits of mantissa; arithmetic is fp32.
    case bfloat16
    /// Symmetric, one scale an output channel. Activations are rounded too, one scale for each 2048 of a token's, and products
    /// are summed as integers: faster where the processor has instructions for that (VNNI).
    case int8

    /// Bytes of one weight.
    var size: Int {
        switch self {
        case .float32: 4
        case .bfloat16: 2
        case .int8: 1
        }
    }
}

/// A weight matrix (out, in) with its bias (out), packed for the kernels.
final class Linear: @unchecked Sendable {
    let inputs: Int
    let outputs: Int
    /// False where a finite weight, multiplied with its gain, is not.
    let isFinite: Bool
    private let values: UnsafeMutableRawPointer
    private let scale: AlignedBuffer?
    private let totals: UnsafeMutablePointer<Int32>?
    private let bias: AlignedBuffer?
    private let memory: WeightArena?
    let matrix: UnsafeMutablePointer<aumd_matrix>

    /// - Parameters:
    ///   - weights: (out, in), row-major.
    ///   - gain: what each input is multiplied with before, (in); by default 1.
    ///   - memory: where the packed weights go; by default memory of their own.
    init(
        _ weights: ArraySlice<Float>, outputs: Int, inputs: Int, gain: [Float]? = nil, bias: [Float]? = nil,
        storage: WeightStorage = .float32, in memory: WeightArena? = nil
    ) {
        func allocate(_ kind: Int, in memory: WeightArena?) -> UnsafeMutableRawPointer {
            AlignedBuffer.allocate(bytes: aumd_matrix_size(outputs, inputs, Int32(kind)), in: memory)
        }
        precondition(weights.count == outputs * inputs && gain?.count ?? inputs == inputs)
        let gain = gain.map { AlignedBuffer($0, padding: inputs) }
        let rows = padded(outputs)
        let kind: Int32
        switch storage {
        case .float32, .bfloat16:
            let packed = allocate(AUMD_FLOAT32, in: storage == .float32 ? memory : nil)
            let floats = packed.bindMemory(to: Float.self, capacity: rows * inputs)
            weights.withUnsafeBufferPointer { aumd_pack_matrix(floats, $0.baseAddress, gain?.pointer, outputs, inputs) }
            isFinite = gain == nil || aumd_all_finite(floats, rows * inputs) != 0
            (scale, totals) = (nil, nil)
            if storage == .float32 {
                (kind, values) = (Int32(AUMD_FLOAT32), packed)
            } else {
                (kind, values) = (Int32(AUMD_BFLOAT16), allocate(AUMD_BFLOAT16, in: memory))
                aumd_to_bf16(values.assumingMemoryBound(to: UInt16.self), floats, rows * inputs)
                packed.deallocate()
            }
        case .int8:
            let segments = (inputs + Int(AUMD_SEGMENT) - 1) / Int(AUMD_SEGMENT)
            let packed = allocate(AUMD_INT8, in: memory)
            let scale = AlignedBuffer(count: rows, in: memory)
            let totals = AlignedBuffer.allocate(bytes: segments * rows * 4, in: memory)
                .bindMemory(to: Int32.self, capacity: segments * rows)
            weights.withUnsafeBufferPointer {
                aumd_pack_int8(
                    packed.assumingMemoryBound(to: Int8.self), scale.pointer, totals, $0.baseAddress, gain?.pointer, outputs,
                    inputs)
            }
            isFinite = gain == nil || aumd_all_finite(scale.pointer, rows) != 0
            (kind, values) = (Int32(AUMD_INT8), packed)
            (self.scale, self.totals) = (scale, totals)
        }
        self.inputs = inputs
        self.outputs = outputs
        self.memory = memory
        self.bias = bias.map { AlignedBuffer($0, padding: rows, in: memory) }
        matrix = .allocate(capacity: 1)
        matrix.initialize(
            to: aumd_matrix(
                out: outputs, in: inputs, storage: kind, values: values, scale: scale?.pointer, totals: totals,
                bias: self.bias?.pointer))
    }

    convenience init(
        _ weights: [Float], outputs: Int, inputs: Int, gain: [Float]? = nil, bias: [Float]? = nil,
        storage: WeightStorage = .float32, in memory: WeightArena? = nil
    ) {
        self.init(
            weights[...], outputs: outputs, inputs: inputs, gain: gain, bias: bias, storage: storage, in: memory)
    }

    deinit {
        matrix.deallocate()
        guard memory == nil else { return }
        values.deallocate()
        totals?.deallocate()
    }

    /// output (tokens, out) = scale (tokens) · input (tokens, in) Wᵀ + bias, or += where `accumulate`.
    ///
    /// - Parameters:
    ///   - inputRow: distance of two rows of the input, by default padded(in); the output's is padded(out).
    ///   - scale: by default 1.
    func apply(
        _ kernels: Kernels, from input: UnsafePointer<Float>, inputRow: Int? = nil, scale: UnsafePointer<Float>? = nil,
        to output: UnsafeMutablePointer<Float>, tokens: Int, accumulate: Bool = false
    ) {
        kernels.table.pointee.linear(
            output, padded(outputs), input, inputRow ?? padded(inputs), scale, matrix, tokens, accumulate ? 1 : 0)
    }
}
