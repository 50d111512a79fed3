/// How samples are stored, little endian. S24 is the low three bytes of four; S24_3 is packed.
public enum SampleFormat: String, Sendable, CaseIterable {
    case u8, s16, s24, s24_3 = "s24_3", s32, float, double

    /// Bytes of one sample of one channel.
    public var width: Int {
        switch self {
        case .u8: 1
        case .s16: 2
        case .s24_3: 3
        case .s24, .s32, .float: 4
        case .double: 8
        }
    }
}

/// What samples without a header are.
public struct RawFormat: Sendable, Equatable {
    /// How a sample of one channel is stored.
    public var format: SampleFormat
    /// Hz.
    public var rate: Int
    /// Channels, interleaved.
    public var channels: Int

    /// 16-bit mono at 16 kHz, where nothing else is said.
    public init(format: SampleFormat = .s16, rate: Int = 16_000, channels: Int = 1) {
        self.format = format
        self.rate = rate
        self.channels = channels
    }
}

/// Which channels make the mono signal.
public enum ChannelChoice: Sendable, Equatable {
    /// The mean of the channels that the device or file is read with.
    case mix
    /// One channel; the first is 0.
    case one(Int)
}

/// Interleaved samples of any format and channel count to mono floats. Allocates nothing.
struct MonoConverter: Sendable {
    let format: SampleFormat
    let channels: Int
    let choice: ChannelChoice

    init(format: SampleFormat, channels: Int, choice: ChannelChoice) {
        self.format = format
        self.channels = channels
        self.choice = choice
    }

    /// Bytes of one sample of every channel.
    var stride: Int { format.width * channels }

    /// Floats beyond ±2^32 are no sound in any scale, and their power would overflow in the frontend.
    private static let highest: Float = 0x1p32

    /// Converts `count` samples of every channel. Integers of b bits are divided by 2^(b-1); a value that is NaN,
    /// infinite or beyond ±2^32 becomes 0.
    /// - Returns: how many values were.
    func convert(
        _ source: UnsafeRawPointer, count: Int, into mono: UnsafeMutablePointer<Float>
    ) -> Int {
        switch format {
        case .u8:
            return convert(count, into: mono) { (Float(source.load(fromByteOffset: $0, as: UInt8.self)) - 128) / 128 }
        case .s16:
            return convert(count, into: mono) {
                Float(source.loadUnaligned(fromByteOffset: 2 * $0, as: Int16.self)) * 0x1p-15
            }
        case .s24:
            return convert(count, into: mono) {
                Float(source.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) << 8) * 0x1p-31
            }
        case .s24_3:
            return convert(count, into: mono) {
                let low = source.loadUnaligned(fromByteOffset: 3 * $0, as: UInt16.self)
                let high = source.load(fromByteOffset: 3 * $0 + 2, as: Int8.self)
                return Float(Int32(high) << 16 | Int32(low)) * 0x1p-23
            }
        case .s32:
            return convert(count, into: mono) {
                Float(source.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) * 0x1p-31
            }
        case .float:
            return convert(count, into: mono) { source.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        case .double:
            return convert(count, into: mono) { Float(source.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self)) }
        }
    }

    /// `sample(i)` is the i-th interleaved value.
    @inline(__always)
    private func convert(
        _ count: Int, into mono: UnsafeMutablePointer<Float>, _ sample: (Int) -> Float
    ) -> Int {
        var broken = 0
        func finite(_ value: Float) -> Float {
            if abs(value) <= MonoConverter.highest { return value }
            broken += 1
            return 0
        }
        switch choice {
        case .one(let channel):
            for i in 0..<count { mono[i] = finite(sample(i * channels + channel)) }
        case .mix where channels == 1:
            for i in 0..<count { mono[i] = finite(sample(i)) }
        case .mix:
            let scale = 1 / Float(channels)
            for i in 0..<count {
                var sum: Float = 0
                for channel in 0..<channels { sum += finite(sample(i * channels + channel)) }
                mono[i] = sum * scale
            }
        }
        return broken
    }
}
