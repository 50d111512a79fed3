import Foundation
import TestSupport
import Testing

/// What is written, for people and for other programs.
extension TagTests {
    @Test("Every format has a line for each tag")
    func formats() throws {
        let csv = try Program.run("tag", "--format", "csv", "--top", "3", file)
        #expect(csv.output.split(separator: "\n").count == 4)
        #expect(csv.output.hasPrefix("file,label,mid,score\n"))
        let audacity = try Program.run("tag", "--format", "audacity", "--top", "3", file)
        #expect(audacity.output.split(separator: "\n").map { $0.hasPrefix("0\t6.0\t") } == [true, true, true])
        #expect(try Program.run("tag", "--format", "text", "--top", "3", file).output.split(separator: "\n").count == 4)
        let quiet = folder.path + "/quiet.wav"
        try Sound.wav([Int16](repeating: 0, count: 32000)).write(to: URL(filePath: quiet))
        let cut = folder.path + "/cut.wav"
        try Data(contentsOf: URL(filePath: file)).dropLast(60_000).write(to: URL(filePath: cut))
        try folder.write("events: {default: {mute: true}, labels: {Brass instrument: {mute: false, on: 0.03, off: 0.02}}}\n", to: "brass.yaml")
        let stream = try Program.run("tag", "--mode", "stream", "--config", folder.path + "/brass.yaml", "--format", "text", cut, quiet).output
        #expect(stream.hasPrefix(cut) && stream.hasSuffix("\n\(quiet)  nothing heard\n"), "\(stream)")
    }

    @Test("In a label track of several files each label names its file", arguments: ["offline", "stream"])
    func labelTracks(mode: String) throws {
        let other = folder.path + "/other\t1.wav"
        try FileManager.default.copyItem(atPath: file, toPath: other)
        func labels(_ files: String...) throws -> [String] {
            let output = try Command(Program.path, ["tag", "--mode", mode, "--config", config, "--format", "audacity"] + files).output
            return try output.split(separator: "\n").map { line in
                let fields = line.split(separator: "\t")
                try #require(fields.count == 3)
                return String(fields[2])
            }
        }
        let alone = try labels(file), both = try labels(file, other)
        #expect(!alone.isEmpty && alone.allSatisfy { !$0.contains(".wav") })
        #expect(both == alone.map { "\(file): \($0)" } + alone.map { #"\#(folder.path)/other\u{9}1.wav: \#($0)"# })
    }

    @Test("A file's name is one field of CSV, whatever is in it", arguments: ["a\nb", "a\rb", "a,\u{301}b", "a\"\u{301}b"])
    func csvNames(name: String) throws {
        let odd = "\(folder.path)/\(name).wav"
        try FileManager.default.copyItem(atPath: file, toPath: odd)
        let script = "import csv, sys; print([row[0] for row in csv.reader(open(0, newline=''))] == ['file', sys.argv[1]])"
        let result = try Command(
            "sh", ["-c", "\"$0\" tag --format csv --top 1 \"$1\" | python3 -X utf8 -c \"$2\" \"$1\"", Program.path, odd, script])
        #expect(result.output == "True\n", "\(result.errors)")
    }

    @Test("A file's name does not control the terminal of who reads of it")
    func namesOnTerminals() throws {
        let odd = folder.path + "/\u{1B}[2Ja\nb\u{9B}c.wav", written = #"/\u{1B}[2Ja\u{A}b\u{9B}c.wav"#
        try FileManager.default.copyItem(atPath: file, toPath: odd)
        for arguments in [["tag", "--top", "1", odd], ["tag", "--mode", "stream", "--config", config, odd], ["listen", "--source", odd]] {
            let result = try Command(Program.path, arguments + ["--format", "text"])
            #expect(result.output.contains(written) && !result.output.contains("\u{1B}"), "\(result.output)")
        }
        try FileManager.default.removeItem(atPath: odd)
        for arguments in [["tag", odd], ["listen", "--source", odd], ["check", odd]] {
            let result = try Command(Program.path, arguments)
            #expect(result.errors.contains(written) && !result.errors.contains("\u{1B}"), "\(result.errors)")
        }
        #expect(try Program.run("tag", "--top", "\u{1B}[2J", file).errors.contains(#"'\u{1B}[2J' is invalid"#))
    }

    @Test("What is written for people and for other programs are the labels, times and scores of the JSON lines")
    func sameInEveryFormat() throws {
        func lines(_ mode: String, _ format: String) throws -> [String] {
            try Program.run("tag", "--mode", mode, "--config", config, "--format", format, file).output.split(separator: "\n").map(String.init)
        }
        func percent(_ score: Double) -> String { "\(min(Int((score * 100).rounded()), score < 1 ? 99 : 100)) %" }
        let tags = try #require(try Line.all(lines("offline", "ndjson").joined(separator: "\n")).first).tags
        #expect(tags.count == 5)
        #expect(try lines("offline", "text").dropFirst().map { $0.split(separator: "  ").map { $0.drop { $0 == " " } } } == tags.map { [percent($0.score)[...], $0.label[...]] })
        #expect(try lines("offline", "audacity") == tags.map { "0\t6.0\t\($0.label) \(String(repeating: " ", count: 5 - percent($0.score).count))\(percent($0.score))" })
        let closed = try Line.all(lines("stream", "ndjson").joined(separator: "\n")).filter { $0["phase"] == "close" }
            .map { (onset: "\($0.number("onset")!)", offset: "\($0.number("offset")!)", label: $0["label"]!, peak: $0.number("peak")!) }
        #expect(closed.count > 4)
        #expect(try lines("stream", "audacity") == closed.map { "\($0.onset)\t\($0.offset)\t\($0.label)" })
        #expect(try lines("stream", "text").map { $0.split(separator: " ").suffix(2).joined(separator: " ") } == closed.map { percent($0.peak) })
        let rows = try lines("stream", "csv").dropFirst()
        #expect(rows.count == closed.count)
        for (row, event) in zip(rows, closed) {
            #expect(row.hasPrefix("\(file),\(event.onset),\(event.offset),") && row.contains(event.label) && row.hasSuffix(",\(Float(event.peak))"), "\(row)")
        }
    }
}
