/// Recurrent mode: a column in, its logits out, the hidden state moved on.
///
/// Time and memory of a step are constant however long the stream has run; a step allocates nothing. The backward
/// direction is absent, so what comes out is the forward scan of the whole stream so far. On two patch grids (see
/// ``Configuration/patchGrids``) it is the mean of the column and of that which ends in its middle. One instance a stream, used
/// from one thread at a time.
public final class StreamingEncoder {
    public let model: Model
    /// The state after the last step. Set it to go on from a snapshot; steps continue bit for bit.
    public var state: HiddenState
    private let blocks: Blocks
    private let embedding: Embedding
    private let readout: Readout
    private let shifted: AlignedBuffer  // (patchFrames, melCount), of the second grid
    private var shiftedLogits: [Float]  // (C)

    /// - Throws: ``ModelError/unsupported(mode:reason:)`` where the model has no recurrent mode.
    public init(model: Model) throws(ModelError) {
        if let obstacle = model.configuration.recurrentObstacle {
            throw .unsupported(mode: "recurrent", reason: obstacle)
        }
        self.model = model
        state = HiddenState(of: model)
        blocks = Blocks(model: model, capacity: model.configuration.bands, bidirectional: false)
        embedding = Embedding(model: model)
        readout = Readout(model: model, capacity: 1)
        shifted = AlignedBuffer(count: model.configuration.columnSize)
        shiftedLogits = [Float](repeating: 0, count: model.configuration.labels.count)
    }

    /// Encodes the next column.
    ///
    /// - Parameters:
    ///   - column: log-mel (patchFrames, melCount), not normalised.
    ///   - logits: (C), written.
    public func step(column: Span<Float>, logits: inout MutableSpan<Float>) {
        precondition(column.count == model.configuration.columnSize)
        column.withUnsafeBufferPointer { embedding.embed($0.baseAddress!, at: 0, of: 1, into: blocks.hidden) }
        blocks.run(tokens: model.configuration.bands, state: &state)
        readout.columns(1, of: blocks.hidden, into: &logits)
        guard model.configuration.patchGrids > 1 else { return }
        column.withUnsafeBufferPointer { state.shift($0.baseAddress!, into: shifted.pointer) }
        embedding.embed(shifted.pointer, at: 0, of: 1, into: blocks.hidden)
        blocks.run(tokens: model.configuration.bands, state: &state, grid: 1)
        var other = shiftedLogits.mutableSpan
        readout.columns(1, of: blocks.hidden, into: &other)
        for label in 0..<logits.count { logits[label] = 0.5 * logits[label] + 0.5 * shiftedLogits[label] }
    }
}
