import Foundation
import Frontend
import TestSupport
import Testing

@Suite("Frontend")
struct FrontendTests {
    @Test("Log-mel of real clips is Kaldi's", arguments: try Golden.clips())
    func kaldi(_ clip: Golden) throws {
        let logMel = try Frontend.logMel(clip.samples, rate: 16000)
        #expect(logMel.count == clip.logMel.count)
        let worst = zip(logMel, clip.logMel).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst <= 1e-4)
    }

    @Test("The columns of a stream are the frames of the whole clip, bit for bit", arguments: try Golden.clips())
    func columnsAreFrames(_ clip: Golden) throws {
        let whole = try Frontend.logMel(clip.samples, rate: 16000)
        let columns = try columns(of: clip.samples, rate: 16000, pieces: [clip.samples.count], finishing: false)
        #expect(columns.count == whole.count / (16 * 128) * 16 * 128)
        #expect(columns == Array(whole.prefix(columns.count)))
    }

    @Test("Steps of a column are its frames, to the end of its last column", arguments: [1, 2, 4, 8, 16])
    func steps(frames: Int) throws {
        for count in [1, 239, 241, 1520, 1521, 2560, 2800, 2801, 4080, 4081, 16000] {
            let samples = noise(count: count, seed: 5)
            let whole = try columns(of: samples, rate: 16000, pieces: [count], finishing: true)
            let frontend = try Frontend(inputRate: 16000, stepFrames: frames)
            var found: [Float] = []
            let take = { (step: UnsafeBufferPointer<Float>) in
                #expect(step.count == frames * 128)
                found += step
            }
            samples.withUnsafeBufferPointer { frontend.process($0, onStep: take) }
            frontend.finish(onStep: take)
            #expect(found == whole, "\(count) samples")
        }
    }

    @Test("Any split of the input gives the same bits at every rate", arguments: [16000, 8000, 44100, 48000, 96000, 192_000])
    func anySplit(rate: Int) throws {
        let samples = noise(count: rate, seed: UInt64(rate))
        let whole = try columns(of: samples, rate: rate, pieces: [samples.count], finishing: true)
        #expect(whole.count == 7 * 16 * 128)
        for limit in [1, 7, 160, 441, 5000] {
            var random = SeededRandom(seed: UInt64(limit))
            var pieces: [Int] = []
            var left = samples.count
            while left > 0 {
                pieces.append(limit == 1 ? 1 : min(Int.random(in: 0...limit, using: &random), left))
                left -= pieces.last!
            }
            #expect(try columns(of: samples, rate: rate, pieces: pieces, finishing: true) == whole, "seed \(limit)")
        }
    }

    @Test("A tone keeps its mel bin and its level whatever the source's rate", arguments: [8000, 44100, 48000, 96000])
    func resampledTone(rate: Int) throws {
        func tone(_ rate: Int) -> [Float] { (0..<rate).map { 0.5 * Float(sin(2 * .pi * 1000 * Double($0) / Double(rate))) } }
        let expected = try Frontend.logMel(tone(16000), rate: 16000)
        let found = try Frontend.logMel(tone(rate), rate: rate)
        #expect(abs(found.count - expected.count) <= 128)
        let middle = 50 * 128..<51 * 128
        let (a, b) = (Array(expected[middle]), Array(found[middle]))
        let peak = try #require(a.indices.max { a[$0] < a[$1] })
        #expect(b.indices.max { b[$0] < b[$1] } == peak)
        #expect(abs(a[peak] - b[peak]) < 0.01)
    }

    @Test("A clip of n samples ends with the column that its last sample is in", arguments: 1...12)
    func finishing(step: Int) throws {
        // Column c holds the samples from 2560 c; 240 samples more than that belong to the column before too.
        for count in [step, 2560 * step + 240, 2560 * step + 241, 2800] {
            let expected = count <= 2800 ? 1 : (count - 240 + 2559) / 2560
            #expect(try columns(of: noise(count: count, seed: 3), rate: 16000, pieces: [count], finishing: true).count == expected * 2048)
        }
    }

    @Test("However few samples come, a column does; of none comes none", arguments: [8000, 16000, 44100, 48000, 384_000])
    func fewSamples(rate: Int) throws {
        for count in 0...20 {
            let found = try columns(of: noise(count: count, seed: 3), rate: rate, pieces: [count], finishing: true)
            #expect(found.count == (count > 0 ? 2048 : 0), "\(count) samples")
        }
        let frontend = try Frontend(inputRate: rate)
        noise(count: 1, seed: 3).withUnsafeBufferPointer { frontend.process($0) { _ in } }
        frontend.reset()
        frontend.finish { _ in Issue.record("a column of what came before the reset") }
    }

    @Test("Silence is the floor: ln of FLT_EPSILON")
    func floor() throws {
        let logMel = try Frontend.logMel([Float](repeating: 0, count: 16000), rate: 16000)
        #expect(!logMel.contains { $0 != log(Float.ulpOfOne) })
        // A constant is silence too: each frame's mean is removed.
        let constant = try Frontend.logMel([Float](repeating: 0.25, count: 16000), rate: 16000)
        #expect(constant == logMel)
    }

    @Test("After a reset, and after an end, the stream begins anew", arguments: [16, 8])
    func reset(stepFrames: Int) throws {
        let samples = noise(count: 48000, seed: 9)
        let fresh = try columns(of: samples, rate: 48000, pieces: [48000], finishing: true)
        let frontend = try Frontend(inputRate: 48000, stepFrames: stepFrames)
        for end in [frontend.reset, { frontend.finish { _ in } }] {
            // Half a column more than three.
            noise(count: 28_000, seed: 4).withUnsafeBufferPointer { frontend.process($0) { _ in } }
            end()
            var found: [Float] = []
            samples.withUnsafeBufferPointer { frontend.process($0) { found += $0 } }
            frontend.finish { found += $0 }
            #expect(found == fresh)
        }
    }

    @Test("A column is there 20 ms after its last sample at the latest, whatever the source's rate", arguments: [8000, 16000, 44100, 48000, 192_000])
    func latency(rate: Int) throws {
        let frontend = try Frontend(inputRate: rate)
        var count = 0, isThere = false
        while !isThere {
            noise(count: 1, seed: UInt64(count)).withUnsafeBufferPointer { frontend.process($0) { _ in isThere = true } }
            count += 1
        }
        #expect(Double(count) / Double(rate) < 2800 / 16000 + 0.02)
    }

    @Test("A rate nobody can convert is refused", arguments: [0, -1, 10, 2_000_000])
    func impossibleRate(rate: Int) {
        #expect(throws: FrontendError.rate(rate, modelRate: 16000)) { try Frontend(inputRate: rate) }
    }

    @Test("The sentence about a rate names the range that holds for the model", arguments: [
        (1000, 100, 256_000), (16000, 100, 1_000_000), (384_000, 1500, 1_000_000),
    ])
    func range(modelRate: Int, least: Int, most: Int) throws {
        var parameters = FilterBankParameters()
        parameters.sampleRate = modelRate
        for rate in [least, most] { _ = try Frontend(inputRate: rate, parameters: parameters) }
        for rate in [least - 1, most + 1] {
            let error = #expect(throws: FrontendError.self) { try Frontend(inputRate: rate, parameters: parameters) }
            #expect(
                error?.description
                    == "A sample rate of \(rate) Hz cannot be converted to the model's \(modelRate) Hz; use \(least) to \(most) Hz.")
        }
    }

    private func columns(of samples: [Float], rate: Int, pieces: [Int], finishing: Bool) throws -> [Float] {
        let frontend = try Frontend(inputRate: rate)
        var columns: [Float] = []
        var at = 0
        samples.withUnsafeBufferPointer { buffer in
            for piece in pieces {
                frontend.process(UnsafeBufferPointer(rebasing: buffer[at..<(at + piece)])) { columns += $0 }
                at += piece
            }
        }
        if finishing { frontend.finish { columns += $0 } }
        return columns
    }

    private func noise(count: Int, seed: UInt64) -> [Float] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Float.random(in: -0.5...0.5, using: &random) }
    }
}

/// A clip of Golden/fbank.safetensors with the log-mel that torchaudio computes of it.
struct Golden: CustomTestStringConvertible {
    var name: String
    /// −1…1 at 16 kHz.
    var samples: [Float]
    /// (frames, 128).
    var logMel: [Float]

    var testDescription: String { name }

    private struct Entry: Decodable {
        var dtype: String
        var data_offsets: [Int]
    }

    static func clips() throws -> [Golden] {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/fbank.safetensors")
        let data = try Data(contentsOf: url)
        let length = data.withUnsafeBytes { Int(UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))) }
        let entries = try JSONDecoder().decode([String: Entry].self, from: data.dropFirst(8).prefix(length))
        func values<T>(_ key: String, as: T.Type) -> [T] {
            let range = entries[key]!.data_offsets
            return data.withUnsafeBytes { bytes in
                stride(from: 8 + length + range[0], to: 8 + length + range[1], by: MemoryLayout<T>.size)
                    .map { bytes.loadUnaligned(fromByteOffset: $0, as: T.self) }
            }
        }
        return entries.keys.filter { $0.hasSuffix(".samples") }.sorted().map { key in
            let name = String(key.dropLast(".samples".count))
            return Golden(
                name: name, samples: values(key, as: Int16.self).map { Float($0) / 32768 },
                logMel: values(name + ".logmel", as: Float.self))
        }
    }
}
