import Glibc
import Sinks

/// The daemon's end of its control socket (unix(7), datagrams): whoever may write to its file has it do what ``ControlRequest`` has.
package struct ControlSocket: ~Copyable {
    private let socket: BoundSocket
    /// Longer than any request.
    private static let longest = 64

    /// - Parameter mode: Permissions of the socket's file.
    /// - Throws: ``SinkError`` where no socket can be made there.
    package init(path: String, mode: UInt32) throws(SinkError) {
        socket = try BoundSocket(path: path, mode: mode, takesDatagrams: true)
    }

    /// Readable when a request waits.
    package var descriptor: Int32 { socket.descriptor }

    /// The next datagram, if there is one: what it asks, or the text where that is no request.
    package func next() -> Result<ControlRequest, UnknownRequest>? {
        var bytes = [UInt8](repeating: 0, count: Self.longest)
        let count = recv(socket.descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { return nil }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return ControlRequest(text).map { .success($0) } ?? .failure(UnknownRequest(text: text))
    }

    /// A datagram that asks for nothing there is.
    package struct UnknownRequest: Error, Equatable {
        /// Its beginning.
        package var text: String

        /// The text of a datagram.
        package init(text: String) { self.text = text }
    }

    /// Sends a request to the daemon at a path.
    ///
    /// - Returns: 0, or why it was not delivered (errno(3)): ENOENT and ECONNREFUSED where no daemon takes requests there.
    package static func send(_ request: ControlRequest, to path: String) -> Int32 {
        UnixAddress(Array(path.utf8))?.send(Array(request.text.utf8)) ?? ENAMETOOLONG
    }
}
