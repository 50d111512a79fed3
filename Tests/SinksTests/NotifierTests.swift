import Glibc
import Sinks
import TestSupport
import Testing

@Suite("Service manager", .serialized) struct NotifierTests {
    @Test("Each state arrives as the datagram that sd_notify(3) describes")
    func datagrams() throws {
        let folder = TemporaryFolder()
        let path = folder.file("notify")
        let manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(manager) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(manager, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        func received() -> String {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(manager, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }

        #expect(!Notifier.isActive && !Notifier.ready(status: "listening") && Notifier.watchdogMicroseconds == nil)
        setenv("NOTIFY_SOCKET", path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        #expect(Notifier.isActive)
        #expect(Notifier.ready(status: "listening") && received() == "READY=1\nSTATUS=listening")
        #expect(Notifier.status("-31 dBFS\nREADY=1") && received() == "STATUS=-31 dBFS READY=1")
        #expect(Notifier.watchdog() && received() == "WATCHDOG=1")
        #expect(Notifier.stopping() && received() == "STOPPING=1")
        #expect(Notifier.reloading())
        let reload = received()
        #expect(reload.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        let stamp = try #require(Double(reload.dropFirst("RELOADING=1\nMONOTONIC_USEC=".count)))
        #expect(abs(stamp * 1e-6 - seconds()) < 5)

        // A manager that reads nothing: messages are lost, and nobody waits.
        let begin = seconds()
        for _ in 0..<2000 where !Notifier.watchdog() { break }
        #expect(!Notifier.watchdog() && seconds() - begin < 5)
        while !received().isEmpty {}
        #expect(Notifier.watchdog())

        // An abstract name.
        let abstract = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(abstract) }
        let name = "aumd-test-\(getpid())"
        var hidden = sockaddr_un()
        hidden.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &hidden.sun_path) { $0.copyBytes(from: [0] + Array(name.utf8)) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
        #expect(withUnsafePointer(to: &hidden) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(abstract, $0, length) } } == 0)
        setenv("NOTIFY_SOCKET", "@" + name, 1)
        var heard = [UInt8](repeating: 0, count: 64)
        #expect(Notifier.watchdog() && recv(abstract, &heard, heard.count, Int32(MSG_DONTWAIT)) == "WATCHDOG=1".utf8.count)

        for elsewhere in ["", "relative", "/nonexistent/notify", "/" + String(repeating: "x", count: 200)] {
            setenv("NOTIFY_SOCKET", elsewhere, 1)
            #expect(!Notifier.watchdog())
        }

        setenv("WATCHDOG_USEC", "3000000", 1)
        setenv("WATCHDOG_PID", "\(getpid())", 1)
        #expect(Notifier.watchdogMicroseconds == 3_000_000)
        setenv("WATCHDOG_PID", "1", 1)
        #expect(Notifier.watchdogMicroseconds == nil)
        unsetenv("WATCHDOG_USEC")
        unsetenv("WATCHDOG_PID")
    }
}
