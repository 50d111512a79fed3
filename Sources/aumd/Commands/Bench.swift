import ArgumentParser
import AudioMamba
import Frontend

/// `aumd bench`: what each stage costs, as medians of many runs in one process.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures the stages of the pipeline on this machine.")

    @OptionGroup var modelOptions: ModelOptions
    @Flag(help: "One JSON object instead of a table.")
    var json = false
    @Option(help: ArgumentHelp("Runs of each measurement; the median counts.", valueName: "n"))
    var runs = 25

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs must be at least 1.") }
    }

    /// One stage: time for so much sound.
    struct Measurement {
        var name: String
        var milliseconds: Double
        /// Seconds of sound that one run takes in.
        var sound: Double
        var realTimeFactor: Double { milliseconds / 1000 / sound }
    }

    func run() throws {
        let model = try modelOptions.load()
        let measurements = try measure(model)
        if json {
            let entries = measurements.map {
                "{\"stage\":\"\($0.name)\",\"milliseconds\":\($0.milliseconds),\"sound_seconds\":\($0.sound),\"real_time_factor\":\($0.realTimeFactor)}"
            }
            print("{\"model\":\"\(model.identifier)\",\"kernels\":\"\(model.kernels)\",\"runs\":\(runs),\"stages\":[\(entries.joined(separator: ","))]}")
        } else {
            print("\(model.identifier), kernels \(model.kernels), medians of \(runs) runs, one thread")
            for m in measurements {
                print("  \(m.name): \(rounded(m.milliseconds)) ms for \(rounded(m.sound)) s of sound, real-time factor \(rounded(m.realTimeFactor))")
            }
        }
    }

    private func measure(_ model: Model) throws -> [Measurement] {
        let c = model.configuration
        let columnSeconds = Double(c.columnSamples) / Double(c.frontend.sampleRate)
        var measurements: [Measurement] = []
        let sound = noise(count: c.frontend.sampleRate)
        let frontend = try Frontend(inputRate: c.frontend.sampleRate, parameters: model.filterBank, columnFrames: c.patchFrames)
        measurements.append(
            Measurement(name: "frontend", milliseconds: median { sound.withUnsafeBufferPointer { frontend.process($0) { _ in } } }, sound: 1))
        if c.recurrentObstacle == nil {
            let encoder = try StreamingEncoder(model: model)
            let column = noise(count: c.columnSize)
            var logits = [Float](repeating: 0, count: c.labels.count)
            let time = median {
                var output = logits.mutableSpan
                encoder.step(column: column.span, logits: &output)
            }
            measurements.append(Measurement(name: "recurrent step", milliseconds: time, sound: columnSeconds))
        }
        if c.clipColumns == nil {
            let count = c.chunk + c.lookahead
            let windows = try WindowEncoder(model: model, capacity: count)
            let columns = noise(count: count * c.columnSize)
            var logits = [Float](repeating: 0, count: c.chunk * c.labels.count)
            let time = median {
                var output = logits.mutableSpan
                windows.run(columns: columns.span, confirm: c.chunk, logits: &output)
            }
            measurements.append(
                Measurement(name: "window pass", milliseconds: time, sound: Double(c.chunk) * columnSeconds))
        }
        let clipColumns = c.clipColumns ?? 64
        let clip = noise(count: clipColumns * c.columnSize)
        let clips = ClipEncoder(model: model)
        let time = median { _ = try? clips.logits(logMel: clip.span) }
        measurements.append(
            Measurement(name: "offline clip of \(clipColumns * c.bands) tokens", milliseconds: time, sound: Double(clipColumns) * columnSeconds))
        return measurements
    }

    /// Milliseconds, the median of `runs` after one that does not count.
    private func median(_ body: () -> Void) -> Double {
        body()
        let clock = ContinuousClock()
        let times = (0..<runs).map { _ in clock.measure(body) / .milliseconds(1) }.sorted()
        return times[times.count / 2]
    }

    private func noise(count: Int) -> [Float] {
        var state: UInt64 = 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-32
        }
    }

    private func rounded(_ value: Double) -> Double { (value * 10000).rounded() / 10000 }
}
