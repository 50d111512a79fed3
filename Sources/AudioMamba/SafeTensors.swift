import CKernels
import FoundationEssentials

/// Where weights come from: a file, or a generator in tests.
public protocol TensorSource {
    /// Name for messages.
    var origin: String { get }

    /// The tensor's values in row-major order, widened to fp32.
    ///
    /// - Throws: ``ModelError`` where it is absent, of another shape or type, or not finite.
    func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float]

    /// Whether the tensor is there, as far as that is known without reading it.
    ///
    /// - Throws: ``ModelError`` where it is absent, or of another shape or type.
    func check(_ name: String, shape: [Int]) throws(ModelError)
}

extension TensorSource {
    /// Says nothing: for sources that have every tensor in any shape.
    public func check(_ name: String, shape: [Int]) throws(ModelError) {}
}

/// A memory-mapped safetensors file: 8 bytes of header length (little endian), a JSON header, the data.
/// Every entry's offsets are checked against its shape, its type and the file's size when the file is opened. A type that is not
/// known here is refused only in a tensor that is asked for.
public struct SafeTensors: TensorSource, Sendable {
    struct Entry: Sendable {
        var type: String
        var shape: [Int]
        /// Bytes from the start of the file.
        var bytes: Range<Int>
    }

    private static let sizes = ["F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1]

    private let file: MappedFile
    let entries: [String: Entry]
    /// The header's free-form `__metadata__`.
    public let metadata: [String: String]

    public var origin: String { file.path }

    /// - Throws: ``ModelError/missing(path:)``, ``ModelError/unreadable(path:reason:)`` or
    ///   ``ModelError/notSafeTensors(path:reason:)``.
    public init(path: String) throws(ModelError) {
        let file = try MappedFile(path: path)
        func invalid(_ reason: String) -> ModelError { .notSafeTensors(path: path, reason: reason) }
        guard file.bytes.count >= 8 else { throw invalid("it has \(file.bytes.count) bytes") }
        let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(file.bytes.count - 8) else {
            throw invalid("its header claims \(length) bytes and the file has \(file.bytes.count)")
        }
        let dataStart = 8 + Int(length)
        let header: Header
        do {
            header = try JSONDecoder().decode(
                Header.self, from: Data(UnsafeRawBufferPointer(rebasing: file.bytes[8..<dataStart])))
        } catch {
            throw invalid("its header is not the JSON of that format")
        }
        var entries: [String: Entry] = [:]
        for (name, tensor) in header.tensors {
            let (type, shape, offsets) = (tensor.dtype, tensor.shape, tensor.data_offsets)
            guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1],
                offsets[1] <= file.bytes.count - dataStart
            else { throw invalid("the data of tensor \(name) lies outside of the file") }
            var expected = Self.sizes[type] ?? 1
            for extent in shape {
                let (product, overflow) = expected.multipliedReportingOverflow(by: extent)
                guard extent >= 0, !overflow else { throw invalid("tensor \(name) has the impossible shape \(shape)") }
                expected = product
            }
            guard Self.sizes[type] == nil || offsets[1] - offsets[0] == expected else {
                throw invalid("tensor \(name) has \(offsets[1] - offsets[0]) bytes and its shape \(shape) needs \(expected)")
            }
            entries[name] = Entry(type: type, shape: shape, bytes: dataStart + offsets[0]..<dataStart + offsets[1])
        }
        self.file = file
        self.entries = entries
        metadata = header.metadata
    }

    public func check(_ name: String, shape: [Int]) throws(ModelError) { _ = try entry(name, shape: shape) }

    private func entry(_ name: String, shape: [Int]) throws(ModelError) -> Entry {
        guard let entry = entries[name] else { throw .tensorMissing(path: origin, name: name) }
        guard entry.shape == shape else {
            throw .tensorShape(path: origin, name: name, found: entry.shape, expected: shape)
        }
        guard ["F32", "F16", "BF16"].contains(entry.type) else {
            throw .tensorType(path: origin, name: name, found: entry.type)
        }
        return entry
    }

    public func tensor(_ name: String, shape: [Int]) throws(ModelError) -> [Float] {
        let entry = try entry(name, shape: shape)
        let count = shape.reduce(1, *)
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.bytes])
        let values = [Float](unsafeUninitializedCapacity: count) { to, initialized in
            if count > 0, let from = bytes.baseAddress, let target = to.baseAddress {
                switch entry.type {
                case "F16": aumd_from_f16(target, from, count)
                case "BF16": aumd_from_bf16(target, from, count)
                default: UnsafeMutableRawPointer(target).copyMemory(from: from, byteCount: bytes.count)
                }
            }
            initialized = count
        }
        guard aumd_all_finite(values, count) != 0 else { throw .tensorNotFinite(path: origin, name: name) }
        return values
    }

    /// The shape of a tensor, nil where there is none of that name.
    public func shape(of name: String) -> [Int]? { entries[name]?.shape }

    /// The file's, after what came before: ``MappedFile/digest(after:)``.
    func digest(after hash: UInt64 = MappedFile.noDigest) -> UInt64 { file.digest(after: hash) }
}

/// The JSON header: every key is a tensor's name but one.
private struct Header: Decodable {
    struct Tensor: Decodable {
        var dtype: String
        var shape: [Int]
        var data_offsets: [Int]
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    var metadata: [String: String] = [:]
    var tensors: [String: Tensor] = [:]

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for key in container.allKeys {
            if key.stringValue == "__metadata__" {
                metadata = try container.decode([String: String].self, forKey: key)
            } else {
                tensors[key.stringValue] = try container.decode(Tensor.self, forKey: key)
            }
        }
    }
}
