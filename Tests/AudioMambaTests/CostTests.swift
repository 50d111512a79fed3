import AudioMamba
import Testing

@Suite("What a window pass must at least do")
struct WindowCostTests {
    @Test("On two grids a window's second has one column less to do, unless the pass before did not look ahead")
    func twoGrids() throws {
        let golden = try #require(try GoldenCase.all().first { $0.name == "fo-bi-two-grids" })
        for (grids, chunk, lookahead, columns) in [(1, 8, 16, 24), (1, 8, 0, 8), (2, 8, 16, 47), (2, 20, 8, 55), (2, 8, 0, 16)] {
            var c = golden.configuration
            (c.patchGrids, c.chunk, c.lookahead) = (grids, chunk, lookahead)
            let model = try Model(
                configuration: c, source: RandomWeights(seed: 1, layerCount: c.layerCount, convolutionWidth: c.convolutionWidth))
            let pass = model.cost(tokens: columns * c.bands, bidirectional: true)
            #expect(model.windowCost.multiplyAdds == pass.multiplyAdds)
            #expect(model.windowCost.exponentials == pass.exponentials)
            let step = model.cost(tokens: c.bands, bidirectional: false)
            #expect(model.cost(streamColumns: chunk) == grids * chunk * step + model.windowCost)
        }
    }
}
