import AudioMamba
import Foundation
import Frontend
import Tagging

/// One measured stage of the pipeline.
struct Stage: Encodable {
    var name: String
    /// The median of all runs.
    var milliseconds: Double
    /// Seconds of sound that one run takes in.
    var soundSeconds: Double
    /// What the machine's limits allow.
    var limitMilliseconds: Double

    /// Resident memory of the process that no file backs, MiB, when the stage's runs are done and its buffers still live.
    var anonymousMemory: Double

    /// Seconds of sound a second.
    var timesRealTime: Double { soundSeconds * 1000 / milliseconds }
    var shareOfLimit: Double { limitMilliseconds / milliseconds }

    enum CodingKeys: String, CodingKey {
        case name, milliseconds, soundSeconds = "sound_seconds", timesRealTime = "times_real_time"
        case limitMilliseconds = "limit_milliseconds", shareOfLimit = "share_of_limit"
        case anonymousMemory = "anonymous_memory"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(soundSeconds, forKey: .soundSeconds)
        try container.encode(timesRealTime, forKey: .timesRealTime)
        try container.encode(anonymousMemory, forKey: .anonymousMemory)
        try container.encode(limitMilliseconds, forKey: .limitMilliseconds)
        try container.encode(shareOfLimit, forKey: .shareOfLimit)
    }
}

/// Measures the stages of one model.
struct Stages {
    let model: Model
    let limits: MachineLimits
    let runs: Int
    /// Of a window pass and an offline clip.
    let threads: Int

    /// What can be measured, in the order of the report.
    enum Kind: String, CaseIterable {
        case frontend, recurrent, window, pipeline, offline
    }

    /// The stages of a kind that the model has; `tokens` are the lengths of offline clips, where it does not fix its own.
    func measure(_ kind: Kind, tokens: [Int]) throws -> [Stage] {
        switch kind {
        case .frontend: [try frontend()]
        case .recurrent: [try recurrentStep()].compactMap(\.self)
        case .window: [try windowPass()].compactMap(\.self)
        case .pipeline: [try pipeline()]
        case .offline: (model.configuration.clipColumns == nil ? tokens : [0]).map(offline)
        }
    }

    private var columnSeconds: Double {
        Double(model.configuration.columnSamples) / Double(model.configuration.frontend.sampleRate)
    }

    /// What frames of log-mel must at least cost: the operations of a real FFT of size N, 5/2 N log2 N (Frigo and Johnson 2005), two
    /// a multiply-add; window and pre-emphasis, power, two filters a bin; a logarithm a mel bin, counted as an exponential.
    /// It is done in double precision, so that a multiply-add counts as two of fp32.
    private func frontendCost(frames: Int) -> Cost {
        let p = model.filterBank
        let fft = Int(5 * Double(p.fftSize) * log2(Double(p.fftSize)) / 4)
        return frames * Cost(multiplyAdds: 2 * (fft + 2 * p.frameLength + 2 * p.fftSize), exponentials: p.melCount)
    }

    /// One second of noise through the STFT.
    private func frontend() throws -> Stage {
        let c = model.configuration
        let sound = noise(count: c.frontend.sampleRate)
        let frontend = try Frontend(
            inputRate: c.frontend.sampleRate, parameters: model.filterBank, columnFrames: c.patchFrames)
        let cost = frontendCost(frames: c.frontend.sampleRate / model.filterBank.hopLength)
        return stage("frontend", sound: 1, limit: cost) { sound.withUnsafeBufferPointer { frontend.process($0) { _ in } } }
    }

    /// One step, of a column or half of one; nil for a model without a recurrent mode.
    private func recurrentStep() throws -> Stage? {
        let c = model.configuration
        guard c.recurrentObstacle == nil else { return nil }
        let encoder = try StreamingEncoder(model: model)
        let step = noise(count: c.stepSize)
        var logits = [Float](repeating: 0, count: c.labels.count)
        let seconds = columnSeconds / Double(c.patchGrids)
        return stage("recurrent step", sound: seconds, limit: model.cost(tokens: c.bands, bidirectional: false)) {
            var output = logits.mutableSpan
            encoder.step(step.span, logits: &output)
        }
    }

    /// One window of the model's own chunk and lookahead; nil for a model that reads clips of its own length.
    private func windowPass() throws -> Stage? {
        let c = model.configuration
        guard c.clipColumns == nil else { return nil }
        let count = c.chunk + c.lookahead
        let windows = try WindowEncoder(model: model, capacity: count, threads: threads)
        let columns = noise(count: count * c.columnSize)
        var logits = [Float](repeating: 0, count: c.chunk * c.labels.count)
        return stage("window pass, \(count * c.bands) tokens", sound: Double(c.chunk) * columnSeconds, limit: model.windowCost) {
            var output = logits.mutableSpan
            windows.run(columns: columns.span, confirm: c.chunk, logits: &output)
        }
    }

    /// One clip of `tokens` tokens, or of the model's own length, both directions.
    private func offline(tokens: Int) -> Stage {
        let c = model.configuration
        let columns = c.clipColumns ?? max(1, tokens / c.bands)
        let clip = noise(count: columns * c.columnSize)
        let clips = ClipEncoder(model: model, threads: threads)
        let cost = c.patchGrids * model.cost(tokens: columns * c.bands, bidirectional: true)
        return stage("offline clip, \(columns * c.bands) tokens", sound: Double(columns) * columnSeconds, limit: cost) {
            _ = try? clips.logits(logMel: clip.span)
        }
    }

    /// Ten seconds of noise from samples to events: frontend, both directions, tagger.
    private func pipeline() throws -> Stage {
        let c = model.configuration
        let sound = noise(count: 10 * c.frontend.sampleRate)
        let frontend = try Frontend(
            inputRate: c.frontend.sampleRate, parameters: model.filterBank, columnFrames: c.patchFrames, stepFrames: c.stepFrames)
        let rules = [LabelRule](repeating: LabelRule(), count: model.labels.count)
        let analysis = try Analysis(
            model: model, tagging: model.tagging(rules: rules), options: Analysis.Options())
        analysis.waits = true
        var actions: [Action] = []
        var start: Int64 = 0
        let columns = sound.count / c.columnSamples
        let cost = frontendCost(frames: columns * c.patchFrames) + model.cost(streamColumns: columns)
        return stage("whole pipeline", sound: 10, limit: cost) {
            sound.withUnsafeBufferPointer { samples in
                frontend.process(samples) { step in
                    analysis.step(step, start: start, into: &actions) { _, _, _ in }
                    start += Int64(c.stepSamples)
                    actions.removeAll(keepingCapacity: true)
                }
            }
        }
    }

    private func stage(_ name: String, sound: Double, limit: Cost, _ body: () -> Void) -> Stage {
        body()
        let clock = ContinuousClock()
        let times = (0..<runs).map { _ in clock.measure(body) / .milliseconds(1) }.sorted()
        return Stage(
            name: name, milliseconds: times[times.count / 2], soundSeconds: sound,
            limitMilliseconds: 1000 * limits.seconds(limit), anonymousMemory: Self.anonymousMemory())
    }

    /// RssAnon of proc_pid_status(5), in MiB.
    private static func anonymousMemory() -> Double {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return (line?.split(separator: " ").dropFirst().first).flatMap { Double($0) }.map { $0 / 1024 } ?? 0
    }

    private func noise(count: Int) -> [Float] {
        var random = SplitMix64(state: 1)
        return (0..<count).map { _ in Float(random.next() >> 40) * 0x1p-24 - 0.5 }
    }
}
