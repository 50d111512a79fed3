import Glibc

/// A Unix socket at a path (unix(7)), non-blocking: one that listens for clients, or one that takes datagrams. Closed and removed with
/// its value.
package struct BoundSocket: ~Copyable {
    /// Readable when a client or a datagram waits.
    package let descriptor: Int32
    let path: String
    private let device: dev_t
    private let inode: ino_t

    /// - Parameters:
    ///   - mode: Permissions of the socket file; who sends to it needs write permission.
    ///   - takesDatagrams: Where false, it listens.
    /// - Throws: `SinkError` where another process has it, something else is in the way, or the system refuses.
    package init(path: String, mode: mode_t, takesDatagrams: Bool = false) throws(SinkError) {
        let address = try Self.address(path)
        let type = takesDatagrams ? SOCK_DGRAM : SOCK_STREAM
        if try Self.isStale(path, type) { unlink(path) }
        let descriptor = Self.make(type)
        guard descriptor >= 0 else { throw .socket(path: path, call: "socket", errno: errno) }
        // Nobody reaches the file before it has its own permissions (bind takes over those of the descriptor).
        guard fchmod(descriptor, 0) == 0, address.with({ bind(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw .socket(path: path, call: "bind", errno: code)
        }
        var information = stat()
        guard chmod(path, mode) == 0, lstat(path, &information) == 0, takesDatagrams || listen(descriptor, 16) == 0 else {
            let code = errno
            close(descriptor)
            unlink(path)
            throw .socket(path: path, call: "listen", errno: code)
        }
        self.descriptor = descriptor
        self.path = path
        device = information.st_dev
        inode = information.st_ino
    }

    deinit {
        close(descriptor)
        var information = stat()
        // Another process may have put its own socket there since.
        if lstat(path, &information) == 0, information.st_dev == device, information.st_ino == inode { unlink(path) }
    }

    /// The next client, non-blocking, or nil with `errno` set.
    func accept() -> Int32? {
        let client = Glibc.accept(descriptor, nil, nil)
        guard client >= 0 else { return nil }
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        return client
    }

    /// Whether a socket file is left over from a process that is gone.
    private static func isStale(_ path: String, _ type: __socket_type) throws(SinkError) -> Bool {
        var information = stat()
        guard lstat(path, &information) == 0 else { return false }
        guard information.st_mode & S_IFMT == S_IFSOCK else { throw .socketPathTaken(path: path) }
        let address = try Self.address(path)
        let probe = make(type)
        guard probe >= 0 else { throw .socket(path: path, call: "socket", errno: errno) }
        defer { close(probe) }
        guard address.with({ connect(probe, $0, $1) }) != 0 else { throw .socketInUse(path: path) }
        switch errno {
        case ECONNREFUSED, ENOENT: return true
        // Too many wait; or the socket is of the other type.
        case EAGAIN, EPROTOTYPE: throw .socketInUse(path: path)
        default: throw .socket(path: path, call: "connect", errno: errno)
        }
    }

    private static func make(_ type: __socket_type) -> Int32 {
        socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    }

    private static func address(_ path: String) throws(SinkError) -> UnixAddress {
        guard let address = UnixAddress(Array(path.utf8)) else { throw .socketPathLength(path: path) }
        return address
    }
}
