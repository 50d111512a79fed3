import FoundationEssentials
import Glibc

/// The recurrent state of every layer after some token: convolution tail (K − 1, E) and SSM state (E, N), on each patch grid.
///
/// A value: a copy is a snapshot. Its size depends on the model alone, never on how long the stream has run.
public struct HiddenState: Sendable, Equatable {
    /// Which model's state this is.
    public let model: String
    /// Grid by grid and layer by layer: tail, then SSM state in channel layout. At the end, where there is a second grid, the
    /// log-mel of the last column's second half, (patchFrames / 2, melCount), with which that grid's next column begins.
    private(set) var values: [Float]
    private let tailCount: Int
    private let layerStride: Int
    private let gridStride: Int
    private let halfCount: Int

    /// Log-mel of nothing: the logarithm's floor.
    private static let silence = log(Float.ulpOfOne)

    /// The state before the first token: zero, after silence.
    public init(of model: Model) {
        let c = model.configuration
        self.model = model.identifier
        tailCount = (c.convolutionWidth - 1) * padded(c.innerWidth)
        layerStride = tailCount + padded(c.innerWidth) * c.stateCount
        gridStride = c.layerCount * layerStride
        halfCount = c.patchGrids > 1 ? c.columnSize / 2 : 0
        values = [Float](repeating: 0, count: c.patchGrids * gridStride + halfCount)
        reset()
    }

    /// Back to the state before the first token, in place.
    public mutating func reset() {
        for i in values.indices { values[i] = i < values.count - halfCount ? 0 : Self.silence }
    }

    /// Takes over `other`'s values in place.
    mutating func copy(from other: HiddenState) {
        precondition(other.values.count == values.count)
        values.withUnsafeMutableBufferPointer { to in
            other.values.withUnsafeBufferPointer { _ = to.update(fromContentsOf: $0) }
        }
    }

    mutating func withLayers<R>(grid: Int, _ body: (LayerStates) -> R) -> R {
        let (tailCount, layerStride, base) = (tailCount, layerStride, grid * gridStride)
        return values.withUnsafeMutableBufferPointer { buffer in
            body(LayerStates(base: buffer.baseAddress! + base, stride: layerStride, tailCount: tailCount))
        }
    }

    /// Takes over `other`'s half column.
    mutating func keepHalf(of other: HiddenState) {
        for i in values.count - halfCount..<values.count { values[i] = other.values[i] }
    }

    /// The second grid's column that ends in the middle of `column`, to `shifted`; keeps the second half for the next.
    mutating func shift(_ column: UnsafePointer<Float>, into shifted: UnsafeMutablePointer<Float>) {
        let halfCount = halfCount
        values.withUnsafeMutableBufferPointer { buffer in
            let half = buffer.baseAddress! + buffer.count - halfCount
            shifted.update(from: half, count: halfCount)
            (shifted + halfCount).update(from: column, count: halfCount)
            half.update(from: column + halfCount, count: halfCount)
        }
    }

    /// Writes the state to a file (safetensors, one F32 tensor `hidden_state`, the model's identifier as metadata).
    ///
    /// - Throws: ``ModelError/unreadable(path:reason:)`` where it cannot be written.
    public func save(to path: String) throws(ModelError) {
        // As text of JSON: a name may hold quotes.
        let name = (try? JSONEncoder().encode(model)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
        var header = """
            {"__metadata__":{"format":"aumd-hidden-state/1","model":\(name)},\
            "hidden_state":{"dtype":"F32","shape":[\(values.count)],"data_offsets":[0,\(values.count * 4)]}}
            """
        while header.utf8.count % 8 != 0 { header += " " }
        var data = Data()
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
        data.append(contentsOf: header.utf8)
        values.withUnsafeBytes { data.append(contentsOf: $0) }
        do {
            try data.write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw .unreadable(path: path, reason: "it cannot be written (\(error))")
        }
    }

    /// Reads a state that ``save(to:)`` wrote.
    ///
    /// - Throws: ``ModelError/foreignState(path:found:expected:)`` for another model's, else ``ModelError`` as for any file.
    public init(contentsOf path: String, model: Model) throws(ModelError) {
        self.init(of: model)
        let file = try SafeTensors(path: path)
        let found = file.metadata["model"] ?? "an unknown model"
        guard found == model.identifier else {
            throw .foreignState(path: path, found: found, expected: model.identifier)
        }
        values = try file.tensor("hidden_state", shape: [values.count])
    }
}

/// The layers of a ``HiddenState`` while it is borrowed for writing.
struct LayerStates {
    let base: UnsafeMutablePointer<Float>
    let stride: Int
    let tailCount: Int

    /// Takes over one layer of `other`.
    func copy(_ layer: Int, from other: LayerStates) { tail(layer).update(from: other.tail(layer), count: stride) }

    func tail(_ layer: Int) -> UnsafeMutablePointer<Float> { base + layer * stride }
    func ssm(_ layer: Int) -> UnsafeMutablePointer<Float> { base + layer * stride + tailCount }
}
