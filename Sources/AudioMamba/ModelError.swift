/// Why a model folder, a hidden state or a requested mode was refused.
public enum ModelError: Error, Equatable, CustomStringConvertible {
    /// The folder or one of its files is not there.
    case missing(path: String)
    /// The user may not read the folder or one of its files.
    case notPermitted(path: String)
    /// The system failed to read a file; `reason` is strerror(3)'s, or says what it is instead.
    case unreadable(path: String, reason: String)
    /// The system refused to write a file.
    case unwritable(path: String, reason: String)
    /// `config.json` is not JSON, lacks a key, or a key has an impossible value.
    case configuration(path: String, key: String, reason: String)
    /// The file is not in the safetensors format, or is cut short.
    case notSafeTensors(path: String, reason: String)
    /// A tensor that the configuration calls for is not in the file.
    case tensorMissing(path: String, name: String)
    /// A tensor's shape is not the one the configuration calls for.
    case tensorShape(path: String, name: String, found: [Int], expected: [Int])
    /// A tensor is stored as something other than F32, F16 or BF16.
    case tensorType(path: String, name: String, found: String)
    /// A tensor holds NaN or infinity, or is too large for the arithmetic.
    case tensorNotFinite(path: String, name: String)
    /// All tensors hold numbers, but the logits of a clip of silence are none.
    case logitsNotFinite(path: String)
    /// The model cannot run in the mode asked for.
    case unsupported(mode: String, reason: String)
    /// A file holds no hidden state, or one that is cut short.
    case notHiddenState(path: String)
    /// A saved hidden state belongs to another model.
    case foreignState(path: String, found: String, expected: String)
    /// A learned sound's file is damaged, or does not fit the model.
    case sound(path: String, reason: String)
    /// The folder of learned sounds cannot be listed; `reason` is strerror(3)'s.
    case sounds(path: String, reason: String)
    /// Recordings or a model that no sound can be learned with.
    case unlearnable(reason: String)

    public var description: String {
        switch self {
        case .missing(let path):
            "There is no model at \(path): a model folder holds config.json and model.safetensors."
        case .notPermitted(let path):
            "\(path) may not be read; give this user permission to read it (a service sees nothing below /home)."
        case .unreadable(let path, let reason):
            "\(path) cannot be read: \(reason); look at the file and its permissions."
        case .unwritable(let path, let reason):
            "\(path) cannot be written: \(reason); choose another path or free space."
        case .configuration(let path, let key, let reason):
            "\(path): \(key): \(reason); correct it or fetch the model again."
        case .notSafeTensors(let path, let reason):
            "\(path) is not a usable safetensors file: \(reason); fetch or convert the model again."
        case .tensorMissing(let path, let name):
            "\(path) lacks the tensor \(name) that config.json calls for; the two files do not belong together."
        case .tensorShape(let path, let name, let found, let expected):
            "\(path): tensor \(name) has the shape \(found), config.json calls for \(expected); the two files do not belong together."
        case .tensorType(let path, let name, let found):
            "\(path): tensor \(name) is stored as \(found); store it as F32, F16 or BF16."
        case .tensorNotFinite(let path, let name):
            "\(path): tensor \(name) holds NaN or infinity; the checkpoint is damaged, fetch or train it again."
        case .logitsNotFinite(let path):
            "\(path): with these weights the model's scores are no numbers; the checkpoint is damaged, fetch or train it again."
        case .unsupported(let mode, let reason):
            "This model cannot run in \(mode) mode: \(reason)."
        case .notHiddenState(let path):
            "\(path) is not a usable hidden state; delete it to start afresh."
        case .foreignState(let path, let found, let expected):
            "\(path) holds the hidden state of \(found), not of \(expected); delete it to start afresh."
        case .sound(let path, let reason):
            "The learned sound \(path) is not used: \(reason)."
        case .sounds(let path, let reason):
            "The learned sounds in \(path) cannot be listed: \(reason); make the folder, or name another one."
        case .unlearnable(let reason):
            "No sound can be learned: \(reason)."
        }
    }
}
