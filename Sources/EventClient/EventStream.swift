import Glibc
import Sinks

/// A client of the socket that `aumd listen` serves, non-blocking: whole lines, in order.
package struct EventStream: ~Copyable {
    /// Readable when there is more, or the end.
    package let descriptor: Int32
    /// The beginning of a line whose end has not come.
    private var rest: [UInt8] = []
    private var block = [UInt8](repeating: 0, count: 1 << 16)
    /// Far above any record; keeps another program's socket from filling the memory.
    static let longestLine = 1 << 20

    /// Connects (unix(7)).
    ///
    /// - Throws: the error number, such as ENOENT where no daemon serves the socket.
    package init(path: String) throws(ErrorNumber) {
        guard let address = UnixAddress(Array(path.utf8)) else { throw ErrorNumber(code: ENAMETOOLONG) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw ErrorNumber(code: errno) }
        // A Unix socket connects at once, or says EAGAIN where too many wait.
        guard address.with({ connect(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw ErrorNumber(code: code)
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The lines that have come, without their newlines; nil after the last, or where what comes is no line.
    package mutating func lines() -> [[UInt8]]? {
        let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EAGAIN || errno == EINTR { return [] }
        guard count > 0 else { return nil }
        var lines: [[UInt8]] = []
        for byte in block.prefix(count) {
            if byte == UInt8(ascii: "\n") {
                lines.append(rest)
                rest.removeAll(keepingCapacity: true)
            } else {
                rest.append(byte)
            }
        }
        return rest.count <= Self.longestLine ? lines : nil
    }

    /// What there is to say where nothing can be read.
    package static func awayNotice(_ path: String, _ reason: String) -> String {
        "No events come from \(path) (\(reason)); it is tried again until they do. Does \"aumd listen\" run, and may this user read its socket?"
    }

    /// errno(3) of a call that failed.
    package struct ErrorNumber: Error, Equatable {
        package var code: Int32
    }
}
