import Capture
import Glibc
import TestSupport
import Testing

private func record(file path: String) -> Recording { record(SoundFileSource(path: path)) }

@Suite("A sound file")
struct FileTests {
    @Test("gives every sample once, then ends")
    func whole() {
        let recording = record(file: file("whole.wav", wav(ramp(20_000))))
        #expect(recording.hasEnded && recording.error == nil)
        #expect(isRamp(recording.samples, 20_000))
    }

    @Test("of one sample gives it")
    func one() {
        let recording = record(file: file("one.wav", wav([0, 64])))
        #expect(recording.samples == [0.5] && recording.error == nil)
    }

    @Test("of 192 kHz and 8 channels is mixed")
    func studio() {
        let source = SoundFileSource(path: file("studio.wav", wav(ramp(1000, channels: 8), rate: 192_000, channels: 8)))
        let samples = record(source).samples
        #expect(source.rate == 192_000)
        #expect(samples.elementsEqual((0..<1000).map { (Float($0) + 3.5) / 32_768 }))
    }

    @Test("is read in every usual kind", arguments: ["flac", "ogg", "opus", "mp3"])
    func kinds(kind: String) {
        let path = "\(directory)/tone.\(kind)"
        let codec = ["flac": "flac", "ogg": "libvorbis", "opus": "libopus", "mp3": "libmp3lame"][kind]!
        let status = run(
            "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=48000", "-c:a",
            codec, path)
        #expect(status == 0)
        let source = SoundFileSource(path: path)
        let recording = record(source)
        #expect(recording.error == nil && recording.hasEnded)
        #expect(source.rate == 48_000)
        #expect(abs(recording.samples.count - 48_000) < 3000)
        let power = recording.samples.reduce(0) { $0 + $1 * $1 } / Float(recording.samples.count)
        // ffmpeg's sine has an amplitude of 1/8.
        #expect(abs(power - 1 / 128) < 0.001)
    }

    @Test("that was written into a pipe, so that its header holds no length, is whole")
    func unknownLength() {
        let path = file("streamed.wav", wav(ramp(5000), announced: 0xFFFF_FFFF))
        #expect(isRamp(record(file: path).samples, 5000))
        let flac = "\(directory)/streamed.flac"
        #expect(run("sh", "-c", "ffmpeg -v error -f lavfi -i sine=duration=1:sample_rate=16000 -f flac - | cat > \(flac)") == 0)
        for path in [path, flac] {
            let recording = record(file: path)
            #expect(recording.error == nil && recording.hasEnded && recording.samples.count >= 5000)
        }
    }

    @Test("whose writer was killed, so that its header holds a length of 0, is whole; one that was closed empty is empty")
    func unfinished() {
        for (riff, channels) in [(0, 1), (36, 1), (36, 2)] {
            var bytes = wav(ramp(5000, channels: channels), channels: channels, announced: 0)
            bytes.replaceSubrange(4..<8, with: [UInt8(riff), 0, 0, 0])
            let source = SoundFileSource(path: file("killed-\(riff)-\(channels).wav", bytes), channel: .one(0))
            let recording = record(source)
            #expect(recording.error == nil && recording.hasEnded && source.rate == 16_000)
            #expect(isRamp(recording.samples, 5000))
        }
        let floats: [Float] = [0.25, -0.5]
        let path = file("killed-float.wav", wav(floats.flatMap { withUnsafeBytes(of: $0) { Array($0) } }, tag: 3, bits: 32, announced: 0))
        #expect(record(file: path).samples == floats)
        var closed = wav([], announced: 0) + Array("LIST".utf8) + [4, 0, 0, 0] + Array("INFO".utf8)
        closed[4] = 36 + 12
        let empty = file("closed.wav", closed)
        #expect(record(file: empty).error == .file(empty, .noSamples))
    }

    @Test("of which the library reads a part only is told as such")
    func readInPart() {
        let one = "\(directory)/link.ogg", two = "\(directory)/chained.ogg"
        #expect(
            run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=duration=20:sample_rate=48000", "-c:a", "libvorbis", one) == 0)
        #expect(run("sh", "-c", "cat \(one) \(one) > \(two)") == 0)
        #expect(record(file: one).error == nil)
        // Of what a program has put behind it, no sound is missing.
        let tagged = "\(directory)/tagged.ogg"
        #expect(run("sh", "-c", "(cat \(one); head -c 100000 /dev/zero) > \(tagged)") == 0)
        #expect(record(file: tagged).error == nil)
        let recording = record(file: two)
        guard case .file(two, .readInPart(let bytes, let size)) = recording.error else {
            Issue.record("\(String(describing: recording.error))")
            return
        }
        #expect(bytes < size * 3 / 4)
        #expect(recording.samples.count > 48_000 * 19)
    }

    @Test("that ends early gives what is there, then says so")
    func truncated() {
        let path = file("truncated.wav", wav(ramp(1000), announced: 4000))
        let recording = record(file: path)
        #expect(isRamp(recording.samples, 1000))
        #expect(recording.error == .file(path, .truncated(announced: 2000, delivered: 1000)))
        #expect(recording.error?.category == .dataError)
    }

    @Test("whose damage begins before the sound is not sound that can be read")
    func damaged() {
        let whole = "\(directory)/sound.flac"
        #expect(run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "anoisesrc=duration=1:sample_rate=16000", whole) == 0)
        var bytes = contents(whole)
        // The first block of metadata says that it is the last one: what follows is no frame.
        bytes[4] |= 0x80
        let path = file("damaged.flac", bytes), error = record(file: path).error
        guard case .file(path, .notSound) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.category == .dataError)
    }

    @Test("that is none is refused in one sentence")
    func refused() {
        let cases: [(String, [UInt8])] = [
            ("empty", []), ("text", Array("Not sound at all, only a few words.\n".utf8)), ("short", [82, 73, 70]),
        ]
        for (name, bytes) in cases {
            let error = record(file: file(name, bytes)).error
            #expect(error?.category == .dataError, "\(name)")
            #expect(error.map { !$0.description.contains("\n") } ?? false)
        }
        let empty = "\(directory)/empty"
        #expect(record(file: empty).error == .file(empty, .empty))
        let none = file("none.wav", wav([]))
        #expect(record(file: none).error == .file(none, .noSamples))
        #expect(record(file: "/no/such/file.wav").error == .file("/no/such/file.wav", .notFound))
        #expect(record(file: directory).error == .file(directory, .isDirectory))
        let loop = "\(directory)/loop.wav"
        #expect(run("ln", "-s", loop, loop) == 0)
        #expect(record(file: loop).error?.description == "sound file '\(loop)' could not be opened: Too many levels of symbolic links")
    }

    @Test("has the channels that it has", arguments: [-1, 0, 1, 2])
    func channels(channel: Int) {
        let path = file("stereo-\(channel).wav", wav(ramp(1000, channels: 2), channels: 2))
        let recording = record(SoundFileSource(path: path, channel: .one(channel)))
        if 0...1 ~= channel {
            #expect(recording.samples.elementsEqual((channel..<channel + 1000).map { Float($0) / 32_768 }))
        } else {
            #expect(recording.error == .file(path, .channel(channel, of: 2)))
        }
    }

    @Test("is closed in the end, whether it was read, cut short, unfinished or refused")
    func closed() {
        let files = [
            wav(ramp(10)), wav(ramp(10), announced: 4000), wav(ramp(10), announced: 0), wav([], announced: 0), wav([]), [],
            Array("No sound.".utf8),
        ]
        for (index, bytes) in files.enumerated() {
            let path = file("closed-\(index)", bytes)
            _ = record(file: path)
            #expect(descriptors(of: path) == 0, "\(index)")
        }
        _ = record(file: directory)
        #expect(descriptors(of: directory) == 0)
    }

    @Test("with values that are no numbers gives zeros for them")
    func notNumbers() {
        let values: [Float] = [0.25, .nan, .infinity, -.infinity, -0.5]
        let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        let source = SoundFileSource(path: file("nan.wav", wav(bytes, tag: 3, bits: 32)))
        #expect(record(source).samples == [0.25, 0, 0, 0, -0.5])
        #expect(source.statistics.brokenSamples == 3)
    }

    @Test("paced takes as long as it lasts, and its times follow from its start")
    func paced() async throws {
        let source = SoundFileSource(path: file("paced.wav", wav(ramp(8000))), isPaced: true)
        let before = StreamInstant.now()
        let took: Double = await onThread {
            let begin = now()
            #expect(isRamp(record(source).samples, 8000))
            return now() - begin
        }
        #expect(took >= 0.5 && took < 1.5 && source.isLive)
        let start = try #require(source.time(ofSample: 0)).nanoseconds
        #expect(abs(start - before.nanoseconds) < 200_000_000)
        #expect(source.time(ofSample: 16_000)?.nanoseconds == start + 1_000_000_000)
    }

    @Test("that is stopped while it is opened does not begin", arguments: [false, true])
    func stoppedEarly(isPaced: Bool) async {
        let path = "\(directory)/slow\(isPaced).wav"
        mkfifo(path, 0o600)
        let source = SoundFileSource(path: path, isPaced: isPaced)
        async let writing: Void = onThread {
            // Returns when the source has the other end, and waits for the header.
            let input = open(path, O_WRONLY | O_CLOEXEC)
            source.stop()
            let bytes = wav(ramp(1000))
            #expect(Glibc.write(input, bytes, bytes.count) == bytes.count)
            close(input)
        }
        let recording = await onThread { record(source) }
        await writing
        #expect(recording.hasEnded && recording.parts.isEmpty && recording.error == nil)
    }
}
