import AudioMamba
import Synchronization
import Testing

@Suite("What a pass must at least do")
struct CostTests {
    /// Random weights, and how many there are of each name.
    private final class CountedWeights: TensorSource {
        let weights: RandomWeights
        private let counts = Mutex<[String: Int]>([:])
        var origin: String { weights.origin }

        init(_ weights: RandomWeights) { self.weights = weights }

        func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
            let values = try weights.tensor(name, shape: shape)
            counts.withLock { $0[name] = values.count }
            return values
        }

        /// Of all tensors whose names end so.
        func count(_ ends: String...) -> Int {
            counts.withLock { $0.reduce(0) { sum, tensor in ends.contains(where: tensor.key.hasSuffix) ? sum + tensor.value : sum } }
        }
    }

    @Test("A token takes a multiply-add for each weight of a block and four for each state, and its weights are read once",
          arguments: WeightStorage.allCases, ["fo-fo-column-5", "fo-bi-column-5", "bi-bi-column-5"])
    func token(storage: WeightStorage, name: String) throws {
        let c = try #require(try GoldenCase.all().first { $0.name == name }).configuration
        let source = CountedWeights(RandomWeights(seed: 1, layerCount: c.layerCount, convolutionWidth: c.convolutionWidth))
        let model = try Model(configuration: c, source: source, storage: storage)
        let large = source.count("in_proj.weight", "out_proj.weight", "x_proj.weight", "x_proj_b.weight")
        let small = source.count("dt_proj.weight", "dt_proj_b.weight", "conv1d.weight", "conv1d_b.weight")
        let states = source.count("A_log", "A_b_log"), channels = source.count("conv1d.bias", "conv1d_b.bias")
        let isInteger = storage == .int8, size = [WeightStorage.float32: 4, .bfloat16: 2, .int8: 1][storage]!
        #expect(
            model.cost(tokens: 3, bidirectional: true)
                == Cost(
                    multiplyAdds: 3 * ((isInteger ? 0 : large) + small + 4 * states), int8MultiplyAdds: isInteger ? 3 * large : 0,
                    // Of the gate, and of softplus and SiLU for each convolution.
                    exponentials: 3 * (states + c.layerCount * c.innerWidth + 2 * channels),
                    weightBytes: size * large + 4 * (small + states)))
    }

    @Test("On two grids a window's second has one column less to do, unless the pass before did not look ahead")
    func twoGrids() throws {
        for (grids, chunk, lookahead, columns) in [(1, 8, 16, 24), (1, 8, 0, 8), (2, 8, 16, 47), (2, 20, 8, 55), (2, 8, 0, 16)] {
            let model = try model("fo-bi-two-grids") { ($0.patchGrids, $0.chunk, $0.lookahead) = (grids, chunk, lookahead) }
            let c = model.configuration
            let pass = model.cost(tokens: columns * c.bands, bidirectional: true)
            #expect(model.windowCost.multiplyAdds == pass.multiplyAdds)
            #expect(model.windowCost.exponentials == pass.exponentials)
            let step = model.cost(tokens: c.bands, bidirectional: false)
            #expect(model.cost(streamColumns: chunk) == grids * chunk * step + model.windowCost)
        }
    }

    @Test("A stream has only the passes that its model has, each as long as that takes")
    func streams() throws {
        let forward = try model("fo-fo-column-5")
        #expect(forward.cost(streamColumns: 8) == 8 * forward.cost(tokens: forward.configuration.bands, bidirectional: false))
        // Clips of five columns, where a chunk would be eight.
        let clips = try model("fo-bi-cls-end")
        #expect(clips.cost(streamColumns: 40) == 8 * clips.cost(tokens: 5 * clips.configuration.bands, bidirectional: true))
    }

    private func model(_ name: String, edit: (inout Configuration) -> Void = { _ in }) throws -> Model {
        var c = try #require(try GoldenCase.all().first { $0.name == name }).configuration
        edit(&c)
        return try Model(
            configuration: c, source: RandomWeights(seed: 1, layerCount: c.layerCount, convolutionWidth: c.convolutionWidth))
    }
}
