import AudioMamba
import CKernels
import Foundation
import Testing

/// Every version of every kernel this processor can run, against the scalar reference.
@Suite("Kernels")
struct KernelTests {
    nonisolated(unsafe) static let versions: [UnsafePointer<aumd_kernels>] = {
        var list = [UnsafePointer<aumd_kernels>?](repeating: nil, count: Int(AUMD_MAX_KERNELS))
        let count = list.withUnsafeMutableBufferPointer { aumd_kernels_available($0.baseAddress) }
        return list.prefix(count).compactMap { $0 }
    }()
    static let names = versions.map { String(cString: $0.pointee.name) }

    private func kernels(_ name: String) -> aumd_kernels { Self.versions[Self.names.firstIndex(of: name)!].pointee }
    private var reference: aumd_kernels { kernels("reference") }

    @Test("Matrix products agree for every number of tokens, inputs and outputs, every storage, scaled or not", arguments: names)
    func linear(_ name: String) {
        let k = kernels(name)
        var random = SplitMix64(state: 1)
        for tokens in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 35, 41, 49] {
            // The last is too large for the stack once it is widened, which it would be for so many tokens.
            let shapes = tokens == 49 ? [(64, 32), (4100, 17)] : [(1, 1), (3, 16), (40, 17), (48, 31), (64, 32), (5, 33), (128, 112), (2049, 18)]
            for (inputs, outputs) in shapes {
                let row = (outputs + 15) / 16 * 16
                let x = random.floats(tokens * inputs), scale = random.floats(tokens)
                for storage in [AUMD_FLOAT32, AUMD_BFLOAT16, AUMD_INT8] {
                    let w = Matrix(random.floats(outputs * inputs), outputs, inputs, random.floats(row), storage)
                    for (accumulate, isScaled) in [(Int32(0), false), (0, true), (1, false), (1, true)] {
                        let start = random.floats(tokens * row)
                        var (found, expected) = (start, start)
                        scale.withUnsafeBufferPointer { scale in
                            let scale = isScaled ? scale.baseAddress : nil
                            w.with { k.linear(&found, row, x, inputs, scale, $0, tokens, accumulate) }
                            w.with { reference.linear(&expected, row, x, inputs, scale, $0, tokens, accumulate) }
                        }
                        #expect(worst(found, expected, row, outputs) < 2e-5 * max(1, Float(inputs) / 128))
                    }
                }
            }
        }
    }

    @Test("A token's product has the same bits whatever tokens are with it", arguments: names)
    func linearSplits(_ name: String) {
        let k = kernels(name)
        var random = SplitMix64(state: 2)
        let (tokens, inputs, outputs) = (37, 48, 64)
        let x = random.floats(tokens * inputs), scale = random.floats(tokens)
        for storage in [AUMD_FLOAT32, AUMD_BFLOAT16, AUMD_INT8] {
            let w = Matrix(random.floats(outputs * inputs), outputs, inputs, random.floats(outputs), storage)
            var whole = [Float](repeating: 0, count: tokens * outputs)
            w.with { k.linear(&whole, outputs, x, inputs, scale, $0, tokens, 0) }
            for size in 1...tokens {
                var split = [Float](repeating: 0, count: tokens * outputs)
                split.withUnsafeMutableBufferPointer { y in
                    (x + scale).withUnsafeBufferPointer { x in
                        for start in stride(from: 0, to: tokens, by: size) {
                            w.with {
                                k.linear(
                                    y.baseAddress! + start * outputs, outputs, x.baseAddress! + start * inputs, inputs,
                                    x.baseAddress! + tokens * inputs + start, $0, min(size, tokens - start), 0)
                            }
                        }
                    }
                }
                #expect(split == whole)
            }
        }
    }

    @Test("Rounded weights are the nearest their storage has")
    func storage() {
        var random = SplitMix64(state: 5)
        let (outputs, inputs) = (20, 33)
        let weights = random.floats(outputs * inputs).map { $0 * 3 }
        for (storage, steps) in [(AUMD_BFLOAT16, Float(0)), (AUMD_INT8, 127)] {
            let w = Matrix(weights, outputs, inputs, [Float](repeating: 0, count: 32), storage)
            for o in 0..<outputs {
                let row = weights[o * inputs..<(o + 1) * inputs]
                let largest = row.map(abs).max()!
                for (i, value) in row.enumerated() {
                    var one = [Float](repeating: 0, count: inputs), y = [Float](repeating: 0, count: 32)
                    one[i] = 1
                    w.with { reference.linear(&y, 32, one, inputs, nil, $0, 1, 0) }
                    let half = steps == 0 ? abs(value) / 256 : largest / steps / 2
                    #expect(abs(y[o] - value) <= half * 1.0001)
                }
            }
        }
    }

    @Test("The scan agrees in both directions for every number of states, gated or not, whatever it asks for", arguments: names)
    func scan(_ name: String) {
        let k = kernels(name)
        var random = SplitMix64(state: 3)
        let asked = [AUMD_FLOAT32, AUMD_BFLOAT16, AUMD_INT8].map {
            Matrix(random.floats(300 * 33), 300, 33, random.floats(304), $0)
        }
        for N in [1, 3, 8, 16, 17, 32] {
            for (tokens, E) in [(1, 16), (9, 48), (24, 40)] {
                let row = (E + 15) / 16 * 16, parameters = 2 * N
                let x = random.floats(tokens * row), bc = random.floats(tokens * parameters), skip = random.floats(row)
                let dt = random.floats(tokens * row).map { abs($0) }, z = random.floats(tokens * row)
                var a2 = [Float](repeating: 0, count: row * N), start = a2
                aumd_pack_matrix(&a2, (0..<E * N).map { -1.44 * Float($0 % N + 1) }, nil, E, N)
                aumd_pack_matrix(&start, random.floats(E * N), nil, E, N)
                for direction in [Int32(AUMD_FORWARD), Int32(AUMD_BACKWARD)] {
                    for (accumulate, isGated) in [(Int32(0), false), (0, true), (1, false), (1, true)] {
                        let before = random.floats(tokens * row)
                        var (found, expected) = (before, before), (s, t) = (start, start)
                        z.withUnsafeBufferPointer { z in
                            let z = isGated ? z.baseAddress : nil
                            asked[N % 3].with { next in
                                k.scan(
                                    &found, x, dt, z, row, a2, bc, parameters, skip, &s, tokens, E, N, direction, accumulate,
                                    0.5, isGated ? next : nil)
                            }
                            reference.scan(
                                &expected, x, dt, z, row, a2, bc, parameters, skip, &t, tokens, E, N, direction, accumulate,
                                0.5, nil)
                        }
                        #expect(worst(found, expected, row, E) < 1e-5)
                        // Padding channels are nobody's: a packed index holds channel 16 block + lane.
                        #expect(!s.indices.contains { $0 / (16 * N) * 16 + $0 % 16 < E && abs(s[$0] - t[$0]) >= 1e-5 })
                    }
                }
            }
        }
    }

    @Test("A slow decay is off to neither side: what little a state loses a token adds up over a stream", arguments: names)
    func slowDecay(_ name: String) {
        let k = kernels(name), count = 1 << 14
        let a2 = (0..<count).map { -1e-6 * Float(pow(1000, Double($0) / Double(count))) }
        let ones = [Float](repeating: 1, count: count), zeros = [Float](repeating: 0, count: count)
        var (y, s) = (zeros, ones)
        k.scan(&y, zeros, ones, nil, count, a2, zeros, 2, zeros, &s, 1, count, 1, Int32(AUMD_FORWARD), 0, 1, nil)
        let bias = zip(s, a2).map { Double($0) / exp2(Double($1)) - 1 }.reduce(0, +) / Double(count)
        #expect(abs(bias) < 2e-8)
    }

    @Test("A logit that is no number is no score", arguments: names)
    func noNumber(_ name: String) {
        for count in 1...40 {
            var logits = (0..<count).map { $0 % 3 == 0 ? Float.nan : 0 }
            kernels(name).sigmoid(&logits, count)
            #expect(logits.indices.allSatisfy { $0 % 3 == 0 ? logits[$0].isNaN : logits[$0] == 0.5 })
        }
    }

    @Test("The convolution agrees in both directions, for every width and split", arguments: names)
    func convolution(_ name: String) {
        let k = kernels(name)
        var random = SplitMix64(state: 4)
        for K in 1...6 {
            for tokens in 1...9 {
                let (E, row) = (40, 48)
                let x = random.floats(tokens * row), w = random.floats(K * row), bias = random.floats(row)
                let tail = random.floats(max(1, (K - 1) * row))
                for direction in [Int32(AUMD_FORWARD), Int32(AUMD_BACKWARD)] {
                    var found = [Float](repeating: 0, count: tokens * row), expected = found
                    var (a, b) = (tail, tail)
                    k.conv_silu(&found, x, row, &a, w, bias, tokens, E, K, direction)
                    reference.conv_silu(&expected, x, row, &b, w, bias, tokens, E, K, direction)
                    #expect(worst(found, expected, row, E) < 1e-5)
                    for tap in 0..<(K - 1) { for e in 0..<E { #expect(a[tap * row + e] == b[tap * row + e]) } }
                }
            }
        }
    }

    @Test("Softplus, gate and sigmoid agree over their whole range", arguments: names)
    func pointwise(_ name: String) {
        let k = kernels(name)
        let range: [Float] = (-12000...12000).map { Float($0) / 100 } + [0, -0.0, 1e-30, -1e-30]
        let count = range.count / 16 * 16
        // e^x comes from 2^(x log2 e), and the rounding of that product grows with |x|.
        func agree(_ a: [Float], _ b: [Float]) -> Bool {
            for (index, expected) in b.enumerated() {
                let relative: Float = 3e-7 + 1e-7 * abs(range[index])
                if abs(a[index] - expected) > relative * abs(expected) + 1e-35 { return false }
            }
            return true
        }
        var (a, b) = (Array(range.prefix(count)), Array(range.prefix(count)))
        k.softplus(&a, count, 1, count)
        reference.softplus(&b, count, 1, count)
        #expect(agree(a, b))
        (a, b) = (range, range)
        k.sigmoid(&a, range.count)
        reference.sigmoid(&b, range.count)
        #expect(agree(a, b))
        // A scan of one token that passes its input on shows the gate alone.
        let x = [Float](repeating: 1.5, count: count), zeros = [Float](repeating: 0, count: count)
        let one = [Float](repeating: 1, count: count)
        (a, b) = (zeros, zeros)
        var (s, t) = (zeros, zeros)
        k.scan(&a, x, zeros, range, count, zeros, zeros, 2, one, &s, 1, count, 1, Int32(AUMD_FORWARD), 0, 0.5, nil)
        reference.scan(&b, x, zeros, range, count, zeros, zeros, 2, one, &t, 1, count, 1, Int32(AUMD_FORWARD), 0, 0.5, nil)
        #expect(agree(a, b))
    }

    @Test("The inverse root mean square agrees for every width", arguments: names)
    func inverseRMS(_ name: String) {
        let k = kernels(name)
        var random = SplitMix64(state: 6)
        for width in 1...70 {
            let row = (width + 15) / 16 * 16
            let x = random.floats(3 * row)
            var (a, b) = ([Float](repeating: 0, count: 3), [Float](repeating: 0, count: 3))
            k.inverse_rms(&a, x, row, 3, width, 1e-5)
            reference.inverse_rms(&b, x, row, 3, width, 1e-5)
            for t in 0..<3 { #expect(abs(a[t] - b[t]) < 1e-6 * b[t]) }
        }
    }

    @Test("Weights packed with a gain are those of the product")
    func gain() {
        var random = SplitMix64(state: 7)
        let (outputs, inputs) = (20, 33)
        let w = random.floats(outputs * inputs), gain = random.floats(inputs)
        let product = w.indices.map { w[$0] * gain[$0 % inputs] }
        var (a, b) = ([Float](repeating: 1, count: 32 * inputs), [Float](repeating: 2, count: 32 * inputs))
        aumd_pack_matrix(&a, w, gain, outputs, inputs)
        aumd_pack_matrix(&b, product, nil, outputs, inputs)
        #expect(a == b)
        var (m, n) = ([Int8](repeating: 1, count: 32 * 36), [Int8](repeating: 2, count: 32 * 36))
        var totals = [Int32](repeating: 0, count: 32), others = totals
        aumd_pack_int8(&m, &a, &totals, w, gain, outputs, inputs)
        aumd_pack_int8(&n, &b, &others, product, nil, outputs, inputs)
        #expect(m == n && a == b && totals == others)
    }

    @Test("Half-precision weights widen exactly, every bit pattern")
    func widening() {
        let patterns = (0...UInt16.max).map { $0 }
        var halves = [Float](repeating: 0, count: patterns.count), brains = halves
        patterns.withUnsafeBytes {
            aumd_from_f16(&halves, $0.baseAddress, patterns.count)
            aumd_from_bf16(&brains, $0.baseAddress, patterns.count)
        }
        for (index, bits) in patterns.enumerated() {
            let brain = Float(bitPattern: UInt32(bits) << 16)
            #expect(brains[index].bitPattern == brain.bitPattern)
            let (sign, exponent, fraction) = (bits >> 15, Int(bits >> 10 & 31), Float(bits & 1023))
            let magnitude: Float =
                exponent == 31 ? (fraction == 0 ? .infinity : .nan)
                : exponent == 0 ? fraction * 0x1p-24 : (1 + fraction / 1024) * Float(exp2(Double(exponent - 15)))
            #expect(magnitude.isNaN ? halves[index].isNaN : halves[index] == (sign == 1 ? -magnitude : magnitude))
        }
    }

    private func worst(_ a: [Float], _ b: [Float], _ row: Int, _ width: Int) -> Float {
        a.indices.filter { $0 % row < width }.map { abs(a[$0] - b[$0]) }.max() ?? 0
    }
}

extension SplitMix64 {
    /// Uniform in −1…1.
    mutating func floats(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(next() >> 40) * 0x1p-23 - 1 }
    }
}

/// A matrix in some storage.
private struct Matrix {
    private let outputs: Int, inputs: Int, storage: Int32
    private var values: [UInt8], totals: [Int32], scale: [Float], bias: [Float]

    init(_ weights: [Float], _ outputs: Int, _ inputs: Int, _ bias: [Float], _ storage: Int) {
        (self.outputs, self.inputs, self.storage, self.bias) = (outputs, inputs, Int32(storage), bias)
        let rows = (outputs + 15) / 16 * 16, segments = (inputs + Int(AUMD_SEGMENT) - 1) / Int(AUMD_SEGMENT)
        scale = [Float](repeating: 0, count: rows)
        totals = [Int32](repeating: 0, count: rows * segments)
        if storage == AUMD_INT8 {
            var integers = [Int8](repeating: 0, count: aumd_matrix_size(outputs, inputs, Int32(storage)))
            aumd_pack_int8(&integers, &scale, &totals, weights, nil, outputs, inputs)
            values = integers.map(UInt8.init(bitPattern:))
            return
        }
        var floats = [Float](repeating: 0, count: rows * inputs)
        aumd_pack_matrix(&floats, weights, nil, outputs, inputs)
        var brains = [UInt16](repeating: 0, count: floats.count)
        aumd_to_bf16(&brains, floats, floats.count)
        values = storage == AUMD_FLOAT32 ? floats.withUnsafeBytes { [UInt8]($0) } : brains.withUnsafeBytes { [UInt8]($0) }
    }

    func with(_ body: (UnsafePointer<aumd_matrix>) -> Void) {
        values.withUnsafeBytes { values in
            scale.withUnsafeBufferPointer { scale in
                totals.withUnsafeBufferPointer { totals in
                    bias.withUnsafeBufferPointer { bias in
                        var matrix = aumd_matrix(
                            out: outputs, in: inputs, storage: storage, values: values.baseAddress,
                            scale: scale.baseAddress, totals: totals.baseAddress, bias: bias.baseAddress)
                        body(&matrix)
                    }
                }
            }
        }
    }
}
