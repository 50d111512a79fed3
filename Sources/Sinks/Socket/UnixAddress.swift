import Glibc

/// The address of a Unix socket (unix(7)): a path or, where it begins with NUL, an abstract name.
package struct UnixAddress {
    private let address: sockaddr_un
    private let length: socklen_t

    /// nil where the name is empty or too long for an address.
    package init?(_ name: [UInt8]) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard let first = name.first, name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        self.address = address
        // Every byte of an abstract name counts, zeros too.
        length = socklen_t(first == 0 ? MemoryLayout<sa_family_t>.size + name.count : MemoryLayout<sockaddr_un>.size)
    }

    /// Sends a datagram there, without waiting. 0, or why it was not delivered (errno(3)).
    package func send(_ bytes: [UInt8]) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return with { sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), $0, $1) } < 0 ? errno : 0
    }

    /// The address as bind(2), connect(2) and sendto(2) take it.
    package func with<Result>(_ call: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, length) }
        }
    }
}
