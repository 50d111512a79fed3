import Glibc
import Synchronization
import Threads

/// A capture device of ALSA: any PCM name, from hw:CARD=… to one of the user's asoundrc.
///
/// A thread of its own moves samples into a ring; `read` takes them out. Whatever happens to the device, capture goes
/// on by itself when it is back, for ever, trying again after 0.1 s, 0.2 s, … 5 s; the timeline keeps its true length.
public final class ALSASource: Source, @unchecked Sendable {
    private let request: CaptureRequest
    private let ringTime: Int
    private let stallTime: Int
    private let silenceTime: Int

    private let running = Mutex(Running())
    private struct Running {
        var opening: FirstOpening?
        /// Made by `start`; set once and only read afterwards.
        var shared: CaptureShared?
        var thread: CaptureThread?
        var isStopped = false
        var isPaused = false
        /// Why it is, or was last.
        var pauseReason = ""
    }

    // Of the reading thread only.
    private var shared: CaptureShared?
    private var silence = SilenceDetector()
    private var isLost = false
    private var hasCaptured = false
    /// Readings that were found together with the one returned, in their order.
    private var upcoming: [Reading] = []

    /// Shared between the reading thread and whoever asks for times. Not touched by the capture thread.
    private let timeline = Mutex<Timeline?>(nil)
    private let lostSamples = Atomic<Int64>(0)

    /// - Parameters:
    ///   - ringTime: milliseconds of sound that the ring holds while the analysis is late.
    ///   - stallTime: milliseconds without samples after which a device is restarted, unless three of its periods are longer.
    ///   - silenceTime: milliseconds of nothing but zeros after which `.silent` is reported.
    public init(
        _ request: CaptureRequest, ringTime: Int = 8000, stallTime: Int = 1000, silenceTime: Int = 10_000
    ) {
        self.request = request
        self.ringTime = ringTime
        self.stallTime = stallTime
        self.silenceTime = silenceTime
    }

    deinit { stop() }

    public var rate: Int {
        running.withLock { $0.shared }?.rate.load(ordering: .relaxed) ?? 0
    }

    /// Opens the device; one that is not there yet, or whose sound server does not answer, is waited for: the first reading says so.
    /// Once captured from, a device is waited for whatever is wrong.
    ///
    /// One that is paused is not opened before it is resumed.
    ///
    /// - Throws: ``CaptureError/device(_:_:)`` for every other problem: a name that nothing defines, a device that is busy, may not be
    ///   opened or offers nothing that can be used; ``CaptureError/system(call:errno:)`` where there can be no thread.
    public func start() throws(CaptureError) {
        var device: ALSADevice?
        var absence: CaptureError?
        let isPaused = running.withLock { $0.isPaused }
        if !isPaused {
            let opening = try FirstOpening(request)
            running.withLock { running in
                running.opening = opening
                if running.isStopped { opening.cancel() }
            }
            let outcome = opening.wait()
            running.withLock { $0.opening = nil }
            switch consume outcome {
            case .opened(let opened): device = consume opened
            case .failed(let error):
                guard error.isOfAbsence else { throw error }
                absence = error
                upcoming.append(.state(.waiting(error)))
            case .cancelled: return
            }
        }
        // The ring is made before the rate of a device that is not open yet is known; 48 kHz is the usual one.
        let shared = CaptureShared(ringCapacity: max(1, (device?.rate ?? request.rate ?? 48_000) * ringTime / 1000))
        if let rate = device?.rate { shared.rate.store(rate, ordering: .relaxed) }
        shared.setPaused(isPaused)
        var loop = CaptureLoop(shared: shared, request: request, stallNanoseconds: Int64(stallTime) * 1_000_000)
        loop.reportedReason = absence
        let thread = try CaptureThread(shared: shared, loop: loop, device: device)
        self.shared = shared
        let isTooLate = running.withLock { running in
            running.shared = shared
            if running.isPaused != isPaused { shared.setPaused(running.isPaused) }
            if !running.isStopped { running.thread = thread }
            return running.isStopped
        }
        // The program may have been asked to end meanwhile.
        if isTooLate { thread.stop() }
    }

    public func stop() {
        let thread: CaptureThread? = running.withLock { running in
            running.isStopped = true
            running.opening?.cancel()
            running.shared?.arrived.signal()
            return running.thread.take()
        }
        thread?.stop()
    }

    /// Closes the device until ``resume()``: nothing is captured, and whoever else wants it may have it. For the stream that is a gap.
    /// From any thread, also before `start()`; once more for another reason.
    ///
    /// - Parameter reason: for people, as in "until 07:00".
    public func pause(_ reason: String) {
        setPaused(true, reason)
    }

    /// Opens the device again, at once, and waits for it where it is away.
    public func resume() {
        setPaused(false, nil)
    }

    private func setPaused(_ isPaused: Bool, _ reason: String?) {
        running.withLock { running in
            running.isPaused = isPaused
            running.pauseReason = reason ?? running.pauseReason
            running.shared?.setPaused(isPaused)
        }
    }

    private var isStopped: Bool { running.withLock { $0.isStopped } }

    public func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading {
        guard let shared else { return .end }
        let deadline = nanosecondsNow(CLOCK_MONOTONIC) + Int64(timeoutMilliseconds) * 1_000_000
        while true {
            // Before all that it announces is looked at: what comes later wakes the wait below.
            shared.arrived.clear()
            if isStopped { return .end }
            if !upcoming.isEmpty { return upcoming.removeFirst() }
            if let reading = next(shared, buffer) { return reading }
            if !upcoming.isEmpty { continue }
            let left = (deadline - nanosecondsNow(CLOCK_MONOTONIC) + 999_999) / 1_000_000
            if left <= 0 { return .timeout }
            _ = shared.arrived.wait(milliseconds: Int32(clamping: left))
        }
    }

    /// What is there now, in the order of the timeline: markers at or before the ring's read position first, then
    /// samples up to the next marker.
    private func next(_ shared: CaptureShared, _ buffer: UnsafeMutableBufferPointer<Float>) -> Reading? {
        // Before the markers: whoever sees a sample's position then sees every marker that was pushed before it.
        let end = shared.ring.writePosition
        // What the ring has overwritten is one gap, though there is an anchor in it for every period.
        var overwritten: Int64 = 0
        var limit: Int64
        while true {
            while let marker = shared.markers.first, marker.position <= shared.ring.readPosition {
                shared.markers.removeFirst()
                upcoming.append(contentsOf: take(marker, shared))
                if !upcoming.isEmpty { return overwritten > 0 ? overflow(overwritten) : upcoming.removeFirst() }
            }
            limit = min(end, shared.markers.first?.position ?? .max)
            let skipped = shared.ring.skip(upTo: limit)
            overwritten += skipped
            if skipped == 0 { break }
        }
        if overwritten > 0 { return overflow(overwritten) }
        switch shared.ring.read(into: buffer, upTo: limit) {
        case .copied(0):
            return nil
        case .skipped(let count):
            return overflow(count)
        case .copied(let count):
            let samples = UnsafeBufferPointer(rebasing: buffer[0..<count])
            if let change = silence.observe(samples, limit: silenceTime * rate / 1000) {
                upcoming.append(.state(change ? .silent(seconds: Double(silenceTime) / 1000) : .capturing))
            }
            return .samples(count)
        }
    }

    private func overflow(_ count: Int64) -> Reading {
        lostSamples.add(count, ordering: .relaxed)
        return .gap(Gap(samples: count, cause: .overflow))
    }

    private func take(_ marker: Marker, _ shared: CaptureShared) -> [Reading] {
        let position = marker.position + marker.available
        switch marker.kind {
        case .anchor:
            let gap = timeline.withLock { timeline in
                timeline?.setOffset(utcOffset(), at: marker.nanoseconds)
                return timeline?.anchor(position: position, nanoseconds: marker.nanoseconds)
            }
            return gap.map { [.gap($0)] } ?? []
        case .resume:
            let gap = timeline.withLock { timeline in
                if timeline == nil { timeline = Timeline(rate: shared.rate.load(ordering: .relaxed)) }
                timeline?.setOffset(utcOffset(), at: marker.nanoseconds)
                return timeline?.resume(position: position, nanoseconds: marker.nanoseconds, cause: marker.cause)
            }
            var readings: [Reading] = gap.map { [.gap($0)] } ?? []
            if isLost || !hasCaptured {
                readings.append(.state(.capturing))
                silence = SilenceDetector()
            }
            isLost = false
            hasCaptured = true
            return readings
        case .lost:
            isLost = true
            return [.state(.lost(error(marker.problem, shared)))]
        case .waiting:
            return [.state(.waiting(error(.opening, shared)))]
        case .paused:
            isLost = true
            return [.state(.paused(running.withLock { $0.pauseReason }))]
        }
    }

    private func error(_ problem: DeviceFault, _ shared: CaptureShared) -> CaptureError {
        switch problem {
        case .stalled: .device(request.device, .stalled)
        case .failed(let call, let code): .device(request.device, .init(call: "\(call)", errno: code))
        case .opening: shared.openingError.withLock { $0 } ?? .device(request.device, .absent)
        }
    }

    public var isLive: Bool { true }

    public func time(ofSample position: Int64) -> StreamInstant? {
        timeline.withLock { $0?.utc(of: position) }
    }

    public var statistics: CaptureStatistics {
        var statistics = CaptureStatistics()
        guard let shared = running.withLock({ $0.shared }) else { return statistics }
        func privilege(_ code: Int32) -> CaptureStatistics.Privilege? {
            code < 0 ? nil : code == 0 ? .granted : .refused(errno: code)
        }
        statistics.xruns = shared.xruns.load(ordering: .relaxed)
        statistics.lostSamples = lostSamples.load(ordering: .relaxed)
        statistics.brokenSamples = shared.brokenSamples.load(ordering: .relaxed)
        // To the microsecond.
        statistics.worstWakeUpMilliseconds = Double(shared.worstWakeUp.load(ordering: .relaxed) / 1000) / 1000
        statistics.realtimeScheduling = privilege(shared.scheduling.load(ordering: .relaxed))
        statistics.lockedMemory = privilege(shared.locking.load(ordering: .relaxed))
        return statistics
    }
}

/// UTC minus CLOCK_BOOTTIME now, in nanoseconds.
private func utcOffset() -> Int64 {
    nanosecondsNow(CLOCK_REALTIME) - nanosecondsNow(CLOCK_BOOTTIME)
}

extension CaptureError {
    /// Whether this may end by itself when a device is plugged in or a server comes up.
    fileprivate var isOfAbsence: Bool {
        switch self {
        case .device(_, .absent), .device(_, .serverGone): true
        default: false
        }
    }
}
