import CSndFile
import Glibc
import Threads

/// An open libsndfile handle that is read as mono floats.
final class SoundFile {
    /// Samples read at a time at most.
    static let blockSize = 8192

    let rate: Int
    /// Samples of each channel that the header tells of, or that the library found; nil where neither knows.
    let announced: Int64?
    private(set) var brokenSamples: Int64 = 0

    private let path: String
    /// The library's.
    private let descriptor: Int32
    private let handle: OpaquePointer
    private let isCompressedStream: Bool
    private let converter: MonoConverter
    private let block: UnsafeMutablePointer<Float>  // (blockSize, channels)

    init(path: String, channel: ChannelChoice) throws(CaptureError) {
        var descriptor = try SoundFile.openFile(path)
        var info = SF_INFO()
        // The descriptor is the library's from here on, also when this fails.
        guard var handle = sf_open_fd(descriptor, Int32(SFM_READ), &info, Int32(SF_TRUE)) else {
            throw .file(path, .notSound(SoundFile.reason(nil)))
        }
        var isUnfinished = false
        if info.frames == 0, let unfinished = try UnfinishedWAV.open(path) {
            sf_close(handle)
            (descriptor, handle, info) = unfinished
            isUnfinished = true
        }
        let channels = Int(info.channels)
        var problem: CaptureError.FileProblem?
        if channels < 1 || info.samplerate < 1 { problem = .notSound("no channels or no sample rate") }
        if case .one(let channel) = channel, channel < 0 || channel >= channels {
            problem = .channel(channel, of: channels)
        }
        if info.frames == 0 { problem = problem ?? .noSamples }
        if let problem {
            sf_close(handle)
            throw .file(path, problem)
        }
        self.path = path
        self.descriptor = descriptor
        self.handle = handle
        // SF_COUNT_MAX: as of FLAC that was written into a pipe.
        let isKnown = info.frames < sf_count_t.max && !isUnfinished
        announced = isKnown ? max(Int64(info.frames), SoundFile.samplesInHeader(handle)) : nil
        let type = info.format & Int32(SF_FORMAT_TYPEMASK)
        isCompressedStream = type == Int32(SF_FORMAT_OGG) || type == Int32(SF_FORMAT_MPEG)
        rate = Int(info.samplerate)
        converter = MonoConverter(format: .float, channels: channels, choice: channel)
        block = .allocate(capacity: SoundFile.blockSize * channels)
    }

    deinit {
        sf_close(handle)
        block.deallocate()
    }

    /// Reads up to `blockSize` samples; 0 at the end. `delivered` is how many were read before.
    func read(into buffer: UnsafeMutableBufferPointer<Float>, delivered: Int64) throws(CaptureError) -> Int {
        let wanted = min(buffer.count, SoundFile.blockSize)
        let count = Int(sf_readf_float(handle, block, sf_count_t(wanted)))
        if count > 0 {
            brokenSamples += Int64(converter.convert(block, count: count, into: buffer.baseAddress!))
            return count
        }
        let code = sf_error(handle)
        if code != SF_ERR_NO_ERROR {
            let reason = SoundFile.reason(handle)
            throw .file(path, delivered == 0 && code != SF_ERR_SYSTEM ? .notSound(reason) : .readFailed(reason))
        }
        if delivered == 0 { throw .file(path, .noSamples) }
        if let announced, delivered < announced {
            throw .file(path, .truncated(announced: announced, delivered: delivered))
        }
        if let (bytes, size) = unread() { throw .file(path, .readInPart(bytes: bytes, of: size)) }
        return 0
    }

    /// How far the file was read and its size, where that is well short of it and what follows can only be sound: the
    /// containers without a length. Tags at an end are smaller, or the file is.
    private func unread() -> (bytes: Int64, size: Int64)? {
        guard isCompressedStream else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let at = lseek(descriptor, 0, SEEK_CUR)
        return at >= 0 && status.st_size - at > max(1 << 17, status.st_size / 5) ? (Int64(at), Int64(status.st_size)) : nil
    }

    static func openFile(_ path: String) throws(CaptureError) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path, .init(opening: errno)) }
        var status = stat()
        var problem: CaptureError.FileProblem?
        if fstat(descriptor, &status) != 0 { problem = .readFailed(errorText(errno)) }
        if status.st_mode & S_IFMT == S_IFDIR { problem = .isDirectory }
        if status.st_mode & S_IFMT == S_IFREG, status.st_size == 0 { problem = .empty }
        if let problem {
            close(descriptor)
            throw .file(path, problem)
        }
        return descriptor
    }

    /// libsndfile's text, without its final full stop and made to fit into a sentence.
    private static func reason(_ handle: OpaquePointer?) -> String {
        var text = String(cString: sf_strerror(handle))
        while let last = text.last, last == "." || last.isWhitespace { text.removeLast() }
        return text
    }

    /// A truncated WAV file is opened with what is there; only the library's log of the header tells what should be:
    /// a line "data : 8000 (should be 5000)", where the first is the header's number of bytes. 0 without such a line.
    private static func samplesInHeader(_ handle: OpaquePointer) -> Int64 {
        var log = [UInt8](repeating: 0, count: 4096)
        sf_command(handle, Int32(SFC_GET_LOG_INFO), &log, Int32(log.count))
        let text = String(decoding: log.prefix { $0 != 0 }, as: UTF8.self)
        var bytesPerSample: Int64 = 0
        var bytes: Int64 = 0
        for line in text.split(separator: "\n") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == ":" })
            if line.contains("Block Align"), let value = fields.last.flatMap({ Int64($0) }) { bytesPerSample = value }
            if fields.first == "data", line.contains("should be"), fields.count > 1 { bytes = Int64(fields[1]) ?? 0 }
        }
        return bytesPerSample > 0 && bytes < WAVHeader.unknownSizes ? bytes / bytesPerSample : 0
    }
}
