import Glibc
import Synchronization
import Threads

/// What the capture thread runs: from device to ring, for ever, whatever the device does.
///
/// `capture` is of one device, in real time. Between two devices (`reopen`) nothing can be captured, libasound itself allocates
/// when it opens, and so may this code.
struct CaptureLoop: ~Copyable {
    let shared: CaptureShared
    private var request: CaptureRequest
    /// Nanoseconds without samples after which a device counts as stalled, but never fewer than `periods` of its periods take; the
    /// first samples after an opening may take `firstSamples`, as a sound server can be slow to begin.
    let stallNanoseconds: Int64
    static let periods: Int64 = 3
    static let firstSamples: Int64 = 3_000_000_000
    /// Restarts without a sample in between after which the device is opened anew.
    static let maximumRestarts = 3
    /// Places in the marker queue that anchors leave free.
    static let reserve = 64

    /// Set while samples do not follow on those before: the first reason, or a pause. The next samples are announced with a
    /// `resume`. Set at the beginning too, so that the first samples are.
    var interruption: Gap.Cause? = .xrun
    var hasCaptured = false
    /// Whether a `lost` was reported since the last samples; and whether the last report is that it cannot be opened.
    var hasReportedLost = false
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

    func waitForStop(milliseconds: Int32) -> Bool {
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

    mutating func interrupt(_ cause: Gap.Cause) {
        if interruption == nil || !hasCaptured { interruption = cause }
    }

    // MARK: Reporting

    mutating func reportLost(_ problem: DeviceFault) {
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
}
