import Glibc

/// How writing ended.
package enum WriteOutcome: Equatable, Sendable {
    case done
    /// The reader has closed its end, or the terminal was closed.
    case readerGone
    /// How many bytes went out before the error.
    case failed(errno: Int32, count: Int)
}

/// Writes every byte to a descriptor, waiting where it takes none for now: somebody may have made it non-blocking.
/// The program has to ignore SIGPIPE, so that a reader's end is an error here and not a signal.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> WriteOutcome {
    var count = 0
    while count < bytes.count {
        let result = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + count, $0.count - count) }
        if result >= 0 {
            count += result
            continue
        }
        switch errno {
        case EINTR: continue
        case EAGAIN:
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&entry, 1, 1000)
        case EPIPE, ECONNRESET: return .readerGone
        // What a terminal says once it was closed (tty_ioctl(4)).
        case EIO where isCharacterDevice(descriptor): return .readerGone
        case let code: return .failed(errno: code, count: count)
        }
    }
    return .done
}

/// Writes a file whole or not at all, in place of the one of that name: under another name first (rename(2)), with these permissions whatever
/// the umask. 0 or the errno.
package func replaceFile(_ path: String, with bytes: [UInt8], mode: mode_t) -> Int32 {
    let slash = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
    let part = "\(path[..<slash]).\(path[slash...]).part"
    let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { return errno }
    var code: Int32 = 0
    if case .failed(let errno, _) = writeAll(bytes, to: descriptor) { code = errno }
    // Some file systems have no permissions.
    _ = fchmod(descriptor, mode)
    if close(descriptor) != 0, code == 0 { code = errno }
    if code == 0, rename(part, path) != 0 { code = errno }
    if code != 0 { unlink(part) }
    return code
}

private func isCharacterDevice(_ descriptor: Int32) -> Bool {
    var information = stat()
    return fstat(descriptor, &information) == 0 && information.st_mode & S_IFMT == S_IFCHR
}
