import Control
import Glibc
import Sinks
import TestSupport
import Testing

@Suite("The control socket")
struct ControlSocketTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.file("control.sock") }

    @Test("takes requests in their order, and says what is none")
    func order() throws {
        let socket = try ControlSocket(path: path, mode: 0o600)
        #expect(socket.next() == nil)
        #expect(ControlSocket.send(.keep(seconds: 90), to: path) == 0)
        for text in ["mute", "", String(repeating: "x", count: 1000)] { try send(text) }
        #expect(ControlSocket.send(.pause(.resume), to: path) == 0)
        #expect(socket.next() == .success(.keep(seconds: 90)))
        for text in ["mute", "", String(repeating: "x", count: 64)] { #expect(socket.next() == .failure(.init(text: text))) }
        #expect(socket.next() == .success(.pause(.resume)))
        #expect(socket.next() == nil)
    }

    /// Any text, as any program may send it.
    private func send(_ text: String) throws {
        #expect(try #require(UnixAddress(Array(path.utf8))).send(Array(text.utf8)) == 0)
    }

    @Test("has the permissions it is given, whatever the umask is", arguments: [0o600, 0o660, 0o666] as [mode_t])
    func permissions(mode: mode_t) throws {
        let socket = try ControlSocket(path: path, mode: mode)
        var information = stat()
        #expect(lstat(path, &information) == 0 && information.st_mode & 0o7777 == mode)
        _ = consume socket
        #expect(access(path, F_OK) != 0)
    }

    @Test("takes the place of one whose process is gone, and of no other")
    func place() throws {
        let address = try #require(UnixAddress(Array(path.utf8)))
        let stale = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        #expect(address.with { bind(stale, $0, $1) } == 0)
        #expect(throws: SinkError.socketInUse(path: path)) { _ = try ControlSocket(path: path, mode: 0o600) }
        close(stale)
        #expect(ControlSocket.send(.pause(.resume), to: path) == ECONNREFUSED)
        let socket = try ControlSocket(path: path, mode: 0o600)
        #expect(ControlSocket.send(.pause(.resume), to: path) == 0)
        #expect(socket.next() == .success(.pause(.resume)))
    }

    @Test("Where records are read, no requests are taken, and the other way round")
    func otherType() throws {
        let socket = try ControlSocket(path: path, mode: 0o600)
        #expect(throws: SinkError.socketInUse(path: path)) {
            _ = try SocketSink(path: path, queue: RecordQueue(kinds: .all, capacity: 16)) { _ in }
        }
        #expect(socket.next() == nil)
        let sink = try SocketSink(path: path + "2", queue: RecordQueue(kinds: .all, capacity: 16)) { _ in }
        #expect(ControlSocket.send(.pause(.resume), to: path + "2") == EPROTOTYPE)
        #expect(throws: SinkError.socketInUse(path: path + "2")) { _ = try ControlSocket(path: path + "2", mode: 0o600) }
        #expect(sink.stop(milliseconds: 5000))
    }

    @Test("Where there is none, or the path is too long, the sender learns it")
    func nobody() {
        #expect(ControlSocket.send(.pause(.resume), to: path) == ENOENT)
        #expect(ControlSocket.send(.pause(.resume), to: "/" + String(repeating: "a", count: 200)) == ENAMETOOLONG)
    }
}
