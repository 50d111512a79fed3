import CKernels

/// Runs all blocks over a sequence of up to `capacity` tokens, in buffers made once.
///
/// A layer goes over the sequence in pieces of ``piece`` tokens, so that what a piece needs only for itself stays in the
/// cache; what the backward direction needs of the whole sequence is kept: its input and the forward scan's output. Long
/// sequences are bound by that memory, so the gate waits until the layer's input is read again to be added to.
///
/// Several threads share a piece: its tokens where each is computed for itself, its channels where they depend on the
/// tokens before. So no sum is split, and the bits are those of one thread.
///
/// T tokens; D model width, E = expand D, N states, R time step rank, K convolution width. Not thread-safe: one instance a stream
/// and direction.
final class Blocks {
    /// Tokens a thread works on at a time: weights are read once for so many, and activations fit the second-level cache.
    static let tokensPerThread = 128

    let model: Model
    let capacity: Int
    private lazy var team = ThreadTeam<Loop>(threads: threads) { [unowned self] in perform($0, $1) }
    private let threads: Int
    /// Tokens a layer works on at a time.
    private let piece: Int
    /// Residual stream (capacity, D), in and out.
    let hidden: AlignedBuffer

    private let dRow: Int
    private let eRow: Int
    private let parameterRow: Int
    // Of one piece.
    private let dt: AlignedBuffer  // (piece, E)
    private let z: AlignedBuffer  // the gate, (piece, E)
    // Of the whole sequence where a backward direction comes after, else of one piece.
    private let scale: AlignedBuffer  // of the norm, (T)
    private let y: AlignedBuffer  // (T, E)
    private let x: AlignedBuffer  // before the convolution: (T, E) in Bi-Bi, else (piece, E)
    private let u: AlignedBuffer  // after convolution and SiLU: (T, E) in Fo-Bi, else (piece, E)
    private let parameters: AlignedBuffer  // dt before its projection, B, C: (T, R + 2N) in Fo-Bi, else (piece, R + 2N)
    private let backwardState: AlignedBuffer  // (E, N)
    private let backwardTail: AlignedBuffer  // (K - 1, E)
    private let isBidirectional: Bool

    /// - Parameter bidirectional: whether a backward direction will ever be asked for.
    init(model: Model, capacity: Int, bidirectional: Bool, threads: Int = 1) {
        let c = model.configuration
        self.model = model
        self.capacity = capacity
        self.threads = threads
        dRow = padded(c.modelWidth)
        eRow = padded(c.innerWidth)
        parameterRow = padded(c.timeStepRank + 2 * c.stateCount)
        piece = min(capacity, threads * Self.tokensPerThread)
        let shared = bidirectional && c.variant == .foBi ? capacity : piece
        hidden = AlignedBuffer(count: capacity * dRow)
        dt = AlignedBuffer(count: piece * eRow)
        z = AlignedBuffer(count: piece * eRow)
        scale = AlignedBuffer(count: bidirectional ? capacity : piece)
        y = AlignedBuffer(count: (bidirectional ? capacity : piece) * eRow)
        x = AlignedBuffer(count: (bidirectional && c.variant == .biBi ? capacity : piece) * eRow)
        u = AlignedBuffer(count: shared * eRow)
        parameters = AlignedBuffer(count: shared * parameterRow)
        backwardState = AlignedBuffer(count: bidirectional ? eRow * c.stateCount : 0)
        backwardTail = AlignedBuffer(count: bidirectional ? (c.convolutionWidth - 1) * eRow : 0)
        isBidirectional = bidirectional
    }

    /// Runs `hidden`'s first `tokens` rows through every layer.
    ///
    /// - Parameters:
    ///   - state: the forward direction's state before the first token; afterwards that after the last.
    ///   - grid: the patch grid that the tokens are of.
    ///   - checkpoint: where the forward state after the first `count` tokens is to be kept, 0 < count <= tokens.
    func run(tokens: Int, state: inout HiddenState, grid: Int = 0, checkpoint: (count: Int, state: LayerStates)? = nil) {
        precondition(tokens > 0 && tokens <= capacity)
        state.withLayers(grid: grid) { states in
            team.together {
                for (index, layer) in model.weights.layers.enumerated() {
                    mix(layer, index, tokens, states, checkpoint)
                }
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
            let end = min(first + piece, first < cut ? cut : tokens)
            forward(layer, index, first..<end, states, isLast: backward == nil)
            if backward == nil { finish(layer, first..<end) }
            if let checkpoint, end == cut { checkpoint.state.copy(index, from: states) }
            first = end
        }
        guard let backward else { return }
        backwardState.pointer.update(repeating: 0, count: backwardState.count)
        backwardTail.pointer.update(repeating: 0, count: backwardTail.count)
        var end = tokens
        while end > 0 {
            let range = max(0, end - piece)..<end
            self.backward(layer, backward, range)
            finish(layer, range)
            end = range.lowerBound
        }
    }

    /// y = the forward direction's scan over a piece; leaves behind what the backward direction needs.
    ///
    /// - Parameter isLast: no backward direction follows, so y is gated.
    private func forward(
        _ layer: LayerWeights, _ index: Int, _ piece: Range<Int>, _ states: LayerStates, isLast: Bool
    ) {
        team.split(piece, .inputProjection(layer.xInput, piece))
        convolve(layer.forward, piece, states.tail(index), Int32(AUMD_FORWARD))
        scan(
            layer.forward, piece, states.ssm(index), Int32(AUMD_FORWARD), selects: true, gate: isLast ? layer.zInput : nil,
            next: isLast ? layer.output : nil)
    }

    /// y = (y + the backward direction's scan over a piece), gated, the pieces taken from the last to the first.
    private func backward(_ layer: LayerWeights, _ weights: DirectionWeights, _ piece: Range<Int>) {
        let isOwn = model.configuration.variant == .biBi
        if isOwn { convolve(weights, piece, backwardTail.pointer, Int32(AUMD_BACKWARD)) }
        scan(
            weights, piece, backwardState.pointer, Int32(AUMD_BACKWARD), selects: isOwn, gate: layer.zInput, next: layer.output)
    }

    /// u = silu(conv(x)) over a piece.
    private func convolve(
        _ weights: DirectionWeights, _ piece: Range<Int>, _ tail: UnsafeMutablePointer<Float>, _ direction: Int32
    ) {
        team.split(channels, unit: Int(AUMD_LANES), .convolution(weights, piece, tail: tail, direction))
    }

    /// Δ = softplus(dt_proj(dt)), then the selective scan of one direction. Δ is made anew for each direction: that costs
    /// a fiftieth of the layer, keeping it a third of the memory.
    ///
    /// - Parameters:
    ///   - selects: dt, B and C are made of u first; otherwise they are the other direction's.
    ///   - gate: what makes z for the last direction to be scanned, which multiplies y by silu(z).
    ///   - next: what is applied after it.
    private func scan(
        _ weights: DirectionWeights, _ piece: Range<Int>, _ state: UnsafeMutablePointer<Float>, _ direction: Int32,
        selects: Bool, gate: Linear?, next: Linear?
    ) {
        team.split(piece, .selection(weights, piece, selects: selects, gate: gate))
        team.split(
            channels, unit: Int(AUMD_LANES),
            .scan(weights, piece, state: state, direction, isGated: gate != nil, next: next?.matrix))
    }

    /// h += out_proj(y) over a piece.
    private func finish(_ layer: LayerWeights, _ piece: Range<Int>) { team.split(piece, .outputProjection(layer.output, piece)) }

    private var channels: Range<Int> { 0..<model.configuration.innerWidth }

    /// A loop over a piece that threads share: its tokens in the projections and the selection, its channels in the others.
    private enum Loop {
        /// x = in_proj(norm(h)).
        case inputProjection(Linear, Range<Int>)
        /// u = silu(conv(x)).
        case convolution(DirectionWeights, Range<Int>, tail: UnsafeMutablePointer<Float>, Int32)
        /// dt, B and C of u, then Δ; and z.
        case selection(DirectionWeights, Range<Int>, selects: Bool, gate: Linear?)
        /// y of u, Δ, B, C and z.
        case scan(
            DirectionWeights, Range<Int>, state: UnsafeMutablePointer<Float>, Int32, isGated: Bool,
            next: UnsafePointer<aumd_matrix>?)
        /// h += out_proj(y).
        case outputProjection(Linear, Range<Int>)
    }

    /// Does a loop for some of its tokens or channels.
    private func perform(_ loop: Loop, _ part: Range<Int>) {
        let c = model.configuration
        let k = model.kernels.table.pointee
        switch loop {
        case .inputProjection(let input, let piece):
            let hidden = hidden.pointer + part.lowerBound * dRow
            let scale = row(of: scale, part, of: piece, 1)
            k.inverse_rms(scale, hidden, dRow, part.count, c.modelWidth, c.normEpsilon)
            input.apply(model.kernels, from: hidden, scale: scale, to: row(of: x, part, of: piece, eRow), tokens: part.count)
        case .convolution(let weights, let piece, let tail, let direction):
            let e = part.lowerBound
            k.conv_silu(
                row(of: u, piece, of: piece, eRow) + e, row(of: x, piece, of: piece, eRow) + e, eRow, tail + e,
                weights.convolution.pointer + e, weights.convolutionBias.pointer + e, piece.count, part.count,
                c.convolutionWidth, direction)
        case .selection(let weights, let piece, let selects, let gate):
            let parameters = row(of: parameters, part, of: piece, parameterRow)
            let dt = row(of: dt, part, of: piece, eRow)
            if selects {
                weights.xProjection.apply(
                    model.kernels, from: row(of: u, part, of: piece, eRow), to: parameters, tokens: part.count)
            }
            weights.timeStepProjection.apply(
                model.kernels, from: parameters, inputRow: parameterRow, to: dt, tokens: part.count)
            k.softplus(dt, eRow, part.count, c.innerWidth)
            gate?.apply(
                model.kernels, from: hidden.pointer + part.lowerBound * dRow, scale: row(of: scale, part, of: piece, 1),
                to: row(of: z, part, of: piece, eRow), tokens: part.count)
        case .scan(let weights, let piece, let state, let direction, let isGated, let next):
            let e = part.lowerBound
            k.scan(
                row(of: y, piece, of: piece, eRow) + e, row(of: u, piece, of: piece, eRow) + e,
                row(of: dt, piece, of: piece, eRow) + e, isGated ? row(of: z, piece, of: piece, eRow) + e : nil, eRow,
                weights.a2.pointer + e * c.stateCount, row(of: parameters, piece, of: piece, parameterRow) + c.timeStepRank,
                parameterRow, weights.skip.pointer + e, state + e * c.stateCount, piece.count, part.count, c.stateCount,
                direction, direction == Int32(AUMD_FORWARD) ? 0 : 1, c.variant == .biBi ? 0.5 : 1, next)
        case .outputProjection(let output, let piece):
            output.apply(
                model.kernels, from: row(of: y, part, of: piece, eRow), to: hidden.pointer + part.lowerBound * dRow,
                tokens: part.count, accumulate: true)
        }
    }

    /// The row of the first of some tokens of a piece, in a buffer of the whole sequence or in one that holds one piece.
    private func row(
        of buffer: AlignedBuffer, _ tokens: Range<Int>, of piece: Range<Int>, _ width: Int
    ) -> UnsafeMutablePointer<Float> {
        let first = buffer.count == capacity * width ? tokens.lowerBound : tokens.lowerBound - piece.lowerBound
        return buffer.pointer + first * width
    }
}
