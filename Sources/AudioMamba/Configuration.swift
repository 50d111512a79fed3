import FoundationEssentials

/// What the backward direction has of its own (Erol et al., arXiv 2406.03344).
public enum Variant: String, Decodable, Sendable, CaseIterable {
    /// No backward direction.
    case foFo = "fo-fo"
    /// Its own A only; convolution, x_proj, dt_proj and D are shared.
    case foBi = "fo-bi"
    /// Its own convolution, x_proj, dt_proj, A and D.
    case biBi = "bi-bi"
}

/// In which order the patches of a spectrogram become tokens.
public enum TokenOrder: String, Decodable, Sendable {
    /// All bands of the first column, then of the second.
    case timeMajor = "time-major"
    /// All columns of the lowest band, then of the next.
    case frequencyMajor = "frequency-major"
}

/// What the learned position embedding distinguishes.
public enum Position: String, Decodable, Sendable {
    /// Every place of the clip's grid.
    case absolute
    /// The band only, so that a stream has no end.
    case frequency
}

/// Where the scores are read.
public enum Pooling: String, Decodable, Sendable {
    /// Mean of a column's tokens: one score vector a column.
    case column
    /// A class token in the middle of the sequence.
    case classMiddle = "cls-middle"
    /// A class token after the last patch.
    case classEnd = "cls-end"
    /// A class token before the first patch.
    case classStart = "cls-start"
}

/// A model's immutable description, as `config.json` of a model folder says it.
///
/// Symbols: D = `modelWidth`, E = `innerWidth`, N = `stateCount`, R = `timeStepRank`, K = `convolutionWidth`,
/// L = `layerCount`, C = `labels.count`.
public struct Configuration: Sendable {
    /// One output of the model.
    public struct Label: Sendable, Equatable {
        /// AudioSet display name.
        public var name: String
        /// AudioSet id, such as `/m/05tny_`.
        public var mid: String
        /// Indices of all ancestors inside the label set, nearest first.
        public var parents: [Int]
        /// Score at which an event opens and below which it closes, where the model states them.
        public var thresholds: Thresholds?
    }

    /// Scores in 0 to 1.
    public struct Thresholds: Sendable, Equatable, Decodable {
        /// An event opens at or above it.
        public var on: Float
        /// It lasts while scores stay at or above it; at most `on`.
        public var off: Float
        /// In place of `on` for scores without right context, where the model says so: reached, or to be reached a column on.
        public var provisionalOn: Float?

        enum CodingKeys: String, CodingKey {
            case on, off, provisionalOn = "provisional_on"
        }
    }

    /// What the log-mel must be.
    public struct Frontend: Sendable, Equatable, Decodable {
        /// Hz.
        public var sampleRate: Int
        /// Samples of a frame's window.
        public var frameLength: Int
        /// Samples from one frame's start to the next.
        public var hopLength: Int
        /// Points, at least a frame's samples.
        public var fftSize: Int
        /// Mel bins.
        public var melCount: Int
        /// Hz, where the lowest filter begins.
        public var lowFrequency: Float
        /// Hz, where the highest filter ends.
        public var highFrequency: Float
        /// Coefficient a of x[n] − a x[n−1] within a frame.
        public var preemphasis: Float

        enum CodingKeys: String, CodingKey {
            case sampleRate = "sample_rate", frameLength = "frame_length", hopLength = "hop_length"
            case fftSize = "n_fft", melCount = "n_mels", lowFrequency = "f_min", highFrequency = "f_max", preemphasis
        }
    }

    /// Name of the model, such as `aumd-tiny`.
    public var name: String
    /// Of the weights, as an SPDX identifier.
    public var license: String?
    /// What the backward direction has of its own.
    public var variant: Variant
    /// D.
    public var modelWidth: Int
    /// L.
    public var layerCount: Int
    /// N.
    public var stateCount: Int
    /// K.
    public var convolutionWidth: Int
    /// E / D.
    public var expansion: Int
    /// R.
    public var timeStepRank: Int
    /// What RMSNorm adds to the mean square.
    public var normEpsilon: Float
    /// Whether a column's tokens follow each other, or a band's.
    public var tokenOrder: TokenOrder
    /// What position embedding tokens get.
    public var position: Position
    /// Where scores are read out.
    public var pooling: Pooling
    /// Trained with the backward direction absent too, so that a provisional path exists.
    public var dualMode: Bool
    /// Mel bins of a patch.
    public var patchMel: Int
    /// Frames of a patch, and of a column.
    public var patchFrames: Int
    /// Grids that the spectrogram is cut into patches on, 1 or 2: the second is shifted by half a column. Scores are means over
    /// both, so that they depend less on where a sound begins within a column.
    public var patchGrids: Int
    /// Frames of the clips the model was trained on; nil where any length will do.
    public var clipFrames: Int?
    /// What the log-mel must be.
    public var frontend: Frontend
    /// Of the training set's log-mel x, which is normalised to (x − mean) / (2 std).
    public var mean: Float
    /// std of the same.
    public var standardDeviation: Float
    /// Columns a window pass confirms.
    public var chunk: Int
    /// Columns to the right of the chunk.
    public var lookahead: Int
    /// How much harder it is for a label to open an event whose scores have hovered: log odds of `on` for each of its excess.
    public var habituation: Float
    /// C classes, in the order of the scores.
    public var labels: [Label]

    /// E.
    public var innerWidth: Int { expansion * modelWidth }
    /// Tokens of a column.
    public var bands: Int { frontend.melCount / patchMel }
    /// Log-mel values of a column: `patchFrames` frames of `melCount`.
    public var columnSize: Int { patchFrames * frontend.melCount }
    /// Frames by which recurrent mode moves on: a column of one of the grids ends with each step.
    public var stepFrames: Int { patchFrames / patchGrids }
    /// Log-mel values of a step.
    public var stepSize: Int { stepFrames * frontend.melCount }
    /// Samples from one step's start to the next.
    public var stepSamples: Int { stepFrames * frontend.hopLength }
    /// Columns of a clip of the model's own length.
    public var clipColumns: Int? { clipFrames.map { $0 / patchFrames } }
    /// Samples from one column's start to the next.
    public var columnSamples: Int { patchFrames * frontend.hopLength }
    /// Has a direction backward in time.
    public var isBidirectional: Bool { variant != .foFo }

    /// Why no recurrent step exists, or nil where it does.
    public var recurrentObstacle: String? {
        if tokenOrder == .frequencyMajor {
            return "its tokens are in frequency-major order, so the first band's last token comes before the second band's first"
        }
        if pooling != .column { return "its scores are read from a class token that exists once a clip" }
        if position != .frequency { return "its position embedding ends with the clip" }
        if isBidirectional && !dualMode { return "it was never trained without its backward direction" }
        return nil
    }
}

extension Configuration {
    /// Whether a stream has window passes: where they are wanted and there is a backward direction, or nothing else would do.
    public func needsWindow(_ isWanted: Bool) -> Bool { recurrentObstacle != nil || isWanted && isBidirectional }
}

extension Configuration {
    /// Reads `config.json`.
    ///
    /// - Throws: ``ModelError/configuration(path:key:reason:)`` for the first key that is absent, of the wrong type, or impossible.
    init(_ file: MappedFile) throws(ModelError) {
        try self.init(json: file.bytes.withUnsafeBytes { Data($0) }, origin: file.path)
    }

    /// Reads the text of a `config.json`; `origin` names it in messages.
    ///
    /// - Throws: ``ModelError/configuration(path:key:reason:)``.
    public init(json: Data, origin: String) throws(ModelError) {
        do {
            self = try JSONDecoder().decode(Document.self, from: json).configuration()
        } catch let error as Document.Invalid {
            throw .configuration(path: origin, key: error.key, reason: error.reason)
        } catch let error as DecodingError {
            // The decoder names no key where a number does not fit, and calls all of it corrupted.
            let isJSON = (try? JSONDecoder().decode(Anything.self, from: json)) != nil
            throw .configuration(path: origin, isJSON: isJSON, decoding: error)
        } catch {
            throw .configuration(path: origin, key: "config", reason: "\(error)")
        }
    }
}

/// Decoded from any JSON.
private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
}

extension ModelError {
    fileprivate static func configuration(path: String, isJSON: Bool, decoding error: DecodingError) -> ModelError {
        func key(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
            return path.isEmpty ? "config" : path.joined(separator: ".")
        }
        /// What a Swift type is called in JSON.
        func words(for type: any Any.Type) -> String {
            switch "\(type)" {
            case "String": "a text"
            case "Bool": "true or false"
            case "Int": "a whole number"
            case "Float", "Double": "a number"
            case let name where name.hasPrefix("Array"): "a list"
            default: "an object"
            }
        }
        switch error {
        case .keyNotFound(let missing, let context):
            let prefix = context.codingPath.map { $0.stringValue + "." }.joined()
            return .configuration(path: path, key: prefix + missing.stringValue, reason: "this key is missing")
        case .typeMismatch(let type, let context):
            return .configuration(path: path, key: key(context), reason: "this value is not \(words(for: type))")
        case .valueNotFound(_, let context):
            return .configuration(path: path, key: key(context), reason: "this value is null")
        case .dataCorrupted(let context):
            let reason =
                !isJSON ? "the file is not JSON"
                : context.codingPath.isEmpty ? "a number is of the wrong kind, or too large, for its key"
                : "this value is not one of those allowed"
            return .configuration(path: path, key: key(context), reason: reason)
        @unknown default:
            return .configuration(path: path, key: "config", reason: "the file cannot be decoded")
        }
    }
}
