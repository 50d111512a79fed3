import CFFTW3
import Glibc
import Synchronization

/// FFTW's planner is the one part of it that is not thread-safe.
private let planner = Mutex(())

/// Log-mel of single frames, Kaldi-compatible: DC removal, pre-emphasis, symmetric Hann window, FFT, power, mel, log.
///
/// A frame's result depends on its samples alone. The FFT runs in double precision: next to a loud band, single
/// precision leaves errors of 1e-3 in quiet ones. Not thread-safe.
final class LogMel {
    let parameters: FilterBankParameters
    private let bank: MelFilterBank
    private let window: [Double]
    private let input: UnsafeMutablePointer<Double>
    private let output: UnsafeMutablePointer<fftw_complex>
    private let plan: fftw_plan
    private var power: [Double]

    init(_ parameters: FilterBankParameters) {
        self.parameters = parameters
        bank = MelFilterBank(parameters)
        let length = parameters.frameLength
        window = (0..<length).map { 0.5 - 0.5 * cos(2 * .pi * Double($0) / Double(length - 1)) }
        let bins = parameters.fftSize / 2 + 1
        input = fftw_alloc_real(parameters.fftSize)
        output = fftw_alloc_complex(bins)
        plan = Self.plan(parameters.fftSize, input, output)
        input.update(repeating: 0, count: parameters.fftSize)
        power = [Double](repeating: 0, count: bins)
    }

    deinit {
        nonisolated(unsafe) let plan = plan
        planner.withLock { _ in fftw_destroy_plan(plan) }
        fftw_free(input)
        fftw_free(output)
    }

    private static func plan(
        _ size: Int, _ input: UnsafeMutablePointer<Double>, _ output: UnsafeMutablePointer<fftw_complex>
    ) -> fftw_plan {
        nonisolated(unsafe) let (input, output) = (input, output)
        nonisolated(unsafe) var plan: fftw_plan?
        planner.withLock { _ in
            // ESTIMATE: the plan, and so every bit of the result, must not depend on timing.
            plan = fftw_plan_dft_r2c_1d(Int32(size), input, output, FFTW_ESTIMATE)
        }
        return plan!
    }

    /// - Parameters:
    ///   - samples: `frameLength` samples in −1…1.
    ///   - bins: `melCount` values, natural logarithm of power, at least ln(FLT_EPSILON).
    func compute(_ samples: UnsafePointer<Float>, into bins: UnsafeMutablePointer<Float>) {
        let length = parameters.frameLength
        var mean = 0.0
        for i in 0..<length { mean += Double(samples[i]) }
        mean /= Double(length)
        let a = Double(parameters.preemphasis)
        var previous = Double(samples[0]) - mean
        for i in 0..<length {
            let value = Double(samples[i]) - mean
            input[i] = (value - a * previous) * window[i]
            previous = value
        }
        fftw_execute(plan)
        power.withUnsafeMutableBufferPointer { power in
            for bin in 0..<power.count {
                power[bin] = output[bin].0 * output[bin].0 + output[bin].1 * output[bin].1
            }
            for (index, filter) in bank.filters.enumerated() {
                var sum = 0.0
                filter.weights.withUnsafeBufferPointer { weights in
                    for k in 0..<weights.count { sum += Double(weights[k]) * power[filter.firstBin + k] }
                }
                bins[index] = logf(max(Float(sum), .ulpOfOne))
            }
        }
    }
}
