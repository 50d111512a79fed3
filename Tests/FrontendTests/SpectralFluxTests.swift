import Frontend
import TestSupport
import Testing

@Suite("Spectral flux tells where a sound began") struct SpectralFluxTests {
    /// Seconds of quiet noise with a louder one from `onset` to `offset`, as log-mel frames (frames, 128).
    private func scene(onset: Double, offset: Double, seconds: Double = 4, seed: UInt64 = 1) throws -> [Float] {
        var random = SeededRandom(seed: seed)
        let samples = (0..<Int(seconds * 16_000)).map { index -> Float in
            let time = Double(index) / 16_000
            return Float.random(in: -1...1, using: &random) * (onset..<offset ~= time ? 0.1 : 0.001)
        }
        return try Frontend.logMel(samples, rate: 16_000)
    }

    private func append(_ frames: [Float], to flux: inout SpectralFlux, start: Int64, pieces: () -> Int) {
        var at = 0
        while at < frames.count {
            let end = min(frames.count, at + pieces() * 128)
            frames.withUnsafeBufferPointer {
                flux.append(UnsafeBufferPointer(rebasing: $0[at..<end]), start: start + Int64(at / 128 * 160))
            }
            at = end
        }
    }

    @Test("to 15 ms, from a crossing up to a third of a second before it or 0.7 s after it, wherever the stream began",
        arguments: [0, 123_456_789] as [Int64], [-0.3, -0.1, 0.0, 0.15, 0.25, 0.5, 0.7])
    func finds(start: Int64, away: Double) throws {
        for (seed, onset) in [(1, 0.8), (2, 1.234), (3, 2.0)] as [(UInt64, Double)] {
            var flux = SpectralFlux(seconds: 10)
            append(try scene(onset: onset, offset: onset + 2, seconds: 5, seed: seed), to: &flux, start: start) { 16 }
            let found = flux.onset(near: start + Int64((onset + away) * 16_000))
            #expect(abs(Double(found - start) / 16_000 - onset) <= 0.015, "seed \(seed)")
        }
    }

    @Test("the same for any split of the frames", arguments: 1...8 as ClosedRange<UInt64>)
    func split(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let frames = try scene(onset: 1, offset: 2)
        var whole = SpectralFlux(seconds: 2), pieces = SpectralFlux(seconds: 2)
        append(frames, to: &whole, start: 0) { 10_000 }
        append(frames, to: &pieces, start: 0) { Int.random(in: 1...40, using: &random) }
        for crossing in stride(from: Int64(0), through: 64_000, by: 1_600) {
            #expect(whole.onset(near: crossing) == pieces.onset(near: crossing))
        }
    }

    @Test("in the bands it stands out in, beside a steeper sound in others")
    func bands() throws {
        // The sound rises in the lower bands at 1.5 s and stays; at 1.8 s something steeper passes in the upper ones.
        var frames = [Float](repeating: -12, count: 400 * 128)
        for frame in 0..<400 {
            for band in 0..<128 {
                let level: Float = if band < 40 { frame < 150 ? 0 : 4 } else { 180..<184 ~= frame ? 6 : 0 }
                frames[frame * 128 + band] += level
            }
        }
        var flux = SpectralFlux(seconds: 10)
        append(frames, to: &flux, start: 0) { 16 }
        #expect(abs(Double(flux.onset(near: Int64(1.7 * 16_000))) / 16_000 - 1.5) <= 0.02)
    }

    @Test("nowhere yet, where there are hardly any frames")
    func beginnings() throws {
        let logMel = try scene(onset: 0, offset: 9, seconds: 1)
        for frames in 1...6 {
            var flux = SpectralFlux(seconds: 10)
            logMel.prefix(frames * 128).withUnsafeBufferPointer { flux.append($0, start: 0) }
            for crossing in stride(from: Int64(0), to: Int64(frames * 160), by: 40) {
                #expect((0..<Int64(frames * 160)).contains(flux.onset(near: crossing)))
            }
        }
    }

    @Test("as far back as that can be asked for")
    func longAgo() throws {
        var flux = SpectralFlux(seconds: 2.75)
        append(try scene(onset: 2, offset: 5, seconds: 5), to: &flux, start: 0) { 16 }
        #expect(abs(Double(flux.onset(near: 37_000)) / 16_000 - 2) <= 0.015)
    }

    @Test("at the rise that is near, not at a steeper one a second before")
    func near() {
        var frames = [Float](repeating: -12, count: 400 * 128)
        for frame in 100..<130 { for band in 0..<40 { frames[frame * 128 + band] += 5 } }
        for frame in 200..<400 { for band in 0..<40 { frames[frame * 128 + band] += 4 } }
        var flux = SpectralFlux(seconds: 10)
        append(frames, to: &flux, start: 0) { 16 }
        #expect(abs(Double(flux.onset(near: Int64(2.1 * 16_000))) / 16_000 - 2) <= 0.02)
    }

    @Test("where nothing rises, a crossing stays where it is, in noise and in silence")
    func steady() throws {
        for frames in [try scene(onset: 9, offset: 9), [Float](repeating: -16, count: 400 * 128)] {
            var flux = SpectralFlux(seconds: 10)
            append(frames, to: &flux, start: 0) { 16 }
            #expect(flux.onset(near: 32_000) == 32_000)
        }
    }

    @Test("a crossing that is no longer held, or in a run that has ended, stays where it is")
    func forgotten() throws {
        var flux = SpectralFlux(seconds: 0.5)
        append(try scene(onset: 1, offset: 2), to: &flux, start: 0) { 16 }
        #expect(flux.onset(near: 17_000) == 17_000)
        flux.reset()
        #expect(flux.onset(near: 60_000) == 60_000)
    }

    @Test("a rise across the end of a run is none")
    func runs() throws {
        let loud = try scene(onset: 0, offset: 9, seconds: 1)
        var flux = SpectralFlux(seconds: 10)
        append(try scene(onset: 9, offset: 9, seconds: 1), to: &flux, start: 0) { 16 }
        flux.reset()
        append(loud, to: &flux, start: 100_000) { 16 }
        #expect(flux.onset(near: 108_000) == 108_000)
    }
}
