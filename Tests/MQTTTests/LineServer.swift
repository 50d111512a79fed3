import Glibc
import Sinks

/// What a daemon's socket is to the bridge: a Unix socket that sends a client what the test says.
final class LineServer {
    let path: String
    private var listener: Int32
    private var client: Int32 = -1

    init(_ path: String) {
        self.path = path
        unlink(path)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let isBound = UnixAddress(Array(path.utf8))?.with { bind(listener, $0, $1) == 0 }
        precondition(isBound == true && listen(listener, 4) == 0, "\(path): errno \(errno)")
    }

    deinit { end() }

    /// Waits for the next client, ten seconds at most.
    func accept() -> Bool {
        if client >= 0 { close(client) }
        client = -1
        var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 10_000) > 0 else { return false }
        client = Glibc.accept(listener, nil, nil)
        return client >= 0
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// As when the daemon ends.
    func end() {
        for descriptor in [client, listener] where descriptor >= 0 { close(descriptor) }
        (client, listener) = (-1, -1)
        unlink(path)
    }
}

/// Records as the daemon writes them, with the fields that matter here.
enum Lines {
    static func status(_ state: String = "capturing", dropped: Int = 0) -> String {
        #"{"schema":"aumd/1","type":"status","seq":1,"state":"\#(state)","level_dbfs":-40.5,"dropped":\#(dropped)}"#
    }

    static func event(
        _ phase: String, _ id: Int, _ label: String, parents: [String] = [], status: String = "confirmed"
    ) -> String {
        let above = parents.map { "\"\($0)\"" }.joined(separator: ",")
        return #"{"schema":"aumd/1","type":"event","phase":"\#(phase)","id":"\#(id)","label":"\#(label)","parents":[\#(above)],"score":0.50000001,"status":"\#(status)"}"#
    }

    static let recording = #"{"schema":"aumd/1","type":"recording","id":"1","seq":3,"file":"a.flac"}"#
    static let gap = #"{"schema":"aumd/1","type":"gap","seq":2,"samples":480}"#
    static let scores = #"{"schema":"aumd/1","type":"scores","seq":3,"tags":[]}"#
}
