import Dispatch
import Glibc
import Sinks
import TestSupport
import Testing

/// What a client may cost.
extension SocketTests {
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

    @Test("At the end a client that is slow has half a second for what it has not taken yet")
    func takenAtTheEnd() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .events, capacity: 10_000)
        let sink = try SocketSink(path: folder.file("s"), queue: queue, bufferSize: 4 << 20) { _ in }
        let client = connect(folder.file("s")), collected = Collected()
        settle(client, queue)
        // More than the kernel takes.
        for number in 0..<5000 { queue.send(status(.silent, number)) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { collected.read(client) }
        #expect(sink.stop(milliseconds: 5000) && collected.wait())
        #expect(collected.text.split(separator: "\n").count { $0.contains("silent") } == 5000)
        close(client)
    }

    @Test("A client that takes nothing and loses no more than scores is not cut off")
    func losingScores() throws {
        let folder = TemporaryFolder()
        let queue = RecordQueue(kinds: .all, capacity: 100_000), notices = Notices()
        let sink = try SocketSink(path: folder.file("s"), queue: queue, bufferSize: 10_000, sendTimeout: 0, onNotice: notices.add)
        let slow = connect(folder.file("s")), quick = connect(folder.file("s"))
        settle(slow, queue)
        settle(quick, queue)
        let other = Collected()
        other.read(quick)
        // More than the kernel and half the client's buffer take.
        for number in 0..<5000 { queue.send(scores(number)) }
        queue.send(status(.silent))
        #expect(eventually { other.text.contains("silent") })
        let collected = Collected()
        collected.read(slow)
        #expect(eventually { collected.text.contains("silent") })
        #expect(sink.stop(milliseconds: 5000) && collected.wait() && collected.lineCount < 5000 && notices.all.isEmpty)
        close(slow)
        close(quick)
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
        // As many as may are there again, and it is told again.
        let refused = connect(folder.file("s"))
        #expect(recv(refused, &byte, 1, 0) == 0 && eventually { notices.all.count == 2 })
        close(refused)
        #expect(sink.stop(milliseconds: 5000))
        clients.forEach { close($0) }
    }
}
