import Capture
import Glibc
import TestSupport
import Testing

/// What is read of a pipe that is fed so, and closed then.
private func record(
    raw: RawFormat = RawFormat(), channel: ChannelChoice = .mix, stallTime: Int = 10_000, feeding: @escaping @Sendable (Int32) -> Void
) async -> Recording {
    let (output, input) = makePipe()
    let source = StreamSource(descriptor: output, raw: raw, channel: channel, stallTime: stallTime)
    async let fed: Void = onThread {
        feeding(input)
        close(input)
    }
    let recording = await onThread { record(source) }
    close(output)
    await fed
    return recording
}

/// Feeds the bytes through a pipe in pieces of a random size, of which their count is the seed.
private func record(
    pipe bytes: [UInt8], raw: RawFormat = RawFormat(), channel: ChannelChoice = .mix
) async -> Recording {
    await record(raw: raw, channel: channel) { input in
        // Of what is refused the rest finds no reader.
        var brokenPipe = sigset_t()
        sigaddset(&brokenPipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &brokenPipe, nil)
        var random = SeededRandom(seed: UInt64(bytes.count)), rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...9999, using: &random))
            put(Array(piece), input)
            rest = rest.dropFirst(piece.count)
        }
    }
}

@Suite("A pipe")
struct PipeTests {
    @Test("of raw samples, or of WAV with any size that its writer may give, gives every sample")
    func kinds() async {
        // ffmpeg's, arecord's and sox's for what they cannot know, and none.
        let sizes = [0xFFFF_FFFF, 0x8000_0000, 0x7FFF_F000, 0]
        let picture = Array("ID3 ".utf8) + [1, 0, 0x30, 0] + [UInt8](repeating: 7, count: 0x30_0001 + 1)
        for bytes in [
            ramp(20_000), wav(ramp(20_000)), wav(ramp(20_000), before: picture), wav(ramp(20_000), magic: "BW64"),
            // What comes after the samples is none.
            wav(ramp(20_000)) + chunk("LIST", [UInt8](repeating: 7, count: 100)),
            wav(ramp(20_000), magic: "RF64", announced: 0xFFFF_FFFF, before: chunk("ds64", little(1 << 40, 8) + little(40_000, 16) + little(0, 4)))
                + chunk("LIST", [UInt8](repeating: 7, count: 100)),
        ] + sizes.map({ wav(ramp(20_000), announced: $0) }) {
            let recording = await record(pipe: bytes)
            #expect(recording.hasEnded && recording.error == nil)
            #expect(isRamp(recording.samples, 20_000))
        }
    }

    @Test("gives the same samples in every format, raw and as WAV", arguments: SampleFormat.allCases)
    func formats(format: SampleFormat) async {
        let values: [Double] = [-1, -0.5, 0, 0.5, 0.75]
        func integers(_ bits: Int, _ width: Int) -> [UInt8] { values.flatMap { little(Int($0 * Double(1 << (bits - 1))), width) } }
        let (bytes, tag): ([UInt8], Int) =
            switch format {
            case .u8: ([0, 64, 128, 192, 224], 1)
            case .s16: (integers(16, 2), 1)
            case .s24_3: (integers(24, 3), 1)
            // What is in the fourth byte says nothing.
            case .s24: (stride(from: 0, to: 15, by: 3).flatMap { integers(24, 3)[$0..<$0 + 3] + [0x5A] }, 0)
            case .s32: (integers(32, 4), 1)
            case .float: (values.flatMap { little(Int(Float($0).bitPattern), 4) }, 3)
            case .double: (values.flatMap { little(Int(bitPattern: UInt($0.bitPattern)), 8) }, 3)
            }
        let expected = values.map { Float($0) }
        #expect(await record(pipe: bytes, raw: RawFormat(format: format)).samples == expected)
        guard tag > 0 else { return }
        for isExtensible in [false, true] {
            let bytes = wav(bytes, tag: tag, bits: 8 * format.width, isExtensible: isExtensible)
            #expect(await record(pipe: bytes).samples == expected)
        }
    }

    @Test("with values that are no numbers gives zeros for them, counted")
    func notNumbers() async {
        let (output, input) = makePipe()
        put([0.25, Float.nan, -.infinity, 1e30, -0.5].flatMap { little(Int($0.bitPattern), 4) }, input)
        close(input)
        let source = StreamSource(descriptor: output, raw: RawFormat(format: .float))
        #expect(await onThread { record(source) }.samples == [0.25, 0, 0, 0, -0.5])
        #expect(source.statistics.brokenSamples == 3)
        close(output)
    }

    @Test("of anything else is refused", arguments: [
        "-c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3", "-ar 22050 -c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3",
        "-ar 11025 -c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3", "-c:a libmp3lame -metadata title=x -f mp3", "-f aiff", "-f caf",
        "-c:a aac -f mp4", "-c:a aac -f matroska", "-f avi", "-c:a mp2 -f mp2", "-c:a aac -f adts", "-c:a aac -f mpegts", "-f au", "-f w64", "-f ogg",
    ])
    func foreign(format: String) async {
        let path = "\(directory)/foreign-\(format)"
        let noise = "-f lavfi -i anoisesrc=duration=0.5:sample_rate=48000"
        #expect(run("sh", "-c", "ffmpeg -v error \(noise) \(format) '\(path)'") == 0)
        let bytes = contents(path)
        #expect(bytes.count > 1000)
        #expect(await record(pipe: bytes).error == .pipe("-", .unsupported("a compressed or foreign sound format")))
    }

    @Test("of text is refused; of samples that begin as another format does by chance it gives every one")
    func chance() async {
        let page = Array("<!DOCTYPE html><html><title>404</title></html>".utf8)
        #expect(await record(pipe: page).error?.category == .dataError)
        // Two frames of MPEG audio, and no third.
        let frames = [[0xFF, 0xFB, 0x90, 0x64] + [UInt8](repeating: 0, count: 413), [0xFF, 0xFB, 0x90, 0x64] + [UInt8](repeating: 1, count: 5000)]
        #expect(await record(pipe: frames.flatMap { $0 }).samples.count == 2710)
        // Of MPEG audio, ADTS, transport packets, and text: one header each, and no other where the next should be.
        for beginning in [[0xFF, 0xFB, 0x90, 0x64], [0xFF, 0xF1, 0x50, 0x80, 0x20, 0x1F, 0xFC], [0x47, 0x40], [0x3C, 0x00]] as [[UInt8]] {
            for count in [beginning.count + 1, 20, 600, 20_000] {
                let bytes = beginning + [UInt8](repeating: 1, count: count)
                let recording = await record(pipe: bytes)
                #expect(recording.error == nil && recording.samples.count == bytes.count / 2, "\(beginning) \(count)")
            }
        }
        #expect(await record(pipe: [UInt8](repeating: 0x47, count: 1000)).samples.count == 500)
    }

    @Test("has times that do not move, whether it comes faster than it lasts or is live and was buffered",
          arguments: [
            (isLive: false, header: [], burst: 20), (true, [], 20), (true, liveHeader, 50),
            (false, liveHeader, 350),
          ] as [(Bool, [UInt8], Int)])
    func times(isLive: Bool, header: [UInt8], burst: Int) async {
        let (output, input) = makePipe()
        let source = StreamSource(descriptor: output)
        async let feeding: StreamInstant = onThread {
            var begun = StreamInstant.now()
            // Some seconds at once, more than a pipe holds after a header, and one as it is made, or all at once.
            put(header, input)
            for index in 0..<burst + 10 {
                if isLive, index >= burst { usleep(100_000) }
                put(ramp(1600), input)
                if isLive, index == burst - 1 { begun = .now() }
            }
            close(input)
            return begun
        }
        let told = await onThread {
            var told: [(position: Int64, first: StreamInstant, last: StreamInstant)] = []
            if startError(source) != nil { return told }
            _ = Recording(of: source, seconds: 20) {
                let position = $0.length
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
        #expect(abs(Double(told[0].first.nanoseconds - known.nanoseconds) * 1e-9 + (isLive ? Double(burst) / 10 : 0)) < 0.5)
    }

    @Test("that is live and delivers nothing is stalled, and has a gap as long as that when it goes on; half a sample is not lost")
    func stalled() async {
        let recording = await record(stallTime: 600) { input in
            for index in 0..<50 {
                var block = ramp(1600)
                if index == 15 {
                    put([block.removeFirst()], input)
                    usleep(2_000_000)
                }
                usleep(100_000)
                put(block, input)
            }
        }
        #expect(recording.hasEnded && recording.samples.count == 80_000)
        #expect(isRamp(Array(recording.samples.suffix(1600)), 1600))
        let told = recording.parts.filter { if case .samples = $0 { false } else { true } }
        #expect(told.count == 4 && told[0] == .state(.capturing) && told[3] == .state(.capturing), "\(told)")
        #expect(told[1] == .state(.lost(.pipe("-", .stalled))))
        guard case .gap(let gap) = told[2] else { return }
        #expect(gap.cause == .stall && abs(Double(gap.samples) / 16_000 - 2) < 0.1, "\(gap)")
    }

    @Test("that is live, was stalled, and gives a little and nothing again, has that gap all the same")
    func stalledAgain() async {
        let recording = await record(stallTime: 600) { input in
            for _ in 0..<10 {
                put(ramp(1600), input)
                usleep(100_000)
            }
            usleep(1_900_000)
            put(ramp(1600), input)
            usleep(1_400_000)
        }
        #expect(recording.hasEnded && recording.samples.count == 17_600)
        #expect(recording.gaps.map(\.cause) == [.stall])
        #expect(recording.gaps.allSatisfy { abs(Double($0.samples) / 16_000 - 1.9) < 0.2 }, "\(recording.gaps)")
    }

    @Test("that is live and delivers nothing after its header is stalled, and heard from its first sample on")
    func stalledAtOnce() async {
        let recording = await record(stallTime: 600) { input in
            put(liveHeader, input)
            usleep(1_500_000)
            for _ in 0..<15 {
                put(ramp(1600), input)
                usleep(100_000)
            }
        }
        let told = recording.parts.filter { if case .samples = $0 { false } else { true } }
        #expect(told.prefix(3) == [.state(.capturing), .state(.lost(.pipe("-", .stalled))), .state(.capturing)], "\(told)")
        #expect(recording.samples.count == 24_000)
    }

    @Test("of WAV with a length is a file, whose writer may pause")
    func pausedFile() async {
        let recording = await record(stallTime: 300) { input in
            let bytes = wav(ramp(2000))
            put(Array(bytes.prefix(2044)), input)
            usleep(700_000)
            put(Array(bytes.dropFirst(2044)), input)
        }
        #expect(isRamp(recording.samples, 2000) && recording.hasEnded)
        #expect(recording.parts.count == 2, "\(recording.gaps) \(recording.states)")
    }

    @Test("of as many channels as a header may say is read: it is not what decides on memory")
    func manyChannels() async {
        let silence = [UInt8](repeating: 0, count: 1024 * 8 * 10)
        let recording = await record(
            pipe: wav(silence, tag: 3, bits: 64, rate: 768_000, channels: 1024, announced: 0xFFFF_FFFF))
        #expect(recording.error == nil && recording.samples.count == 10)
    }

    @Test("takes one channel of many")
    func channels() async {
        let recording = await record(
            pipe: ramp(5000, channels: 3), raw: RawFormat(channels: 3), channel: .one(2))
        #expect(recording.samples.elementsEqual((2..<5002).map { Float($0) / 32_768 }))
        for channel in [3, -1] {
            let error = await record(pipe: ramp(5000, channels: 3), raw: RawFormat(channels: 3), channel: .one(channel)).error
            #expect(error == .pipe("-", .channel(channel, of: 3)))
        }
    }

    @Test("that ends early gives what is there, then says so")
    func truncated() async {
        let recording = await record(pipe: wav(ramp(1000), announced: 4000))
        #expect(isRamp(recording.samples, 1000))
        #expect(recording.error == .pipe("-", .truncated(announced: 2000, delivered: 1000)))
        #expect(await record(pipe: wav(ramp(1000) + [1], announced: 4000)).error == .pipe("-", .truncated(announced: 2000, delivered: 1000)))
        for count in 1..<44 {
            let error = await record(pipe: Array(wav(ramp(10)).prefix(count))).error
            #expect(count < 12 || error?.category == .dataError, "\(count)")
        }
        #expect(await record(pipe: []).error == .pipe("-", .empty))
        #expect(await record(pipe: wav([0], announced: 1)).error == .pipe("-", .noSamples))
        #expect(await record(pipe: wav(ramp(10), magic: "RIFX")).error?.category == .dataError)
        #expect(await record(pipe: Array("fLaC, and so on".utf8)).error?.category == .dataError)
        let long = Array("junk".utf8) + little(1 << 27, 4)
        #expect(await record(pipe: wav(ramp(10), before: long)).error == .pipe("-", .unsupported("a WAV stream with a broken header")))
    }
}
