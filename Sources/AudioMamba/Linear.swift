import CKernels

/// How the blocks' projections are kept; arithmetic is fp32 with each.
///
/// A recurrent step of a large model is bound by reading its weights, which these halve and quarter. Patch embedding,
/// dt_proj, head and everything that is no matrix stay fp32.
public enum WeightStorage: String, Sendable, CaseIterable {
    case float32
    /// Rounded to nearest even: 8 bits of mantissa.
    case bfloat16
    /// Symmetric, one scale an output channel.
    case int8
}

/// A weight matrix (out, in) with its bias (out), packed for the kernels.
final class Linear: @unchecked Sendable {
    let inputs: Int
    let outputs: Int
    private let values: UnsafeMutableRawPointer
    private let scale: AlignedBuffer?
    private let bias: AlignedBuffer?
    private let matrix: UnsafeMutablePointer<aumd_matrix>

    /// - Parameter weights: (out, in), row-major.
    init(
        _ weights: ArraySlice<Float>, outputs: Int, inputs: Int, bias: [Float]? = nil, storage: WeightStorage = .float32
    ) {
        let rows = padded(outputs)
        let packed = AlignedBuffer(count: rows * inputs)
        weights.withUnsafeBufferPointer { aumd_pack_matrix(packed.pointer, $0.baseAddress, outputs, inputs) }
        let size = switch storage {
        case .float32: 4
        case .bfloat16: 2
        case .int8: 1
        }
        values = AlignedBuffer.allocate(bytes: rows * inputs * size)
        var scale: AlignedBuffer?
        let kind: Int32
        switch storage {
        case .float32:
            kind = Int32(AUMD_FLOAT32)
            values.copyMemory(from: packed.pointer, byteCount: rows * inputs * size)
        case .bfloat16:
            kind = Int32(AUMD_BFLOAT16)
            aumd_to_bf16(values.assumingMemoryBound(to: UInt16.self), packed.pointer, rows * inputs)
        case .int8:
            kind = Int32(AUMD_INT8)
            let scales = AlignedBuffer(count: rows)
            aumd_to_int8(values.assumingMemoryBound(to: Int8.self), scales.pointer, packed.pointer, outputs, inputs)
            scale = scales
        }
        self.inputs = inputs
        self.outputs = outputs
        self.scale = scale
        self.bias = bias.map { AlignedBuffer($0, padding: rows) }
        matrix = .allocate(capacity: 1)
        matrix.initialize(
            to: aumd_matrix(
                out: outputs, in: inputs, storage: kind, values: values, scale: scale?.pointer,
                bias: self.bias?.pointer))
    }

    convenience init(
        _ weights: [Float], outputs: Int, inputs: Int, bias: [Float]? = nil, storage: WeightStorage = .float32
    ) {
        self.init(weights[...], outputs: outputs, inputs: inputs, bias: bias, storage: storage)
    }

    deinit {
        matrix.deallocate()
        values.deallocate()
    }

    /// output (tokens, out) = input (tokens, in) Wᵀ + bias, or += where `accumulate`.
    ///
    /// - Parameter inputRow: distance of two rows of the input, padded(in) unless told; the output's is padded(out).
    func apply(
        _ kernels: Kernels, from input: UnsafePointer<Float>, inputRow: Int? = nil,
        to output: UnsafeMutablePointer<Float>, tokens: Int, accumulate: Bool = false
    ) {
        kernels.table.pointee.linear(
            output, padded(outputs), input, inputRow ?? padded(inputs), matrix, tokens, accumulate ? 1 : 0)
    }
}
