import Foundation
import TestSupport
import Testing

/// What a column costs, told by counting and not by a clock: of the build that people run.
@Suite("What a column costs", .enabled(if: Program.isOptimised))
struct CostTests {
    let folder: TemporaryFolder
    let counter: String

    init() throws {
        folder = TemporaryFolder()
        counter = try folder.compileLibrary("Tests/aumdTests/Preloaded/count_allocations.c", as: "count_allocations.so")
    }

    @Test("No heap allocation in the steady state, from samples to events, resampler and both directions included")
    func allocations() throws {
        for seconds in [20, 40] {
            try Sound.raw(hiss(seconds: seconds)).write(to: folder.url.appending(path: "\(seconds).raw"))
        }
        func more() throws -> (all: Int, analysis: Int, counts: [[String: Int]]) {
            let counts = try [20, 40].map {
                try allocations("\"$AUMD\" listen --source - --raw-rate 44100 --format ndjson < \(folder.path)/\($0).raw")
            }
            return (
                counts[1].values.reduce(0, +) - counts[0].values.reduce(0, +),
                try #require(counts[1]["analysis"]) - #require(counts[0]["analysis"]), counts
            )
        }
        // Which of two threads is first to need a type's metadata at the start, and makes it, is chance, and a few allocations.
        // What a column or a pass allocated would be there every time.
        var measured = try more()
        for _ in 0..<5 where measured.analysis >= 3 { measured = try more() }
        // 45 columns and 5 window passes lie between the two; Dispatch may make itself a thread or two meanwhile.
        #expect(measured.all < 25, "\(measured.counts)")
        #expect(measured.analysis < 3, "\(measured.counts)")
    }

    @Test("aumd bench measures what it was asked for, beside the machine's limits, in the order of the data flow")
    func bench() throws {
        let result = try Program.run(
            "bench", "--runs", "1", "--only", "pipeline", "--only", "window", "--only", "recurrent", "--only", "frontend", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let report = try #require(try Line.all(result.output).first).fields
        let stages = try #require(report["stages"] as? [[String: Any]])
        #expect(stages.compactMap { $0["name"] as? String } == ["frontend", "recurrent step", "window pass, 224 tokens", "whole pipeline"])
        #expect(stages.compactMap { $0["share_of_limit"] as? Double }.filter { $0 > 0 && $0 < 1.5 }.count == 4)
        #expect(try Program.run("bench", "--only", "kitchen").status == 64)
    }

    @Test("The capture thread allocates nothing once the device is open")
    func captureAllocations() throws {
        try folder.makeScriptedDevice("formats \"S16_LE\"")
        var counts: [Int] = []
        for seconds in [1, 4] {
            let all = try allocations(
                "timeout -s INT \(seconds) \"$AUMD\" listen --device mic --format ndjson", folder.alsa)
            counts.append(try #require(all["capture"]))
        }
        #expect(counts[0] > 0)
        #expect(counts[0] == counts[1])
    }

    @Test(
        "Instructions stay within a tenth of what they were when this was last looked at",
        .enabled(if: Command.exists("valgrind")))
    func instructions() throws {
        // valgrind cannot read the compiler's debug information, and runs the x86-64-v3 kernels.
        let program = folder.path + "/aumd"
        #expect(try Command("strip", ["-o", program, Program.path]).status == 0)
        // It does a multiply-add in software, so that the whole model takes minutes.
        try folder.write("stream: {chunk: 4, lookahead: 2}\nevents: {default: {mute: true}}\n", to: "short.yaml")
        // 2560 samples a column; a window pass more in the second.
        for columns in [10, 14] {
            try Sound.wav([Int16](hiss(seconds: 3).prefix(columns * 2560))).write(to: folder.url.appending(path: "\(columns).wav"))
        }
        var measured = try instructionsPerColumn()
        // What the runtime and Dispatch do once, in the one run or the other, is chance; what a column costs is there every time.
        for _ in 0..<2 where !measured.isAsBefore { measured = try instructionsPerColumn() }
        #expect(measured.isAsBefore, "\(measured)")
    }

    private struct Instructions {
        var layer, others: Double
        var isAsBefore: Bool {
            abs(layer / CostTests.instructionsOfLayer - 1) < 0.1 && abs(others / CostTests.instructionsOfOthers - 1) < 0.1
        }
    }

    private func instructionsPerColumn() throws -> Instructions {
        let perColumn = try [1, 2].map { layers in
            try BundledModel.write(layers: layers, to: folder)
            let run = try Program.shell(
                """
                cd \(folder.path)
                printf '10\\n14\\n' | xargs -P 2 -I COLUMNS sh -c 'valgrind --tool=callgrind --callgrind-out-file=/dev/null \
                    ./aumd tag --mode stream --config short.yaml --model . COLUMNS.wav 2> COLUMNS'
                """)
            #expect(run.status == 0 && run.output == "", "\(run.errors)")
            let counts = try [10, 14].map { columns in
                let report = try String(contentsOf: folder.url.appending(path: "\(columns)"), encoding: .utf8)
                return try #require(report.firstMatch(of: /Collected : ([0-9]+)/).flatMap { Double($0.1) }, "\(report)")
            }
            return (counts[1] - counts[0]) / 4
        }
        let layer = perColumn[1] - perColumn[0]
        return Instructions(layer: layer, others: perColumn[0] - layer)
    }

    /// What a column costs in one layer, recurrent step and window pass of 4 + 2 columns, and in everything else: frontend,
    /// embedding, head, alarms (nearly half of it) and tagger. The bundled model's width, x86-64-v3 kernels, Swift 6.3, release.
    private static let instructionsOfLayer = 3.78e6, instructionsOfOthers = 2.46e6

    @Test("A second of sound takes 1.4 to 1.5 billion multiply-adds of the bundled model: of all its layers, that is")
    func multiplyAdds() throws {
        let cost = try #require(try Program.run("model").output.firstMatch(of: /cost +([0-9.]+) GMAC a second/))
        #expect(try (1.4...1.5).contains(#require(Double(cost.1))), "\(cost.0)")
    }

    /// Allocations of a shell line's program, by thread.
    private func allocations(_ line: String, _ environment: [String: String] = [:]) throws -> [String: Int] {
        let counts = folder.path + "/counts"
        // Preloaded into the program alone: the shell and timeout would count, too.
        let preloading = line.replacing("\"$AUMD\"", with: "env LD_PRELOAD=\(counter) \"$AUMD\"")
        let result = try Program.shell(preloading, environment: environment.merging(["ALLOCATION_COUNTS": counts]) { $1 })
        // Of what the machine allows the capture thread, this says nothing.
        #expect(result.errors.split(separator: "\n").allSatisfy { $0.contains("was refused") }, "\(result.errors)")
        let lines = try String(contentsOfFile: counts, encoding: .utf8).split(separator: "\n")
        return try lines.reduce(into: [:]) { all, line in
            let parts = line.split(separator: " ", maxSplits: 1)
            all[parts.count > 1 ? String(parts[1]) : "", default: 0] += try #require(Int(parts[0]))
        }
    }

    /// Faint noise that no label's thresholds let through.
    private func hiss(seconds: Int) -> [Int16] {
        var random = SeededRandom(seed: 7)
        return (0..<16000 * seconds).map { _ in Int16.random(in: -4...3, using: &random) }
    }
}
