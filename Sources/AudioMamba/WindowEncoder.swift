/// Window mode: the forward scan from a checkpointed state and the backward scan from the window's right edge.
///
/// Left context is the whole stream, right context what the window holds beyond the columns it confirms. With one window
/// over a whole clip this is the offline bidirectional model, exactly. On two patch grids (see ``Configuration/patchGrids``) a
/// column's logits count half, those of the two that overlap it a quarter each; where the window ends with the column, the one
/// before counts half. One instance a stream, one pass at a time; passes may come from different threads if each happens before
/// the next.
public final class WindowEncoder {
    /// What it runs.
    public let model: Model
    /// Most columns a window may have.
    public let capacity: Int
    /// The forward state after the last confirmed column; of the second grid, after the column that ends half a column later.
    public private(set) var checkpoint: HiddenState
    private var running: HiddenState
    private let shifted: AlignedBuffer  // (patchFrames, melCount), of the second grid
    private var shiftedLogits: [Float]  // (capacity, C)
    /// Logits (C) of the second grid's column around the next column's beginning, once they are known.
    private var boundary: [Float]
    private var isBoundaryKnown = false
    private let blocks: Blocks
    private let embedding: Embedding
    private let readout: Readout

    /// - Parameter threads: how many a pass takes, Dispatch's among them; by default as many as its length is worth. The bits
    ///   are the same with any.
    /// - Throws: ``ModelError/unsupported(mode:reason:)`` for a model that is bound to clips of its own length.
    public init(model: Model, capacity: Int, threads: Int? = nil) throws(ModelError) {
        let c = model.configuration
        guard c.pooling == .column, c.position == .frequency, c.tokenOrder == .timeMajor else {
            throw .unsupported(mode: "chunked window", reason: "it takes whole clips of its own length only")
        }
        self.model = model
        self.capacity = capacity
        checkpoint = HiddenState(of: model)
        running = HiddenState(of: model)
        blocks = Blocks(
            model: model, capacity: capacity * c.bands, bidirectional: c.isBidirectional,
            threads: threads ?? model.threads(tokens: capacity * c.bands))
        embedding = Embedding(model: model)
        readout = Readout(model: model, capacity: capacity)
        shifted = AlignedBuffer(count: c.columnSize)
        shiftedLogits = [Float](repeating: 0, count: c.patchGrids > 1 ? capacity * c.labels.count : 0)
        boundary = [Float](repeating: 0, count: c.labels.count)
    }

    /// Back to the beginning of a stream.
    public func reset() {
        checkpoint.reset()
        isBoundaryKnown = false
    }

    /// Runs one pass over the columns after the checkpoint, and moves the checkpoint on by `confirm` columns.
    ///
    /// - Parameters:
    ///   - columns: log-mel (n, patchFrames, melCount), not normalised, confirm <= n <= capacity.
    ///   - confirm: columns to confirm, at least 1.
    ///   - logits: (confirm, C), written.
    public func run(columns: Span<Float>, confirm: Int, logits: inout MutableSpan<Float>) {
        let c = model.configuration
        let count = columns.count / c.columnSize
        precondition(confirm > 0 && confirm <= count && count <= capacity && columns.count == count * c.columnSize)
        columns.withUnsafeBufferPointer {
            for column in 0..<count {
                embedding.embed($0.baseAddress! + column * c.columnSize, at: column, of: count, into: blocks.hidden)
            }
        }
        running.copy(from: checkpoint)
        checkpoint.withLayers(grid: 0) { layers in
            blocks.run(
                tokens: count * c.bands, state: &running,
                checkpoint: (count: confirm * c.bands, state: layers))
        }
        readout.columns(confirm, of: blocks.hidden, into: &logits)
        if c.patchGrids > 1 { blend(columns: columns, confirm: confirm, logits: &logits) }
    }

    /// Runs the second grid's columns of the window, of which those that overlap the confirmed ones are confirmed too.
    private func blend(columns: Span<Float>, confirm: Int, logits: inout MutableSpan<Float>) {
        let c = model.configuration
        let (count, C) = (columns.count / c.columnSize, c.labels.count)
        // Its column i is around the beginning of column i.
        let first = isBoundaryKnown ? 1 : 0, end = min(confirm + 1, count)
        columns.withUnsafeBufferPointer {
            for column in 0..<count {
                let halves = $0.baseAddress! + column * c.columnSize
                running.join(halves, into: shifted.pointer)
                if column >= first { embedding.embed(shifted.pointer, at: column - first, of: count, into: blocks.hidden) }
                running.keep(halves + c.stepSize)
                if column == confirm - 1 { checkpoint.keepStep(of: running) }
            }
        }
        if first < end {
            checkpoint.withLayers(grid: 1) { layers in
                blocks.run(
                    tokens: (count - first) * c.bands, state: &running, grid: 1,
                    checkpoint: (count: (end - first) * c.bands, state: layers))
            }
            var output = shiftedLogits.mutableSpan
            readout.columns(end - first, of: blocks.hidden, into: &output)
        }
        for column in 0..<confirm {
            for label in 0..<C {
                let before = column < first ? boundary[label] : shiftedLogits[(column - first) * C + label]
                let after = column + 1 < end ? shiftedLogits[(column + 1 - first) * C + label] : before
                logits[column * C + label] = 0.5 * logits[column * C + label] + 0.25 * (before + after)
            }
        }
        isBoundaryKnown = end > confirm
        if isBoundaryKnown { for label in 0..<C { boundary[label] = shiftedLogits[(confirm - first) * C + label] } }
    }
}
