/// A sortable 128-bit identifier in 26 characters (github.com/ulid/spec): 48 bits of milliseconds, then 80 bits that
/// here are not random but a hash, so that the same stream gives the same ids again.
public struct ULID: Sendable, Hashable, CustomStringConvertible {
    /// The upper 64 of the 128 bits.
    public let high: UInt64
    /// The lower 64 of the 128 bits.
    public let low: UInt64

    /// - Parameters:
    ///   - milliseconds: Time part; since 1970, or since the start of a file. Held to 0 ..< 2^48.
    ///   - source: Name of the source.
    ///   - number: Number of the event in its stream.
    public init(milliseconds: Int64, source: String, number: UInt64) {
        // FNV-1a over number and name, then two draws of splitmix64 from that state.
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        for shift in stride(from: 0, to: 64, by: 8) { mix(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
        for byte in source.utf8 { mix(byte) }
        let first = Self.splitMix(&state)
        let second = Self.splitMix(&state)
        let time = UInt64(min(max(milliseconds, 0), (1 << 48) - 1))
        high = time << 16 | first >> 48
        low = second
    }

    /// Crockford's base 32, most significant digit first.
    public var description: String {
        let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
        let digits = (0..<26).map { index -> UInt8 in
            let shift = UInt64(125 - 5 * index)
            let value =
                shift >= 64
                ? high >> (shift - 64)
                : (shift == 0 ? low : low >> shift | high << (64 - shift))
            return alphabet[Int(value & 31)]
        }
        return String(decoding: digits, as: UTF8.self)
    }

    /// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
    private static func splitMix(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
