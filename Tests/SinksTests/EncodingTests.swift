import Foundation
import Sinks
import Testing

@Suite("Encoding") struct EncodingTests {
    @Test(
        "RFC 3339 in UTC with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"), (1_795_407_502_480, "2026-11-23T04:18:22.480Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func times(milliseconds: Int64, text: String) {
        #expect(RecordTime.clock(milliseconds: milliseconds).text == text)
    }

    @Test("Every day from 1900 to 2100 follows the one before")
    func days() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var day: Int64 = -25_567
        for year in 1900...2100 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            for month in 1...12 {
                for date in 1...(lengths[month - 1] + (leap && month == 2 ? 1 : 0)) {
                    let text = RecordTime.clock(milliseconds: day * 86_400_000).text
                    let expected = "\(year)-\(month < 10 ? "0" : "")\(month)-\(date < 10 ? "0" : "")\(date)T00:00:00.000Z"
                    guard text == expected else {
                        Issue.record("\(text) is not \(expected)")
                        return
                    }
                    day += 1
                }
            }
        }
    }

    @Test("An id sorts by time, is the same for the same event, and another for another source or number")
    func ids() {
        let id = ULID(milliseconds: 1_469_918_176_385, source: "kitchen", number: 2)
        // The time part of the specification's own example.
        #expect(id.description.hasPrefix("01ARYZ6S41"))
        #expect(id.description.count == 26)
        #expect(id == ULID(milliseconds: 1_469_918_176_385, source: "kitchen", number: 2))
        #expect(id.description < ULID(milliseconds: 1_469_918_176_386, source: "a", number: 0).description)
        var seen: Set<String> = []
        for source in ["", "a", "b", "kitchen"] {
            for number in UInt64(0)..<1000 {
                seen.insert(ULID(milliseconds: 5, source: source, number: number).description)
            }
        }
        #expect(seen.count == 4 * 1000)
        #expect(ULID(milliseconds: .max, source: "", number: 0).description.hasPrefix("7ZZZZZZZZZ"))
        #expect(ULID(milliseconds: -5, source: "", number: 0).description.hasPrefix("0000000000"))
    }

    @Test("An event keeps its id when its onset or the clock is corrected, and a later one has another")
    func eventIDs() throws {
        var ids = EventIDs(source: "kitchen")
        var given: [UInt64: Set<ULID>] = [:]
        for (step, action) in Samples.actions().enumerated() {
            let id = ids.id(of: action) { .clock(milliseconds: $0 + Int64(step)) }
            given[action.event.number, default: []].insert(id)
        }
        #expect(given.count == 3)
        #expect(given.values.allSatisfy { $0.count == 1 })
        #expect(given.values.reduce(into: Set()) { $0.formUnion($1) }.count == 3)
    }

    @Test("A record has the name of the record before where it was another, and no other")
    func formerLabel() {
        var ids = EventIDs(source: "kitchen")
        for action in Samples.actions() {
            for former in [nil, 0, 1, 2, 3] {
                let record = EventRecord(
                    action, at: 0, former: former, id: ids.id(of: action, time: Samples.clock), source: "kitchen", model: Samples.model,
                    labels: Samples.labels, time: Samples.clock)
                #expect(record.formerLabel == former.flatMap { $0 == action.event.label ? nil : Samples.labels[$0].name })
            }
        }
    }

    @Test("Scores read back as the same number, and what is no number is null")
    func numbers() throws {
        var encoder = RecordEncoder()
        for bits in stride(from: UInt32(0), through: UInt32.max - 9_999_991, by: 9_999_991) {
            let score = Float(bitPattern: bits)
            let clip = ClipRecord(file: "", duration: 0, model: "", tags: [Tag(label: "", mid: "", score: score)])
            let line = String(decoding: encoder.line(clip, sequence: 0), as: UTF8.self)
            let start = try #require(line.firstRange(of: #""score":"#)).upperBound
            let number = line[start...].prefix { $0 != "}" }
            if score.isFinite { #expect(Float(number) == score) } else { #expect(number == "null") }
        }
    }

    @Test("A text reads back as it was, whatever is in it")
    func texts() throws {
        var scalars = String.UnicodeScalarView((0..<0x250).compactMap { Unicode.Scalar($0 as UInt32) })
        scalars.append(contentsOf: "\u{2028}\u{FFFD}\u{10FFFF}🎤".unicodeScalars)
        var encoder = RecordEncoder()
        let line = encoder.line(ClipRecord(file: String(scalars), duration: 0, model: "", tags: []), sequence: 0)
        let read = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        #expect((read["file"] as? String).map { Array($0.unicodeScalars) } == Array(scalars))
    }
}
