/// The start of a WAV stream that cannot be sought in: RIFF, RF64 or BW64, chunks up to the samples.
/// After "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991) and EBU Tech 3306.
struct WAVHeader: Sendable, Equatable {
    var format: SampleFormat
    var rate: Int
    var channels: Int
    /// Bytes of samples; nil when the writer could not know.
    var dataBytes: Int64?

    enum Problem: Error, Equatable {
        /// The stream ended inside the header.
        case ended
        /// No WAV, or of a kind that is not read; the text says why.
        case invalid(String)
    }

    /// What cannot be known is written as 2^32-1 by ffmpeg, as 2^31 by arecord, as 2^31-4096 by sox, and as 0 by others.
    static let unknownSizes: Int64 = 0x7FFF_F000
    /// Chunks longer than this before the samples are no header; pictures are some MiB.
    private static let longestChunk: Int64 = 1 << 26
    /// Bytes of a chunk that are asked for at once.
    private static let piece = 1 << 16

    /// Of a stream's first 12 bytes, whether they are RF64's or BW64's; nil: not WAV's.
    static func isRF64(_ beginning: [UInt8]) -> Bool? {
        let magic = String(decoding: beginning.prefix(4), as: UTF8.self)
        guard ["RIFF", "RF64", "BW64"].contains(magic), beginning.count == 12, beginning[8...].elementsEqual("WAVE".utf8) else { return nil }
        return magic != "RIFF"
    }

    /// Reads from after the 12 bytes "RIFF size WAVE".
    /// - Parameter next: delivers exactly that many bytes, or throws.
    static func parse<Failure: Error>(
        isRF64: Bool, next: (Int) throws(Failure) -> [UInt8]?
    ) throws(Failure) -> Result<WAVHeader, Problem> {
        var header: WAVHeader?
        var longSize: Int64?
        while true {
            guard let chunk = try next(8) else { return .failure(.ended) }
            let size = Int64(chunk.integer(at: 4, width: 4))
            let name = String(decoding: chunk[0..<4], as: UTF8.self)
            if name == "data" {
                guard var result = header else {
                    return .failure(.invalid("a WAV stream without a format before its samples"))
                }
                let known = isRF64 && size == 0xFFFF_FFFF ? longSize : size < unknownSizes ? size : nil
                result.dataBytes = known == 0 ? nil : known
                return .success(result)
            }
            guard size <= longestChunk else { return .failure(.invalid("a WAV stream with a broken header")) }
            // Chunks are padded to an even length.
            var rest = Int(size + size % 2)
            guard let body = try next(min(rest, piece)) else { return .failure(.ended) }
            rest -= body.count
            while rest > 0 {
                guard let skipped = try next(min(rest, piece)) else { return .failure(.ended) }
                rest -= skipped.count
            }
            if name == "fmt " {
                switch format(body) {
                case .success(let format): header = format
                case .failure(let problem): return .failure(problem)
                }
            }
            if isRF64, name == "ds64", body.count >= 16 { longSize = Int64(clamping: body.integer(at: 8, width: 8)) }
        }
    }

    private static func format(_ body: [UInt8]) -> Result<WAVHeader, Problem> {
        guard body.count >= 16 else { return .failure(.invalid("a WAV stream with a broken header")) }
        var tag = body.integer(at: 0, width: 2)
        let channels = Int(body.integer(at: 2, width: 2))
        let rate = Int(body.integer(at: 4, width: 4))
        let bits = body.integer(at: 14, width: 2)
        // WAVE_FORMAT_EXTENSIBLE: the true tag begins the sub-format's GUID.
        if tag == 0xFFFE, body.count >= 26 { tag = body.integer(at: 24, width: 2) }
        let format: SampleFormat? =
            switch (tag, bits) {
            case (1, 8): .u8
            case (1, 16): .s16
            case (1, 24): .s24_3
            case (1, 32): .s32
            case (3, 32): .float
            case (3, 64): .double
            default: nil
            }
        guard let format else { return .failure(.invalid("a WAV stream of format \(tag) with \(bits) bits")) }
        guard (1...1024).contains(channels), (1...768_000).contains(rate) else {
            return .failure(.invalid("a WAV stream of \(channels) channels at \(rate) Hz"))
        }
        return .success(WAVHeader(format: format, rate: rate, channels: channels, dataBytes: nil))
    }
}

extension [UInt8] {
    /// A little-endian number.
    fileprivate func integer(at offset: Int, width: Int) -> UInt64 {
        self[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
