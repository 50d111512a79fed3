import Capture

extension SoundFileSource {
    /// Hands over every sample of a started file, up to its end or to where it ends early: returns why.
    func readAll(_ onBlock: (UnsafeBufferPointer<Float>) throws(Failure) -> Void) throws -> CaptureError? {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 65536)
        defer { buffer.deallocate() }
        while true {
            let reading: Reading
            do throws(CaptureError) { reading = try read(into: buffer, timeoutMilliseconds: 1000) } catch {
                guard error.isOfEnd else { throw error }
                return error
            }
            switch reading {
            case .samples(let count): try onBlock(UnsafeBufferPointer(rebasing: buffer[..<count]))
            case .end: return nil
            case .gap, .state, .timeout: break
            }
        }
    }

    /// Says how many samples were no numbers, if any.
    func reportBroken() {
        let count = statistics.brokenSamples
        if count > 0 { report("sound file '\(path)' holds \(count) samples that are NaN, infinite or out of range; they count as 0") }
    }
}
