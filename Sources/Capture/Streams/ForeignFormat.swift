/// Streams that are neither WAV nor PCM, by how they begin: containers, compressed sound, and text such as a server's error page.
/// PCM can begin with any bytes: what is short is looked for again wherever it has to come again, four times in all.
enum ForeignFormat {
    /// Bytes that tell most formats.
    static let shortest = 12

    /// How many bytes tell what begins so: more than `shortest` only where it may be frames or packets.
    static func needed(_ beginning: [UInt8]) -> Int {
        if beginning.first == packetSync { return (repetitions - 1) * packetSize + 1 }
        let (count, next) = frames(beginning)
        return count > 0 && count < repetitions ? max(shortest, next + FrameHeader.size) : shortest
    }

    /// So many headers in their places come by chance in less than one of 2^32 streams, even of noise of a few steps.
    private static let repetitions = 4

    /// Whether these bytes, as many as are needed or all that there are, begin a foreign stream.
    static func begins(_ bytes: [UInt8]) -> Bool {
        // RIFF is AVI and others where it is not WAVE.
        let magics = ["fLaC", "OggS", "caff", "FORM", "RIFX", "ID3", ".snd"] + (WAVHeader.isRF64(bytes) == nil ? ["RIFF"] : [])
        if magics.contains(where: { bytes.starts(with: $0.utf8) }) { return true }
        if bytes.dropFirst(4).starts(with: "ftyp".utf8) { return true }
        // Matroska and WebM.
        if bytes.starts(with: [0x1A, 0x45, 0xDF, 0xA3]) { return true }
        // Wave64, the beginning of its GUID included.
        if bytes.starts(with: Array("riff".utf8) + [0x2E, 0x91, 0xCF, 0x11]) { return true }
        return isText(bytes.prefix(shortest)) || isTransportStream(bytes) || isFrames(bytes)
    }

    /// HTML or XML.
    private static func isText(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.count == shortest && bytes.first == UInt8(ascii: "<")
            && bytes.allSatisfy { 0x20...0x7E ~= $0 || [0x09, 0x0A, 0x0D].contains($0) }
    }

    // An MPEG transport stream (ISO/IEC 13818-1) is packets of 188 bytes, each with the same first byte.
    private static let packetSync: UInt8 = 0x47
    private static let packetSize = 188

    private static func isTransportStream(_ bytes: [UInt8]) -> Bool {
        let syncs = stride(from: 0, to: repetitions * packetSize, by: packetSize).filter { $0 < bytes.count && bytes[$0] == packetSync }
        // A constant is PCM.
        return syncs.count == repetitions && bytes[1..<packetSize].contains { $0 != packetSync }
    }

    private static func isFrames(_ bytes: [UInt8]) -> Bool { frames(bytes).count == repetitions }

    /// How many frames of one stream follow each other, and where the next one is looked for.
    private static func frames(_ bytes: [UInt8]) -> (count: Int, next: Int) {
        var (count, next) = (0, 0)
        var stream: [UInt8]?
        while count < repetitions, next < bytes.count, let header = FrameHeader(bytes[next...]), header.stream == stream ?? header.stream {
            stream = header.stream
            count += 1
            next += header.length
        }
        return (count, next)
    }
}

/// The header of a frame of MPEG audio (ISO/IEC 11172-3, 13818-3) or of AAC in ADTS (ISO/IEC 13818-7).
private struct FrameHeader {
    /// Bytes of a header that are looked at.
    static let size = 7

    /// Bytes from this header to the next.
    let length: Int
    /// What is the same in every frame of a stream: version, layer and sample rate.
    let stream: [UInt8]

    /// nil where the bytes begin with none.
    init?(_ slice: ArraySlice<UInt8>) {
        let bytes = Array(slice.prefix(Self.size))
        guard bytes.count == Self.size, bytes[0] == 0xFF, bytes[1] & 0xE0 == 0xE0 else { return nil }
        let layer = Int(4 - bytes[1] >> 1 & 3)
        if layer == 4 {
            // ADTS has twelve bits of sync, and 13 of length.
            guard bytes[1] & 0xF0 == 0xF0, bytes[2] >> 2 & 15 < 13 else { return nil }
            length = Int(bytes[3] & 3) << 11 | Int(bytes[4]) << 3 | Int(bytes[5] >> 5)
            stream = [bytes[1], bytes[2] & 0xFC]
            guard length > Self.size else { return nil }
            return
        }
        // Versions 2.5, none, 2 and 1.
        let version = Int(bytes[1] >> 3 & 3), bitRate = Int(bytes[2] >> 4), rate = Int(bytes[2] >> 2 & 3)
        guard version != 1, (1...14).contains(bitRate), rate != 3 else { return nil }
        let hertz = [44_100, 48_000, 32_000][rate] / [4, 1, 2, 1][version]
        let bitsPerSecond = 1000 * Self.kilobits(isFirstVersion: version == 3, layer: layer)[bitRate - 1]
        let padding = Int(bytes[2] >> 1 & 1)
        length =
            switch layer {
            case 1: (12 * bitsPerSecond / hertz + padding) * 4
            case 3 where version != 3: 72 * bitsPerSecond / hertz + padding
            default: 144 * bitsPerSecond / hertz + padding
            }
        stream = [bytes[1] & 0xFE, bytes[2] & 0x0C]
    }

    private static func kilobits(isFirstVersion: Bool, layer: Int) -> [Int] {
        switch (isFirstVersion, layer) {
        case (true, 1): Array(stride(from: 32, through: 448, by: 32))
        case (true, 2): [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384]
        case (true, _): [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
        case (false, 1): [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256]
        case (false, _): [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
        }
    }
}
