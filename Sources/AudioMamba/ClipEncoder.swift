import Glibc

/// Offline mode: one bidirectional pass over a whole clip.
///
/// A model bound to clips of its own length gets the clip cut or zero-padded to it, in the log-mel domain and before
/// normalising, as in its training; any other model takes the clip's whole columns. One instance a thread.
public final class ClipEncoder {
    /// What it runs.
    public let model: Model
    private let threads: Int?
    private let fixed: FixedLength?
    private var windows: WindowEncoder?

    /// Longer clips are read in windows of this many columns (5.5 minutes), with ``lookahead`` columns of right context.
    public static let longestExact = 2048
    static let lookahead = 128

    /// - Parameter threads: how many a pass takes, Dispatch's among them; by default as many as its length is worth. The bits
    ///   are the same with any.
    public init(model: Model, threads: Int? = nil) {
        self.model = model
        self.threads = threads
        fixed = model.configuration.clipColumns.map { FixedLength(model: model, columns: $0, threads: threads) }
    }

    /// Logits of a clip.
    ///
    /// - Parameter logMel: (frames, melCount), not normalised; at least one column of frames.
    /// - Returns: (C) where a class token is read, else (columns, C), or (clipColumns, C) for a model of fixed length.
    /// - Throws: ``ModelError/unsupported(mode:reason:)``; never for a model that passed its own checks.
    public func logits(logMel: Span<Float>) throws(ModelError) -> [Float] {
        let c = model.configuration
        if let fixed {
            var logits = [Float](repeating: 0, count: fixed.vectorCount * c.labels.count)
            var output = logits.mutableSpan
            fixed.run(logMel: logMel, logits: &output)
            return logits
        }
        let count = logMel.count / c.columnSize
        precondition(count > 0)
        var logits: [Float] = []
        let windows = try windows(for: count)
        windows.reset()
        var done = 0
        while done < count {
            let size = min(count - done, windows.capacity)
            let confirm = done + size == count ? size : size - Self.lookahead
            var confirmed = [Float](repeating: 0, count: confirm * c.labels.count)
            var output = confirmed.mutableSpan
            windows.run(
                columns: logMel.extracting(done * c.columnSize..<(done + size) * c.columnSize), confirm: confirm,
                logits: &output)
            logits += confirmed
            done += confirm
        }
        return logits
    }

    /// Columns at the beginning of a clip that scores of the forward direction alone leave out, all but the last: the state has
    /// heard too little in them.
    static let warmUp = 3

    /// Scores of a clip: the sigmoid of the class token's logits, or of the logarithm of the columns' mean odds, Σ exp(l) / T.
    ///
    /// On the validation split this pooling ranks clips better than the linear softmax Σp² / Σp of Wang, Li and Metze 2019
    /// ("A comparison of five multiple instance learning pooling functions") in every mode; Training/README.md has the figures.
    ///
    /// - Parameter logMel: as for ``logits(logMel:)``.
    /// - Returns: (C), each in 0 to 1.
    /// - Throws: as ``logits(logMel:)``.
    public func scores(logMel: Span<Float>) throws(ModelError) -> [Float] {
        let vectors = try logits(logMel: logMel)
        let C = model.configuration.labels.count
        let first = model.configuration.isBidirectional ? 0 : min(Self.warmUp, vectors.count / C - 1)
        var scores = (0..<C).map { label in
            let columns = stride(from: first * C + label, to: vectors.count, by: C)
            let highest = columns.reduce(-Float.infinity) { max($0, vectors[$1]) }
            let sum = columns.reduce(Float(0)) { $0 + exp(vectors[$1] - highest) }
            return highest + log(sum / Float(vectors.count / C - first))
        }
        var span = scores.mutableSpan
        model.sigmoid(&span)
        return scores
    }

    private func windows(for count: Int) throws(ModelError) -> WindowEncoder {
        if let windows, windows.capacity >= min(count, Self.longestExact) { return windows }
        let windows = try WindowEncoder(model: model, capacity: min(count, Self.longestExact), threads: threads)
        self.windows = windows
        return windows
    }
}

/// The pass over a clip of the model's own length, class token and any token order included.
private final class FixedLength {
    private let model: Model
    private let columns: Int
    private let blocks: Blocks
    private let embedding: Embedding
    private let readout: Readout
    private var state: HiddenState
    /// The column that the clip's end cuts, and what follows the end.
    private var padding: [Float]

    /// Score vectors of a clip.
    var vectorCount: Int { model.configuration.pooling == .column ? columns : 1 }

    init(model: Model, columns: Int, threads: Int?) {
        let c = model.configuration
        self.model = model
        self.columns = columns
        let tokens = columns * c.bands + (c.pooling == .column ? 0 : 1)
        blocks = Blocks(
            model: model, capacity: tokens, bidirectional: c.isBidirectional,
            threads: threads ?? model.threads(tokens: tokens))
        embedding = Embedding(model: model)
        readout = Readout(model: model, capacity: c.pooling == .column ? columns : 1)
        state = HiddenState(of: model)
        padding = [Float](repeating: 0, count: c.columnSize)
    }

    func run(logMel: Span<Float>, logits: inout MutableSpan<Float>) {
        let c = model.configuration
        for column in 0..<columns {
            let start = column * c.columnSize
            if start + c.columnSize <= logMel.count {
                logMel.withUnsafeBufferPointer {
                    embedding.embed($0.baseAddress! + start, at: column, of: columns, into: blocks.hidden)
                }
            } else {
                for i in 0..<c.columnSize { padding[i] = start + i < logMel.count ? logMel[start + i] : 0 }
                embedding.embed(padding, at: column, of: columns, into: blocks.hidden)
            }
        }
        embedding.embedClassToken(columns: columns, into: blocks.hidden)
        state.reset()
        blocks.run(tokens: blocks.capacity, state: &state)
        if let row = Embedding.classRow(c, columns: columns) {
            readout.token(row, of: blocks.hidden, into: &logits)
        } else {
            readout.columns(columns, of: blocks.hidden, into: &logits)
        }
    }
}

extension Model {
    /// Logits to scores, in place.
    public func sigmoid(_ values: inout MutableSpan<Float>) {
        values.withUnsafeMutableBufferPointer { kernels.table.pointee.sigmoid($0.baseAddress, $0.count) }
    }
}
