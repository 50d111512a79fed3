import CSndFile
import Glibc

/// A sound as FLAC, in memory: libsndfile says of a full disk only that something went wrong, write(2) says what.
enum FLAC {
    /// - Parameters:
    ///   - samples: Mono.
    ///   - title: And the other two become Vorbis comments.
    /// - Returns: nil where the library cannot write such a file, as of a rate that FLAC does not have.
    static func encode(_ samples: [Int16], rate: Int, title: String, date: String, comment: String) -> [UInt8]? {
        let memory = Memory()
        var io = Memory.io
        var info = SF_INFO()
        info.channels = 1
        info.samplerate = Int32(rate)
        info.format = Int32(SF_FORMAT_FLAC | SF_FORMAT_PCM_16)
        guard let handle = sf_open_virtual(&io, Int32(SFM_WRITE), &info, Unmanaged.passUnretained(memory).toOpaque()) else { return nil }
        sf_set_string(handle, Int32(SF_STR_TITLE), title)
        sf_set_string(handle, Int32(SF_STR_DATE), date)
        sf_set_string(handle, Int32(SF_STR_COMMENT), comment)
        let written = sf_write_short(handle, samples, sf_count_t(samples.count))
        let code = sf_close(handle)
        return written == samples.count && code == 0 ? memory.bytes : nil
    }
}

/// What libsndfile takes for a file.
private final class Memory {
    var bytes: [UInt8] = []
    var position = 0

    static let io = SF_VIRTUAL_IO(
        get_filelen: { sf_count_t(Memory.of($0).bytes.count) },
        seek: { offset, whence, data in
            let memory = Memory.of(data)
            switch whence {
            case SEEK_CUR: memory.position += Int(offset)
            case SEEK_END: memory.position = memory.bytes.count + Int(offset)
            default: memory.position = Int(offset)
            }
            return sf_count_t(memory.position)
        },
        read: { target, count, data in
            let memory = Memory.of(data)
            let piece = memory.bytes[min(memory.position, memory.bytes.count)...].prefix(Int(count))
            piece.withUnsafeBytes { if let from = $0.baseAddress { target?.copyMemory(from: from, byteCount: $0.count) } }
            memory.position += piece.count
            return sf_count_t(piece.count)
        },
        write: { source, count, data in
            let memory = Memory.of(data), end = memory.position + Int(count)
            if end > memory.bytes.count { memory.bytes += [UInt8](repeating: 0, count: end - memory.bytes.count) }
            memory.bytes.replaceSubrange(memory.position..<end, with: UnsafeRawBufferPointer(start: source, count: Int(count)))
            memory.position = end
            return count
        },
        tell: { sf_count_t(Memory.of($0).position) })

    private static func of(_ data: UnsafeMutableRawPointer?) -> Memory { Unmanaged.fromOpaque(data!).takeUnretainedValue() }
}
