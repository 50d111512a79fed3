import CKernels

/// Turns columns of log-mel into tokens in the residual stream.
///
/// Symbols: D, bands = tokens a column, P = patchMel · patchFrames.
final class Embedding {
    private let model: Model
    private let patches: AlignedBuffer  // (bands, P)
    private let tokens: AlignedBuffer  // (bands, D)

    init(model: Model) {
        let c = model.configuration
        self.model = model
        patches = AlignedBuffer(count: c.bands * padded(c.patchMel * c.patchFrames))
        tokens = AlignedBuffer(count: c.bands * padded(c.modelWidth))
    }

    /// Row of the class token in a sequence of `columns` columns, nil with column pooling.
    static func classRow(_ c: Configuration, columns: Int) -> Int? {
        switch c.pooling {
        case .column: nil
        case .classStart: 0
        case .classMiddle: columns * c.bands / 2
        case .classEnd: columns * c.bands
        }
    }

    /// Embeds one column of a sequence of `columns` columns.
    ///
    /// - Parameters:
    ///   - column: log-mel (patchFrames, melCount), not normalised.
    ///   - hidden: residual stream; the rows of this column's tokens are written.
    func embed(_ column: UnsafePointer<Float>, at index: Int, of columns: Int, into hidden: AlignedBuffer) {
        let c = model.configuration
        let weights = model.weights
        let patchRow = padded(c.patchMel * c.patchFrames)
        let row = padded(c.modelWidth)
        aumd_patches(
            patches.pointer, patchRow, column, c.bands, c.patchMel, c.patchFrames, c.mean, 1 / (2 * c.standardDeviation))
        weights.patchEmbedding.apply(model.kernels, from: patches.pointer, to: tokens.pointer, tokens: c.bands)
        let classRow = Self.classRow(c, columns: columns)
        for band in 0..<c.bands {
            let token = c.tokenOrder == .timeMajor ? index * c.bands + band : band * columns + index
            // The published code adds absolute positions before it reorders tokens: rows are frequency-major always.
            let position = (c.position == .frequency ? band : band * columns + index) + (classRow == nil ? 0 : 1)
            let target = hidden.pointer + (classRow.map { token >= $0 ? token + 1 : token } ?? token) * row
            for d in 0..<c.modelWidth {
                target[d] = tokens.pointer[band * row + d] + weights.positions[position * c.modelWidth + d]
            }
        }
    }

    /// Writes the class token, where the model has one, into a sequence of `columns` columns.
    func embedClassToken(columns: Int, into hidden: AlignedBuffer) {
        let c = model.configuration
        guard let row = Self.classRow(c, columns: columns), let token = model.weights.classToken else { return }
        for d in 0..<c.modelWidth {
            hidden.pointer[row * padded(c.modelWidth) + d] = token[d] + model.weights.positions[d]
        }
    }
}

/// Turns tokens of the residual stream into logits: final norm, pooling, head.
final class Readout {
    private let model: Model
    private let capacity: Int
    private let scale: AlignedBuffer  // of the final norm, (bands)
    private let pooled: AlignedBuffer  // (capacity, D)
    private let logits: AlignedBuffer  // (capacity, C)

    /// - Parameter capacity: most score vectors read at once.
    init(model: Model, capacity: Int) {
        let c = model.configuration
        self.model = model
        self.capacity = capacity
        scale = AlignedBuffer(count: c.bands)
        pooled = AlignedBuffer(count: capacity * padded(c.modelWidth))
        logits = AlignedBuffer(count: capacity * padded(c.labels.count))
    }

    /// Logits of a sequence of `columns` columns without class token.
    ///
    /// - Parameter output: (columns, C).
    func columns(_ columns: Int, of hidden: AlignedBuffer, into output: inout MutableSpan<Float>) {
        precondition(columns <= capacity)
        let c = model.configuration
        let row = padded(c.modelWidth)
        let (next, stride) = c.tokenOrder == .timeMajor ? (c.bands, 1) : (1, columns)
        for column in 0..<columns {
            pool(hidden.pointer + column * next * row, tokens: c.bands, stride: stride, into: pooled.pointer + column * row)
        }
        applyHead(columns, into: &output)
    }

    /// Logits read from one token.
    ///
    /// - Parameter output: (C).
    func token(_ token: Int, of hidden: AlignedBuffer, into output: inout MutableSpan<Float>) {
        pool(hidden.pointer + token * padded(model.configuration.modelWidth), tokens: 1, stride: 1, into: pooled.pointer)
        applyHead(1, into: &output)
    }

    /// The mean of some normed tokens, each `stride` after the one before, without the norm's weights, which are in the head.
    private func pool(_ rows: UnsafePointer<Float>, tokens: Int, stride: Int, into mean: UnsafeMutablePointer<Float>) {
        let c = model.configuration
        let row = padded(c.modelWidth) * stride
        model.kernels.table.pointee.inverse_rms(scale.pointer, rows, row, tokens, c.modelWidth, c.normEpsilon)
        for d in 0..<c.modelWidth {
            var sum: Float = 0
            for token in 0..<tokens { sum += rows[token * row + d] * scale.pointer[token] }
            mean[d] = sum / Float(tokens)
        }
    }

    private func applyHead(_ rows: Int, into output: inout MutableSpan<Float>) {
        let head = model.weights.head
        let row = padded(head.outputs)
        precondition(output.count >= rows * head.outputs)
        head.apply(model.kernels, from: pooled.pointer, to: logits.pointer, tokens: rows)
        for r in 0..<rows {
            for o in 0..<head.outputs { output[r * head.outputs + o] = logits.pointer[r * row + o] }
        }
    }
}
