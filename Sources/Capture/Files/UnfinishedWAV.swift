import CSndFile
import Glibc

/// A WAV file whose writer was killed, or lost its power, before it put a length into the header. libsndfile takes a length of 0 at
/// its word, so it gets the file as raw samples from the end of the header on.
enum UnfinishedWAV {
    /// nil for a file that is none: not WAV, with a length, with nothing after the header, or closed in good order and empty.
    static func open(_ path: String) throws(CaptureError) -> (descriptor: Int32, handle: OpaquePointer, info: SF_INFO)? {
        let descriptor = try SoundFile.openFile(path)
        guard let (header, offset) = header(descriptor), lseek(descriptor, 0, SEEK_SET) == 0 else {
            close(descriptor)
            return nil
        }
        var info = SF_INFO()
        info.samplerate = Int32(header.rate)
        info.channels = Int32(header.channels)
        info.format = Int32(SF_FORMAT_RAW) | Int32(SF_ENDIAN_LITTLE) | encoding(header.format)
        // The descriptor is the library's from here on, also when this fails.
        guard let handle = sf_open_fd(descriptor, Int32(SFM_READ), &info, Int32(SF_TRUE)) else { return nil }
        var start = sf_count_t(offset)
        sf_command(handle, Int32(SFC_SET_RAW_START_OFFSET), &start, Int32(MemoryLayout<sf_count_t>.size))
        sf_seek(handle, 0, SEEK_SET)
        return (descriptor, handle, info)
    }

    /// The header and its length.
    private static func header(_ descriptor: Int32) -> (WAVHeader, Int64)? {
        var status = stat()
        guard let beginning = next(12, descriptor), WAVHeader.isRF64(beginning) == false, fstat(descriptor, &status) == 0 else { return nil }
        let announced = beginning[4..<8].reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) }
        guard announced + 8 < status.st_size || announced >= WAVHeader.unknownSizes,
            case .success(let header) = WAVHeader.parse(isRF64: false, next: { next($0, descriptor) }), header.dataBytes == nil
        else { return nil }
        let offset = Int64(lseek(descriptor, 0, SEEK_CUR))
        return offset < status.st_size ? (header, offset) : nil
    }

    private static func next(_ count: Int, _ descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return read(descriptor, &bytes, count) == count ? bytes : nil
    }

    private static func encoding(_ format: SampleFormat) -> Int32 {
        switch format {
        case .u8: Int32(SF_FORMAT_PCM_U8)
        case .s16: Int32(SF_FORMAT_PCM_16)
        case .s24_3: Int32(SF_FORMAT_PCM_24)
        case .s24, .s32: Int32(SF_FORMAT_PCM_32)
        case .float: Int32(SF_FORMAT_FLOAT)
        case .double: Int32(SF_FORMAT_DOUBLE)
        }
    }
}
