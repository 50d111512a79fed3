import Glibc

/// A WAV file's bytes. `announced` is the data chunk's size field, by default the true one; `before` are chunks before it.
/// `isExtensible`: the tag is not where it was at first (WAVE_FORMAT_EXTENSIBLE).
func wav(
    _ data: [UInt8], magic: String = "RIFF", tag: Int = 1, bits: Int = 16, rate: Int = 16_000, channels: Int = 1,
    announced: Int? = nil, before: [UInt8] = [], isExtensible: Bool = false
) -> [UInt8] {
    let size = announced ?? data.count
    var format = little(isExtensible ? 0xFFFE : tag, 2) + little(channels, 2) + little(rate, 4) + little(rate * channels * bits / 8, 4)
    format += little(channels * bits / 8, 2) + little(bits, 2)
    if isExtensible {
        format += little(22, 2) + little(bits, 2) + little(0, 4) + little(tag, 2)
        format += [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]
    }
    return Array(magic.utf8) + little(20 + format.count + size, 4) + Array("WAVE".utf8) + chunk("fmt ", format) + before
        + Array("data".utf8) + little(size, 4) + data
}

/// A WAV header of a writer that cannot know how much follows.
let liveHeader = Array(wav([], announced: 0xFFFF_FFFF).prefix(44))

func chunk(_ name: String, _ body: [UInt8]) -> [UInt8] { Array(name.utf8) + little(body.count, 4) + body }

/// The bytes of a number, the lowest first.
func little(_ value: Int, _ width: Int) -> [UInt8] { (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

/// 16-bit samples 0, 1, 2 …, every channel one more than the one before.
func ramp(_ count: Int, channels: Int = 1) -> [UInt8] {
    (0..<count).flatMap { i in
        (0..<channels).flatMap { c in [UInt8(truncatingIfNeeded: i + c), UInt8(truncatingIfNeeded: (i + c) >> 8)] }
    }
}

/// Whether samples are the first of ``ramp(_:channels:)``'s first channel.
func isRamp(_ samples: [Float], _ count: Int) -> Bool {
    samples.elementsEqual((0..<count).map { Float($0) / 32_768 })
}

/// For the files of the tests.
let directory = temporaryDirectory()

func file(_ name: String, _ bytes: [UInt8]) -> String {
    write(bytes, to: "\(directory)/\(name)")
    return "\(directory)/\(name)"
}

func contents(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(file, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
}
