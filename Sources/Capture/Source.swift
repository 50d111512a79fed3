import Threads

/// What a source of sound says next. Readings come in the order of the timeline.
public enum Reading: Sendable, Equatable {
    /// This many samples were written to the start of the caller's buffer (at least 1).
    case samples(Int)
    /// Samples are missing here; the timeline has moved on by `Gap.samples`.
    case gap(Gap)
    /// The source's state changed. Holds no sample.
    case state(SourceState)
    /// Nothing came in the time allowed.
    case timeout
    /// There is nothing more: the file ended, or `stop()` was called. Every later read says so too.
    case end
}

/// A stretch of the timeline without samples.
public struct Gap: Sendable, Equatable {
    /// Length in samples at the source's rate. For a device it follows from the clock and the device's measured
    /// rate: what should have come between the last sample before the gap and the first one after it.
    public var samples: Int64
    /// Why the samples are missing.
    public var cause: Cause

    /// Why samples are missing; the raw value is the word the event stream uses.
    public enum Cause: String, Sendable, CaseIterable, BitwiseCopyable {
        /// The device's own buffer overran: the capture thread was late (EPIPE).
        case xrun
        /// The machine or the device slept (ESTRPIPE).
        case suspend
        /// The device delivered nothing for a while and was restarted; or nothing came through a live pipe.
        case stall
        /// The device was removed, or its sound server (PulseAudio, PipeWire, JACK) went away, and it came back.
        case deviceLost = "device_lost"
        /// The analysis was late and the ring's oldest samples were overwritten.
        case overflow
        /// The driver reported no loss, but for a second the device's sample count stayed behind the clock; or a live pipe's did for
        /// ten. The gap is placed where this was found out: about 1 s after the loss, up to 20 s for a pipe.
        case slip
        /// The device was closed on purpose, by ``ALSASource/pause(_:)``.
        case paused
    }

    /// So many samples are missing.
    public init(samples: Int64, cause: Cause) {
        self.samples = samples
        self.cause = cause
    }
}

/// The state of a source, reported whenever it changes.
public enum SourceState: Sendable, Equatable {
    /// Samples follow. `Source.rate` is known and stays the same from the first of these on.
    case capturing
    /// The device is not there yet, and is tried again for ever. Reported before anything was captured, for every new reason.
    case waiting(CaptureError)
    /// The device no longer delivers samples, or never did although it opened. It is tried again for ever, and every new reason is
    /// reported; the gap is reported when it is back. Or nothing comes through a live pipe.
    case lost(CaptureError)
    /// Every sample has been exactly zero for this many seconds: muted, not connected, or broken.
    /// Samples keep coming; `capturing` is reported when one differs from zero.
    case silent(seconds: Double)
    /// The device has been closed, as was asked, for this reason; it is opened again when that is asked. The gap is reported then.
    case paused(String)

    /// Why it is not as it should be; nil while it captures.
    public var reason: String? {
        switch self {
        case .capturing: nil
        case .waiting(let error), .lost(let error): error.description
        case .silent(let seconds):
            "\(Int(seconds)) s of zeros; look for a mute switch or the wrong input"
        case .paused(let reason): reason
        }
    }
}

/// Where sound comes from: a capture device, a file or a pipe.
///
/// Thread contract: one thread (analysis) calls `start()` and then `read(into:timeoutMilliseconds:)`; `stop()`,
/// `time(ofSample:)`, `rate` and `statistics` may be used from any thread. A source is started once.
///
/// Samples are mono floats in -1…1. Sample positions count from 0 at the source's rate, missing samples included.
public protocol Source: AnyObject, Sendable {
    /// Samples a second of what `read` returns, in Hz. Known when `start()` has returned, except for a device that is
    /// not there yet: then it is 0 until the first `.state(.capturing)`.
    var rate: Int { get }

    /// Opens the source. Files and pipes are read as far as their header.
    ///
    /// - Throws: ``CaptureError`` where it cannot be opened or is not sound; a device that is only absent may be waited for instead.
    func start() throws(CaptureError)

    /// The next thing on the timeline. Blocks for at most `timeoutMilliseconds`; at the beginning of a live pipe, and where one goes
    /// on after a stall, for up to a second.
    ///
    /// - Throws: ``CaptureError/file(_:_:)`` or ``CaptureError/pipe(_:_:)`` where it can deliver no more; everything delivered before stays good. A
    ///   device throws nothing: it is waited for.
    func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading

    /// Whether samples come as they are made, so that whoever does not take them in time loses some. False until that is known.
    var isLive: Bool { get }

    /// Ends the source and wakes a blocked `read`, which then returns `.end`.
    func stop()

    /// When a sample of the timeline was captured, or nil before anything was. For growing positions the answers
    /// never go back, unless the system clock comes to be a minute or more behind them.
    func time(ofSample position: Int64) -> StreamInstant?

    /// What has happened so far.
    var statistics: CaptureStatistics { get }
}

/// What happened so far, for status records. Counts only grow.
public struct CaptureStatistics: Sendable, Equatable {
    /// Times the device's buffer overran.
    public var xruns = 0
    /// Samples overwritten in the ring because the reader was late.
    public var lostSamples: Int64 = 0
    /// Samples that were NaN, infinite or beyond ±2^32 and became 0.
    public var brokenSamples: Int64 = 0
    /// The latest the capture thread came to a full period, in milliseconds after the period was full.
    public var worstWakeUpMilliseconds = 0.0
    /// Whether the capture thread runs under SCHED_FIFO; nil where there is no such thread.
    public var realtimeScheduling: Privilege?
    /// Whether what the capture thread touches is locked in memory; nil where there is no such thread.
    public var lockedMemory: Privilege?

    /// Something the system may refuse.
    public enum Privilege: Sendable, Equatable {
        /// The system allowed it.
        case granted
        /// Refused with this errno value.
        case refused(errno: Int32)
    }

    /// What the system refused the capture thread, a sentence each: what it does stays the same, but it may come late.
    public var refusals: [String] {
        var sentences: [String] = []
        if case .refused(let code) = realtimeScheduling {
            sentences.append(
                "The capture thread has no real-time priority: SCHED_FIFO was refused (\(errorText(code))); raise the limit rtprio.")
        }
        if case .refused(let code) = lockedMemory {
            sentences.append(
                "The capture thread's memory is not locked: mlock was refused (\(errorText(code))); raise the limit memlock.")
        }
        return sentences
    }

    /// Nothing has happened yet.
    public init() {}
}
