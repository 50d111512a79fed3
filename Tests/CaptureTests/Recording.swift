import Capture
import Glibc

/// What a source said, in order, with samples put together where nothing came between them.
struct Recording: Sendable {
    enum Part: Sendable, Equatable {
        case samples([Float])
        case gap(Gap)
        case state(SourceState)
    }

    var parts: [Part] = []
    var hasEnded = false
    var error: CaptureError?

    /// Everything until `samples` of the timeline have passed, the source ends or fails, or `seconds` have.
    init(
        of source: any Source, samples: Int64 = .max, seconds: Double, blockSize: Int = 4000,
        until isEnough: (Recording) -> Bool = { _ in false }
    ) {
        let block = UnsafeMutableBufferPointer<Float>.allocate(capacity: blockSize)
        defer { block.deallocate() }
        let end = now() + seconds
        var position: Int64 = 0
        do throws(CaptureError) {
            while position < samples, now() < end, !isEnough(self) {
                switch try source.read(into: block, timeoutMilliseconds: 100) {
                case .samples(let count):
                    precondition((1...blockSize).contains(count))
                    append(block[0..<count])
                    position += Int64(count)
                case .gap(let gap):
                    parts.append(.gap(gap))
                    position += gap.samples
                case .state(let state): parts.append(.state(state))
                case .timeout: continue
                case .end:
                    hasEnded = true
                    return
                }
            }
        } catch {
            self.error = error
        }
    }

    private mutating func append(_ block: Slice<UnsafeMutableBufferPointer<Float>>) {
        if case .samples(var run) = parts.last {
            parts.removeLast()
            run.append(contentsOf: block)
            parts.append(.samples(run))
        } else {
            parts.append(.samples(Array(block)))
        }
    }

    var gaps: [Gap] { parts.compactMap { if case .gap(let gap) = $0 { gap } else { nil } } }
    var states: [SourceState] { parts.compactMap { if case .state(let state) = $0 { state } else { nil } } }
    /// All samples, gaps left out.
    var samples: [Float] { parts.flatMap { part -> [Float] in if case .samples(let run) = part { run } else { [] } } }

    /// Length of the timeline.
    var length: Int64 { Int64(samples.count) + gaps.reduce(0) { $0 + $1.samples } }

    /// Samples of the device's clock that the recording says have passed, less those that have: for every stretch of
    /// consecutive values without a gap, how far its place on the timeline is off. All 0: the timeline is right to the sample.
    /// - Parameter number: the clock's number in a value.
    func timelineErrors(number: (Float) -> Int64 = counter) -> [Int64] {
        var errors: [Int64] = []
        var position: Int64 = 0
        var origin: Int64?
        var expected: Int64 = -1
        for part in parts {
            switch part {
            case .gap(let gap):
                position += gap.samples
                expected = -1
            case .state: continue
            case .samples(let run):
                for value in run {
                    let number = number(value)
                    if number != expected {
                        if origin == nil { origin = number - position }
                        errors.append(position - (number - origin!))
                    }
                    expected = number + 1
                    position += 1
                }
            }
        }
        return errors
    }
}

/// The 24-bit number in a sample of the scripted device.
func counter(_ value: Float) -> Int64 { Int64(value * 8_388_608) + 0x800000 }

/// The monotonic clock in seconds.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Why a source does not start, nil if it does.
func startError(_ source: any Source) -> CaptureError? {
    do throws(CaptureError) {
        try source.start()
        return nil
    } catch {
        return error
    }
}

/// What a source says from its start to its end, or until it fails.
func record(_ source: any Source) -> Recording {
    if let error = startError(source) {
        var recording = Recording(of: source, seconds: 0)
        recording.error = error
        return recording
    }
    return Recording(of: source, seconds: 20)
}
