import Glibc
import Synchronization
import Threads

/// What samples without a header are.
public struct RawFormat: Sendable, Equatable {
    /// How a sample of one channel is stored.
    public var format: SampleFormat
    /// Hz.
    public var rate: Int
    /// Channels, interleaved.
    public var channels: Int

    public init(format: SampleFormat = .s16, rate: Int = 16_000, channels: Int = 1) {
        self.format = format
        self.rate = rate
        self.channels = channels
    }
}

/// A pipe, the standard input or a named one: WAV, recognised by its header, or raw PCM, little endian. Or a file of the latter.
///
/// Raw PCM of a named pipe does not end with its writer: another may open the pipe.
public final class StreamSource: Source, @unchecked Sendable {
    /// What errors call it; "-" is the standard input.
    public let name: String
    private let raw: RawFormat
    private let isRaw: Bool
    private let isPaced: Bool
    private let channel: ChannelChoice
    private let isNamed: Bool
    private let stallTime: Int

    private let stopping = Stop()
    private let opened = Mutex<Opened?>(nil)
    private struct Opened: Sendable {
        var rate: Int
        /// Time of the first sample; nil until one is there.
        var start: StreamInstant?
        /// Where the pipe may be live.
        var clock: ArrivalClock?
        var utc = SteadyUTC()
    }

    // Of the reading thread only.
    private var pacer: Pacer?
    /// What has a length is a file, and what is paced has its own time.
    private var mayBeLive = false
    private var converter = MonoConverter(format: .s16, channels: 1, choice: .mix)
    private var header: WAVHeader?
    private var hasEnded = false
    private var hasStarted = false
    private let pipe: PipeReader
    /// Of what may be live nothing is delivered before its times are known.
    private var isGathering = false
    /// Nothing has come for `stallTime`. By CLOCK_BOOTTIME, which a suspended machine does not stop, when the last bytes came.
    private var isStalled = false
    private var lastArrival: Int64 = 0
    private let delivered = Atomic<Int64>(0)
    /// Samples of gaps so far.
    private var missing: Int64 = 0
    /// Of a gap that is not told yet.
    private var untold: Int64 = 0
    private let nonFinite = Atomic<Int64>(0)

    private static let blockSize = 4096
    /// Bytes.
    private static let mostGathered = 32 << 20

    /// - Parameters:
    ///   - descriptor: is not closed.
    ///   - raw: what the bytes are if they do not begin as WAV.
    ///   - isRaw: whether one that begins as WAV, or as any other sound file, is refused.
    ///   - isPaced: whether samples come at the pace of real time, or as fast as they are there.
    ///   - path: of a named pipe that another writer may open.
    ///   - stallTime: milliseconds without samples after which a live pipe counts as stalled; producers make blocks of several seconds.
    public init(
        descriptor: Int32 = STDIN_FILENO, name: String = "-", raw: RawFormat = RawFormat(), isRaw: Bool = false,
        isPaced: Bool = false, channel: ChannelChoice = .mix, path: String? = nil, stallTime: Int = 10_000
    ) {
        self.name = name
        self.raw = raw
        self.isRaw = isRaw
        self.isPaced = isPaced
        self.channel = channel
        isNamed = path != nil
        self.stallTime = stallTime
        pipe = PipeReader(descriptor, name: name, path: path, stopping: stopping)
    }

    public var rate: Int { opened.withLock { $0?.rate } ?? 0 }

    /// Waits for the first bytes, as only they tell the rate; `stop` ends the wait.
    ///
    /// - Throws: ``CaptureError/file(_:_:)`` for what is empty, or neither PCM nor WAV.
    public func start() throws(CaptureError) {
        let magic = try pipe.beginning()
        if stopping.isSet { return hasEnded = true }
        if magic.isEmpty { throw .file(name, isNamed ? .writerGone : .empty) }
        let isRF64 = WAVHeader.isRF64(magic), isForeign = ForeignFormat.begins(magic)
        if isRaw, isRF64 != nil || isForeign { throw .file(name, .notRaw) }
        if isForeign { throw .file(name, .unsupported("a compressed or foreign sound format")) }
        var format = raw
        if let isRF64 {
            pipe.drop(magic.count)
            // The next writer's header may say another rate.
            pipe.path = nil
            guard let header = try wavHeader(isRF64: isRF64) else { return hasEnded = true }
            self.header = header
            pipe.promised = header.dataBytes
            format = RawFormat(format: header.format, rate: header.rate, channels: header.channels)
        }
        if case .one(let channel) = channel, channel < 0 || channel >= format.channels {
            throw .file(name, .channel(channel, of: format.channels))
        }
        converter = MonoConverter(format: format.format, channels: format.channels, choice: channel)
        mayBeLive = pipe.promised == nil && !isPaced && !StreamSource.isFile(pipe.descriptor)
        isGathering = mayBeLive
        // As much may come before it is known to be no live sound; what fills less, of many channels, at once is taken for none.
        let gathered = mayBeLive ? (Int(ArrivalClock.lead / 1_000_000_000) + 1) * format.rate * converter.stride : 0
        pipe.reserve(max(min(gathered, StreamSource.mostGathered), StreamSource.blockSize * converter.stride))
        pacer = Pacer(rate: format.rate, isPaced: isPaced, stopping: stopping)
        opened.withLock { $0 = Opened(rate: format.rate) }
        lastArrival = nanosecondsNow(CLOCK_BOOTTIME)
    }

    public func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading {
        guard let pacer, !hasEnded, !buffer.isEmpty, !stopping.isSet else { return .end }
        if !hasStarted {
            hasStarted = true
            return .state(.capturing)
        }
        if isGathering { return try gather() }
        if untold > 0 {
            missing += untold
            defer { untold = 0 }
            return .gap(Gap(samples: untold, cause: isStalled ? .stall : .slip))
        }
        if isStalled, pipe.held >= converter.stride {
            isStalled = false
            return .state(.capturing)
        }
        if pipe.held < converter.stride, let reading = try receive(timeoutMilliseconds) { return reading }
        return deliver(pacer, into: buffer, timeoutMilliseconds)
    }

    /// Waits for a sample. Returns what there is to say in place of it; nil where it is held.
    private func receive(_ timeout: Int) throws(CaptureError) -> Reading? {
        if pipe.promised == 0 { return try close() }
        switch try pipe.receive(limit: StreamSource.blockSize * converter.stride, timeout: timeout) {
        case .timeout:
            if isStalled { pipe.reopen() }
            return stalled() ?? .timeout
        case .left: return left()
        case .stopped: return end()
        case .closed: return try close()
        case .received(let waited):
            // After a suspend something may be there at once.
            let stalled = waited ? stalled() : nil
            if isStalled {
                opened.withLock { $0?.clock?.resume(nanoseconds: nanosecondsNow(CLOCK_BOOTTIME)) }
                isGathering = true
            }
            follow(waited)
            if let stalled { return stalled }
            return isGathering || pipe.held < converter.stride || untold > 0 ? .timeout : nil
        }
    }

    /// Nothing follows: that is the end, or too early for it.
    private func close() throws(CaptureError) -> Reading {
        hasEnded = true
        let position = delivered.load(ordering: .relaxed)
        if position == 0 { throw .file(name, isNamed && pipe.promised != 0 ? .writerGone : .noSamples) }
        if let promised = pipe.promised, promised > 0 {
            let announced = position + (promised + Int64(pipe.held)) / Int64(converter.stride)
            throw .file(name, isNamed ? .writerLeft : .truncated(announced: announced, delivered: position))
        }
        return .end
    }

    private func deliver(_ pacer: Pacer, into buffer: UnsafeMutableBufferPointer<Float>, _ timeout: Int) -> Reading {
        let position = delivered.load(ordering: .relaxed)
        let count = pacer.due(after: position, wanted: min(pipe.held / converter.stride, buffer.count), timeout: timeout)
        if count == 0 { return stopping.isSet ? end() : .timeout }
        let broken = converter.convert(pipe.first, count: count, into: buffer.baseAddress!)
        nonFinite.add(Int64(broken), ordering: .relaxed)
        pipe.drop(count * converter.stride)
        delivered.store(position + Int64(count), ordering: .relaxed)
        return .samples(count)
    }

    /// Takes what there is in the beginning, or when something comes again, until the clock is settled: what lay in buffers on its
    /// way comes at once, a file faster than it lasts, and either would be told of with the times of its coming.
    private func gather() throws(CaptureError) -> Reading {
        // What `start` has read.
        if pipe.held > 0, opened.withLock({ $0?.clock == nil }) { follow(true) }
        let quiet = isStalled ? ArrivalClock.quietAfterPause : ArrivalClock.quiet
        var isOver = false
        switch try pipe.receive(timeout: Int(quiet / 1_000_000)) {
        case .received(let waited):
            follow(waited)
            isOver = pipe.isFull
            if isOver, !isStalled { opened.withLock { $0?.clock?.end() } }
        case .timeout:
            isOver = opened.withLock { $0?.clock != nil }
            if !isOver, let stalled = stalled() { return stalled }
        case .left:
            return left()
        case .closed:
            if !isStalled { opened.withLock { $0?.clock?.end() } }
            isOver = true
        case .stopped:
            hasEnded = true
        }
        if isOver { untold += opened.withLock { $0?.clock?.settle() ?? 0 } }
        isGathering = !isOver && opened.withLock { !($0?.clock?.isSettled ?? false) }
        return .timeout
    }

    /// That nothing has come for so long, which is told once.
    private func stalled() -> Reading? {
        let quiet = nanosecondsNow(CLOCK_BOOTTIME) - lastArrival
        let seemsLive = opened.withLock { $0?.clock.map { $0.isLive && $0.isSettled } ?? mayBeLive }
        guard seemsLive, !isStalled, quiet >= Int64(stallTime) * 1_000_000 else { return nil }
        isStalled = true
        return .state(.lost(.stall, .file(name, .stalled)))
    }

    /// Half a sample that a writer left does not go with the next one's, if the end of the first is seen before the next one writes.
    private func left() -> Reading {
        pipe.dropLast(pipe.held % converter.stride)
        return .timeout
    }

    /// Takes in when the bytes came that are held now.
    private func follow(_ waited: Bool) {
        let position = delivered.load(ordering: .relaxed) + missing + Int64(pipe.held / converter.stride)
        lastArrival = nanosecondsNow(CLOCK_BOOTTIME)
        untold = opened.withLock { opened in
            guard opened != nil else { return 0 }
            if opened!.start == nil { opened!.start = .now() }
            guard mayBeLive else { return 0 }
            let now = nanosecondsNow(CLOCK_BOOTTIME)
            if opened!.clock == nil {
                opened!.clock = ArrivalClock(rate: opened!.rate, position: position, nanoseconds: now)
            }
            let count = opened!.clock!.arrived(position: position, nanoseconds: now, waited: waited)
            opened!.utc.setOffset(nanosecondsNow(CLOCK_REALTIME) - now, at: now)
            return count
        }
    }

    private func end() -> Reading {
        hasEnded = true
        return .end
    }

    public var isLive: Bool { isPaced || opened.withLock { $0?.clock?.keepsPace ?? false } }

    public func stop() { stopping.set() }

    public func time(ofSample position: Int64) -> StreamInstant? {
        opened.withLock { opened in
            guard let start = opened?.start, let rate = opened?.rate else { return nil }
            guard let clock = opened?.clock else { return start.advanced(bySamples: position, rate: rate) }
            return opened?.utc.instant(of: position, at: clock.time(of: position))
        }
    }

    public var statistics: CaptureStatistics {
        var statistics = CaptureStatistics()
        statistics.capturedSamples = delivered.load(ordering: .relaxed)
        statistics.nonFiniteSamples = nonFinite.load(ordering: .relaxed)
        return statistics
    }

    /// nil: stopped.
    private func wavHeader(isRF64: Bool) throws(CaptureError) -> WAVHeader? {
        let result = try WAVHeader.parse(isRF64: isRF64) { (count: Int) throws(CaptureError) -> [UInt8]? in
            try pipe.take(count)
        }
        switch result {
        case .success(let header): return header
        case .failure(.ended):
            if stopping.isSet { return nil }
            throw .file(name, isNamed ? .writerGone : .notSound("it ended inside the WAV header"))
        case .failure(.invalid(let reason)): throw .file(name, .unsupported(reason))
        }
    }
}
