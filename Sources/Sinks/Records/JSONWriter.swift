/// Writes JSON text into a byte buffer, keys in the order of the calls.
///
/// Only what a record needs: the caller is trusted to pair its brackets. The buffer keeps its capacity between lines.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    mutating func beginObject() { open(0x7B) }
    mutating func endObject() { close(0x7D) }
    mutating func beginArray() { open(0x5B) }
    mutating func endArray() { close(0x5D) }

    /// Ends a line of newline-delimited JSON.
    mutating func endLine() {
        bytes.append(0x0A)
        needsComma = false
    }

    mutating func key(_ name: StaticString) {
        separate()
        bytes.append(0x22)
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0x22)
        bytes.append(0x3A)
        needsComma = false
    }

    /// A key and its value; nothing where that is nil.
    mutating func field(_ name: StaticString, _ value: (some JSONValue)?) {
        guard let value else { return }
        key(name)
        self.value(value)
    }

    /// A key and its value; null where that is nil.
    mutating func field(_ name: StaticString, orNull value: (some JSONValue)?) {
        key(name)
        if let value { self.value(value) } else { literal("null") }
    }

    mutating func value(_ value: some JSONValue) { value.write(to: &self) }

    /// A string, in quotation marks.
    mutating func string(_ text: String) {
        separate()
        bytes.append(0x22)
        for byte in text.utf8 { escape(byte) }
        bytes.append(0x22)
    }

    /// A number, true, false or null, as it stands.
    mutating func literal(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(0x2C) }
        needsComma = true
    }

    /// RFC 8259 section 7: quotation mark, reverse solidus and the control characters must be escaped, nothing else.
    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22, 0x5C:
            bytes.append(0x5C)
            bytes.append(byte)
        case 0x0A: bytes.append(contentsOf: [0x5C, 0x6E])
        case 0x0D: bytes.append(contentsOf: [0x5C, 0x72])
        case 0x09: bytes.append(contentsOf: [0x5C, 0x74])
        case 0..<0x20:
            bytes.append(contentsOf: [0x5C, 0x75, 0x30, 0x30])
            bytes.append(Self.hex(byte >> 4))
            bytes.append(Self.hex(byte & 15))
        default: bytes.append(byte)
        }
    }

    private static func hex(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x57 + digit }
}

/// What can stand as a value.
protocol JSONValue {
    func write(to json: inout JSONWriter)
}

extension String: JSONValue {
    func write(to json: inout JSONWriter) { json.string(self) }
}

extension Bool: JSONValue {
    func write(to json: inout JSONWriter) { json.literal(self ? "true" : "false") }
}

extension BinaryInteger {
    func write(to json: inout JSONWriter) { json.literal(String(self)) }
}

extension Int: JSONValue {}
extension Int64: JSONValue {}
extension UInt64: JSONValue {}

extension BinaryFloatingPoint where Self: CustomStringConvertible {
    /// The shortest text that reads back as the same number; what JSON has no number for becomes null.
    func write(to json: inout JSONWriter) { json.literal(isFinite ? description : "null") }
}

extension Float: JSONValue {}
extension Double: JSONValue {}
