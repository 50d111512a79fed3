import Glibc

/// A WAV file's bytes. `announced` is the data chunk's size field, by default the true one; `before` are chunks before it.
func wav(
    _ data: [UInt8], magic: String = "RIFF", tag: Int = 1, bits: Int = 16, rate: Int = 16_000, channels: Int = 1,
    announced: Int? = nil, before: [UInt8] = []
) -> [UInt8] {
    func little(_ value: Int, _ width: Int) -> [UInt8] { (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    let size = announced ?? data.count
    var bytes = Array(magic.utf8) + little(36 + size, 4) + Array("WAVEfmt ".utf8) + little(16, 4)
    bytes += little(tag, 2) + little(channels, 2) + little(rate, 4) + little(rate * channels * bits / 8, 4)
    bytes += little(channels * bits / 8, 2) + little(bits, 2) + before + Array("data".utf8) + little(size, 4)
    return bytes + data
}

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
