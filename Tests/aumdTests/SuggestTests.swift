import Foundation
import TestSupport
import Testing

@Suite("aumd suggest")
struct SuggestTests {
    private let folder = TemporaryFolder()
    private let scene = packageRoot.appending(path: "Sources/aumd/Resources/demo.ogg").path(percentEncoded: false)

    private func closed(_ config: String? = nil) throws -> (lines: String, labels: [String]) {
        let run = try Program.shell("$AUMD tag --mode stream --format ndjson \(config.map { "--config \($0)" } ?? "") '\(scene)'")
        #expect(run.status == 0)
        return (run.output, try Line.all(run.output).filter { $0["phase"] == "close" }.compactMap { $0["label"] })
    }

    @Test("Under the thresholds that it suggests there is no more of a label than was asked for, of the labels that were asked for")
    func fewer() throws {
        let before = try closed(), log = folder.path + "/log.ndjson"
        try folder.write(before.lines, to: "log.ndjson")
        let all = try Program.run("suggest", "--per-day", "0", log)
        #expect(all.status == 0 && all.errors == "")
        try folder.write(all.output, to: "all.yaml")
        #expect(try Program.run("check", folder.path + "/all.yaml").status == 0)
        #expect(before.labels.count >= 8)
        let after = try closed(folder.path + "/all.yaml").labels
        #expect(Set(after).isDisjoint(with: before.labels))
        // A parent whose score the log did not have.
        #expect(after.count <= before.labels.count / 4)

        let label = try #require(before.labels.first)
        let one = try Program.shell("$AUMD suggest --per-day 0 --label '\(label)' < \(log)")
        try folder.write(one.output, to: "one.yaml")
        let left = try closed(folder.path + "/one.yaml").labels
        #expect(!left.contains(label) && left.count >= before.labels.count - 2)

        // A second time there is nothing to say.
        let again = try Program.run("suggest", "--per-day", "0", "--config", folder.path + "/all.yaml", log)
        #expect(again.output.hasSuffix(": nothing to change.\n") && again.status == 0)
        #expect(try Program.run("suggest", "--per-day", "1e9", log).output.hasSuffix(": nothing to change.\n"))
    }

    @Test("Records of any time and number are no reason to crash")
    func anyNumbers() throws {
        let event = #""type":"event","phase":"close","label":"Bark","parents":["Bark","?"],"peak""#
        let lines = [
            #""type":"status","seq":0,"time":-1e300"#, #""type":"status","seq":1,"time":1e300"#, #""type":"status","seq":-5,"time":1e308"#,
            #""type":"gap","from":1e308,"to":-1e308"#, #"\#(event):1e300"#, #"\#(event):-1"#, #"\#(event):0.97"#, #"\#(event):{}"#,
        ].map { #"{"schema":"aumd/1",\#($0)}"# }
        try folder.write((lines + ["", "{", "\u{0}"]).joined(separator: "\n"), to: "log.ndjson")
        for perDay in ["0", "1", "1e308"] {
            let run = try Program.run("suggest", "--per-day", perDay, folder.path + "/log.ndjson")
            #expect(run.status == 0 && run.errors == "", "\(run.errors)")
            try folder.write(run.output, to: "said.yaml")
            #expect(try Program.run("check", folder.path + "/said.yaml").status == 0)
        }
    }

    @Test("What it cannot read or use, it says in one sentence", arguments: [
        (["/nowhere/log"], 66, "/nowhere/log cannot be read: No such file or directory."),
        (["/dev/null"], 65, "No time passes in these records; give it the lines that 'aumd listen --format ndjson' wrote."),
        (["--label", "Barking", "/dev/null"], 64, "the nearest is \"Bark\""), (["--per-day", "-1", "/dev/null"], 64, "--per-day"),
        (["/proc/self/mem"], 74, "/proc/self/mem cannot be read: Input/output error."), (["/tmp"], 74, "/tmp cannot be read: Is a directory."),
    ])
    func refused(arguments: [String], status: Int32, sentence: String) throws {
        let run = try Program.shell("$AUMD suggest " + arguments.joined(separator: " "))
        #expect(run.status == status && run.output == "" && run.errors.contains(sentence), "\(run.errors)")
    }
}
