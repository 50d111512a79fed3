import Capture
import Glibc
import TestSupport
import Testing

/// A WAV file's bytes. `announced` is the data chunk's size field, by default the true one; `before` are chunks before it.
private func wav(
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
private func ramp(_ count: Int, channels: Int = 1) -> [UInt8] {
    (0..<count).flatMap { i in
        (0..<channels).flatMap { c in [UInt8(truncatingIfNeeded: i + c), UInt8(truncatingIfNeeded: (i + c) >> 8)] }
    }
}

private let directory = temporaryDirectory()

private func file(_ name: String, _ bytes: [UInt8]) -> String {
    write(bytes, to: "\(directory)/\(name)")
    return "\(directory)/\(name)"
}

private func contents(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(file, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
}

private func record(_ source: any Source) -> Recording {
    if let error = startError(source) {
        var recording = Recording(of: source, seconds: 0)
        recording.error = error
        return recording
    }
    return Recording(of: source, seconds: 20)
}

private func record(file path: String) -> Recording { record(SoundFileSource(path: path)) }

/// Feeds the bytes through a pipe in pieces of a random size, of which their count is the seed.
private func record(
    pipe bytes: [UInt8], raw: RawFormat = RawFormat(), channel: ChannelChoice = .mix
) async throws -> Recording {
    var ends: (Int32, Int32) = (0, 0)
    withUnsafeMutableBytes(of: &ends) { _ = pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self)) }
    let (output, input) = ends
    let source = try StreamSource(descriptor: output, raw: raw, channel: channel)
    async let feeding: Void = onThread {
        // Of what is refused the rest finds no reader.
        var brokenPipe = sigset_t()
        sigaddset(&brokenPipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &brokenPipe, nil)
        var random = SeededRandom(seed: UInt64(bytes.count)), rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...9999, using: &random))
            _ = piece.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            rest = rest.dropFirst(piece.count)
        }
        close(input)
    }
    let recording = await onThread { record(source) }
    close(output)
    await feeding
    return recording
}

private func isRamp(_ samples: [Float], _ count: Int) -> Bool {
    samples.elementsEqual((0..<count).map { Float($0) / 32_768 })
}

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
        let none = file("none.wav", wav([]))
        #expect(record(file: none).error == .file(none, .noSamples))
        #expect(record(file: "/no/such/file.wav").error == .file("/no/such/file.wav", .notFound))
        #expect(record(file: directory).error == .file(directory, .isDirectory))
        let loop = "\(directory)/loop.wav"
        #expect(run("ln", "-s", loop, loop) == 0)
        #expect(record(file: loop).error?.description == "sound file '\(loop)' could not be opened: Too many levels of symbolic links")
    }

    @Test("with values that are no numbers gives zeros for them")
    func notNumbers() {
        let values: [Float] = [0.25, .nan, .infinity, -.infinity, -0.5]
        let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        let source = SoundFileSource(path: file("nan.wav", wav(bytes, tag: 3, bits: 32)))
        #expect(record(source).samples == [0.25, 0, 0, 0, -0.5])
        #expect(source.statistics.nonFiniteSamples == 3)
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
        #expect(took >= 0.5 && took < 1.5)
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

@Suite("A pipe")
struct StreamTests {
    @Test("of raw samples, or of WAV with any size that its writer may give, gives every sample")
    func kinds() async throws {
        // ffmpeg's, arecord's and sox's for what they cannot know, and none.
        let sizes = [0xFFFF_FFFF, 0x8000_0000, 0x7FFF_F000, 0]
        let picture = Array("ID3 ".utf8) + [1, 0, 0x30, 0] + [UInt8](repeating: 7, count: 0x30_0001 + 1)
        for bytes in [
            ramp(20_000), wav(ramp(20_000)), wav(ramp(20_000), before: picture), wav(ramp(20_000), magic: "BW64"),
        ] + sizes.map({ wav(ramp(20_000), announced: $0) }) {
            let recording = try await record(pipe: bytes)
            #expect(recording.hasEnded && recording.error == nil)
            #expect(isRamp(recording.samples, 20_000))
        }
    }

    @Test("of anything else is refused", arguments: [
        "-c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3", "-ar 22050 -c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3",
        "-c:a mp2 -f mp2", "-c:a aac -f adts", "-c:a aac -f mpegts", "-f au", "-f w64", "-f ogg",
    ])
    func foreign(format: String) async throws {
        let path = "\(directory)/foreign-\(format)"
        let noise = "-f lavfi -i anoisesrc=duration=0.5:sample_rate=48000"
        #expect(run("sh", "-c", "ffmpeg -v error \(noise) \(format) '\(path)'") == 0)
        let bytes = contents(path)
        #expect(bytes.count > 1000)
        #expect(try await record(pipe: bytes).error == .file("-", .unsupported("a compressed or foreign sound format")))
    }

    @Test("of text is refused; of samples that begin as another format does by chance it gives every one")
    func chance() async throws {
        let page = Array("<!DOCTYPE html><html><title>404</title></html>".utf8)
        #expect(try await record(pipe: page).error?.category == .dataError)
        // Two frames of MPEG audio, and no third.
        let frames = [[0xFF, 0xFB, 0x90, 0x64] + [UInt8](repeating: 0, count: 413), [0xFF, 0xFB, 0x90, 0x64] + [UInt8](repeating: 1, count: 5000)]
        #expect(try await record(pipe: frames.flatMap { $0 }).samples.count == 2710)
        // Of MPEG audio, ADTS, transport packets, and text: one header each, and no other where the next should be.
        for beginning in [[0xFF, 0xFB, 0x90, 0x64], [0xFF, 0xF1, 0x50, 0x80, 0x20, 0x1F, 0xFC], [0x47, 0x40], [0x3C, 0x00]] as [[UInt8]] {
            for count in [beginning.count + 1, 20, 600, 20_000] {
                let bytes = beginning + [UInt8](repeating: 1, count: count)
                let recording = try await record(pipe: bytes)
                #expect(recording.error == nil && recording.samples.count == bytes.count / 2, "\(beginning) \(count)")
            }
        }
        #expect(try await record(pipe: [UInt8](repeating: 0x47, count: 1000)).samples.count == 500)
    }

    @Test("has times that do not move, whether it comes faster than it lasts or is live and was buffered",
          arguments: [
            (isLive: false, header: [], burst: 20), (true, [], 20), (true, Array(wav([], announced: 0xFFFF_FFFF).prefix(44)), 50),
            (false, Array(wav([], announced: 0xFFFF_FFFF).prefix(44)), 350),
          ] as [(Bool, [UInt8], Int)])
    func times(isLive: Bool, header: [UInt8], burst: Int) async throws {
        var ends: (Int32, Int32) = (0, 0)
        withUnsafeMutableBytes(of: &ends) { _ = pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self)) }
        let (output, input) = ends
        let source = try StreamSource(descriptor: output)
        let begun = StreamInstant.now()
        async let feeding: StreamInstant = onThread {
            var begun = begun
            // Some seconds at once, more than a pipe holds after a header, and one as it is made, or all at once.
            _ = header.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            for index in 0..<burst + 10 {
                if isLive, index >= burst { usleep(100_000) }
                _ = ramp(1600).withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
                if isLive, index == burst - 1 { begun = .now() }
            }
            close(input)
            return begun
        }
        let told = await onThread {
            var told: [(position: Int64, first: StreamInstant, last: StreamInstant)] = []
            if startError(source) != nil { return told }
            _ = Recording(of: source, seconds: 20) { _ in
                let position = source.statistics.capturedSamples
                if position > 0, let first = source.time(ofSample: 0), let last = source.time(ofSample: position) {
                    told.append((position, first, last))
                }
                return false
            }
            return told
        }
        close(output)
        // When the first sample came, or the last one that was buffered.
        let known = await feeding
        #expect(told.last?.position == Int64(burst + 10) * 1600)
        for (position, first, last) in told {
            // The two clocks are not asked at the same instant.
            #expect(abs(first.nanoseconds - told[0].first.nanoseconds) < 1_000_000)
            #expect(abs(last.nanoseconds - first.nanoseconds - position * 62_500) < 1_000_000)
        }
        #expect(abs(Double(told[0].first.nanoseconds - known.nanoseconds) * 1e-9 + (isLive ? Double(burst) / 10 : 0)) < 0.15)
    }

    /// Feeds a live pipe and returns what was read of it.
    private func recordLive(stallTime: Int, feeding: @escaping @Sendable (Int32) -> Void) async throws -> Recording {
        var ends: (Int32, Int32) = (0, 0)
        withUnsafeMutableBytes(of: &ends) { _ = pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self)) }
        let (output, input) = ends
        let source = try StreamSource(descriptor: output, stallTime: stallTime)
        async let fed: Void = onThread {
            feeding(input)
            close(input)
        }
        let recording = await onThread { record(source) }
        close(output)
        await fed
        return recording
    }

    @Test("that is live and delivers nothing is stalled, and has a gap as long as that when it goes on; half a sample is not lost")
    func stalled() async throws {
        let recording = try await recordLive(stallTime: 600) { input in
            for index in 0..<50 {
                var block = ramp(1600)
                if index == 15 {
                    _ = Glibc.write(input, block, 1)
                    block.removeFirst()
                    usleep(2_000_000)
                }
                usleep(100_000)
                _ = block.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            }
        }
        #expect(recording.hasEnded && recording.samples.count == 80_000)
        #expect(isRamp(Array(recording.samples.suffix(1600)), 1600))
        let told = recording.parts.filter { if case .samples = $0 { false } else { true } }
        #expect(told.count == 4 && told[0] == .state(.capturing) && told[3] == .state(.capturing), "\(told)")
        #expect(told[1] == .state(.lost(.stall, .file("-", .stalled))))
        guard case .gap(let gap) = told[2] else { return }
        #expect(gap.cause == .stall && abs(Double(gap.samples) / 16_000 - 2) < 0.1, "\(gap)")
    }

    @Test("that is live and delivers nothing after its header is stalled, and heard from its first sample on")
    func stalledAtOnce() async throws {
        let recording = try await recordLive(stallTime: 600) { input in
            let header = wav([], announced: 0xFFFF_FFFF).prefix(44)
            _ = header.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            usleep(1_500_000)
            for _ in 0..<15 {
                _ = ramp(1600).withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
                usleep(100_000)
            }
        }
        let told = recording.parts.filter { if case .samples = $0 { false } else { true } }
        #expect(told.prefix(3) == [.state(.capturing), .state(.lost(.stall, .file("-", .stalled))), .state(.capturing)], "\(told)")
        #expect(recording.samples.count == 24_000)
    }

    @Test("with a name, of raw samples, goes on with the next writer's whole samples, also after one that wrote nothing; WAV ends with its own")
    func writers() async throws {
        for header in [[UInt8](), Array(wav([], announced: 0xFFFF_FFFF).prefix(44))] {
            let path = "\(directory)/writers-\(header.count)"
            mkfifo(path, 0o600)
            let source = try StreamSource(descriptor: StreamSource.open(path), name: path, path: path)
            async let feeding: Void = onThread {
                for samples in [0, 1000, 1000, 1000] where samples == 0 || header.isEmpty || source.statistics.capturedSamples == 0 {
                    let input = open(path, O_WRONLY | O_CLOEXEC)
                    // Half a sample at its end is nobody's.
                    if samples > 0 { _ = (header + ramp(samples) + [1]).withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) } }
                    close(input)
                    usleep(700_000)
                }
                source.stop()
            }
            let recording = await onThread { record(source) }
            await feeding
            #expect(recording.error == nil && recording.hasEnded)
            #expect(recording.samples.count == (header.isEmpty ? 3000 : 1000), "\(recording.samples.count)")
            #expect(stride(from: 0, to: recording.samples.count, by: 1000).allSatisfy { isRamp(Array(recording.samples[$0..<$0 + 1000]), 1000) })
        }
        var ends: (Int32, Int32) = (0, 0)
        withUnsafeMutableBytes(of: &ends) { _ = pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self)) }
        #expect(StreamSource.isPipe("/dev/fd/\(ends.0)") && !StreamSource.isNamedPipe("/dev/fd/\(ends.0)"))
        close(ends.0)
        close(ends.1)
    }

    @Test("with a name, that somebody has made anew, is the new one; one that is not there any more ends with its writer")
    func madeAnew() async throws {
        let path = "\(directory)/anew"
        mkfifo(path, 0o600)
        let source = try StreamSource(descriptor: StreamSource.open(path), name: path, path: path)
        async let feeding: Void = onThread {
            unlink(path)
            mkfifo(path, 0o600)
            for isLast in [false, true] {
                let input = open(path, O_WRONLY | O_CLOEXEC)
                _ = ramp(1000).withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
                usleep(700_000)
                if isLast { unlink(path) }
                close(input)
            }
        }
        let recording = await onThread { record(source) }
        await feeding
        #expect(recording.samples.count == 2000)
        #expect(recording.error == .file(path, .notReopened("No such file or directory")), "\(String(describing: recording.error))")
    }

    @Test("of as many channels as a header may say is read: it is not what decides on memory")
    func manyChannels() async throws {
        let silence = [UInt8](repeating: 0, count: 1024 * 8 * 10)
        let recording = try await record(
            pipe: wav(silence, tag: 3, bits: 64, rate: 768_000, channels: 1024, announced: 0xFFFF_FFFF))
        #expect(recording.error == nil && recording.samples.count == 10)
    }

    @Test("takes one channel of many")
    func channels() async throws {
        let recording = try await record(
            pipe: ramp(5000, channels: 3), raw: RawFormat(channels: 3), channel: .one(2))
        #expect(recording.samples.elementsEqual((2..<5002).map { Float($0) / 32_768 }))
    }

    @Test("that ends early gives what is there, then says so")
    func truncated() async throws {
        let recording = try await record(pipe: wav(ramp(1000), announced: 4000))
        #expect(isRamp(recording.samples, 1000))
        #expect(recording.error == .file("-", .truncated(announced: 2000, delivered: 1000)))
        for count in 1..<44 {
            let error = try await record(pipe: Array(wav(ramp(10)).prefix(count))).error
            #expect(count < 12 || error?.category == .dataError, "\(count)")
        }
        #expect(try await record(pipe: []).error == .file("-", .empty))
        #expect(try await record(pipe: wav([0], announced: 1)).error == .file("-", .noSamples))
        #expect(try await record(pipe: wav(ramp(10), magic: "RIFX")).error?.category == .dataError)
        #expect(try await record(pipe: Array("fLaC, and so on".utf8)).error?.category == .dataError)
    }
}
