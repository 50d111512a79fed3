import ArgumentParser
import AudioMamba
import Sinks

/// `aumd model`: what a model folder holds, checked.
struct ShowModel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Checks a model folder and says what it holds.",
        discussion: "Example:\n  aumd model ./aum-base-audioset")

    @Argument(help: ArgumentHelp("Model folder; the bundled model otherwise.", valueName: "dir"), completion: .directory)
    var directory: String?

    @Flag(help: "List the labels with their AudioSet ids, parents and thresholds.")
    var labels = false

    @Option(help: ArgumentHelp("Folder of sounds that 'aumd learn' taught; \(ModelOptions.systemSounds) where there is one.", valueName: "folder"), completion: .directory)
    var sounds: String?

    func run() throws {
        let model = try ModelOptions.load(directory, sounds: sounds)
        ModelOptions.warn(of: model)
        let c = model.configuration
        try say("""
            \(model.identifier.printable)
              variant     \(c.variant.rawValue), \(c.layerCount) layers, D \(c.modelWidth), E \(c.innerWidth), N \(c.stateCount), K \(c.convolutionWidth), R \(c.timeStepRank)
              tokens      \(c.tokenOrder.rawValue), \(c.bands) of \(c.patchMel) mel x \(c.patchFrames) frames a column, \(c.patchGrids == 1 ? "one grid" : "two grids half a column apart"), positions \(c.position.rawValue), read from \(c.pooling.rawValue)
              frontend    \(c.frontend.sampleRate) Hz, \(c.frontend.melCount) mel bins, \(c.frontend.lowFrequency) to \(c.frontend.highFrequency) Hz
              labels      \(c.labels.count)\(alarms(model))
              licence     \(c.license?.printable ?? "not stated")
              provisional \(c.recurrentObstacle.map { "none: \($0)" } ?? "scores each \(seconds(samples: c.stepSamples, c))")
              confirmed   \(confirmed(c))
              thresholds  \(thresholds(c))
              cost        \(cost(model)) GMAC a second of sound, both directions
              kernels     \(model.kernels)
            """)
        guard labels else { return }
        for (index, label) in c.labels.enumerated() {
            let parents = label.parents.map { c.labels[$0].name }.joined(separator: " < ")
            let limits = label.thresholds.map {
                "  on \($0.on) off \($0.off)" + ($0.provisionalOn.map { " provisional on \($0)" } ?? "")
            } ?? ""
            try say("  \(index)  \(label.name)  \(label.mid)\(parents.isEmpty ? "" : "  < \(parents)")\(limits)".printable)
        }
        for alarm in model.alarmLabels { try say("  by its pattern  \(alarm.name)  \(alarm.mid)  on \(alarm.on)") }
    }

    private func alarms(_ model: Model) -> String {
        let count = model.alarmLabels.count
        return count == 0 ? "" : ", and \(count) \(count == 1 ? "alarm" : "alarms") by temporal pattern"
    }

    private func thresholds(_ c: Configuration) -> String {
        let count = c.labels.count { $0.thresholds != nil }
        guard count > 0 else { return "none: the defaults hold" }
        return "of \(count) labels, see --labels" + (c.habituation > 0 ? "; habituation \(c.habituation)" : "")
    }

    /// Giga multiply-adds of the blocks: each column once recurrent, and once in each window pass that reads it.
    private func cost(_ model: Model) -> String {
        let c = model.configuration
        let columns = min(c.chunk, c.clipColumns ?? .max)
        let cost = Double(model.cost(streamColumns: columns).multiplyAdds) / Double(columns)
        return Sentence.decimal(cost * Double(c.frontend.sampleRate) / Double(c.columnSamples) / 1e9, 2)
    }

    private func confirmed(_ c: Configuration) -> String {
        guard c.isBidirectional || c.recurrentObstacle != nil else {
            return "the same scores: the model has no backward direction"
        }
        if let clip = c.clipColumns {
            return "windows of \(seconds(clip, c)), one each \(seconds(min(c.chunk, clip), c)); every score is confirmed"
        }
        let soonest = c.lookahead + Analysis.passColumns(chunk: c.chunk)
        return "\(seconds(soonest, c)) to \(seconds(soonest + c.chunk - 1, c)) after a column, the whole stream as left context"
    }

    private func seconds(_ columns: Int, _ c: Configuration) -> String { seconds(samples: columns * c.columnSamples, c) }

    private func seconds(samples: Int, _ c: Configuration) -> String {
        Sentence.decimal(Double(samples) / Double(c.frontend.sampleRate), 2) + " s"
    }
}
