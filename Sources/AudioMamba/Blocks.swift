import CKernels

/// Runs all blocks over a sequence of up to `capacity` tokens, in buffers made once.
///
/// Symbols as in design.md: T tokens, D, E, N, R. Not thread-safe: one instance a stream and direction.
final class Blocks {
    let model: Model
    let capacity: Int
    /// Residual stream (capacity, D), in and out.
    let hidden: AlignedBuffer

    private let dRow: Int
    private let eRow: Int
    private let parameterRow: Int
    private let normed: AlignedBuffer  // (capacity, D)
    private let x: AlignedBuffer  // (capacity, E), before the convolution
    private let z: AlignedBuffer  // (capacity, E)
    private let u: AlignedBuffer  // (capacity, E), after convolution and SiLU
    private let parameters: AlignedBuffer  // (capacity, R + 2N): dt before its projection, B, C
    private let dt: AlignedBuffer  // (capacity, E)
    private let y: AlignedBuffer  // (capacity, E)
    private let backwardState: AlignedBuffer  // (E, N)
    private let backwardTail: AlignedBuffer  // (K - 1, E)

    init(model: Model, capacity: Int) {
        let c = model.configuration
        self.model = model
        self.capacity = capacity
        dRow = padded(c.modelWidth)
        eRow = padded(c.innerWidth)
        parameterRow = padded(c.timeStepRank + 2 * c.stateCount)
        hidden = AlignedBuffer(count: capacity * dRow)
        normed = AlignedBuffer(count: capacity * dRow)
        x = AlignedBuffer(count: capacity * eRow)
        z = AlignedBuffer(count: capacity * eRow)
        u = AlignedBuffer(count: capacity * eRow)
        parameters = AlignedBuffer(count: capacity * parameterRow)
        dt = AlignedBuffer(count: capacity * eRow)
        y = AlignedBuffer(count: capacity * eRow)
        backwardState = AlignedBuffer(count: c.isBidirectional ? eRow * c.stateCount : 0)
        backwardTail = AlignedBuffer(count: c.isBidirectional ? (c.convolutionWidth - 1) * eRow : 0)
    }

    /// Runs `hidden`'s first `tokens` rows through every layer.
    ///
    /// - Parameters:
    ///   - state: the forward direction's state before the first token; afterwards that after the last.
    ///   - bidirectional: adds the backward scan, from zero at the last token. Without it y_backward is 0.
    ///   - checkpoint: where the forward state after the first `count` tokens is to be kept, 0 < count <= tokens.
    func run(
        tokens: Int, state: inout HiddenState, bidirectional: Bool, checkpoint: (count: Int, state: LayerStates)? = nil
    ) {
        precondition(tokens > 0 && tokens <= capacity)
        state.withLayers { states in
            for (index, layer) in model.weights.layers.enumerated() {
                mix(layer, index, tokens, states, bidirectional ? layer.backward : nil, checkpoint)
            }
        }
    }

    /// h = h + out_proj((y_forward + y_backward) ⊙ silu(z)) for one layer.
    private func mix(
        _ layer: LayerWeights, _ index: Int, _ tokens: Int, _ states: LayerStates, _ backward: DirectionWeights?,
        _ checkpoint: (count: Int, state: LayerStates)?
    ) {
        let c = model.configuration
        let k = model.kernels.table.pointee
        k.rms_norm(normed.pointer, hidden.pointer, dRow, layer.norm.pointer, tokens, c.modelWidth, c.normEpsilon)
        apply(layer.xInput, from: normed, dRow, to: x, eRow, tokens)
        apply(layer.zInput, from: normed, dRow, to: z, eRow, tokens)

        let cut = checkpoint?.count ?? tokens
        convolve(layer.forward, states.tail(index), 0..<cut)
        if let checkpoint { checkpoint.state.tail(index).update(from: states.tail(index), count: states.tailCount) }
        convolve(layer.forward, states.tail(index), cut..<tokens)
        selectParameters(layer.forward, tokens)
        scan(layer.forward, states.ssm(index), 0..<cut)
        if let checkpoint {
            checkpoint.state.ssm(index).update(from: states.ssm(index), count: states.stride - states.tailCount)
        }
        scan(layer.forward, states.ssm(index), cut..<tokens)

        if let backward {
            backwardState.pointer.update(repeating: 0, count: backwardState.count)
            if c.variant == .biBi {
                backwardTail.pointer.update(repeating: 0, count: backwardTail.count)
                k.conv_silu(
                    u.pointer, x.pointer, eRow, backwardTail.pointer, backward.convolution.pointer,
                    backward.convolutionBias.pointer, tokens, c.innerWidth, c.convolutionWidth, Int32(AUMD_BACKWARD))
                selectParameters(backward, tokens)
            }
            k.scan(
                y.pointer, u.pointer, dt.pointer, eRow, backward.a2.pointer, parameters.pointer + c.timeStepRank,
                parameterRow, backward.skip.pointer, backwardState.pointer, tokens, c.innerWidth, c.stateCount,
                Int32(AUMD_BACKWARD), 1)
        }
        k.gate(y.pointer, z.pointer, eRow, tokens, c.innerWidth, c.variant == .biBi ? 0.5 : 1)
        apply(layer.output, from: y, eRow, to: hidden, dRow, tokens, accumulate: true)
    }

    private func apply(
        _ linear: Linear, from input: AlignedBuffer, _ inputRow: Int, to output: AlignedBuffer, _ outputRow: Int,
        _ tokens: Int, accumulate: Bool = false
    ) {
        model.kernels.table.pointee.linear(
            output.pointer, outputRow, input.pointer, inputRow, linear.packed.pointer, linear.bias?.pointer, tokens,
            linear.inputs, linear.outputs, accumulate ? 1 : 0)
    }

    private func convolve(_ weights: DirectionWeights, _ tail: UnsafeMutablePointer<Float>, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let c = model.configuration
        model.kernels.table.pointee.conv_silu(
            u.pointer + range.lowerBound * eRow, x.pointer + range.lowerBound * eRow, eRow, tail,
            weights.convolution.pointer, weights.convolutionBias.pointer, range.count, c.innerWidth,
            c.convolutionWidth, Int32(AUMD_FORWARD))
    }

    /// Δ, B and C from u: Δ = softplus(dt_proj(dt)).
    private func selectParameters(_ weights: DirectionWeights, _ tokens: Int) {
        apply(weights.xProjection, from: u, eRow, to: parameters, parameterRow, tokens)
        apply(weights.timeStepProjection, from: parameters, parameterRow, to: dt, eRow, tokens)
        model.kernels.table.pointee.softplus(dt.pointer, eRow, tokens, model.configuration.innerWidth)
    }

    private func scan(_ weights: DirectionWeights, _ state: UnsafeMutablePointer<Float>, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let c = model.configuration
        let at = range.lowerBound * eRow
        model.kernels.table.pointee.scan(
            y.pointer + at, u.pointer + at, dt.pointer + at, eRow, weights.a2.pointer,
            parameters.pointer + range.lowerBound * parameterRow + c.timeStepRank, parameterRow,
            weights.skip.pointer, state, range.count, c.innerWidth, c.stateCount, Int32(AUMD_FORWARD), 0)
    }
}
