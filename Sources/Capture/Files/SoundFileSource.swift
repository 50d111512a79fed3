import CSndFile
import Glibc
import Synchronization

/// A sound file of any kind that libsndfile reads: WAV, FLAC, Ogg Vorbis, Opus, MP3 and others.
public final class SoundFileSource: Source, @unchecked Sendable {
    /// Where the file is.
    public let path: String
    private let isPaced: Bool
    private let channel: ChannelChoice

    /// Made by `start`; only read afterwards.
    private let opened = Mutex<Opened?>(nil)
    private struct Opened: Sendable {
        var rate: Int
        var start: StreamInstant
    }

    private let stopping = Stop()
    private let brokenSamples = Atomic<Int64>(0)

    // Of the reading thread only.
    private var file: SoundFile?
    private var pacer: Pacer?
    private var hasStarted = false
    private var delivered: Int64 = 0

    /// - Parameters:
    ///   - isPaced: whether samples come at the pace of real time, or as fast as they are read.
    public init(path: String, isPaced: Bool = false, channel: ChannelChoice = .mix) {
        self.path = path
        self.isPaced = isPaced
        self.channel = channel
    }

    public var rate: Int { opened.withLock { $0?.rate } ?? 0 }

    public func start() throws(CaptureError) {
        let file = try SoundFile(path: path, channel: channel)
        // Opening can take long.
        if stopping.isSet { return }
        pacer = Pacer(rate: file.rate, isPaced: isPaced, stopping: stopping)
        opened.withLock { $0 = Opened(rate: file.rate, start: .now()) }
        self.file = file
    }

    public func read(
        into buffer: UnsafeMutableBufferPointer<Float>, timeoutMilliseconds: Int
    ) throws(CaptureError) -> Reading {
        guard let pacer, let file, !buffer.isEmpty, !stopping.isSet else { return .end }
        if !hasStarted {
            hasStarted = true
            return .state(.capturing)
        }
        var wanted = min(buffer.count, SoundFile.blockSize)
        // The last samples of a file are fewer than a portion.
        if let announced = file.announced, announced > delivered { wanted = Int(min(Int64(wanted), announced - delivered)) }
        let due = pacer.due(after: delivered, wanted: wanted, timeout: timeoutMilliseconds)
        if due == 0 { return stopping.isSet ? .end : .timeout }
        let count = try file.read(into: UnsafeMutableBufferPointer(rebasing: buffer[0..<due]), delivered: delivered)
        brokenSamples.store(file.brokenSamples, ordering: .relaxed)
        if count == 0 { return .end }
        delivered += Int64(count)
        return .samples(count)
    }

    public var isLive: Bool { isPaced }

    public func stop() { stopping.set() }

    public func time(ofSample position: Int64) -> StreamInstant? {
        opened.withLock { $0 }.map { $0.start.advanced(bySamples: position, rate: $0.rate) }
    }

    public var statistics: CaptureStatistics {
        var statistics = CaptureStatistics()
        statistics.brokenSamples = brokenSamples.load(ordering: .relaxed)
        return statistics
    }
}
