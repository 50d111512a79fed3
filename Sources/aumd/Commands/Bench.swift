import ArgumentParser
import AudioMamba
import Foundation
import Sinks

/// `aumd bench`: what each stage costs beside what this machine allows, as medians of many runs in one process.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures the stages of the pipeline and the limits of this machine.",
        discussion: """
            A stage's limit is its multiply-adds and exponentials at the rates measured on one thread, or the time to read \
            the weights once, whichever is longer.

            Example:
              aumd bench --shape small --weights bfloat16 --tokens 512,4096
              aumd bench --shape base --only recurrent --only window
            """)

    @OptionGroup var modelOptions: ModelOptions
    @Option(help: ArgumentHelp("Random weights of a published size, 24 layers, in place of a model: tiny, small, base.", valueName: "size"))
    var shape: Shape?
    @Option(help: ArgumentHelp("Lengths of the offline clips, in tokens.", valueName: "n,n…"))
    var tokens = TokenCounts(values: [512, 1024, 2048, 4096, 8192])
    @Option(help: "Measure this stage only; may be given again for another.")
    var only: [Stages.Kind] = []
    @Option(help: ArgumentHelp("Runs of each measurement; the median counts.", valueName: "n"))
    var runs = 15
    @Option(help: ArgumentHelp("Threads that window passes and offline clips take.", valueName: "n"))
    var threads = 1
    @Flag(help: "One JSON object instead of a table.")
    var json = false

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs must be at least 1.") }
        guard threads > 0 else { throw ValidationError("--threads must be at least 1.") }
    }

    /// What `--json` prints.
    struct Report: Encodable {
        var model: String
        var kernels: String
        var weights: String
        var runs: Int
        var threads: Int
        /// Of one core: multiply-adds (fp32, int8) and exponentials a second, bytes a second for a buffer as large as the weights.
        var limits: [String: Double]
        var stages: [Stage]
        var memory: Memory
    }

    /// Memory of this process in MiB.
    struct Memory: Encodable {
        /// The blocks' weights.
        var weights: Double
        /// Resident and not backed by files, at the end of the stage that needs most: weights, buffers, the sound itself.
        var anonymous: Double
        /// Peak of all resident memory, libraries included.
        var peak: Double
    }

    func run() throws {
        if shape != nil { try exclude("--shape", [("--model", modelOptions.model != nil)]) }
        let model = if let shape { try shape.model(storage: modelOptions.weights) } else { try modelOptions.load() }
        let weightBytes = model.cost(tokens: 1, bidirectional: true).weightBytes
        let limits = MachineLimits(model.kernels, working: weightBytes)
        let stages = Stages(model: model, limits: limits, runs: runs, threads: threads)
        let kinds = only.isEmpty ? Stages.Kind.allCases : only
        let all = try Stages.Kind.allCases.filter(kinds.contains).flatMap { try stages.measure($0, tokens: tokens.values) }
        let report = Report(
            model: model.identifier, kernels: "\(model.kernels)", weights: model.storage.rawValue, runs: runs, threads: threads,
            limits: [
                "multiply_adds": limits.multiplyAdds, "int8_multiply_adds": limits.int8MultiplyAdds, "exponentials": limits.exponentials, "bytes": limits.bytes,
            ],
            stages: all,
            memory: Memory(
                weights: Double(weightBytes) / 1_048_576, anonymous: all.map(\.anonymousMemory).max() ?? 0,
                peak: peakMemory()))
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            try say(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            try say(table(report))
        }
    }

    private func table(_ report: Report) -> String {
        let giga = report.limits.mapValues { String(format: "%.1f", $0 / 1e9) }
        var lines = [
            "\(report.model.printable), kernels \(report.kernels), weights \(report.weights), medians of \(runs) runs, \(threads == 1 ? "one thread" : "passes on \(threads) threads")",
            "limits: \(giga["multiply_adds"]!) G multiply-adds/s (int8 \(giga["int8_multiply_adds"]!)), \(giga["exponentials"]!) G exponentials/s, \(giga["bytes"]!) GB/s for the weights",
            "stage".padded(to: 28) + "sound s".leading(10) + "time ms".leading(10) + "limit ms".leading(10) + "share".leading(8) + "x real time".leading(14),
        ]
        for stage in report.stages {
            lines.append(
                stage.name.padded(to: 28) + String(format: "%10.2f", stage.soundSeconds) + String(format: "%10.3f", stage.milliseconds)
                    + String(format: "%10.3f", stage.limitMilliseconds) + String(format: "%7.0f%%", 100 * stage.shareOfLimit)
                    + String(format: "%14.0f", stage.timesRealTime))
        }
        let memory = report.memory
        lines.append(
            String(
                format: "memory: %.0f MiB beyond libraries and files, %.0f of it weights; peak of all %.0f MiB",
                memory.anonymous, memory.weights, memory.peak))
        return lines.joined(separator: "\n")
    }

    private func peakMemory() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
    }
}

extension Stages.Kind: ExpressibleByArgument {}

/// A list such as `512,1024`.
struct TokenCounts: ExpressibleByArgument, CustomStringConvertible {
    var values: [Int]

    init(values: [Int]) { self.values = values }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard !parts.isEmpty, parts.allSatisfy({ $0.map { 8...1_000_000 ~= $0 } ?? false }) else { return nil }
        values = parts.compactMap(\.self)
    }

    var description: String { values.map(String.init).joined(separator: ",") }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
    fileprivate func leading(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
