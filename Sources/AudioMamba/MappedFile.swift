import Glibc

/// A file mapped read-only for the life of this object (mmap(2)).
final class MappedFile: @unchecked Sendable {
    let path: String
    /// The whole file. The mapping is private and read-only, so any thread may read it.
    let bytes: UnsafeRawBufferPointer

    /// - Throws: ``ModelError/missing(path:)``, ``ModelError/notPermitted(path:)`` or ``ModelError/unreadable(path:reason:)``.
    init(path: String) throws(ModelError) {
        self.path = path
        // O_NONBLOCK: a named pipe would be waited for, here, before it is known to be no file.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT, ENOTDIR: throw .missing(path: path)
            case EACCES, EPERM: throw .notPermitted(path: path)
            default: throw Self.unreadable(path)
            }
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.unreadable(path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(path: path, reason: "it is not a file") }
        let count = Int(status.st_size)
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw Self.unreadable(path)
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    deinit {
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    }

    /// FNV-1a's offset basis.
    static let noDigest: UInt64 = 0xcbf2_9ce4_8422_2325

    /// FNV-1a over the file's 64-bit words: distinguishes models in events; it is no protection against forgery.
    ///
    /// - Parameter hash: of the files before; by default of none.
    func digest(after hash: UInt64 = noDigest) -> UInt64 {
        var hash = hash
        let words = bytes.count / 8
        for word in 0..<words {
            hash = (hash ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self)))
                &* 0x100_0000_01b3
        }
        for byte in bytes[(8 * words)...] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }

    private static func unreadable(_ path: String) -> ModelError {
        .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
}

extension UInt64 {
    /// Sixteen digits.
    var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
