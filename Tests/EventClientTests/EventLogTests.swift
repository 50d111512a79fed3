import EventClient
import Testing

@Suite("A log of events") struct EventLogTests {
    private static func log(_ lines: [String]) throws -> EventLog {
        var log = EventLog()
        for line in lines { log.add(try #require(FollowedRecord(Array(#"{"schema":"aumd/1",\#(line)}"#.utf8)))) }
        return log
    }

    private static func status(_ sequence: Int, _ time: String, _ state: String = "capturing") -> String {
        #""type":"status","seq":\#(sequence),"time":\#(time),"state":"\#(state)""#
    }

    @Test("is as long as the time between its records, without gaps and without the time between two starts")
    func seconds() throws {
        let log = try Self.log([
            Self.status(0, #""2026-11-27T23:59:30.000Z""#), Self.status(1, #""2026-11-28T00:00:30.500Z""#),  // 60.5 s
            #""type":"gap","seq":2,"from":"2026-11-28T00:00:00.000Z","to":"2026-11-28T00:00:10.000Z""#,  // 10 s missing
            Self.status(3, #""2026-11-28T00:01:00.500Z""#, "stopping"),  // 30 s
            Self.status(0, #""2026-11-28T09:00:00.000Z""#), Self.status(1, #""2026-11-28T09:00:01.000Z""#),  // 1 s
            Self.status(0, #""2026-11-28T12:00:00.000Z""#), Self.status(7, #""2026-11-28T12:00:02.000Z""#),  // after a crash: 2 s
        ])
        #expect(log.seconds == 83.5)
        #expect(try Self.log([Self.status(0, "1.5"), Self.status(1, "4")]).seconds == 2.5)
        #expect(try Self.log([Self.status(5, #""yesterday""#), Self.status(6, "null")]).seconds == 0)
        #expect(EventLog().seconds == 0)
    }

    @Test("has the events that closed, with label, ancestors and peak")
    func events() throws {
        func event(_ phase: String, _ label: String, peak: String) -> String {
            #""type":"event","seq":1,"phase":"\#(phase)","time":1,"label":"\#(label)","parents":["Animal"],"peak":\#(peak)"#
        }
        let log = try Self.log([
            event("open", "Bark", peak: "0.5"), event("update", "Bark", peak: "0.6"), event("close", "Bark", peak: "0.7"),
            event("retract", "Cat", peak: "0.8"), event("close", "Cat", peak: "1"), event("close", "Cat", peak: "null"),
        ])
        #expect(log.events.map(\.label) == ["Bark", "Cat"] && log.events.map(\.peak) == [0.7, 1])
        #expect(log.events.allSatisfy { $0.parents == ["Animal"] })
    }
}
