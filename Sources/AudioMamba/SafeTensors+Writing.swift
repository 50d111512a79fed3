import FoundationEssentials

extension SafeTensors {
    /// A file of F32 tensors, in their order.
    ///
    /// - Parameters:
    ///   - tensors: name, shape, and as many values in row-major order.
    ///   - metadata: the header's free-form `__metadata__`.
    static func file(_ tensors: [(name: String, shape: [Int], values: [Float])], metadata: [String: String]) -> [UInt8] {
        func json(_ value: some Encodable) -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            guard let data = try? encoder.encode(value) else { preconditionFailure("texts and whole numbers are JSON") }
            return String(decoding: data, as: UTF8.self)
        }
        var entries = ["\"__metadata__\":\(json(metadata))"]
        var size = 0
        for (name, shape, values) in tensors {
            precondition(values.count == shape.reduce(1, *))
            entries.append(#"\#(json(name)):{"dtype":"F32","shape":\#(json(shape)),"data_offsets":[\#(size),\#(size + 4 * values.count)]}"#)
            size += 4 * values.count
        }
        var header = "{\(entries.joined(separator: ","))}"
        while header.utf8.count % 8 != 0 { header += " " }
        var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
        for tensor in tensors { tensor.values.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }
}
