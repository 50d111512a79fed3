import Foundation
import TestSupport
import Testing

@Suite("aumd tag")
struct TagTests {
    let folder: TemporaryFolder
    let file: String
    let config: String

    init() throws {
        folder = TemporaryFolder()
        file = folder.path + "/bursts.wav"
        try Sound.wav(Sound.bursts(seconds: 6)).write(to: URL(filePath: file))
        config = folder.path + "/everything.yaml"
        try folder.write(Sound.everything, to: "everything.yaml")
    }

    @Test("Offline, one line a file: every label once, by falling score, each score in 0 to 1 and round-tripping")
    func offline() throws {
        let result = try Program.run("tag", "--mode", "offline", "--format", "ndjson", "--top", "all", file, file)
        #expect(result.status == 0)
        #expect(result.errors == "")
        let lines = try Line.all(result.output)
        #expect(lines.count == 2)
        for line in lines {
            #expect(line["schema"] == "aumd/1" && line["type"] == "clip" && line["file"] == file)
            #expect(line.number("duration") == 6)
            let tags = line.tags
            #expect(Set(tags.map(\.label)).count == tags.count && tags.count >= 100)
            #expect(tags.map(\.score) == tags.map(\.score).sorted(by: >))
            #expect(!tags.contains { !(0...1).contains($0.score) })
        }
        #expect(try lines.map { try #require($0.fields["tags"] as? NSArray) }.dropFirst().first == lines[0].fields["tags"] as? NSArray)
    }

    @Test("Embedding mode writes a vector of the model's width for each file, the same for the same sound, and is always JSON")
    func embedding() throws {
        let other = folder.path + "/other.wav"
        try Sound.wav(Array(Sound.bursts(seconds: 6).reversed())).write(to: URL(filePath: other))
        let result = try Program.run("tag", "--mode", "embedding", file, file, other, "/no/such.wav")
        #expect(result.status == 66 && result.errors.contains("/no/such.wav"))
        let lines = try Line.all(result.output)
        #expect(lines.map { $0["type"] } == ["embedding", "embedding", "embedding"] && lines.map { $0["file"] } == [file, file, other])
        let vectors = try lines.map { try #require($0.fields["embedding"] as? [Double]) }
        #expect(vectors.allSatisfy { $0.count == 192 && $0.allSatisfy(\.isFinite) })
        #expect(vectors[0] == vectors[1] && vectors[0] != vectors[2])
        for options in [["--top", "3"], ["--format", "csv"]] {
            #expect(try Command(Program.path, ["tag", "--mode", "embedding"] + options + [file]).status == 64)
        }
    }

    @Test("--top says how many tags", arguments: [1, 3, 7])
    func top(count: Int) throws {
        let result = try Program.run("tag", "--format", "ndjson", "--top", "\(count)", file)
        #expect(try Line.all(result.output).first?.tags.count == count)
    }

    @Test("What is heard to a file's end has its offset there, wherever in a column that is", arguments: [5.0, 5.1, 5.14])
    func ends(seconds: Double) throws {
        let silence = folder.path + "/silence.wav", settings = folder.path + "/silence.yaml"
        try Sound.wav([Int16](repeating: 0, count: Int(seconds * 16_000))).write(to: URL(filePath: silence))
        try folder.write("events: {labels: {Silence: {mute: false}}}", to: "silence.yaml")
        let result = try Program.run("tag", "--mode", "stream", "--config", settings, "--format", "ndjson", silence)
        let closed = try #require(try Line.all(result.output).first { $0["phase"] == "close" && $0["label"] == "Silence" })
        #expect(closed.number("offset") == seconds)
    }

    @Test("Scores mode tells of every column what listening to the file tells as confirmed, in any format but a label track")
    func scores() throws {
        let heard = try Line.all(
            Program.shell("AUMD_SCORES=112 \"$AUMD\" listen --source \(file) --format ndjson").output
        ).filter { $0["type"] == "scores" && $0["status"] == "confirmed" }
        let told = try Line.all(Program.run("tag", "--mode", "scores", "--top", "all", "--format", "ndjson", file).output)
        #expect(told.count == heard.count && told.count == 38)
        for (index, (line, other)) in zip(told, heard).enumerated() {
            #expect(line["type"] == "scores" && abs(line.number("time")! - 0.16 * Double(index)) < 1e-9)
            #expect(line.tags.map(\.label) == other.tags.map(\.label) && line.tags.map(\.score) == other.tags.map(\.score))
        }
        let csv = try Program.run("tag", "--mode", "scores", "--top", "3", "--format", "csv", file).output.split(separator: "\n")
        #expect(csv.count == 1 + 3 * told.count && csv[0] == "file,time,label,mid,score")
        #expect(csv[4].hasPrefix("\(file),0.16,"))
        let text = try Program.run("tag", "--mode", "scores", "--format", "text", file).output.split(separator: "\n")
        #expect(text.count == told.count && text[1].hasPrefix("\(file)  0.16 s  "))
    }

    @Test("Stream mode tells the event lines that listening to the file tells, times counted from its start")
    func stream() throws {
        let tagged = try Line.all(Program.run("tag", "--config", config, "--mode", "stream", "--format", "ndjson", file).output)
        let heard = try Line.all(Program.run("listen", "--config", config, "--source", file, "--format", "ndjson").output)
            .filter { $0["type"] == "event" }
        #expect(tagged.count > 4)
        #expect(tagged.count == heard.count)
        let start = try #require(heard.first?.time("onset")) - tagged[0].time("onset")!
        for (a, b) in zip(tagged, heard) {
            for key in ["phase", "label", "mid", "status", "reason", "model"] { #expect(a[key] == b[key]) }
            for key in ["rev", "score", "peak", "onset_error"] { #expect(a.number(key) == b.number(key)) }
            for key in ["onset", "offset"] {
                #expect((a.time(key) == nil) == (b.time(key) == nil))
                if let x = a.time(key), let y = b.time(key) { #expect(abs(y - start - x) <= 1) }
            }
        }
    }

    @Test("One channel is tagged as a file of its own, in both modes, whoever names it; one that a file has not is told")
    func channel() throws {
        let stereo = folder.path + "/stereo.wav"
        let wide = Sound.bursts(seconds: 6).flatMap { [$0, Int16(0)] }
        try Sound.wav(wide, channels: 2).write(to: URL(filePath: stereo))
        try folder.write(Sound.everything + "source: {channel: 0}\n", to: "channel.yaml")
        func found(_ arguments: String..., environment: [String: String] = [:]) throws -> [String] {
            let result = try Command(Program.path, ["tag", "--format", "csv"] + arguments, environment: environment)
            #expect(result.status == 0, "\(result.errors)")
            return result.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",").dropFirst().joined(separator: ",") }
        }
        for mode in ["offline", "stream"] {
            let alone = try found("--mode", mode, "--config", config, file)
            #expect(!alone.isEmpty)
            #expect(try found("--mode", mode, "--config", config, "--channel", "0", stereo) == alone)
            #expect(try found("--mode", mode, "--config", config, stereo, environment: ["AUMD_CHANNEL": "0"]) == alone)
            #expect(try found("--mode", mode, "--config", folder.path + "/channel.yaml", stereo) == alone)
            #expect(try found("--mode", mode, "--config", folder.path + "/channel.yaml", "--channel", "all", stereo) != alone)
        }
        let mixed = try Program.run("tag", "--format", "ndjson", "--channel", "1", file, stereo)
        #expect(mixed.status == 65 && mixed.errors.contains("\(file)' has no channel 1"), "\(mixed.errors)")
        #expect(try Line.all(mixed.output).compactMap { $0["file"] } == [stereo])
        #expect(try Program.run("tag", "--channel", "left", file).status == 64)
    }

    @Test("No event begins before the last one of its label ended, whatever the spectrum says of its onset")
    func order() throws {
        let long = folder.path + "/long.wav"
        try Sound.wav(Sound.bursts(seconds: 40)).write(to: URL(filePath: long))
        let lines = try Line.all(Program.run("tag", "--config", config, "--mode", "stream", "--format", "ndjson", long).output)
        var ends: [String: Double] = [:], again = 0
        for line in lines where line["phase"] == "close" {
            let label = try #require(line["label"]), onset = try #require(line.number("onset"))
            if let end = ends[label] {
                again += 1
                #expect(onset >= end, "\(label)")
            }
            ends[label] = line.number("offset")
        }
        #expect(again > 4)
    }

    @Test("A second run gives the same bytes")
    func reproducible() throws {
        let first = try Program.run("tag", "--config", config, "--mode", "stream", "--format", "ndjson", file).output
        #expect(!first.isEmpty)
        #expect(try Program.run("tag", "--config", config, "--mode", "stream", "--format", "ndjson", file).output == first)
    }

    @Test("The lines of all files are numbered without a hole", arguments: ["offline", "stream"])
    func numbered(mode: String) throws {
        let result = try Program.run("tag", "--config", config, "--mode", mode, "--format", "ndjson", file, file)
        let numbers = try Line.all(result.output).map { $0.number("seq") }
        #expect(numbers.count > 1 && numbers == (0..<numbers.count).map(Double.init))
    }

    @Test("A closed reader ends the program quietly, and what is left of the file is not analysed")
    func closedReader() throws {
        let long = folder.path + "/long.wav"
        try Sound.wav(Sound.bursts(seconds: 6) + [Int16](repeating: 0, count: 3000 * 16000)).write(to: URL(filePath: long))
        let line = "timeout 10 \"$AUMD\" tag --config \(config) --mode stream --format ndjson \(long)"
        let result = try Program.shell("(\(line); echo $? >&2) | head -n 1")
        #expect(result.output.split(separator: "\n").count == 1)
        #expect(result.errors == "0\n")
    }

    @Test("A bad file is told in one sentence with its exit code, and the good ones are tagged all the same")
    func badFiles() throws {
        let text = folder.path + "/text.wav", empty = folder.path + "/empty.wav", none = folder.path + "/none.wav"
        try Data("this is no sound".utf8).write(to: URL(filePath: text))
        try Data().write(to: URL(filePath: empty))
        let headerOnly = folder.path + "/header.wav"
        try Sound.wav([]).write(to: URL(filePath: headerOnly))
        for (bad, code) in [(text, 65), (empty, 65), (none, 66), (headerOnly, 65), (folder.path, 66)] {
            let result = try Program.run("tag", "--format", "ndjson", bad, file)
            #expect(result.status == code, "\(bad)")
            #expect(result.errors.split(separator: "\n").count == 1)
            #expect(result.errors.contains(bad))
            #expect(try Line.all(result.output).count == 1)
        }
        // The first one's code.
        #expect(try Program.run("tag", text, none).status == 65)
        #expect(try Program.run("tag", none, text).status == 66)
    }

    @Test("A file of more than an hour is told to be too long for one clip")
    func tooLong() throws {
        let long = folder.path + "/long.wav"
        try Sound.wav([Int16](repeating: 0, count: 4000 * 3601), rate: 4000).write(to: URL(filePath: long))
        let result = try Program.run("tag", "--format", "ndjson", long, file)
        #expect(result.status == 65 && result.errors.contains("'\(long)' is longer than 60 minutes"), "\(result.errors)")
        #expect(try Line.all(result.output).compactMap { $0["file"] } == [file])
    }

    @Test("Samples that are no numbers are counted and told, of each file", arguments: ["offline", "stream"])
    func broken(mode: String) throws {
        let raw = folder.path + "/raw", odd = folder.path + "/nan.wav"
        let values = Sound.bursts(seconds: 2).enumerated().map { $0 < 100 ? $0 % 2 == 0 ? Float.nan : .infinity : Float($1) / 32768 }
        try values.withUnsafeBytes { Data($0) }.write(to: URL(filePath: raw))
        #expect(try Command("ffmpeg", ["-v", "error", "-f", "f32le", "-ar", "16000", "-ac", "1", "-i", raw, "-c", "copy", odd]).status == 0)
        let result = try Program.run("tag", "--mode", mode, "--format", "ndjson", odd, file)
        #expect(result.status == 0)
        #expect(result.errors == "aumd: sound file '\(odd)' holds 100 samples that are NaN, infinite or out of range; they count as 0\n")
    }

    @Test("Files of a few samples, fewer than one at the model's rate, are tagged, and the files after them")
    func fewSamples() throws {
        for (count, rate) in [(1, 48_000), (2, 48_000), (20, 384_000)] {
            let short = folder.path + "/short.wav"
            try Sound.wav([Int16](repeating: 1000, count: count), rate: rate).write(to: URL(filePath: short))
            for mode in ["offline", "stream"] {
                let result = try Program.run("tag", "--mode", mode, "--config", config, "--format", "ndjson", short, file)
                #expect(result.status == 0 && result.errors == "", "\(result.errors)")
                let lines = try Line.all(result.output)
                #expect(lines.contains { $0[mode == "offline" ? "file" : "source"] == file })
                if mode == "offline" { #expect(lines.map(\.tags.count) == [5, 5]) }
            }
        }
    }

    @Test("A name that is not UTF-8 is told, and the others are tagged; of other arguments all are told at once")
    func mangledNames() throws {
        let tagged = try Program.shell("\"$AUMD\" tag --format ndjson \(file) $(printf 'k\\374che.wav') \(file)")
        #expect(tagged.status == 64)
        #expect(try Line.all(tagged.output).count == 2)
        #expect(tagged.errors.split(separator: "\n").count == 1 && tagged.errors.contains("is not UTF-8"), "\(tagged.errors)")
        let variable = try Program.shell("AUMD_FILE=$(printf 'k\\374che') \"$AUMD\" listen --source \(file)")
        #expect(variable.status == 64 && variable.errors == "aumd: The variable AUMD_FILE is not UTF-8 text; set it anew.\n", "\(variable.errors)")
        let heard = try Program.shell("\"$AUMD\" listen --source $(printf 'k\\374che') --name $(printf 'k\\366nig')")
        #expect(heard.status == 64)
        #expect(heard.errors.split(separator: "\n").count == 2, "\(heard.errors)")
    }

    @Test("A mistyped variable of the environment is told once, as a warning")
    func mistypedVariable() throws {
        let result = try Program.run("tag", "--format", "ndjson", file, file, environment: ["AUMD_DEVCE": "hw:1"])
        #expect(result.status == 0)
        #expect(result.errors == "aumd: warning: AUMD_DEVCE is no variable of aumd, and is ignored; the nearest is AUMD_DEVICE.\n")
    }

    @Test("Silence is told where somebody says that it, or every label, is not mute")
    func silence() throws {
        let quiet = folder.path + "/quiet.wav"
        try Sound.wav([Int16](repeating: 0, count: 48_000)).write(to: URL(filePath: quiet))
        for (rules, isTold) in [
            ("{default: {on: 0.02, off: 0.01}}", false), ("{default: {on: 0.02, off: 0.01, mute: false}}", true),
            ("{default: {on: 0.02, off: 0.01}, labels: {Silence: {mute: false}}}", true),
            ("{default: {on: 0.02, off: 0.01, mute: false}, labels: {Silence: {mute: true}}}", false),
        ] {
            try folder.write("events: \(rules)\n", to: "mute.yaml")
            let result = try Program.run("tag", "--mode", "stream", "--format", "csv", "--config", folder.path + "/mute.yaml", quiet)
            #expect(result.status == 0 && result.output.contains(",Silence,") == isTold, "\(rules): \(result.errors)")
        }
    }

    @Test("Files of one sample, of many channels and high rates, and truncated ones are tagged")
    func oddFiles() throws {
        let one = folder.path + "/one.wav", studio = folder.path + "/studio.wav", cut = folder.path + "/cut.wav"
        try Sound.wav([1000]).write(to: URL(filePath: one))
        let wide = Sound.bursts(seconds: 1).flatMap { [Int16](repeating: $0, count: 8) }
        try Sound.wav(wide, rate: 192_000, channels: 8).write(to: URL(filePath: studio))
        try Sound.wav(Sound.bursts(seconds: 2)).prefix(40000).write(to: URL(filePath: cut))
        for file in [one, studio, cut] {
            for mode in ["offline", "stream"] {
                let result = try Program.run("tag", "--mode", mode, "--format", "ndjson", file)
                #expect(result.status == (file == cut ? 65 : 0), "\(result.errors)")
                #expect(result.errors.contains("ends early") == (file == cut))
                if mode == "offline" { #expect(try Line.all(result.output).first?.tags.count == 5) }
            }
        }
    }
}
