import Glibc

/// The learned sounds of a folder, as far as they fit a model.
public struct LearnedSounds: Sendable {
    /// By the names of their files.
    public private(set) var fitting: [(path: String, sound: LearnedSound)] = []
    /// Why others are none of the model's labels.
    public private(set) var refused: [ModelError] = []

    /// What the name of a sound's file ends with.
    public static let suffix = ".safetensors"

    /// Adds the folder's sounds to the labels; of no folder, none.
    ///
    /// - Parameter weights: digest of the model's; made where there is a folder.
    /// - Throws: ``ModelError/sounds(path:reason:)`` for a folder that cannot be listed.
    public init(folder: String?, weights: @autoclosure () -> String, configuration: inout Configuration) throws(ModelError) {
        guard let folder else { return }
        let weights = weights()
        guard let directory = opendir(folder) else { throw .sounds(path: folder, reason: String(cString: strerror(errno))) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        closedir(directory)
        for name in names.sorted() where name.hasSuffix(Self.suffix) && !name.hasPrefix(".") {
            let path = "\(folder)/\(name)"
            do throws(ModelError) {
                let sound = try LearnedSound(path: path)
                if let reason = sound.add(to: &configuration, weights: weights) { throw .sound(path: path, reason: reason) }
                fitting.append((path, sound))
            } catch { refused.append(error) }
        }
    }

    /// Of the sounds, after that of the model.
    func digest(after hash: UInt64) -> UInt64 {
        fitting.reduce(hash) { hash, entry in
            ([entry.sound.bias] + entry.sound.row).reduce(hash) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01b3 }
        }
    }
}

/// Weights whose head has a row more for each learned sound.
struct ExtendedHead<Base: TensorSource>: TensorSource {
    let base: Base
    let sounds: [LearnedSound]

    var origin: String { base.origin }

    func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
        switch name {
        case "head.weight": try base.tensor(name, shape: [shape[0] - sounds.count, shape[1]]) + sounds.flatMap(\.row)
        case "head.bias": try base.tensor(name, shape: [shape[0] - sounds.count]) + sounds.map(\.bias)
        default: try base.tensor(name, shape: shape)
        }
    }

    func check(_ name: String, shape: [Int]) throws(ModelError) { try base.check(name, shape: shape) }
}
