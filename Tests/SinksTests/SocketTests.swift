import Glibc
import Sinks
import TestSupport
import Testing

@Suite("Unix socket") struct SocketTests {
    /// A connected client, or -1 with errno.
    private func connect(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result != 0 { close(descriptor) }
        return result == 0 ? descriptor : -1
    }

    /// Waits until a client that just connected gets lines, by sending records until one arrives.
    private func settle(_ client: Int32, _ queue: RecordQueue) {
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

    @Test("A client that stops reading loses scores before events, sees whole lines and its losses; others lose nothing")
    func slowClient() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .all, capacity: 100_000)
        let sink = try SocketSink(path: folder.file("s"), queue: queue, bufferSize: 100_000) { _ in }
        let slow = connect(folder.file("s"))
        let quick = connect(folder.file("s"))
        settle(slow, queue)
        settle(quick, queue)
        let other = Collected()
        // Sent as fast as the quick one reads, so that only the slow one is slow.
        other.read(quick)
        // More than the kernel and half the client's buffer take, less than all of it.
        var sent = 0
        while sent < 12_000 {
            queue.send(scores(sent))
            sent += 1
            if sent % 200 == 0 { #expect(eventually { other.lineCount >= sent }) }
        }
        for number in 0..<100 { queue.send(status(.silent, number)) }
        #expect(eventually { other.text.split(separator: "\n").last?.contains(#""time":0.099"#) == true })
        let late = Collected()
        late.read(slow)
        // Once there is room again, a status record tells the loss.
        #expect(eventually { late.text.contains(#""time":0.099"#) })
        queue.send(status(.stopping))
        #expect(sink.stop(milliseconds: 5000))
        #expect(late.wait() && other.wait())
        let whole = sequences(other.text)
        #expect(whole == Array(whole[0]..<whole[0] + whole.count))
        let numbers = sequences(late.text)
        let lost = numbers[numbers.count - 1] - numbers[0] + 1 - numbers.count
        #expect(lost > 1000)
        #expect(late.text.split(separator: "\n").filter { $0.contains("silent") }.count == 100)
        let last = late.text.split(separator: "\n").last ?? ""
        #expect(last.contains(#""state":"stopping""#) && last.contains(#""dropped":\#(lost),"#))
        close(slow)
        close(quick)
    }

    @Test("A client that loses events and takes nothing is cut off, and that is told")
    func cutOff() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events, capacity: 100_000)
        let notices = Notices()
        let sink = try SocketSink(
            path: folder.file("s"), queue: queue, bufferSize: 10_000, sendTimeout: 0, onNotice: notices.add)
        let client = connect(folder.file("s"))
        settle(client, queue)
        #expect(
            eventually {
                for _ in 0..<1000 { queue.send(status()) }
                return !notices.all.isEmpty
            })
        guard case .readerDropped(let name, let lost)? = notices.all.first else {
            Issue.record("\(notices.all)")
            return
        }
        #expect(name == folder.file("s") && lost > 0)
        let collected = Collected()
        collected.read(client)
        #expect(collected.wait())
        #expect(sink.stop(milliseconds: 5000))
        close(client)
    }

    @Test("One client more than there may be is turned away, and that is told once; another may take the place of one that leaves")
    func limit() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events), notices = Notices()
        let sink = try SocketSink(path: folder.file("s"), queue: queue, onNotice: notices.add)
        var clients = (0..<SocketSink.maximumClients).map { _ in connect(folder.file("s")) }
        for client in clients { settle(client, queue) }
        var byte: UInt8 = 0
        for _ in 0..<2 {
            let refused = connect(folder.file("s"))
            #expect(recv(refused, &byte, 1, 0) == 0)
            close(refused)
        }
        #expect(notices.all == [.readerRefused(name: folder.file("s"), limit: 64)])
        close(clients.removeLast())
        #expect(
            eventually {
                let client = connect(folder.file("s"))
                clients.append(client)
                return recv(client, &byte, 1, 0) == 1
            })
        #expect(sink.stop(milliseconds: 5000))
        clients.forEach { close($0) }
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
