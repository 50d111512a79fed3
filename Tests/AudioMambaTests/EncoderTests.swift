import AudioMamba
import Glibc
import Testing

@Suite("Encoders")
struct EncoderTests {
    #if DEBUG
        /// Without Base, which takes the kernels a minute where the compiler does not optimise them.
        static let cases = try! GoldenCase.all().filter { $0.configuration.modelWidth < 768 }
    #else
        static let cases = try! GoldenCase.all()
    #endif
    static let streaming = cases.filter { $0.configuration.recurrentObstacle == nil }

    @Test("Offline logits are those of the fp64 reference, every variant and size", arguments: cases)
    func offline(_ golden: GoldenCase) throws {
        let input = try golden.input()
        let logits = try ClipEncoder(model: golden.model()).logits(logMel: input.span)
        try expectClose(logits, golden.expected("logits"), within: 1e-4)
    }

    @Test("Weights kept in half or a quarter of the memory give nearly the same logits", arguments: cases.filter { $0.configuration.layerCount < 24 },
          [(WeightStorage.bfloat16, Float(0.015)), (.int8, 0.06)])
    func storage(_ golden: GoldenCase, _ kept: (storage: WeightStorage, tolerance: Float)) throws {
        let input = try golden.input()
        let logits = try ClipEncoder(model: golden.model(storage: kept.storage)).logits(logMel: input.span)
        try expectClose(logits, golden.expected("logits"), within: kept.tolerance)
    }

    @Test("So do they in blocks that are wider than a segment of int8", arguments: [(WeightStorage.bfloat16, Float(0.015)), (.int8, 0.06)])
    func wideStorage(_ storage: WeightStorage, _ tolerance: Float) throws {
        var golden = try #require(Self.streaming.first { $0.name == "bi-bi-column-5" })
        (golden.configuration.modelWidth, golden.configuration.expansion, golden.configuration.layerCount) = (136, 16, 1)
        let input = try golden.input()
        let logits = try [storage, .float32].map { try ClipEncoder(model: golden.model(storage: $0)).logits(logMel: input.span) }
        expectClose(logits[0], logits[1], within: tolerance)
    }

    @Test("Recurrent logits are those of the fp64 reference without its backward direction", arguments: streaming)
    func recurrent(_ golden: GoldenCase) throws {
        let tensor = golden.configuration.isBidirectional ? "forward" : "logits"
        try expectClose(recurrentLogits(golden), golden.expected(tensor), within: 1e-5)
    }

    @Test("The scalar reference kernels give the same logits", arguments: cases.filter { $0.configuration.layerCount < 24 })
    func scalarReference(_ golden: GoldenCase) throws {
        let input = try golden.input()
        let logits = try ClipEncoder(model: golden.model(kernels: .reference)).logits(logMel: input.span)
        try expectClose(logits, golden.expected("logits"), within: 1e-4)
    }

    @Test(
        "Scores of a clip are the mean odds of its columns; without a backward direction not of the first three, but always of the last",
        arguments: cases)
    func clipScores(_ golden: GoldenCase) throws {
        let encoder = try ClipEncoder(model: golden.model())
        let c = golden.configuration, input = try golden.input()
        let columns = golden.frames / c.patchFrames
        for count in c.recurrentObstacle == nil ? 1...columns : columns...columns {
            let clip = Array(input.prefix(count * c.columnSize))
            let scores = try encoder.scores(logMel: clip.span)
            let logits = try encoder.logits(logMel: clip.span)
            let rows = logits.count / c.labels.count
            for label in c.labels.indices {
                let odds = (0..<rows).dropFirst(c.isBidirectional ? 0 : min(3, rows - 1)).map { exp(Double(logits[$0 * c.labels.count + label])) }
                let mean = odds.reduce(0, +) / Double(odds.count)
                #expect(abs(Double(scores[label]) - mean / (1 + mean)) < 1e-5)
            }
        }
    }

    @Test("A window over a whole clip is the offline pass, bit for bit", arguments: streaming)
    func wholeWindow(_ golden: GoldenCase) throws {
        let model = try golden.model()
        let input = try golden.input()
        let columns = golden.frames / golden.configuration.patchFrames
        let windows = try WindowEncoder(model: model, capacity: columns)
        let offline = try ClipEncoder(model: model).logits(logMel: input.span)
        #expect(run(windows, input, columns: 0..<columns, confirm: columns) == offline)
    }

    @Test("Two threads or five give the bits of one, offline and in windows", arguments: cases)
    func threads(_ golden: GoldenCase) throws {
        let model = try golden.model()
        let input = try golden.input()
        let alone = try ClipEncoder(model: model).logits(logMel: input.span)
        for threads in [2, 5] {
            #expect(try ClipEncoder(model: model, threads: threads).logits(logMel: input.span) == alone)
        }
        guard golden.configuration.recurrentObstacle == nil else { return }
        let columns = golden.frames / golden.configuration.patchFrames
        let passes = try [1, 3].map { threads in
            let windows = try WindowEncoder(model: model, capacity: columns, threads: threads)
            let logits = run(windows, input, columns: 0..<columns, confirm: (columns + 1) / 2)
            return (logits, windows.checkpoint)
        }
        #expect(passes[0] == passes[1])
    }

    @Test("A forward-only window pass gives the recurrent logits, bit for bit, in any chunking",
          arguments: streaming.filter { !$0.configuration.isBidirectional })
    func chunking(_ golden: GoldenCase) throws {
        let input = try golden.input()
        let columns = golden.frames / golden.configuration.patchFrames
        let whole = try recurrentLogits(golden)
        var random = SplitMix64(state: golden.seed)
        for _ in 0..<20 {
            let windows = try WindowEncoder(model: golden.model(), capacity: columns)
            var logits: [Float] = []
            var done = 0
            while done < columns {
                let size = Int.random(in: 1...(columns - done), using: &random)
                let confirm = Int.random(in: 1...size, using: &random)
                logits += run(windows, input, columns: done..<(done + size), confirm: confirm)
                done += confirm
            }
            #expect(logits == whole)
        }
    }

    @Test("Windows that all reach the clip's end give the offline pass, bit for bit, wherever they start",
          arguments: streaming.filter { $0.configuration.isBidirectional })
    func laterWindows(_ golden: GoldenCase) throws {
        let input = try golden.input()
        let columns = golden.frames / golden.configuration.patchFrames
        let model = try golden.model()
        let offline = try ClipEncoder(model: model).logits(logMel: input.span)
        let windows = try WindowEncoder(model: model, capacity: columns)
        var logits: [Float] = []
        for done in 0..<columns { logits += run(windows, input, columns: done..<columns, confirm: 1) }
        #expect(logits == offline)
    }

    @Test("Windows on two grids are those of one grid on the sound and on the sound half a column later, bit for bit",
          arguments: streaming.filter { $0.configuration.patchGrids > 1 && $0.frames >= 80 })
    func twoGrids(_ golden: GoldenCase) throws {
        let model = try golden.model(), single = try golden.model(grids: 1)
        let c = model.configuration, C = c.labels.count
        let input = try golden.input()
        let later = [Float](repeating: log(Float.ulpOfOne), count: c.stepSize) + input
        let all: [[(count: Int, confirm: Int)]] = [[(2, 2), (3, 3)], [(3, 2), (3, 3)], [(2, 2), (2, 1), (1, 1), (1, 1)], [(4, 1), (4, 4)]]
        for passes in all {
            let both = try WindowEncoder(model: model, capacity: 4)
            let first = try WindowEncoder(model: single, capacity: 4), second = try WindowEncoder(model: single, capacity: 4)
            var done = 0, overlapping: [Float] = []
            for (count, confirm) in passes {
                let logits = run(both, input, columns: done..<(done + count), confirm: confirm)
                let own = run(first, input, columns: done..<(done + count), confirm: confirm)
                let known = overlapping.count / C, end = min(done + confirm + 1, done + count)
                if known < end { overlapping += run(second, later, columns: known..<(done + count), confirm: end - known) }
                for at in logits.indices {
                    let before = overlapping[done * C + at]
                    let after = (done + 1) * C + at < overlapping.count ? overlapping[(done + 1) * C + at] : before
                    #expect(logits[at] == 0.5 * own[at] + 0.25 * (before + after), "\(passes)")
                }
                done += confirm
            }
        }
    }

    @Test("After a reset windows begin a stream anew", arguments: streaming)
    func windowReset(_ golden: GoldenCase) throws {
        let input = try golden.input()
        let columns = golden.frames / golden.configuration.patchFrames
        let windows = try WindowEncoder(model: golden.model(), capacity: columns)
        let passes = (0..<2).map { _ in
            windows.reset()
            return run(windows, input, columns: 0..<columns, confirm: max(1, columns - 1))
        }
        #expect(passes[0] == passes[1])
    }

    @Test("A clip longer than a window is read in two, the first's last 128 columns again with what follows them")
    func longClip() throws {
        let golden = try #require(Self.streaming.first { $0.name == "fo-bi-column-whole" })
        let model = try golden.model()
        let longest = ClipEncoder.longestExact, count = longest + 100, seam = longest - 128
        let frames = count * golden.configuration.patchFrames
        let input = try RandomWeights(seed: 1, layerCount: 1, convolutionWidth: 1).tensor("input", shape: [frames, 128])
        let windows = try WindowEncoder(model: model, capacity: longest)
        let first = run(windows, input, columns: 0..<longest, confirm: seam)
        let second = run(windows, input, columns: seam..<count, confirm: count - seam)
        #expect(try ClipEncoder(model: model).logits(logMel: input.span) == first + second)
    }

    @Test("Saving and restoring the hidden state continues bit for bit", arguments: streaming)
    func saveRestore(_ golden: GoldenCase) throws {
        let model = try golden.model()
        let path = temporaryPath("state")
        defer { remove(path) }
        let input = try golden.input()
        let encoder = try StreamingEncoder(model: model)
        for index in 0..<steps(golden) {
            let other = try StreamingEncoder(model: model)
            try encoder.state.save(to: path)
            other.state = try HiddenState(contentsOf: path, model: model)
            #expect(other.state == encoder.state)
            #expect(step(other, input, index) == step(encoder, input, index))
        }
    }

    @Test("What a checkpoint cannot do is refused with a sentence")
    func obstacles() throws {
        for golden in Self.cases where golden.configuration.layerCount < 24 {
            guard let obstacle = golden.configuration.recurrentObstacle else { continue }
            let model = try golden.model()
            #expect(throws: ModelError.unsupported(mode: "recurrent", reason: obstacle)) { try StreamingEncoder(model: model) }
            let windows = ModelError.unsupported(mode: "chunked window", reason: "it takes whole clips of its own length only")
            #expect(throws: windows) { try WindowEncoder(model: model, capacity: 4) }
        }
    }

    @Test("A stream needs tokens and scores in the order of time, and a model that knows itself without its backward direction",
          arguments: streaming)
    func recurrence(_ golden: GoldenCase) {
        func obstacle(_ edit: (inout Configuration) -> Void) -> String? {
            var c = golden.configuration
            edit(&c)
            return c.recurrentObstacle
        }
        #expect(obstacle { $0.tokenOrder = .frequencyMajor }?.contains("frequency-major") == true)
        #expect(obstacle { $0.pooling = .classEnd }?.contains("class token") == true)
        #expect(obstacle { $0.position = .absolute }?.contains("position embedding") == true)
        #expect((obstacle { $0.dualMode = false } != nil) == golden.configuration.isBidirectional)
    }

    private func recurrentLogits(_ golden: GoldenCase) throws -> [Float] {
        let encoder = try StreamingEncoder(model: golden.model())
        let input = try golden.input()
        return (0..<steps(golden)).flatMap { step(encoder, input, $0) }
    }

    /// Those of the clip's whole columns.
    private func steps(_ golden: GoldenCase) -> Int {
        let c = golden.configuration
        return golden.frames / c.patchFrames * c.patchGrids
    }

    private func step(_ encoder: StreamingEncoder, _ input: [Float], _ index: Int) -> [Float] {
        let c = encoder.model.configuration
        var logits = [Float](repeating: 0, count: c.labels.count)
        var output = logits.mutableSpan
        encoder.step(input.span.extracting(index * c.stepSize..<(index + 1) * c.stepSize), logits: &output)
        return logits
    }

    private func run(_ windows: WindowEncoder, _ input: [Float], columns: Range<Int>, confirm: Int) -> [Float] {
        let c = windows.model.configuration
        var logits = [Float](repeating: 0, count: confirm * c.labels.count)
        var output = logits.mutableSpan
        windows.run(
            columns: input.span.extracting(columns.lowerBound * c.columnSize..<columns.upperBound * c.columnSize),
            confirm: confirm, logits: &output)
        return logits
    }
}

func expectClose(_ found: [Float], _ expected: [Float], within tolerance: Float, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(found.count == expected.count, sourceLocation: sourceLocation)
    let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
    #expect(worst <= tolerance, sourceLocation: sourceLocation)
    #expect(!found.contains { !$0.isFinite }, sourceLocation: sourceLocation)
}
