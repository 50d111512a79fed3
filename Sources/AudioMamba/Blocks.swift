import CKernels

/// Runs all blocks over a sequence of up to `capacity` tokens, in buffers made once.
///
/// A layer goes over the sequence in pieces of ``piece`` tokens, so that what a piece needs only for itself stays in the
/// cache; what the backward direction needs of the whole sequence is kept: its input and the forward scan's output. Long
/// sequences are bound by that memory, so the gate waits until the layer's input is read again to be added to.
///
/// Symbols as in design.md: T tokens, D, E, N, R. Not thread-safe: one instance a stream and direction.
final class Blocks {
    /// Tokens a layer works on at a time: weights are read once for so many, and activations fit the second-level cache.
    static let piece = 128

    let model: Model
    let capacity: Int
    /// Residual stream (capacity, D), in and out.
    let hidden: AlignedBuffer

    private let dRow: Int
    private let eRow: Int
    private let parameterRow: Int
    // Of one piece.
    private let normed: AlignedBuffer  // (piece, D)
    private let dt: AlignedBuffer  // (piece, E)
    private let z: AlignedBuffer  // the gate, (piece, E)
    // Of the whole sequence where a backward direction comes after, else of one piece.
    private let y: AlignedBuffer  // (T, E)
    private let x: AlignedBuffer  // before the convolution: (T, E) in Bi-Bi, else (piece, E)
    private let u: AlignedBuffer  // after convolution and SiLU: (T, E) in Fo-Bi, else (piece, E)
    private let parameters: AlignedBuffer  // dt before its projection, B, C: (T, R + 2N) in Fo-Bi, else (piece, R + 2N)
    private let backwardState: AlignedBuffer  // (E, N)
    private let backwardTail: AlignedBuffer  // (K - 1, E)

    /// - Parameter bidirectional: whether a backward direction will ever be asked for.
    init(model: Model, capacity: Int, bidirectional: Bool) {
        let c = model.configuration
        self.model = model
        self.capacity = capacity
        dRow = padded(c.modelWidth)
        eRow = padded(c.innerWidth)
        parameterRow = padded(c.timeStepRank + 2 * c.stateCount)
        let piece = min(capacity, Self.piece)
        let shared = bidirectional && c.variant == .foBi ? capacity : piece
        hidden = AlignedBuffer(count: capacity * dRow)
        normed = AlignedBuffer(count: piece * dRow)
        dt = AlignedBuffer(count: piece * eRow)
        z = AlignedBuffer(count: piece * eRow)
        y = AlignedBuffer(count: (bidirectional ? capacity : piece) * eRow)
        x = AlignedBuffer(count: (bidirectional && c.variant == .biBi ? capacity : piece) * eRow)
        u = AlignedBuffer(count: shared * eRow)
        parameters = AlignedBuffer(count: shared * parameterRow)
        backwardState = AlignedBuffer(count: bidirectional ? eRow * c.stateCount : 0)
        backwardTail = AlignedBuffer(count: bidirectional ? (c.convolutionWidth - 1) * eRow : 0)
        isBidirectional = bidirectional
    }

    private let isBidirectional: Bool

    /// Runs `hidden`'s first `tokens` rows through every layer.
    ///
    /// - Parameters:
    ///   - state: the forward direction's state before the first token; afterwards that after the last.
    ///   - checkpoint: where the forward state after the first `count` tokens is to be kept, 0 < count <= tokens.
    func run(tokens: Int, state: inout HiddenState, checkpoint: (count: Int, state: LayerStates)? = nil) {
        precondition(tokens > 0 && tokens <= capacity)
        state.withLayers { states in
            for (index, layer) in model.weights.layers.enumerated() {
                mix(layer, index, tokens, states, checkpoint)
            }
        }
    }

    /// h = h + out_proj((y_forward + y_backward) ⊙ silu(z)) for one layer.
    private func mix(
        _ layer: LayerWeights, _ index: Int, _ tokens: Int, _ states: LayerStates,
        _ checkpoint: (count: Int, state: LayerStates)?
    ) {
        let backward = isBidirectional ? layer.backward : nil
        let cut = checkpoint?.count ?? tokens
        var first = 0
        while first < tokens {
            let end = min(first + Self.piece, first < cut ? cut : tokens)
            forward(layer, index, first..<end, states)
            if backward == nil { finish(layer, first..<end, isNormalised: true) }
            if let checkpoint, end == cut { checkpoint.state.copy(index, from: states) }
            first = end
        }
        guard let backward else { return }
        backwardState.pointer.update(repeating: 0, count: backwardState.count)
        backwardTail.pointer.update(repeating: 0, count: backwardTail.count)
        var end = tokens
        while end > 0 {
            let range = max(0, end - Self.piece)..<end
            self.backward(backward, range)
            finish(layer, range, isNormalised: false)
            end = range.lowerBound
        }
    }

    /// y = the forward direction's scan over a piece; leaves behind what the backward direction needs.
    private func forward(_ layer: LayerWeights, _ index: Int, _ range: Range<Int>, _ states: LayerStates) {
        let c = model.configuration
        let count = range.count
        normalise(layer, range)
        let x = row(of: x, range, eRow), u = row(of: u, range, eRow)
        layer.xInput.apply(model.kernels, from: normed.pointer, to: x, tokens: count)
        model.kernels.table.pointee.conv_silu(
            u, x, eRow, states.tail(index), layer.forward.convolution.pointer, layer.forward.convolutionBias.pointer,
            count, c.innerWidth, c.convolutionWidth, Int32(AUMD_FORWARD))
        let parameters = row(of: parameters, range, parameterRow)
        layer.forward.xProjection.apply(model.kernels, from: u, to: parameters, tokens: count)
        scan(layer.forward, u, parameters, range, states.ssm(index), Int32(AUMD_FORWARD))
    }

    /// y += the backward direction's scan over a piece, the pieces taken from the last to the first.
    private func backward(_ weights: DirectionWeights, _ range: Range<Int>) {
        let c = model.configuration
        let u = row(of: u, range, eRow), parameters = row(of: parameters, range, parameterRow)
        if c.variant == .biBi {
            model.kernels.table.pointee.conv_silu(
                u, row(of: x, range, eRow), eRow, backwardTail.pointer, weights.convolution.pointer,
                weights.convolutionBias.pointer, range.count, c.innerWidth, c.convolutionWidth, Int32(AUMD_BACKWARD))
            weights.xProjection.apply(model.kernels, from: u, to: parameters, tokens: range.count)
        }
        scan(weights, u, parameters, range, backwardState.pointer, Int32(AUMD_BACKWARD))
    }

    /// Δ = softplus(dt_proj(dt)), then the selective scan of one direction. Δ is made anew for each direction: that costs
    /// a fiftieth of the layer, keeping it a third of the memory.
    private func scan(
        _ weights: DirectionWeights, _ u: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>, _ range: Range<Int>,
        _ state: UnsafeMutablePointer<Float>, _ direction: Int32
    ) {
        let c = model.configuration
        let k = model.kernels.table.pointee
        weights.timeStepProjection.apply(
            model.kernels, from: parameters, inputRow: parameterRow, to: dt.pointer, tokens: range.count)
        k.softplus(dt.pointer, eRow, range.count, c.innerWidth)
        k.scan(
            row(of: y, range, eRow), u, dt.pointer, eRow, weights.a2.pointer, parameters + c.timeStepRank, parameterRow,
            weights.skip.pointer, state, range.count, c.innerWidth, c.stateCount, direction,
            direction == Int32(AUMD_FORWARD) ? 0 : 1)
    }

    /// normed = the layer's norm of a piece of h.
    private func normalise(_ layer: LayerWeights, _ range: Range<Int>) {
        let c = model.configuration
        model.kernels.table.pointee.rms_norm(
            normed.pointer, hidden.pointer + range.lowerBound * dRow, dRow, layer.norm.pointer, range.count, c.modelWidth,
            c.normEpsilon)
    }

    /// h += out_proj(y ⊙ silu(z)) over a piece. Where `normed` does not hold the piece any more, it is made again.
    private func finish(_ layer: LayerWeights, _ range: Range<Int>, isNormalised: Bool) {
        let c = model.configuration
        let y = row(of: y, range, eRow)
        if !isNormalised { normalise(layer, range) }
        layer.zInput.apply(model.kernels, from: normed.pointer, to: z.pointer, tokens: range.count)
        model.kernels.table.pointee.gate(y, z.pointer, eRow, range.count, c.innerWidth, c.variant == .biBi ? 0.5 : 1)
        layer.output.apply(
            model.kernels, from: y, to: hidden.pointer + range.lowerBound * dRow, tokens: range.count, accumulate: true)
    }

    /// A piece's first row in a buffer of the whole sequence, or in one that holds one piece.
    private func row(of buffer: AlignedBuffer, _ range: Range<Int>, _ width: Int) -> UnsafeMutablePointer<Float> {
        buffer.pointer + (buffer.count == capacity * width ? range.lowerBound * width : 0)
    }
}
