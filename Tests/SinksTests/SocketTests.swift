import Glibc
import Sinks
import TestSupport
import Testing

@Suite("Unix socket") struct SocketTests {
    /// A connected client, or -1 with errno.
    func connect(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let result = address(path) { Glibc.connect(descriptor, $0, $1) }
        if result != 0 { close(descriptor) }
        return result == 0 ? descriptor : -1
    }

    private func address(_ path: String, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private func processorSeconds() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
    }

    /// Waits until a client that just connected gets lines, by sending records until one arrives.
    func settle(_ client: Int32, _ queue: RecordQueue) {
        var entry = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
        #expect(
            eventually {
                queue.send(status())
                return poll(&entry, 1, 5) > 0
            })
    }

    @Test("Every client gets the same whole lines from its connection on, and a client's end disturbs no other")
    func clients() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events, capacity: 4096)
        let sink = try SocketSink(path: folder.file("s"), queue: queue, bufferSize: 4 << 20) { _ in }
        let clients = (0..<10).map { _ in connect(folder.file("s")) }
        #expect(clients.allSatisfy { $0 >= 0 })
        for client in clients { settle(client, queue) }
        close(clients[0])
        let collected = clients.dropFirst().map { client in
            let collected = Collected()
            collected.read(client)
            return collected
        }
        for number in 0..<2000 { queue.send(status(.capturing, number)) }
        #expect(sink.stop(milliseconds: 5000))
        for client in collected {
            #expect(client.wait())
            let numbers = sequences(client.text)
            #expect(numbers.count >= 2000)
            #expect(numbers == Array((numbers.first ?? 0)..<(numbers.first ?? 0) + numbers.count))
            #expect(numbers.last == collected.first.flatMap { sequences($0.text).last })
        }
        clients.dropFirst().forEach { close($0) }
        #expect(contents(folder.file("s")) == nil && access(folder.file("s"), F_OK) != 0)
    }

    @Test("A client begins with the last status and the events that are open, as they were last told, and hears what follows")
    func standing() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events)
        let sink = try SocketSink(path: folder.file("s"), queue: queue) { _ in }
        let records = try Samples.records().filter { if case .event = $0 { true } else { false } }
        let first = connect(folder.file("s"))
        settle(first, queue)
        let early = Collected()
        early.read(first)
        // Until an event is open, and until all are closed.
        for count in [records.firstIndex { if case .event(let event) = $0 { event.reason == .confirmed } else { false } }! + 1, records.count] {
            for record in records.prefix(count) { queue.send(record) }
            queue.send(status(.silent, 1000 + count))
            #expect(eventually { early.text.contains(#""time":\#(Double(1000 + count) / 1000),"#) })
            var open: [ULID: EventRecord] = [:]
            for case .event(let event) in records.prefix(count) {
                open[event.id] = event.phase == .close || event.phase == .retract ? nil : event
            }
            #expect(open.isEmpty == (count == records.count))
            let late = Collected()
            let second = connect(folder.file("s"))
            late.read(second)
            #expect(eventually { late.lineCount == open.count + 1 })
            let told = early.text.split(separator: "\n")
            let lines = late.text.split(separator: "\n")
            #expect(lines.allSatisfy(told.contains), "they are what was told, numbers included")
            #expect(lines.last?.contains(#""state":"silent""#) == true)
            #expect(Set(lines.dropLast().compactMap { line in open.values.first { line.contains("\($0.id)") }?.id }) == Set(open.keys))
            queue.send(status(.capturing))
            #expect(eventually { late.text.contains(#""state":"capturing""#) })
            close(second)
        }
        #expect(sink.stop(milliseconds: 5000))
        close(first)
    }

    @Test("A client does not begin with events whose end may be among what was lost")
    func standingAfterLoss() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events, capacity: 4)
        let sink = try SocketSink(path: folder.file("s"), queue: queue) { _ in }
        let opening = try #require(try Samples.records().first { if case .event = $0 { true } else { false } })
        queue.send(opening)
        #expect(beginnings(folder.file("s"), queue) == 1)
        while queue.dropped.others == 0 { queue.send(status()) }
        // That there was a loss may not have been known when the first of these came.
        _ = beginnings(folder.file("s"), queue)
        #expect(beginnings(folder.file("s"), queue) == 0)
        #expect(sink.stop(milliseconds: 5000))
    }

    /// The events that a new client begins with: all that it hears before a status that is sent once it is there.
    private func beginnings(_ path: String, _ queue: RecordQueue) -> Int {
        let client = connect(path)
        defer { close(client) }
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        while !queue.send(status(.silent)) { usleep(1000) }
        var text = "", bytes = [UInt8](repeating: 0, count: 1 << 16)
        while !text.contains(#""state":"silent""#) {
            let count = recv(client, &bytes, bytes.count, 0)
            guard count > 0 else { return -1 }
            text += String(decoding: bytes.prefix(count), as: UTF8.self)
        }
        return text.prefix(upTo: text.firstRange(of: #""state":"silent""#)!.lowerBound).split(separator: "\n")
            .count { $0.contains(#""type":"event""#) }
    }

    @Test("The socket file has the permissions asked for, and no wider ones before", arguments: [0o600, 0o660, 0o666])
    func mode(mode: UInt32) throws {
        let folder = TemporaryFolder()
        let sink = try SocketSink(path: folder.file("s"), mode: mode, queue: RecordQueue(kinds: .events)) { _ in }
        var information = stat()
        #expect(lstat(folder.file("s"), &information) == 0)
        #expect(information.st_mode & 0o777 == mode)
        #expect(sink.stop(milliseconds: 5000))
    }

    @Test("A socket file that a dead process left is replaced; one where somebody listens, or another file, is not")
    func stale() throws {
        let folder = TemporaryFolder()
        let path = folder.file("s")
        shell("python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"\(path)\")'")
        #expect(access(path, F_OK) == 0)
        let sink = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in }
        #expect(throws: SinkError.socketInUse(path: path)) {
            _ = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in }
        }
        let client = connect(path)
        #expect(client >= 0)
        close(client)
        #expect(sink.stop(milliseconds: 5000))

        write("precious", to: path)
        #expect(throws: SinkError.socketPathTaken(path: path)) {
            _ = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in }
        }
        #expect(text(path) == "precious")
        let long = folder.file(String(repeating: "x", count: 120))
        #expect(throws: SinkError.socketPathLength(path: long)) {
            _ = try SocketSink(path: long, queue: RecordQueue(kinds: .events)) { _ in }
        }
        #expect(throws: SinkError.socket(path: "/nonexistent/s", call: "bind", errno: ENOENT)) {
            _ = try SocketSink(path: "/nonexistent/s", queue: RecordQueue(kinds: .events)) { _ in }
        }
    }

    @Test("The file of another that has taken the path since stays; somebody who is too busy to accept still has it")
    func taken() throws {
        let folder = TemporaryFolder()
        let path = folder.file("s")
        let first = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in }
        #expect(rename(path, folder.file("old")) == 0)
        let second = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in }
        #expect(first.stop(milliseconds: 5000) && access(path, F_OK) == 0)
        #expect(second.stop(milliseconds: 5000) && access(path, F_OK) != 0)

        let busy = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(busy) }
        #expect(address(path) { bind(busy, $0, $1) } == 0 && listen(busy, 0) == 0)
        var waiting: [Int32] = []
        repeat { waiting.append(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)) }
        while address(path) { Glibc.connect(waiting.last!, $0, $1) } == 0
        #expect(throws: SinkError.socketInUse(path: path)) { _ = try SocketSink(path: path, queue: RecordQueue(kinds: .events)) { _ in } }
        waiting.forEach { close($0) }
    }

    @Test("A client that sends something, or closes its sending side, still gets its lines")
    func chatty() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events)
        let sink = try SocketSink(path: folder.file("s"), queue: queue) { _ in }
        let client = connect(folder.file("s"))
        let hello = Array("hello\n".utf8)
        #expect(Glibc.send(client, hello, hello.count, 0) == hello.count)
        #expect(shutdown(client, Int32(SHUT_WR)) == 0)
        settle(client, queue)
        // And that it has nothing more to say keeps nobody busy. The time is the whole process's: nothing may run beside this
        // (--no-parallel).
        let begin = processorSeconds()
        usleep(300_000)
        #expect(processorSeconds() - begin < 0.15)
        queue.send(status(.stopping))
        let collected = Collected()
        collected.read(client)
        #expect(sink.stop(milliseconds: 5000))
        #expect(collected.wait())
        #expect(collected.text.contains("stopping"))
        #expect(!sequences(collected.text).isEmpty)
        close(client)
    }
}
