/// Window mode: the forward scan from a checkpointed state and the backward scan from the window's right edge.
///
/// Left context is the whole stream, right context what the window holds beyond the columns it confirms. With one window
/// over a whole clip this is the offline bidirectional model, exactly. One instance a stream, one pass at a time; passes
/// may come from different threads if each happens before the next.
public final class WindowEncoder {
    public let model: Model
    /// Most columns a window may have.
    public let capacity: Int
    /// The forward state after the last confirmed column.
    public var checkpoint: HiddenState
    private var running: HiddenState
    private let blocks: Blocks
    private let embedding: Embedding
    private let readout: Readout

    /// - Parameter threads: how many a pass takes, Dispatch's among them; as many as its length is worth unless told. The bits
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
        checkpoint.withLayers { layers in
            blocks.run(
                tokens: count * c.bands, state: &running,
                checkpoint: (count: confirm * c.bands, state: layers))
        }
        readout.columns(confirm, of: blocks.hidden, into: &logits)
    }
}
