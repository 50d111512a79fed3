/// Recurrent mode: a step of the spectrogram in, logits out, the hidden state moved on.
///
/// Time and memory of a step are constant however long the stream has run; a step allocates nothing. The backward
/// direction is absent, so what comes out is the forward scan of the whole stream so far. On one patch grid a step is a
/// column. On two (see ``Configuration/patchGrids``) it is half of one, and ends a column of one grid and then of the other;
/// what comes out is the mean of the two columns that ended last, one of each grid. One instance a stream, used from one
/// thread at a time.
public final class StreamingEncoder {
    /// What it runs.
    public let model: Model
    /// The state after the last step. Set it to a snapshot of this model's to go on from there; steps continue bit for bit.
    public var state: HiddenState {
        get { current }
        set {
            precondition(newValue.fits(current), "a hidden state of another model")
            current = newValue
        }
    }
    /// Apart from ``state``: an observer there would copy it at every step.
    private var current: HiddenState
    private let blocks: Blocks
    private let embedding: Embedding
    private let readout: Readout
    private let column: AlignedBuffer  // (patchFrames, melCount)

    /// - Throws: ``ModelError/unsupported(mode:reason:)`` where the model has no recurrent mode.
    public init(model: Model) throws(ModelError) {
        if let obstacle = model.configuration.recurrentObstacle {
            throw .unsupported(mode: "recurrent", reason: obstacle)
        }
        self.model = model
        current = HiddenState(of: model)
        blocks = Blocks(model: model, capacity: model.configuration.bands, bidirectional: false)
        embedding = Embedding(model: model)
        readout = Readout(model: model, capacity: 1)
        column = AlignedBuffer(count: model.configuration.columnSize)
    }

    /// Encodes the next step. Before the first, there was silence.
    ///
    /// - Parameters:
    ///   - step: log-mel (stepFrames, melCount), not normalised.
    ///   - logits: (C), written.
    public func step(_ step: Span<Float>, logits: inout MutableSpan<Float>) {
        let c = model.configuration
        precondition(step.count == c.stepSize)
        step.withUnsafeBufferPointer { step in
            var whole = step.baseAddress!
            if c.patchGrids > 1 {
                current.join(whole, into: column.pointer)
                whole = UnsafePointer(column.pointer)
            }
            embedding.embed(whole, at: 0, of: 1, into: blocks.hidden)
        }
        blocks.run(tokens: c.bands, state: &current, grid: current.nextGrid)
        readout.columns(1, of: blocks.hidden, into: &logits)
        if c.patchGrids > 1 { current.average(&logits) }
    }
}
