import Capture
import Glibc
import Sinks
import TestSupport
import Testing

private let schema = "\(root)/Sources/Sinks/aumd-1.schema.json"

/// Validates each line with Python's jsonschema, and strictly. A missing python3 or jsonschema fails the test: install it with
/// `python3 -m pip install jsonschema`.
private func validate(_ lines: String) -> (status: Int32, output: String) {
    let folder = TemporaryFolder()
    write(lines, to: folder.file("lines"))
    return shell("python3 '\(root)/Tests/TestSupport/validate_records.py' '\(schema)' '\(folder.file("lines"))'")
}

@Suite("Schema aumd/1") struct SchemaTests {
    @Test("Every kind of record, with clock and with stream times, is what the schema says")
    func everyRecord() throws {
        #expect(Set(try Samples.records().map(\.kind)) == .all)
        let lines = try Samples.everyLine()
        let result = validate(lines.joined())
        #expect(result.status == 0 && result.output == "\(lines.count)\n", "\(result.output)")
    }

    @Test("The causes of a gap are those that capture has, in the same words")
    func causes() {
        #expect(Set(Gap.Cause.allCases.map(\.rawValue)) == Set(GapRecord.Cause.allCases.map(\.rawValue)))
    }

    @Test("The schema refuses a record with a field missing, misnamed, of a wrong type or phase")
    func refuses() throws {
        let line = Samples.lines([try #require(try Samples.records().first)])
        #expect(validate(line).status == 0)
        for (old, new) in [
            (#""seq":0,"#, ""), (#""onset":"#, #""start":"#), (#""rev":0"#, #""rev":"0""#),
            (#""phase":"open""#, #""phase":"close""#), ("aumd/1", "aumd/2"), (#"Z","onset_error""#, #"","onset_error""#),
        ] {
            let wrong = replace(old, by: new, in: line)
            #expect(wrong != line)
            #expect(validate(wrong).status == 3, "\(wrong)")
        }
    }

    @Test("Names, order and text of every record are those of the golden file, for ever")
    func golden() throws {
        let lines = try Samples.everyLine().joined()
        let path = "\(root)/Tests/SinksTests/Golden/records.ndjson"
        // Only ever to add keys, or lines for new kinds of record: AUMD_WRITE_GOLDEN=1 swift test --filter golden
        if getenv("AUMD_WRITE_GOLDEN") != nil { write(lines, to: path) }
        let frozen = text(path)
        #expect(lines.split(separator: "\n").count == frozen.split(separator: "\n").count)
        for (line, golden) in zip(lines.split(separator: "\n"), frozen.split(separator: "\n")) {
            #expect(line == golden)
        }
    }
}

func replace(_ old: String, by new: String, in text: String) -> String {
    guard let range = text.firstRange(of: old) else { return text }
    return text.replacingCharacters(in: range, with: new)
}

extension String {
    fileprivate func replacingCharacters(in range: Range<String.Index>, with new: String) -> String {
        String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }
}
