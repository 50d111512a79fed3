import Glibc
import Synchronization
import Threads

/// What samples without a header are.
public struct RawFormat: Sendable, Equatable {
    public var format: SampleFormat
    public var rate: Int
    public var channels: Int

    public init(format: SampleFormat = .s16, rate: Int = 16_000, channels: Int = 1) {
        self.format = format
        self.rate = rate
        self.channels = channels
    }
}

/// A pipe, the standard input or a named one: WAV, recognised by its header, or raw PCM, little endian. Or a file of the latter.
public final class StreamSource: Source, @unchecked Sendable {
    /// What errors call it; "-" is the standard input.
    public let name: String
    private let descriptor: Int32
    private let raw: RawFormat
    private let isRaw: Bool
    private let isPaced: Bool
    private let channel: ChannelChoice
    private let givenStart: StreamInstant?

    private let stopping: Wakeup
    private let isStopped = Atomic<Bool>(false)
    private let opened = Mutex<Opened?>(nil)
    private struct Opened: Sendable {
        var pacer: Pacer
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
    private var hasClosed = false
    private var hasStarted = false
    /// Bytes read and not yet delivered are `held` ones from `front` on; more are received only when `front` is 0.
    private var bytes: UnsafeMutableRawBufferPointer
    private var held = 0
    private var front = 0
    /// Of what may be live nothing is delivered before its times are known.
    private var isGathering = false
    /// Bytes of samples that the header still promises; nil: to the end of the stream.
    private var promised: Int64?
    private let delivered = Atomic<Int64>(0)
    /// Samples of gaps so far.
    private var missing: Int64 = 0
    /// Of a gap that is not told yet.
    private var untold: Int64 = 0
    private let nonFinite = Atomic<Int64>(0)

    private static let blockSize = 4096
    /// Bytes.
    private static let mostGathered = 4 << 20

    /// - Parameters:
    ///   - descriptor: is not closed.
    ///   - raw: what the bytes are if they do not begin as WAV.
    ///   - isRaw: whether one that begins as WAV, or as any other sound file, is refused.
    ///   - isPaced: whether samples come at the pace of real time, or as fast as they are there.
    ///   - start: the time of the first sample; nil: when it arrives.
    public init(
        descriptor: Int32 = STDIN_FILENO, name: String = "-", raw: RawFormat = RawFormat(), isRaw: Bool = false,
        isPaced: Bool = false, channel: ChannelChoice = .mix, start: StreamInstant? = nil
    ) throws(CaptureError) {
        self.descriptor = descriptor
        self.name = name
        self.raw = raw
        self.isRaw = isRaw
        self.isPaced = isPaced
        self.channel = channel
        givenStart = start
        stopping = try makeWakeup()
        bytes = .allocate(byteCount: ForeignFormat.shortest, alignment: 16)
    }

    deinit { bytes.deallocate() }

    /// Whether a path is a named pipe (fifo(7)).
    public static func isNamedPipe(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    /// Whether a descriptor is of a file, which can wait for its reader for ever.
    public static func isFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Whether a path is of a file that can be read from its beginning to its end.
    public static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// A descriptor of a named pipe or file, which is the caller's. Does not wait for a writer; the source does.
    public static func open(_ path: String) throws(CaptureError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path, .init(opening: errno)) }
        return descriptor
    }

    public var rate: Int { opened.withLock { $0?.rate } ?? 0 }

    /// Waits for the first bytes, as only they tell the rate; `stop` ends the wait.
    public func start() throws(CaptureError) {
        let magic = try beginning()
        if isStopped.load(ordering: .relaxed) { return hasEnded = true }
        if magic.isEmpty { throw .file(name, .empty) }
        let four = String(decoding: magic.prefix(4), as: UTF8.self)
        let isWAV = ["RIFF", "RF64", "BW64"].contains(four) && magic.count == 12 && magic[8...].elementsEqual("WAVE".utf8)
        let isForeign = ForeignFormat.begins(magic)
        if isRaw, isWAV || isForeign { throw .file(name, .notRaw) }
        if isForeign { throw .file(name, .unsupported("a compressed or foreign sound format")) }
        var format = raw
        if isWAV {
            held = 0
            guard let header = try wavHeader(isRF64: four != "RIFF") else { return hasEnded = true }
            self.header = header
            promised = header.dataBytes
            format = RawFormat(format: header.format, rate: header.rate, channels: header.channels)
        }
        if case .one(let channel) = channel, channel < 0 || channel >= format.channels {
            throw .file(name, .channel(channel, of: format.channels))
        }
        converter = MonoConverter(format: format.format, channels: format.channels, choice: channel)
        mayBeLive = promised == nil && !isPaced && givenStart == nil && !StreamSource.isFile(descriptor)
        isGathering = mayBeLive
        // As much may come before it is known to be no live sound; of many channels less will do.
        let gathered = mayBeLive ? (Int(ArrivalClock.lead / 1_000_000_000) + 1) * format.rate * converter.stride : 0
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(held, min(gathered, StreamSource.mostGathered), StreamSource.blockSize * converter.stride), alignment: 16)
        block.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<held]))
        bytes.deallocate()
        bytes = block
        let pacer = try Pacer(rate: format.rate, isPaced: isPaced)
        self.pacer = pacer
        opened.withLock { $0 = Opened(pacer: pacer, rate: format.rate, start: givenStart) }
    }

    public func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading {
        guard let pacer, !hasEnded, !buffer.isEmpty, !isStopped.load(ordering: .relaxed) else { return .end }
        if !hasStarted {
            hasStarted = true
            return .state(.capturing)
        }
        let stride = converter.stride
        if isGathering {
            try gather()
            return .timeout
        }
        if untold > 0 {
            missing += untold
            defer { untold = 0 }
            return .gap(Gap(samples: untold, cause: .slip))
        }
        if held < stride {
            if promised == 0 {
                if delivered.load(ordering: .relaxed) == 0 { throw .file(name, .noSamples) }
                return end()
            }
            switch try receive(limit: StreamSource.blockSize * stride, timeout: timeoutMilliseconds) {
            case .timeout: return .timeout
            case .stopped: return end()
            case .closed:
                let position = delivered.load(ordering: .relaxed)
                _ = end()
                if position == 0 { throw .file(name, .noSamples) }
                if let promised, promised > 0 {
                    let announced = position + (promised + Int64(held)) / Int64(stride)
                    throw .file(name, .truncated(announced: announced, delivered: position))
                }
                return .end
            case .received(let waited):
                follow(waited)
                if held < stride || untold > 0 { return .timeout }
            }
        }
        let position = delivered.load(ordering: .relaxed)
        let count = pacer.due(
            after: position, wanted: min(held / stride, buffer.count), timeout: timeoutMilliseconds)
        if count == 0 { return isStopped.load(ordering: .relaxed) ? end() : .timeout }
        let broken = converter.convert(bytes.baseAddress! + front, count: count, into: buffer.baseAddress!)
        nonFinite.add(Int64(broken), ordering: .relaxed)
        held -= count * stride
        front += count * stride
        if held < stride {
            memmove(bytes.baseAddress!, bytes.baseAddress! + front, held)
            front = 0
        }
        delivered.store(position + Int64(count), ordering: .relaxed)
        return .samples(count)
    }

    /// Takes what there is in the beginning, until the clock is settled: what lay in buffers on its way comes at once, a file faster
    /// than it lasts, and either would be told of with the times of its coming.
    private func gather() throws(CaptureError) {
        // What `start` has read.
        if held > 0, opened.withLock({ $0?.clock == nil }) { follow(true) }
        switch try receive(limit: bytes.count, timeout: Int(ArrivalClock.pause / 1_000_000)) {
        case .received(let waited): follow(waited)
        case .timeout: opened.withLock { $0?.clock?.settle() }
        case .closed:
            opened.withLock { $0?.clock?.end() }
            isGathering = false
        case .stopped: hasEnded = true
        }
        if opened.withLock({ $0?.clock?.isSettled ?? false }) || held == bytes.count { isGathering = false }
    }

    /// Takes in when the bytes came that are held now.
    private func follow(_ waited: Bool) {
        let position = delivered.load(ordering: .relaxed) + missing + Int64(held / converter.stride)
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

    public func stop() {
        isStopped.store(true, ordering: .relaxed)
        stopping.signal()
        opened.withLock { $0?.pacer }?.stop()
    }

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

    // MARK: Bytes

    private enum Receipt {
        /// `waited`: nothing was there before.
        case received(waited: Bool)
        case timeout, closed, stopped
    }

    /// Appends what is there to `bytes`, waiting at most `timeout` milliseconds (-1: for ever) for the first byte.
    private func receive(limit: Int, timeout: Int) throws(CaptureError) -> Receipt {
        var descriptors = (
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0)
        )
        func poll(_ timeout: Int) -> Int32 {
            withUnsafeMutableBytes(of: &descriptors) {
                Glibc.poll($0.baseAddress!.assumingMemoryBound(to: pollfd.self), 2, Int32(clamping: timeout))
            }
        }
        // A named pipe's next writer is another stream.
        if hasClosed { return .closed }
        var ready = poll(0)
        let waited = ready == 0
        if waited { ready = poll(timeout) }
        if descriptors.1.revents != 0 { return .stopped }
        if ready <= 0 { return .timeout }
        var wanted = limit - held
        if let promised { wanted = Int(min(Int64(wanted), promised)) }
        let count = Glibc.read(descriptor, bytes.baseAddress! + held, wanted)
        if count < 0 {
            if errno == EAGAIN || errno == EINTR { return .timeout }
            throw .file(name, .readFailed(systemMessage(errno)))
        }
        if count == 0 { hasClosed = true }
        if hasClosed { return .closed }
        held += count
        promised? -= Int64(count)
        return .received(waited: waited)
    }

    /// What the stream begins with, as far as it tells what kind it is. Held.
    private func beginning() throws(CaptureError) -> [UInt8] {
        var there = [UInt8]()
        while there.count < ForeignFormat.needed(there) {
            let count = try fill(upTo: ForeignFormat.needed(there))
            if count == there.count { break }
            there = [UInt8](bytes[0..<count])
        }
        return there
    }

    /// Reads until `count` bytes are held, or the stream ends. Returns how many there are.
    private func fill(upTo count: Int) throws(CaptureError) -> Int {
        if count > bytes.count {
            let more = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
            more.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<held]))
            bytes.deallocate()
            bytes = more
        }
        while held < count {
            switch try receive(limit: count, timeout: -1) {
            case .received, .timeout: continue
            case .closed, .stopped: return held
            }
        }
        return held
    }

    /// nil: stopped.
    private func wavHeader(isRF64: Bool) throws(CaptureError) -> WAVHeader? {
        let result = try WAVHeader.parse(isRF64: isRF64) { (count: Int) throws(CaptureError) -> [UInt8]? in
            guard try fill(upTo: count) == count else { return nil }
            held = 0
            return [UInt8](bytes[0..<count])
        }
        switch result {
        case .success(let header): return header
        case .failure(.ended):
            if isStopped.load(ordering: .relaxed) { return nil }
            throw .file(name, .notSound("it ended inside the WAV header"))
        case .failure(.invalid(let reason)): throw .file(name, .unsupported(reason))
        }
    }
}
