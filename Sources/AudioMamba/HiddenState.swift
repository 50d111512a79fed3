import FoundationEssentials

/// The recurrent state of every layer after some token: convolution tail (K − 1, E) and SSM state (E, N).
///
/// A value: a copy is a snapshot. Its size depends on the model alone, never on how long the stream has run.
public struct HiddenState: Sendable, Equatable {
    /// Which model's state this is.
    public let model: String
    /// Layer by layer: tail, then SSM state in channel layout.
    private(set) var values: [Float]
    private let tailCount: Int
    private let layerStride: Int

    /// The state before the first token: zero.
    public init(of model: Model) {
        let c = model.configuration
        self.model = model.identifier
        tailCount = (c.convolutionWidth - 1) * padded(c.innerWidth)
        layerStride = tailCount + padded(c.innerWidth) * c.stateCount
        values = [Float](repeating: 0, count: c.layerCount * layerStride)
    }

    /// Back to the state before the first token, in place.
    public mutating func reset() {
        for i in values.indices { values[i] = 0 }
    }

    /// Takes over `other`'s values in place.
    mutating func copy(from other: HiddenState) {
        precondition(other.values.count == values.count)
        values.withUnsafeMutableBufferPointer { to in
            other.values.withUnsafeBufferPointer { _ = to.update(fromContentsOf: $0) }
        }
    }

    mutating func withLayers<R>(_ body: (LayerStates) -> R) -> R {
        let (tailCount, layerStride) = (tailCount, layerStride)
        return values.withUnsafeMutableBufferPointer { buffer in
            body(LayerStates(base: buffer.baseAddress!, stride: layerStride, tailCount: tailCount))
        }
    }

    /// Writes the state to a file (safetensors, one F32 tensor `hidden_state`, the model's identifier as metadata).
    ///
    /// - Throws: ``ModelError/unreadable(path:reason:)`` where it cannot be written.
    public func save(to path: String) throws(ModelError) {
        var header = """
            {"__metadata__":{"format":"aumd-hidden-state/1","model":"\(model)"},\
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
