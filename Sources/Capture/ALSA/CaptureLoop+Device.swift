import CALSA
import Glibc
import Threads

/// The steady loop: while a device runs, the thread allocates nothing, takes no lock, logs nothing and throws nothing; all it touches was
/// made before.
extension CaptureLoop {
    struct Fault {
        var cause: Gap.Cause
        var problem: DeviceFault
    }

    /// Why a device is no longer captured from.
    enum Ending {
        case stopped
        case paused
        case lost(Fault)
    }

    /// Captures until the device is lost, or is to be closed.
    mutating func capture(_ device: consuming ALSADevice) -> Ending {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: device.periodSize * device.converter.stride, alignment: 16)
        let mono = UnsafeMutableBufferPointer<Float>.allocate(capacity: device.periodSize)
        let deviceCount = max(0, Int(snd_pcm_poll_descriptors_count(device.pcm)))
        let descriptors = UnsafeMutableBufferPointer<pollfd>.allocate(capacity: deviceCount + 2)
        defer {
            unlockMemory(UnsafeRawBufferPointer(bytes))
            unlockMemory(UnsafeRawBufferPointer(mono))
            bytes.deallocate()
            mono.deallocate()
            descriptors.deallocate()
        }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        mono.initialize(repeating: 0)
        lockMemory(UnsafeRawBufferPointer(bytes), report: shared.locking)
        lockMemory(UnsafeRawBufferPointer(mono), report: shared.locking)
        descriptors.initialize(repeating: pollfd())
        descriptors[deviceCount] = pollfd(fd: shared.stopping.descriptor, events: Int16(POLLIN), revents: 0)
        descriptors[deviceCount + 1] = pollfd(fd: shared.pauseChanged.descriptor, events: Int16(POLLIN), revents: 0)
        _ = snd_pcm_poll_descriptors(device.pcm, descriptors.baseAddress, UInt32(deviceCount))

        if let problem = device.restart() { return .lost(Fault(cause: .deviceLost, problem: problem)) }
        let longest = max(
            stallNanoseconds, CaptureLoop.periods * Int64(device.periodSize) * 1_000_000_000 / Int64(device.rate))
        var allowed = max(longest, CaptureLoop.firstSamples)
        var lastSamples = nanosecondsNow(CLOCK_MONOTONIC)
        var restarts = 0
        let limiter = RateLimiter(rate: device.rate, captured: shared.ring.writePosition, start: lastSamples)

        while true {
            let quiet = nanosecondsNow(CLOCK_MONOTONIC) - lastSamples
            let wait = Int32(clamping: max(0, allowed - quiet) / 1_000_000 + 1)
            _ = poll(descriptors.baseAddress, nfds_t(deviceCount + 2), wait)
            if descriptors[deviceCount].revents != 0 { return .stopped }
            if descriptors[deviceCount + 1].revents != 0 {
                shared.pauseChanged.clear()
                if shared.isPaused { return .paused }
            }
            // Plug-ins translate what their descriptors say, and some clear them nowhere else.
            var events: UInt16 = 0
            let code = snd_pcm_poll_descriptors_revents(
                device.pcm, descriptors.baseAddress, UInt32(deviceCount), &events)
            let isOverdue = nanosecondsNow(CLOCK_MONOTONIC) - lastSamples >= allowed

            switch code < 0 || events != 0 || isOverdue ? takeSamples(device, bytes, mono) : .none {
            case .taken:
                lastSamples = nanosecondsNow(CLOCK_MONOTONIC)
                allowed = longest
                restarts = 0
                let early = limiter.early(by: shared.ring.writePosition, at: lastSamples)
                if early > 0, waitForStop(milliseconds: early) { return .stopped }
                continue
            case .none:
                if nanosecondsNow(CLOCK_MONOTONIC) - lastSamples < allowed {
                    // A plug-in that wakes up for nothing must not take the whole processor.
                    if waitForStop(milliseconds: 1) { return .stopped }
                    continue
                }
                interrupt(.stall)
                reportLost(.stalled)
            case .interrupted(let cause):
                interrupt(cause)
            case .failed(let problem):
                return .lost(Fault(cause: .deviceLost, problem: problem))
            }

            restarts += 1
            if restarts > CaptureLoop.maximumRestarts { return .lost(Fault(cause: .stall, problem: .stalled)) }
            if let problem = device.restart() { return .lost(Fault(cause: .deviceLost, problem: problem)) }
            lastSamples = nanosecondsNow(CLOCK_MONOTONIC)
        }
    }

    private enum Step {
        case taken
        /// Nothing is there yet.
        case none
        /// The device stopped and can be restarted.
        case interrupted(Gap.Cause)
        /// The device has to be opened anew.
        case failed(DeviceFault)
    }

    /// One wake-up: announces where the device is, then moves everything that is waiting into the ring.
    private mutating func takeSamples(
        _ device: borrowing ALSADevice, _ bytes: UnsafeMutableRawBufferPointer, _ mono: UnsafeMutableBufferPointer<Float>
    ) -> Step {
        let measured = device.measure()
        if measured.available < 0 { return classify(.snd_pcm_avail, Int32(measured.available)) }
        if measured.available == 0 {
            // Some states no return code reports.
            switch snd_pcm_state(device.pcm) {
            case SND_PCM_STATE_XRUN: return classify(.poll, -EPIPE)
            case SND_PCM_STATE_SUSPENDED: return classify(.poll, -ESTRPIPE)
            case SND_PCM_STATE_DISCONNECTED: return classify(.poll, -ENODEV)
            default: return .none
            }
        }
        guard announce(device, measured.available, measured.nanoseconds) else {
            // No room to say that samples are missing: these go too, and belong to the gap that will be reported.
            return readAvailable(device, measured.available, bytes) { _ in }
        }
        defer { shared.arrived.signal() }
        return readAvailable(device, measured.available, bytes) { count in
            let broken = device.converter.convert(bytes.baseAddress!, count: count, into: mono.baseAddress!)
            if broken > 0 { shared.brokenSamples.add(Int64(broken), ordering: .relaxed) }
            shared.ring.write(UnsafeBufferPointer(rebasing: mono[0..<count]))
        }
    }

    /// Reads a period at a time into `bytes` what the device has, and hands on how many samples are there.
    private func readAvailable(
        _ device: borrowing ALSADevice, _ available: Int, _ bytes: UnsafeMutableRawBufferPointer, _ body: (Int) -> Void
    ) -> Step {
        var taken = 0
        // A device without a clock (null, file) always has more.
        while taken <= available {
            let count = snd_pcm_readi(device.pcm, bytes.baseAddress, snd_pcm_uframes_t(device.periodSize))
            if count == -Int(EAGAIN) || count == 0 { break }
            if count < 0 { return classify(.snd_pcm_readi, Int32(count)) }
            body(count)
            taken += count
            if count < device.periodSize { break }
        }
        return taken > 0 ? .taken : .none
    }

    /// Pushes the anchor, or the `resume` after an interruption. False if a `resume` found no place.
    private mutating func announce(
        _ device: borrowing ALSADevice, _ available: Int, _ nanoseconds: Int64
    ) -> Bool {
        var marker = Marker(
            kind: .anchor, position: shared.ring.writePosition, available: Int64(available), nanoseconds: nanoseconds)
        if let cause = interruption {
            marker.kind = .resume
            marker.cause = cause
            guard shared.markers.push(marker) else { return false }
            interruption = nil
            hasCaptured = true
            hasReportedLost = false
            return true
        }
        let beyond = Int64(max(0, available - device.periodSize)) * 1_000_000_000 / Int64(device.rate)
        let delay = nanosecondsNow(CLOCK_BOOTTIME) - nanoseconds + beyond
        if delay > shared.worstWakeUp.load(ordering: .relaxed) { shared.worstWakeUp.store(delay, ordering: .relaxed) }
        // An anchor without a place is no loss: the line through the others stands.
        _ = shared.markers.push(marker, reserve: CaptureLoop.reserve)
        return true
    }

    private func classify(_ call: LibraryCall, _ code: Int32) -> Step {
        switch -code {
        case EAGAIN, EINTR:
            return .none
        case EPIPE:
            shared.xruns.add(1, ordering: .relaxed)
            return .interrupted(.xrun)
        case ESTRPIPE:
            // snd_pcm_resume would keep nothing (what was not captured is lost) and USB cannot do it: restart.
            return .interrupted(.suspend)
        default:
            return .failed(.failed(call, errno: -code))
        }
    }
}
