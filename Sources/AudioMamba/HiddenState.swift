import FoundationEssentials
import Glibc

/// The recurrent state of every layer after some token: convolution tail (K − 1, E) and SSM state (E, N), on each patch grid.
///
/// A value: a copy is a snapshot. Its size depends on the model alone, never on how long the stream has run.
public struct HiddenState: Sendable, Equatable {
    /// Which model's state this is.
    public let model: String
    /// Grid by grid and layer by layer: tail, then SSM state in channel layout. Behind them, where there is a second grid, what its
    /// columns share with the first's: the last step's log-mel (stepFrames, melCount), the logits (C) of the column that ended
    /// with it, and 0 before the first step, 1 after the first half of a column, 2 after the second.
    private(set) var values: [Float]
    private let tailCount: Int
    private let layerStride: Int
    private let gridStride: Int
    private let sharedStart: Int
    private let stepCount: Int
    private let labelCount: Int

    /// What a file of ``save(to:)`` says it is.
    private static let format = "aumd-hidden-state/1"
    /// Log-mel of nothing: the logarithm's floor.
    static let silence = log(Float.ulpOfOne)

    /// The state before the first token: zero, after silence.
    public init(of model: Model) {
        let c = model.configuration
        self.model = model.identifier
        tailCount = (c.convolutionWidth - 1) * padded(c.innerWidth)
        layerStride = tailCount + padded(c.innerWidth) * c.stateCount
        gridStride = c.layerCount * layerStride
        stepCount = c.stepSize
        labelCount = c.labels.count
        sharedStart = c.patchGrids * gridStride
        values = [Float](repeating: 0, count: sharedStart + (c.patchGrids > 1 ? stepCount + labelCount + 1 : 0))
        reset()
    }

    /// Back to the state before the first token, in place.
    public mutating func reset() {
        let step = sharedStart..<sharedStart + stepCount
        for i in values.indices { values[i] = step.contains(i) ? Self.silence : 0 }
    }

    /// Whether both are of one model, and laid out alike.
    func fits(_ other: HiddenState) -> Bool {
        model == other.model && (values.count, tailCount, layerStride, gridStride) == (other.values.count, other.tailCount, other.layerStride, other.gridStride)
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

    /// Takes over `other`'s last step.
    mutating func keepStep(of other: HiddenState) {
        for i in sharedStart..<sharedStart + stepCount { values[i] = other.values[i] }
    }

    /// The column that ends with `step`, to `column`; keeps the step for the next.
    mutating func join(_ step: UnsafePointer<Float>, into column: UnsafeMutablePointer<Float>) {
        values.withUnsafeMutableBufferPointer { [sharedStart, stepCount] buffer in
            let last = buffer.baseAddress! + sharedStart
            column.update(from: last, count: stepCount)
            (column + stepCount).update(from: step, count: stepCount)
        }
        keep(step)
    }

    /// Keeps a step for the next column.
    mutating func keep(_ step: UnsafePointer<Float>) {
        values.withUnsafeMutableBufferPointer { [sharedStart, stepCount] buffer in
            (buffer.baseAddress! + sharedStart).update(from: step, count: stepCount)
        }
    }

    /// The grid of which a column ends with the next step. The second's columns begin half a column before the first's.
    var nextGrid: Int { values.count > sharedStart && values[values.count - 1] != 1 ? 1 : 0 }

    /// The mean of a column's logits (C) and those of the other grid's column before it, in place; keeps its own for the next.
    mutating func average(_ logits: inout MutableSpan<Float>) {
        let (kept, position) = (values.count - 1 - labelCount, values.count - 1)
        for label in 0..<labelCount {
            let own = logits[label]
            if values[position] > 0 { logits[label] = 0.5 * own + 0.5 * values[kept + label] }
            values[kept + label] = own
        }
        values[position] = values[position] == 1 ? 2 : 1
    }

    /// Writes the state to a file (safetensors, one F32 tensor `hidden_state`, the model's identifier as metadata).
    ///
    /// - Throws: ``ModelError/unwritable(path:reason:)``.
    public func save(to path: String) throws(ModelError) {
        let file = SafeTensors.file([("hidden_state", [values.count], values)], metadata: ["format": Self.format, "model": model])
        do {
            try Data(file).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    /// Reads a state that ``save(to:)`` wrote.
    ///
    /// - Throws: ``ModelError/foreignState(path:found:expected:)`` for another model's, ``ModelError/unreadable(path:reason:)``, or
    ///   ``ModelError/notHiddenState(path:)`` for whatever is no such file, or cut short.
    public init(contentsOf path: String, model: Model) throws(ModelError) {
        self.init(of: model)
        do throws(ModelError) {
            let file = try SafeTensors(path: path)
            guard file.metadata["format"] == Self.format, let found = file.metadata["model"] else {
                throw .notHiddenState(path: path)
            }
            guard found == model.identifier else {
                throw .foreignState(path: path, found: found, expected: model.identifier)
            }
            values = try file.tensor("hidden_state", shape: [values.count])
        } catch {
            switch error {
            case .missing: throw .unreadable(path: path, reason: String(cString: strerror(ENOENT)))
            case .notPermitted, .unreadable, .foreignState: throw error
            default: throw .notHiddenState(path: path)
            }
        }
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
