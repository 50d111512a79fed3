import CSampleRate

/// What the frontend cannot be built for.
public enum FrontendError: Error, Equatable, CustomStringConvertible {
    /// libsamplerate converts to the model's rate by 1/256 to 256 only.
    case rate(Int, modelRate: Int)

    public var description: String {
        switch self {
        case .rate(let rate, let modelRate):
            "A sample rate of \(rate) Hz cannot be converted to the model's \(modelRate) Hz; use \(Resampler.least(to: modelRate)) to \(Resampler.most(to: modelRate)) Hz."
        }
    }
}

/// Streaming sample rate conversion by libsamplerate (band-limited sinc interpolation, "fastest" quality: 97 dB SNR).
///
/// Input is handed to the library in blocks of one fixed size, so that its rounding does not depend on how the input
/// was split. Not thread-safe.
final class Resampler {
    /// Input samples handed over at once: 10 ms, so that no latency worth naming is added.
    private let blockSize: Int
    private let ratio: Double
    private let state: OpaquePointer
    private var block: [Float]
    private var filled = 0
    private var output: [Float]

    init(from inputRate: Int, to outputRate: Int) throws(FrontendError) {
        ratio = Double(outputRate) / Double(inputRate)
        guard inputRate >= Self.least(to: outputRate), inputRate <= Self.most(to: outputRate) else {
            throw .rate(inputRate, modelRate: outputRate)
        }
        var error: Int32 = 0
        guard let state = src_new(Int32(SRC_SINC_FASTEST), 1, &error) else { throw .rate(inputRate, modelRate: outputRate) }
        self.state = state
        blockSize = max(1, inputRate / 100)
        block = [Float](repeating: 0, count: blockSize)
        output = [Float](repeating: 0, count: 2 * (Int(Double(blockSize) * ratio) + 64))
    }

    deinit { src_delete(state) }

    /// The lowest rate that is converted to another: below 100 Hz, 10 ms hold no sample.
    static func least(to outputRate: Int) -> Int { max(100, (outputRate + 255) / 256) }

    /// The highest: more than 1 MHz is a mistake.
    static func most(to outputRate: Int) -> Int { min(1_000_000, 256 * outputRate) }

    func process(_ input: UnsafeBufferPointer<Float>, onOutput: (UnsafeBufferPointer<Float>) -> Void) {
        var rest = input[...]
        while !rest.isEmpty {
            let count = min(rest.count, blockSize - filled)
            block.withUnsafeMutableBufferPointer {
                _ = $0[filled..<(filled + count)].update(fromContentsOf: rest.prefix(count))
            }
            filled += count
            rest = rest.dropFirst(count)
            if filled == blockSize { convert(count: blockSize, last: false, onOutput) }
        }
    }

    /// Gives out what the filter still holds. Nothing but `reset` may follow.
    func finish(onOutput: (UnsafeBufferPointer<Float>) -> Void) {
        convert(count: filled, last: true, onOutput)
    }

    func reset() {
        filled = 0
        src_reset(state)
    }

    private func convert(count: Int, last: Bool, _ onOutput: (UnsafeBufferPointer<Float>) -> Void) {
        filled = 0
        var consumed = 0
        block.withUnsafeBufferPointer { block in
            output.withUnsafeMutableBufferPointer { output in
                while true {
                    var data = SRC_DATA()
                    data.data_in = block.baseAddress! + consumed
                    data.input_frames = count - consumed
                    data.data_out = output.baseAddress
                    data.output_frames = output.count
                    data.end_of_input = last ? 1 : 0
                    data.src_ratio = ratio
                    guard src_process(state, &data) == 0 else { return }
                    consumed += data.input_frames_used
                    if data.output_frames_gen > 0 {
                        onOutput(UnsafeBufferPointer(start: output.baseAddress, count: data.output_frames_gen))
                    }
                    if data.output_frames_gen == 0 && (consumed == count || data.input_frames_used == 0) { return }
                }
            }
        }
    }
}
