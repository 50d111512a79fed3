import AudioMamba
import Frontend
import Recordings
import Settings
import Tagging

/// What a model and the user's settings make together.
extension Model {
    /// AudioSet's "Silence": scored like any label, but mute unless the user asks for it.
    static let silence = "/m/028v0c"

    /// Labels, and the user's rules over the model's own thresholds, for the tagger.
    ///
    /// - Throws: ``Failure`` for labels the model does not have.
    func tagging(_ settings: Settings) throws(Failure) -> TaggerConfiguration {
        do throws(InvalidSettings) {
            var rules = try settings.rules(labels: thresholds)
            for (index, label) in labels.enumerated() where label.mid == Self.silence {
                rules[index].mute = settings.events.labels[label.name]?.mute ?? settings.events.standard.mute ?? true
            }
            return tagging(rules: rules, window: settings.usesWindow)
        } catch { throw Failure(error) }
    }

    /// - Parameters:
    ///   - rules: one a label.
    ///   - window: whether window passes are to run, where the model has a backward direction.
    func tagging(rules: [LabelRule], window: Bool = true) -> TaggerConfiguration {
        TaggerConfiguration(
            labels: labels, rules: rules,
            sampleRate: configuration.frontend.sampleRate, columnLength: configuration.columnSamples,
            stepLength: configuration.stepSamples, isCausal: !configuration.needsWindow(window))
    }

    /// What sound is kept, where any is.
    ///
    /// - Throws: ``Failure`` for labels the model does not have, and for mute ones that no recording is to have.
    func recordings(_ settings: Settings) throws(Failure) -> RecordingRules {
        do throws(InvalidSettings) {
            return RecordingRules(
                labels: try settings.recordedLabels(among: labelNames).map { Set($0) },
                without: Set(try settings.unrecordedLabels(among: labelsWithAncestors)),
                before: settings.recordedBefore, after: settings.recordedAfter, longest: settings.longestRecorded)
        } catch { throw Failure(error) }
    }

    /// The labels as the settings look at them.
    var thresholds: [Settings.ModelLabel] {
        configuration.labels.map { ($0.name, $0.thresholds?.on, $0.thresholds?.off, $0.thresholds?.provisionalOn, configuration.habituation) }
            + alarmLabels.map { ($0.name, $0.on, nil, nil, 0) }
    }

    /// Names of the labels, each with those of its ancestors.
    var labelsWithAncestors: [(name: String, ancestors: [String])] {
        let labels = labels
        return labels.map { ($0.name, $0.parents.map { labels[$0].name }) }
    }

    /// What the frontend must deliver to this model.
    var filterBank: FilterBankParameters {
        let wanted = configuration.frontend
        var parameters = FilterBankParameters()
        parameters.sampleRate = wanted.sampleRate
        parameters.frameLength = wanted.frameLength
        parameters.hopLength = wanted.hopLength
        parameters.fftSize = wanted.fftSize
        parameters.melCount = wanted.melCount
        parameters.lowFrequency = wanted.lowFrequency
        parameters.highFrequency = wanted.highFrequency
        parameters.preemphasis = wanted.preemphasis
        return parameters
    }
}

extension Analysis.Options {
    init(_ settings: Settings) {
        self.init(window: settings.usesWindow, chunk: settings.stream.chunk, lookahead: settings.stream.lookahead)
    }
}

extension RecordingWriter {
    /// The writer of the folder that was named, if any was.
    ///
    /// - Throws: ``Failure`` for a folder that takes nothing.
    static func of(_ settings: Settings, notify: @escaping @Sendable (String) -> Void) throws(Failure) -> RecordingWriter? {
        guard let folder = settings.recordings.folder else { return nil }
        do throws(RecordingError) {
            return try RecordingWriter(folder: folder, limit: settings.recordingsLimit) { notify($0.description) }
        } catch { throw Failure(.cannotCreate, error.description) }
    }
}
