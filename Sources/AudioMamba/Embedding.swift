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
            let position = c.position == .frequency ? band : band * columns + index + (classRow == nil ? 0 : 1)
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
    private let normed: AlignedBuffer  // (bands, D)
    private let pooled: AlignedBuffer  // (capacity, D)
    private let logits: AlignedBuffer  // (capacity, C)

    /// - Parameter capacity: most score vectors read at once.
    init(model: Model, capacity: Int) {
        let c = model.configuration
        self.model = model
        self.capacity = capacity
        normed = AlignedBuffer(count: c.bands * padded(c.modelWidth))
        pooled = AlignedBuffer(count: capacity * padded(c.modelWidth))
        logits = AlignedBuffer(count: capacity * padded(c.labels.count))
    }

    /// Logits of the first `columns` columns of a time-major sequence without class token.
    ///
    /// - Parameter output: (columns, C).
    func columns(_ columns: Int, of hidden: AlignedBuffer, into output: inout MutableSpan<Float>) {
        precondition(columns <= capacity)
        let c = model.configuration
        let row = padded(c.modelWidth)
        for column in 0..<columns {
            norm(hidden.pointer + column * c.bands * row, tokens: c.bands)
            let mean = pooled.pointer + column * row
            for d in 0..<c.modelWidth {
                var sum: Float = 0
                for band in 0..<c.bands { sum += normed.pointer[band * row + d] }
                mean[d] = sum / Float(c.bands)
            }
        }
        applyHead(columns, into: &output)
    }

    /// Logits read from one token.
    ///
    /// - Parameter output: (C).
    func token(_ token: Int, of hidden: AlignedBuffer, into output: inout MutableSpan<Float>) {
        let row = padded(model.configuration.modelWidth)
        norm(hidden.pointer + token * row, tokens: 1)
        pooled.pointer.update(from: normed.pointer, count: row)
        applyHead(1, into: &output)
    }

    private func norm(_ rows: UnsafeMutablePointer<Float>, tokens: Int) {
        let c = model.configuration
        model.kernels.table.pointee.rms_norm(
            normed.pointer, rows, padded(c.modelWidth), model.weights.norm.pointer, tokens, c.modelWidth, c.normEpsilon)
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
