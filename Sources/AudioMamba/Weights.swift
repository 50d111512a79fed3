import CKernels
import Glibc

private let log2e = 1.442_695_040_888_963_4

/// What one direction of a block has of its own: convolution, x_proj, dt_proj, A and D.
struct DirectionWeights: Sendable {
    /// (K, E), a tap a row.
    let convolution: AlignedBuffer
    /// (E).
    let convolutionBias: AlignedBuffer
    /// (R + 2N, E).
    let xProjection: Linear
    /// (E, R).
    let timeStepProjection: Linear
    /// A log2(e) in channel layout (E, N), A = −exp(A_log).
    let a2: AlignedBuffer
    /// D (E).
    let skip: AlignedBuffer

    /// - Parameters:
    ///   - suffix: `""` for the forward direction, `"_b"` for the backward one.
    ///   - memory: where they go; by default memory of their own.
    init(
        _ source: some TensorSource, _ c: Configuration, prefix: String, suffix: String, storage: WeightStorage,
        in memory: WeightArena? = nil
    ) throws(ModelError) {
        let (E, N, K, R) = (c.innerWidth, c.stateCount, c.convolutionWidth, c.timeStepRank)
        let row = padded(E)
        let taps = try source.tensor("\(prefix)conv1d\(suffix).weight", shape: [E, 1, K])
        convolution = AlignedBuffer(count: K * row, in: memory)
        for e in 0..<E { for k in 0..<K { convolution.pointer[k * row + e] = taps[e * K + k] } }
        convolutionBias = AlignedBuffer(
            try source.tensor("\(prefix)conv1d\(suffix).bias", shape: [E]), padding: row, in: memory)
        a2 = try Self.decay(source, c, name: suffix.isEmpty ? "\(prefix)A_log" : "\(prefix)A_b_log", in: memory)
        skip = AlignedBuffer(try source.tensor("\(prefix)D\(suffix)", shape: [E]), padding: row, in: memory)
        xProjection = Linear(
            try source.tensor("\(prefix)x_proj\(suffix).weight", shape: [R + 2 * N, E]), outputs: R + 2 * N, inputs: E,
            storage: storage, in: memory)
        timeStepProjection = Linear(
            try source.tensor("\(prefix)dt_proj\(suffix).weight", shape: [E, R]), outputs: E, inputs: R,
            bias: try source.tensor("\(prefix)dt_proj\(suffix).bias", shape: [E]), in: memory)
    }

    /// Shares everything with `forward` but A (Fo-Bi).
    init(sharing forward: DirectionWeights, a2: AlignedBuffer) {
        convolution = forward.convolution
        convolutionBias = forward.convolutionBias
        xProjection = forward.xProjection
        timeStepProjection = forward.timeStepProjection
        skip = forward.skip
        self.a2 = a2
    }

    static func decay(
        _ source: some TensorSource, _ c: Configuration, name: String, in memory: WeightArena? = nil
    ) throws(ModelError) -> AlignedBuffer {
        let (E, N) = (c.innerWidth, c.stateCount)
        let values = try source.tensor(name, shape: [E, N]).map { Float(-exp(Double($0)) * log2e) }
        guard values.allSatisfy(\.isFinite) else { throw .tensorNotFinite(path: source.origin, name: "exp(\(name))") }
        let packed = AlignedBuffer(count: padded(E) * N, in: memory)
        aumd_pack_matrix(packed.pointer, values, nil, E, N)
        return packed
    }
}

/// The weights of one block.
struct LayerWeights: Sendable {
    /// The half of in_proj that makes x (E, D), with the norm's weights in its columns.
    let xInput: Linear
    /// The half of in_proj that makes the gate z (E, D), with the norm's weights in its columns.
    let zInput: Linear
    let forward: DirectionWeights
    /// nil in Fo-Fo.
    let backward: DirectionWeights?
    /// (D, E).
    let output: Linear

    /// Bytes that a block's weights take at most, however they are kept: padded to cache lines, with scales and biases.
    static func largest(_ c: Configuration) -> Int {
        let (D, E, S) = (padded(c.modelWidth), padded(c.innerWidth), padded(c.timeStepRank + 2 * c.stateCount))
        let rows = 3 * D * E + 2 * S * E + (c.convolutionWidth + c.stateCount + 2) * E
        return 4 * (rows + 4 * (3 * E + D + S)) + 4096
    }

    /// Checks the tensors that say how large a block is: memory is asked for as config.json says, before they are read.
    static func check(_ source: some TensorSource, _ c: Configuration, layer: Int) throws(ModelError) {
        let prefix = "layers.\(layer).mixer."
        try source.check("\(prefix)in_proj.weight", shape: [2 * c.innerWidth, c.modelWidth])
        try source.check("\(prefix)conv1d.weight", shape: [c.innerWidth, 1, c.convolutionWidth])
        try source.check("\(prefix)x_proj.weight", shape: [c.timeStepRank + 2 * c.stateCount, c.innerWidth])
        try source.check("\(prefix)A_log", shape: [c.innerWidth, c.stateCount])
    }

    /// What the recurrent step reads goes to `memory`, in its order.
    init(
        _ source: some TensorSource, _ c: Configuration, layer: Int, storage: WeightStorage, in memory: WeightArena
    ) throws(ModelError) {
        let (D, E) = (c.modelWidth, c.innerWidth)
        let prefix = "layers.\(layer).mixer."
        let norm = try source.tensor("layers.\(layer).norm.weight", shape: [D])
        let input = try source.tensor("\(prefix)in_proj.weight", shape: [2 * E, D])
        xInput = Linear(input[..<(E * D)], outputs: E, inputs: D, gain: norm, storage: storage, in: memory)
        let forward = try DirectionWeights(source, c, prefix: prefix, suffix: "", storage: storage, in: memory)
        self.forward = forward
        zInput = Linear(input[(E * D)...], outputs: E, inputs: D, gain: norm, storage: storage, in: memory)
        guard xInput.isFinite, zInput.isFinite else {
            throw .tensorNotFinite(path: source.origin, name: "layers.\(layer).norm.weight times \(prefix)in_proj.weight")
        }
        output = Linear(
            try source.tensor("\(prefix)out_proj.weight", shape: [D, E]), outputs: D, inputs: E, storage: storage,
            in: memory)
        switch c.variant {
        case .foFo: backward = nil
        case .foBi:
            backward = DirectionWeights(
                sharing: forward, a2: try DirectionWeights.decay(source, c, name: "\(prefix)A_b_log"))
        case .biBi: backward = try DirectionWeights(source, c, prefix: prefix, suffix: "_b", storage: storage)
        }
    }
}

/// Everything a model has learned, packed once and read by all streams.
struct Weights: Sendable {
    /// (D, patchMel · patchFrames) and bias.
    let patchEmbedding: Linear
    /// (rows, D); the class token's row first where there is one.
    let positions: [Float]
    /// (D), nil with column pooling.
    let classToken: [Float]?
    let layers: [LayerWeights]
    /// (C, D), with the final norm's weights in its columns, and bias.
    let head: Linear

    /// - Throws: ``ModelError`` for the first tensor that is absent, of another shape or type, or not finite.
    init(_ source: some TensorSource, _ c: Configuration, storage: WeightStorage) throws(ModelError) {
        let D = c.modelWidth
        patchEmbedding = Linear(
            try source.tensor("patch_embed.proj.weight", shape: [D, 1, c.patchMel, c.patchFrames]),
            outputs: D, inputs: c.patchMel * c.patchFrames,
            bias: try source.tensor("patch_embed.proj.bias", shape: [D]))
        let classRows = c.pooling == .column ? 0 : 1
        let rows = c.position == .frequency ? c.bands : c.bands * (c.clipColumns ?? 0)
        positions = try source.tensor("pos_embed.pos_embed", shape: [1, rows + classRows, D])
        classToken = classRows == 1 ? try source.tensor("cls_token", shape: [1, 1, D]) : nil
        for layer in 0..<c.layerCount { try LayerWeights.check(source, c, layer: layer) }
        var layers: [LayerWeights] = []
        let memory = WeightArena(reserving: c.layerCount * LayerWeights.largest(c))
        for layer in 0..<c.layerCount {
            layers.append(try LayerWeights(source, c, layer: layer, storage: storage, in: memory))
        }
        self.layers = layers
        let norm = try source.tensor("norm_f.weight", shape: [D])
        head = Linear(
            try source.tensor("head.weight", shape: [c.labels.count, D]), outputs: c.labels.count, inputs: D, gain: norm,
            bias: try source.tensor("head.bias", shape: [c.labels.count]))
        guard head.isFinite else { throw .tensorNotFinite(path: source.origin, name: "norm_f.weight times head.weight") }
    }
}
