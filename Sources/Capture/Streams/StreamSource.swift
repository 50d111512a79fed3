import Glibc
import Synchronization

/// A pipe, the standard input or a named one: WAV, recognised by its header, or raw PCM, little endian. Or a file of the latter.
///
/// Raw PCM of a named pipe does not end with its writer: another may open the pipe.
public final class StreamSource: Source, @unchecked Sendable {
    private let raw: RawFormat
    private let isRaw: Bool
    private let isPaced: Bool
    private let channel: ChannelChoice
    private let isNamed: Bool
    private let stallTime: Int

    private let stopping = Stop()
    private let times = StreamTimes()
    private let brokenSamples = Atomic<Int64>(0)

    // Of the reading thread only.
    private let pipe: PipeReader
    private var phase = Phase.ended
    /// Made by `start`.
    private var pacer: Pacer?
    private var converter = MonoConverter(format: .s16, channels: 1, choice: .mix)
    private var delivered: Int64 = 0
    /// Samples of the gaps that were reported, and of one that is yet to be.
    private var missing: Int64 = 0
    private var unreported: Int64 = 0

    private enum Phase: Equatable {
        /// The first read reports that it captures.
        case opened(mayBeLive: Bool)
        /// It may be live, and what comes first, or first after a stall, is held until its times are known.
        case gathering(isAfterStall: Bool)
        case flowing
        /// Nothing has come for `stallTime`; or what has come since is held, and neither the gap nor that it goes on was reported.
        case stalled
        /// Not opened, or over.
        case ended
    }

    private static let blockSize = 4096
    /// Bytes.
    private static let mostGathered = 32 << 20

    /// - Parameters:
    ///   - descriptor: is not closed.
    ///   - name: what errors call it; "-" is the standard input.
    ///   - raw: what the bytes are if they do not begin as WAV.
    ///   - isRaw: whether one that begins as WAV, or as any other sound file, is refused.
    ///   - isPaced: whether samples come at the pace of real time, or as fast as they are there.
    ///   - path: of a named pipe that another writer may open.
    ///   - stallTime: milliseconds without samples after which a live pipe counts as stalled; producers make blocks of several seconds.
    public init(
        descriptor: Int32 = STDIN_FILENO, name: String = "-", raw: RawFormat = RawFormat(), isRaw: Bool = false,
        isPaced: Bool = false, channel: ChannelChoice = .mix, path: String? = nil, stallTime: Int = 10_000
    ) {
        self.raw = raw
        self.isRaw = isRaw
        self.isPaced = isPaced
        self.channel = channel
        isNamed = path != nil
        self.stallTime = stallTime
        pipe = PipeReader(descriptor, name: name, path: path, stopping: stopping)
    }

    public var rate: Int { times.rate }

    /// Waits for the first bytes, as only they show the rate; `stop` ends the wait.
    ///
    /// - Throws: ``CaptureError/pipe(_:_:)`` or ``CaptureError/file(_:_:)`` for what is empty, or neither PCM nor WAV.
    public func start() throws(CaptureError) {
        let magic = try pipe.beginning()
        if stopping.isSet { return }
        // A named pipe waits for a writer that gives some.
        if magic.isEmpty { throw pipe.failure(.empty) }
        let isRF64 = WAVHeader.isRF64(magic), isForeign = ForeignFormat.begins(magic)
        if isRaw, isRF64 != nil || isForeign { throw pipe.failure(.notRaw) }
        if isForeign { throw pipe.failure(.unsupported("a compressed or foreign sound format")) }
        var format = raw
        if let isRF64 {
            pipe.drop(magic.count)
            // The next writer's header may say another rate.
            pipe.path = nil
            guard let header = try wavHeader(isRF64: isRF64) else { return }
            pipe.promised = header.dataBytes
            format = RawFormat(format: header.format, rate: header.rate, channels: header.channels)
        }
        if case .one(let channel) = channel, channel < 0 || channel >= format.channels {
            throw pipe.failure(.channel(channel, of: format.channels))
        }
        converter = MonoConverter(format: format.format, channels: format.channels, choice: channel)
        // What has a length is a file, and what is paced has its own time.
        let mayBeLive = pipe.promised == nil && !isPaced && !pipe.isFile
        // As much may come before it is known to be no live sound; what fills less, of many channels, at once is taken for none.
        let gathered = mayBeLive ? (Int(ArrivalClock.lead / 1_000_000_000) + 1) * format.rate * converter.stride : 0
        pipe.reserve(max(min(gathered, StreamSource.mostGathered), StreamSource.blockSize * converter.stride))
        pacer = Pacer(rate: format.rate, isPaced: isPaced, stopping: stopping)
        times.begin(rate: format.rate, mayBeLive: mayBeLive)
        phase = .opened(mayBeLive: mayBeLive)
    }

    public func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading {
        guard let pacer, !buffer.isEmpty, !stopping.isSet else { return .end }
        switch phase {
        case .opened(let mayBeLive):
            phase = mayBeLive ? .gathering(isAfterStall: false) : .flowing
            return .state(.capturing)
        case .gathering(let isAfterStall):
            return try gather(isAfterStall: isAfterStall)
        case .flowing, .stalled:
            if unreported > 0 { return gap() }
            if phase == .stalled, pipe.held >= converter.stride {
                phase = .flowing
                return .state(.capturing)
            }
            if pipe.held < converter.stride, let reading = try receive(timeoutMilliseconds) { return reading }
            return deliver(pacer, into: buffer, timeoutMilliseconds)
        case .ended:
            return .end
        }
    }

    private func gap() -> Reading {
        let gap = Gap(samples: unreported, cause: phase == .stalled ? .stall : .slip)
        missing += unreported
        unreported = 0
        return .gap(gap)
    }

    /// Waits for a sample. Returns what there is to report in place of it; nil where it is held.
    private func receive(_ timeout: Int) throws(CaptureError) -> Reading? {
        if pipe.promised == 0 { return try close() }
        switch try pipe.receive(limit: StreamSource.blockSize * converter.stride, timeout: timeout) {
        case .timeout:
            if phase == .stalled {
                pipe.reopen()
            } else if times.isOverdue(milliseconds: stallTime) {
                phase = .stalled
                return stalled
            }
            return .timeout
        case .left: return left()
        case .stopped: return .end
        case .closed: return try close()
        case .received(let waited):
            // A machine that slept finds something at once, and no time-out before.
            let isUnreported = phase == .flowing && waited && times.isOverdue(milliseconds: stallTime)
            if phase == .stalled || isUnreported {
                times.resume()
                phase = .gathering(isAfterStall: true)
                follow(waited)
                return isUnreported ? stalled : .timeout
            }
            follow(waited)
            return pipe.held < converter.stride || unreported > 0 ? .timeout : nil
        }
    }

    private var stalled: Reading { .state(.lost(pipe.failure(.stalled))) }

    /// Nothing follows: that is the end, or too early for it.
    private func close() throws(CaptureError) -> Reading {
        phase = .ended
        if delivered == 0 { throw pipe.failure(isNamed && pipe.promised != 0 ? .writerGone : .noSamples) }
        if let promised = pipe.promised, promised > 0 {
            let announced = delivered + (promised + Int64(pipe.held)) / Int64(converter.stride)
            throw pipe.failure(isNamed ? .writerLeft : .truncated(announced: announced, delivered: delivered))
        }
        return .end
    }

    private func deliver(_ pacer: Pacer, into buffer: UnsafeMutableBufferPointer<Float>, _ timeout: Int) -> Reading {
        let count = pacer.due(after: delivered, wanted: min(pipe.held / converter.stride, buffer.count), timeout: timeout)
        if count == 0 { return stopping.isSet ? .end : .timeout }
        let broken = converter.convert(pipe.first, count: count, into: buffer.baseAddress!)
        brokenSamples.add(Int64(broken), ordering: .relaxed)
        pipe.drop(count * converter.stride)
        delivered += Int64(count)
        return .samples(count)
    }

    /// Takes what there is in the beginning, or when something comes again, until the clock is settled: what lay in buffers on its
    /// way comes at once, a file faster than it lasts, and either would be reported with the times of its coming.
    private func gather(isAfterStall: Bool) throws(CaptureError) -> Reading {
        // What `start` has read.
        if pipe.held > 0, !times.hasClock { follow(true) }
        let quiet = isAfterStall ? ArrivalClock.quietAfterPause : ArrivalClock.quiet
        var isOver = false
        switch try pipe.receive(timeout: Int(quiet / 1_000_000)) {
        case .received(let waited):
            follow(waited)
            isOver = pipe.isFull
            if isOver, !isAfterStall { times.end() }
        case .timeout:
            isOver = times.hasClock
            if !isOver, !isAfterStall, times.isOverdue(milliseconds: stallTime) {
                phase = .gathering(isAfterStall: true)
                return stalled
            }
        case .left: return left()
        case .closed:
            isOver = true
            if !isAfterStall { times.end() }
        case .stopped: return .end
        }
        if isOver { unreported += times.settle() }
        if isOver || times.isSettled { phase = isAfterStall ? .stalled : .flowing }
        return .timeout
    }

    /// Half a sample that a writer left does not go with the next one's, if the end of the first is seen before the next one writes.
    private func left() -> Reading {
        pipe.dropLast(pipe.held % converter.stride)
        return .timeout
    }

    /// Takes in when the bytes came that are held now.
    private func follow(_ waited: Bool) {
        let position = delivered + missing + Int64(pipe.held / converter.stride)
        unreported = times.arrived(position: position, waited: waited)
    }

    public var isLive: Bool { isPaced || times.keepsPace }

    public func stop() { stopping.set() }

    public func time(ofSample position: Int64) -> StreamInstant? { times.instant(of: position) }

    public var statistics: CaptureStatistics {
        var statistics = CaptureStatistics()
        statistics.brokenSamples = brokenSamples.load(ordering: .relaxed)
        return statistics
    }

    /// nil: stopped.
    private func wavHeader(isRF64: Bool) throws(CaptureError) -> WAVHeader? {
        let result = try WAVHeader.parse(isRF64: isRF64) { (count: Int) throws(CaptureError) in try pipe.take(count) }
        switch result {
        case .success(let header): return header
        case .failure(.ended):
            if stopping.isSet { return nil }
            throw pipe.failure(isNamed ? .writerGone : .notSound("it ended inside the WAV header"))
        case .failure(.invalid(let reason)): throw pipe.failure(.unsupported(reason))
        }
    }
}
