import Glibc

/// A listening Unix stream socket at a path (unix(7)); closed and removed with its value.
struct SocketListener: ~Copyable {
    let descriptor: Int32
    let path: String
    private let device: dev_t
    private let inode: ino_t

    /// - Throws: `SinkError` where somebody listens there, something else is in the way, or the system refuses.
    init(path: String, mode: mode_t) throws(SinkError) {
        let address = try Self.address(path)
        if try Self.isStale(path) { unlink(path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .socket(path: path, call: "socket", errno: errno) }
        guard address.with({ bind(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw .socket(path: path, call: "bind", errno: code)
        }
        var information = stat()
        // Nobody can connect before listen, so the permissions hold from the first client on.
        guard chmod(path, mode) == 0, lstat(path, &information) == 0, listen(descriptor, 16) == 0 else {
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
    private static func isStale(_ path: String) throws(SinkError) -> Bool {
        var information = stat()
        guard lstat(path, &information) == 0 else { return false }
        guard information.st_mode & S_IFMT == S_IFSOCK else { throw .socketPathTaken(path: path) }
        let address = try Self.address(path)
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw .socket(path: path, call: "socket", errno: errno) }
        defer { close(probe) }
        guard address.with({ connect(probe, $0, $1) }) != 0 else { throw .socketInUse(path: path) }
        switch errno {
        case ECONNREFUSED, ENOENT: return true
        case EAGAIN: throw .socketInUse(path: path)
        default: throw .socket(path: path, call: "connect", errno: errno)
        }
    }

    private static func address(_ path: String) throws(SinkError) -> UnixAddress {
        guard let address = UnixAddress(Array(path.utf8)) else { throw .socketPathLength(path: path) }
        return address
    }
}
