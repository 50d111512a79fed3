import EventClient
import Sinks
import Tagging
import Testing

@Suite("Records that somebody wants") struct RecordFilterTests {
    private static let bark = #"{"schema":"aumd/1","type":"event","phase":"open","label":"Bark","parents":["Dog"],"score":0.5,"offset":null}"#
    private static let recording = #"{"schema":"aumd/1","type":"recording","label":"Bark","parents":["Dog"],"file":"a"}"#
    private static let gap = #"{"schema":"aumd/1","type":"gap"}"#
    private static let status = #"{"schema":"aumd/1","type":"status","dropped":3}"#

    @Test("Labels and phases are of events, types of all records", arguments: [
        (RecordFilter(), [bark, recording, gap, status]),
        (RecordFilter(labels: ["Dog"]), [bark, recording]), (RecordFilter(labels: ["Bark", "Cat"]), [bark, recording]), (RecordFilter(labels: ["Cat"]), []),
        (RecordFilter(phases: [.open]), [bark]), (RecordFilter(phases: [.close]), []), (RecordFilter(labels: ["Dog"], phases: [.open]), [bark]),
        (RecordFilter(kinds: [.gap, .status]), [gap, status]), (RecordFilter(labels: ["Cat"], kinds: [.event, .gap]), [gap]),
        (RecordFilter(labels: ["Dog"], phases: [.close, .open], kinds: [.event, .recording]), [bark, recording]),
        (RecordFilter(phases: [.close], kinds: [.event, .recording]), [recording]),
    ])
    func filter(filter: RecordFilter, passing: [String]) throws {
        let lines = [Self.bark, Self.recording, Self.gap, Self.status]
        #expect(try lines.filter { filter.passes(try #require(FollowedRecord(Array($0.utf8)))) } == passing)
    }

    @Test("What a command learns are texts as they are and numbers that read back the same")
    func environment() throws {
        let line = #"{"schema":"aumd/1","type":"event","id":"01","phase":"close","label":"Bark","onset":"2026-11-23T04:18:22.480Z","offset":1.76,"duration":3.53,"score":0.9300001,"peak":1,"parents":[]}"#
        let record = try #require(FollowedRecord(Array(line.utf8)))
        #expect(record.environment == [
            "EVENT_ID": "01", "EVENT_PHASE": "close", "EVENT_LABEL": "Bark", "EVENT_ONSET": "2026-11-23T04:18:22.480Z", "EVENT_OFFSET": "1.76",
            "EVENT_DURATION": "3.53", "EVENT_SCORE": "0.9300001",
        ])
    }

    @Test("What is no record of this schema is passed over", arguments: ["", "{", "3", "{}", #"{"schema":"aumd/2","type":"gap"}"#, #"{"schema":"aumd/1","type":"x"}"#])
    func noRecord(line: String) { #expect(FollowedRecord(Array(line.utf8)) == nil) }
}
