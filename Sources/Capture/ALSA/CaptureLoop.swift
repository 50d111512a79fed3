import CALSA
import Glibc
import Synchronization
import Threads

/// What the capture thread runs: from device to ring, for ever, whatever the device does.
///
/// While a device runs (`capture`) the thread allocates nothing, takes no lock, logs nothing and throws nothing; all
/// it touches was made before. Between two devices (`reopen`) nothing can be captured, libasound itself allocates
/// when it opens, and so may this code.
struct CaptureLoop: ~Copyable {
    private let shared: CaptureShared
    private var request: CaptureRequest
    /// Nanoseconds without samples after which a device counts as stalled, but never fewer than `periods` of its periods take; the
    /// first samples after an opening may take `firstSamples`, as a sound server can be slow to begin.
    private let stallNanoseconds: Int64
    private static let periods: Int64 = 3
    private static let firstSamples: Int64 = 3_000_000_000
    /// Restarts without a sample in between after which the device is opened anew.
    private static let maximumRestarts = 3
    /// Places in the marker queue that anchors leave free.
    private static let reserve = 64

    /// Set while samples do not follow on those before: the first reason. The next samples are announced with a
    /// `resume`. Set at the beginning too, so that the first samples are.
    private var interruption: Gap.Cause? = .xrun
    private var hasCaptured = false
    /// Whether a `lost` was reported since the last samples; and whether the last report is that it cannot be opened.
    private var hasReportedLost = false
    private var hasReportedOpening = false
    /// Why the device could not be opened, as last reported.
    var reportedReason: CaptureError?

    init(shared: CaptureShared, request: CaptureRequest, stallNanoseconds: Int64) {
        self.shared = shared
        self.request = request
        self.stallNanoseconds = stallNanoseconds
    }

    /// Returns when `shared.stopping` is signalled.
    mutating func run(first: consuming ALSADevice?) {
        var next = first
        // Attempts in a row, each after a wait, that gave less than a second of sound.
        var failures = 0
        var mayReopenAtOnce = true
        while true {
            if shared.isPaused {
                // Closed, where it was open.
                next = nil
                guard waitWhilePaused() else { return }
                (failures, mayReopenAtOnce) = (0, true)
                next = reopen()
                if next == nil { reportReason() }
            }
            if let device = next.take() {
                request.rate = device.rate
                shared.rate.store(device.rate, ordering: .relaxed)
                let rate = Int64(device.rate), before = shared.ring.writePosition
                // Consumed: the device is closed when this returns, or hardware would be busy with the old handle.
                let fault: Fault
                switch capture(device) {
                case .stopped: return
                case .paused: continue
                case .lost(let why): fault = why
                }
                interrupt(fault.cause)
                let taken = shared.ring.writePosition - before
                if taken >= rate { (failures, mayReopenAtOnce) = (0, true) }
                // Forget the last reason, so that the same one is reported again after sound came in between.
                if taken > 0 || !hasReportedOpening { reportedReason = nil }
                if taken > 0, mayReopenAtOnce {
                    // Reopen at once, to learn whether the server or the device is gone; only once per second of sound, or a flaky
                    // device would be reopened without a pause.
                    mayReopenAtOnce = false
                    next = reopen()
                    // What seemed to be a stall was the server's going.
                    if next == nil, serverIsGone { interruption = .deviceLost }
                }
                if openingError == nil { reportLost(fault.problem) } else { reportReason() }
                if next != nil { continue }
            }
            failures += 1
            if waitForStop(milliseconds: CaptureLoop.backOff(failures)) { return }
            next = reopen()
            if next == nil { reportReason() }
        }
    }

    /// Milliseconds to wait before the next attempt: 100 doubling up to 5000.
    static func backOff(_ failures: Int) -> Int32 {
        Int32(min(5000, 100 << min(failures - 1, 6)))
    }

    // MARK: Between devices

    private mutating func reopen() -> ALSADevice? {
        do {
            let device = try ALSADevice(request)
            shared.openingError.withLock { $0 = nil }
            return device
        } catch {
            shared.openingError.withLock { $0 = error }
            return nil
        }
    }

    private var openingError: CaptureError? { shared.openingError.withLock { $0 } }

    private var serverIsGone: Bool {
        if case .device(_, .serverGone) = openingError { true } else { false }
    }

    private func waitForStop(milliseconds: Int32) -> Bool {
        shared.stopping.wait(milliseconds: milliseconds)
    }

    /// Waits while the device is to be closed, and says that it is, again for every new reason.
    ///
    /// - Returns: false where the end was asked for.
    private mutating func waitWhilePaused() -> Bool {
        interruption = .paused
        (hasReportedLost, hasReportedOpening, reportedReason) = (false, false, nil)
        var isReported = false
        shared.pauseChanged.clear()
        while shared.isPaused {
            if !isReported {
                isReported = shared.markers.push(Marker(kind: .paused, position: shared.ring.writePosition))
                shared.arrived.signal()
            }
            var entries = [shared.stopping, shared.pauseChanged].map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            _ = poll(&entries, nfds_t(entries.count), isReported ? -1 : 100)
            if entries[0].revents != 0 { return false }
            if entries[1].revents != 0 {
                shared.pauseChanged.clear()
                isReported = false
            }
        }
        return true
    }

    private mutating func interrupt(_ cause: Gap.Cause) {
        if interruption == nil || !hasCaptured { interruption = cause }
    }

    // MARK: Reporting

    private mutating func reportLost(_ problem: DeviceFault) {
        if hasReportedLost, !hasReportedOpening { return }
        hasReportedLost = shared.markers.push(Marker(kind: .lost, problem: problem, position: shared.ring.writePosition))
        hasReportedOpening = false
        shared.arrived.signal()
    }

    /// Says why the device cannot be opened, unless that was said before.
    private mutating func reportReason() {
        let reason = openingError
        if reason == reportedReason { return }
        let isLost = hasCaptured || hasReportedLost
        let marker = Marker(kind: isLost ? .lost : .waiting, problem: .opening, position: shared.ring.writePosition)
        guard shared.markers.push(marker, reserve: CaptureLoop.reserve) else { return }
        hasReportedLost = isLost
        hasReportedOpening = true
        reportedReason = reason
        shared.arrived.signal()
    }

    // MARK: The steady loop

    private struct Fault {
        var cause: Gap.Cause
        var problem: DeviceFault
    }

    /// Why a device is no longer captured from.
    private enum Ending {
        case stopped
        case paused
        case lost(Fault)
    }

    /// Captures until the device is lost, or is to be closed.
    private mutating func capture(_ device: consuming ALSADevice) -> Ending {
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
