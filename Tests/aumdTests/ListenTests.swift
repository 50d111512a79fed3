import Foundation
import TestSupport
import Testing

@Suite("aumd listen")
struct ListenTests {
    let folder: TemporaryFolder
    let file: String
    let config: String

    init() throws {
        folder = TemporaryFolder()
        file = folder.path + "/bursts.wav"
        try Sound.wav(Sound.bursts(seconds: 8)).write(to: URL(filePath: file))
        config = folder.path + "/everything.yaml"
        try folder.write(Sound.everything, to: "everything.yaml")
    }

    @Test("Without the backward direction every event is confirmed at once, known to a column, and never taken back")
    func oneDirection() throws {
        let lines = try Line.all(
            Program.run("listen", "--config", config, "--source", file, "--no-window", "--format", "ndjson").output)
        let events = lines.filter { $0["type"] == "event" }
        #expect(events.count { $0["phase"] == "open" } > 5)
        #expect(events.allSatisfy { $0["status"] == "confirmed" && $0["phase"] != "retract" && $0.number("onset_error") == 0.16 })
    }

    @Test("A steady sound has one level in every record, whatever its rate, with the backward direction and without",
          arguments: [16000, 44100], [true, false])
    func level(rate: Int, window: Bool) throws {
        let steady = folder.path + "/steady.wav"
        // One amplitude and any sign: every stretch of it has the same level.
        var random = SeededRandom(seed: UInt64(rate))
        let samples: [Int16] = (0..<3 * rate).map { _ in Bool.random(using: &random) ? 3277 : -3277 }
        try Sound.wav(samples, rate: rate).write(to: URL(filePath: steady))
        let arguments = ["listen", "--source", steady, "--scores", "--format", "ndjson"] + (window ? [] : ["--no-window"])
        let lines = try Line.all(Command(Program.path, arguments).output)
        let levels = lines.filter { $0["type"] == "scores" && $0["status"] == (window ? "provisional" : "confirmed") }
            .map { $0.number("level_dbfs") }
        #expect(levels.count > 15 && levels.allSatisfy { $0 == -20 }, "\(levels)")
        #expect(lines.last?["state"] == "stopping" && lines.last?.number("level_dbfs") == -20)
    }

    @Test("A status has the mean and the highest level of the sound since the last one, none where there was no sound")
    func levels() throws {
        let uneven = folder.path + "/uneven.wav"
        // -40, -20 and -40 dBFS.
        let amplitudes: [Int16] = Array(repeating: 328, count: 32_000) + Array(repeating: 3277, count: 8_000) + Array(repeating: 328, count: 40_000)
        try Sound.wav(amplitudes.enumerated().map { $0.offset % 2 == 0 ? $0.element : -$0.element }).write(to: URL(filePath: uneven))
        let statuses = try Line.all(Program.run("listen", "--source", uneven, "--format", "ndjson").output).filter { $0["type"] == "status" }
        let (first, last) = try (#require(statuses.first), #require(statuses.last))
        #expect(first.fields["level_mean_dbfs"] is NSNull && first.fields["level_max_dbfs"] is NSNull)
        #expect(last.number("level_dbfs") == -40 && last.number("level_max_dbfs") == -20)
        // 0.5 s of 5 s has a hundred times the power of the rest; one step, at least, was in a status before.
        #expect(abs(last.number("level_mean_dbfs")! - (-40 + 10 * log10(1 + 99 * 0.1))) < 0.2)
    }

    @Test("How long after a column its confirmed scores come is what 'aumd model' says")
    func confirmationDelay() throws {
        let said = try #require(try Program.run("model").output.firstMatch(of: /confirmed +([0-9.]+) s to ([0-9.]+) s after a column/))
        let scores = try Line.all(Program.run("listen", "--source", file, "--scores", "--format", "ndjson").output).filter { $0["type"] == "scores" }
        let clock = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        let times = try scores.map { try clock.parse(#require($0["time"])).timeIntervalSince1970 }
        var newest = times[0], delays: [Double] = []
        for (score, time) in zip(scores, times) {
            if score["status"] == "provisional" { newest = time } else { delays.append(newest - time) }
        }
        // A pass is collected when half of the newest column has been told. Of the first one:
        let chunk = delays.prefix(20).map { $0 + 0.08 }
        #expect(abs(chunk.min()! - Double(said.1)!) < 0.01 && abs(chunk.max()! - Double(said.2)!) < 0.01, "\(delays)")
    }

    @Test("A pass begins once chunk and lookahead are there, and confirms the chunk", arguments: [(1, 0), (3, 2), (8, 16), (20, 8)])
    func chunks(chunk: Int, lookahead: Int) throws {
        for arguments in [["--chunk", "\(chunk)", "--lookahead", "\(lookahead)"], ["--config", folder.path + "/stream.yaml"]] {
            try folder.write("stream: {chunk: \(chunk), lookahead: \(lookahead)}\n", to: "stream.yaml")
            let heard = try Command(Program.path, ["listen", "--source", file, "--scores", "--format", "ndjson"] + arguments)
            var rest = try Line.all(heard.output).filter { $0["type"] == "scores" }.compactMap { $0["status"] }[...]
            // A column has two provisional scores. A pass is taken up before the second column after its last one (of single columns: before
            // the next), or with the end of the sound.
            let columns = rest.count { $0 == "confirmed" }
            for pass in 0..<((columns - lookahead - 1) / chunk) {
                let provisional = rest.prefix { $0 == "provisional" }.count
                #expect(provisional == 2 * (pass == 0 ? chunk + lookahead + min(chunk, 2) - 1 : chunk), "pass \(pass), \(arguments)")
                rest = rest.dropFirst(provisional)
                #expect(rest.prefix(chunk).allSatisfy { $0 == "confirmed" })
                rest = rest.dropFirst(chunk)
            }
        }
    }

    @Test("/etc/aumd/aumd.yaml is the configuration where none is named", .enabled(if: PrivateMounts.areAllowed))
    func systemFile() throws {
        try folder.write(Sound.everything, to: "etc/aumd.yaml")
        func events(_ command: String) throws -> Int {
            let heard = try PrivateMounts.run("\(command) --source \(file) --format ndjson", asSystemConfiguration: folder.path + "/etc")
            #expect(heard.status == 0, "\(heard.errors)")
            return try Line.all(heard.output).count { $0["phase"] == "open" }
        }
        try folder.write("events: {default: {mute: true}}\n", to: "mute.yaml")
        #expect(try events("listen") > 5)
        #expect(try events("listen --config \(folder.path)/mute.yaml") == 0)
        // The daemon's device has its channel, not the files that are tagged.
        try folder.write("source: {channel: 5}\n", to: "etc/aumd.yaml")
        let tagged = try PrivateMounts.run("tag --format ndjson \(file)", asSystemConfiguration: folder.path + "/etc")
        #expect(tagged.status == 0 && tagged.output.contains(#""type":"clip""#), "\(tagged.errors)")
        #expect(try PrivateMounts.run("listen --source \(file)", asSystemConfiguration: folder.path + "/etc").errors.contains("no channel 5"))
        try folder.write("surce: {}\n", to: "etc/aumd.yaml")
        let refused = try PrivateMounts.run("listen --source \(file)", asSystemConfiguration: folder.path + "/etc")
        #expect(refused.status == 78 && refused.errors.contains("/etc/aumd/aumd.yaml:1:1"), "\(refused.errors)")
    }

    @Test("A closed reader ends the program quietly")
    func closedReader() throws {
        // At this pace the file would take 8 s.
        let line = "timeout 5 \"$AUMD\" listen --source \(file) --pace --scores --format ndjson"
        let result = try Program.shell("(\(line); echo $? >&2) | head -n 2")
        #expect(result.output.split(separator: "\n").count == 2)
        #expect(result.errors == "0\n")
    }

    @Test("The standard input may be WAV or raw, cut at any byte, hold NaN, or be empty")
    func standardInput() throws {
        let raw = folder.path + "/raw", floats = folder.path + "/floats"
        try Sound.raw(Sound.bursts(seconds: 2)).write(to: URL(filePath: raw))
        let values: [Float] = Sound.bursts(seconds: 2).enumerated().map { $0 % 100 == 0 ? .nan : $0 % 101 == 0 ? .infinity : Float($1) / 32768 }
        try values.withUnsafeBytes { Data($0) }.write(to: URL(filePath: floats))
        for line in [
            "\"$AUMD\" listen --source - --scores --format ndjson < \(file)",
            "\"$AUMD\" listen --source - --scores --format ndjson < \(raw)",
            "head -c 33333 \(raw) | \"$AUMD\" listen --source - --scores --format ndjson",
            "\"$AUMD\" listen --source - --raw-format float --scores --format ndjson < \(floats)",
        ] {
            let result = try Program.shell(line)
            #expect(result.status == 0, "\(line): \(result.errors)")
            let found = try scores(Line.all(result.output), "provisional")
            #expect(found.count > 5 && result.output.split(separator: "\n").allSatisfy { $0.contains(#""source":"stdin""#) })
            #expect(result.errors == (line.contains("float") ? "aumd: warning: 633 samples were NaN, infinite or out of range, and were heard as 0.\n" : ""))
            #expect(try Line.all(result.output).last?.number("broken_samples") == (line.contains("float") ? 633 : 0))
            #expect(!found.joined().contains { !$0.score.isFinite })
        }
        let empty = try Program.shell("\"$AUMD\" listen --source - --format ndjson < /dev/null")
        #expect(empty.status == 65)
    }

    @Test("A file of raw PCM is heard as it is said to be; a sound file that says it itself is refused")
    func rawFile() throws {
        let raw = folder.path + "/d32.raw", wav = folder.path + "/short.wav", flac = folder.path + "/short.flac"
        let samples = Sound.bursts(seconds: 3)
        try samples.map { Int32($0) << 16 }.withUnsafeBytes { Data($0) }.write(to: URL(filePath: raw))
        try Sound.wav(samples).write(to: URL(filePath: wav))
        #expect(try Command("ffmpeg", ["-v", "error", "-i", wav, flac]).status == 0)
        func heard(_ arguments: String...) throws -> [[Double]] {
            let result = try Command(Program.path, ["listen", "--scores", "--format", "ndjson", "--source"] + arguments)
            #expect(result.status == 0, "\(result.errors)")
            return try scores(Line.all(result.output), "confirmed").map { $0.map(\.score) }
        }
        let expected = try heard(wav)
        #expect(!expected.isEmpty)
        #expect(try heard(raw, "--raw-format", "s32") == expected)
        let wide = folder.path + "/wide.raw", stereo = folder.path + "/stereo.wav"
        try Sound.raw(samples).write(to: URL(filePath: wide))
        try Sound.wav(samples, rate: 8000, channels: 2).write(to: URL(filePath: stereo))
        #expect(try heard(wide, "--raw-rate", "8000", "--raw-channels", "2") == heard(stereo))
        for sound in [wav, flac] {
            let result = try Program.run("listen", "--source", sound, "--raw-rate", "16000")
            #expect(result.status == 65 && result.errors.contains("\(sound)' says itself what its samples are"), "\(result.errors)")
        }
        #expect(try Program.run("listen", "--source", folder.path, "--raw-rate", "16000").status == 66)
    }

    @Test("A named pipe is waited for, heard while it is written to, and left on SIGTERM whether it has a writer or not")
    func namedPipe() throws {
        let heard = try Program.shell(
            """
            cd \(folder.path) && mkfifo pipe && (sleep 0.3; cat \(file)) > pipe &
            while [ ! -p \(folder.path)/pipe ]; do sleep 0.01; done
            exec "$AUMD" listen --config \(config) --source \(folder.path)/pipe --format ndjson
            """)
        #expect(heard.status == 0, "\(heard.errors)")
        #expect(try Line.all(heard.output).contains { $0["type"] == "event" })
        for writer in ["true", "sleep 2 > pipe &", "(head -c 20 \(file); sleep 2) > pipe &"] {
            let left = try Program.shell(
                """
                cd \(folder.path)
                \(writer)
                timeout --preserve-status -k 5 1 "$AUMD" listen --source pipe --format ndjson
                """)
            #expect(left.status == 0 && left.errors == "", "\(left.errors)")
        }
    }

    @Test("A file waits for a slow reader to the last line, and a reader that never comes is left on SIGTERM")
    func slowReader() throws {
        let long = folder.path + "/long.wav"
        try Sound.wav(Sound.bursts(seconds: 25)).write(to: URL(filePath: long))
        for input in ["--source \(long)", "--source - < \(long)"] {
            let all = try Program.shell("\"$AUMD\" listen --scores --format ndjson \(input)")
            #expect(all.output.utf8.count > 70_000)
            let slow = try Program.shell("\"$AUMD\" listen --scores --format ndjson \(input) | (sleep 4; wc -l)")
            #expect(slow.output.split(separator: "\n").first.flatMap { Int($0) } == all.output.split(separator: "\n").count)
        }
        // More than the queue holds.
        try Sound.wav(Sound.bursts(seconds: 80)).write(to: URL(filePath: long))
        let stuck = try Program.shell(
            """
            cd \(folder.path); mkfifo out; sleep 30 < out & reader=$!
            timeout -k 9 5 "$AUMD" listen --scores --format ndjson --source \(long) > out; echo $?; kill $reader
            """)
        #expect(stuck.output == "124\n", "\(stuck.errors)")
    }

    @Test("In a pipe, and with no format said, every record is a line of the schema aumd/1")
    func schema() throws {
        let result = try Program.shell("\"$AUMD\" listen --config \(config) --source \(file) --scores | cat")
        try folder.write(result.output, to: "lines")
        let validated = try Command(
            "python3", ["Tests/TestSupport/validate_records.py", "Sources/Sinks/aumd-1.schema.json", folder.path + "/lines"])
        #expect(validated.status == 0, "\(validated.output)\(validated.errors)")
        let lines = try Line.all(result.output)
        let kinds = Dictionary(grouping: lines) { $0["type"] ?? "" }
        #expect(Set(kinds.keys) == ["status", "scores", "event"])
        #expect(kinds["scores"]!.count > 100 && kinds["scores"]!.allSatisfy { $0.tags.count == 5 })
    }

    @Test("The bundled model says how often it tells scores, and what it hears from which score on")
    func model() throws {
        let said = try Program.run("model", "--labels").output
        #expect(said.contains("provisional scores each 0.08 s"))
        let config = try #require(try Line.all(
            String(contentsOf: BundledModel.folder.appending(path: "config.json"), encoding: .utf8).replacing("\n", with: "")).first?.fields)
        let names = try #require(config["id2label"] as? [String: String]), mids = try #require(config["mids"] as? [String])
        let thresholds = try #require(config["thresholds"] as? [String: [String: Double]])
        for index in mids.indices {
            let name = try #require(names["\(index)"]), limits = try #require(thresholds[name])
            let line = try #require(said.split(separator: "\n").first { $0.hasPrefix("  \(index)  \(name)  \(mids[index])") })
            #expect(line.hasSuffix("  on \(limits["on"]!) off \(limits["off"]!) provisional on \(limits["provisional_on"]!)"), "\(line)")
        }
    }

    @Test("A sound that is known better is told with the name that it had")
    func renamed() throws {
        let said = try Program.run("listen", "--config", config, "--source", file, "--format", "text").output
        let renamed = said.split(separator: "\n").compactMap { $0.firstMatch(of: /: (.*)more precisely (.+) \(score/) }
        #expect(!renamed.isEmpty && renamed.allSatisfy { $0.1.hasSuffix(" is ") && said.contains(": \($0.1.dropLast(4)) began") }, "\(said)")
    }

    @Test("--version is three numbers; the help of each command that takes more than a flag holds an example")
    func help() throws {
        #expect(try Program.run("--version").output.wholeMatch(of: /[0-9]+\.[0-9]+\.[0-9]+\n/) != nil)
        for command in ["listen", "tag", "model", "check", "bench"] {
            let help = try Program.run(command, "--help"), example = try Regex("Examples?:\\n +aumd \(command) ")
            #expect(help.status == 0 && help.output.contains(example), "\(help.output)")
        }
    }

    @Test("Every client of the socket and the output file get the events of the standard output")
    func outputs() throws {
        // The sound comes when all clients are there.
        let result = try Program.shell(
            """
            cd \(folder.path)
            (while [ $(ls ready? 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.05; done; cat \(file)) |
                "$AUMD" listen --config \(config) --source - --pace --socket s --output-file f --format ndjson > out &
            while [ ! -S s ]; do sleep 0.05; done
            for client in 1 2 3; do python3 -c 'import socket, sys
            s = socket.socket(socket.AF_UNIX); s.connect("s"); open(sys.argv[1], "w").close()
            sys.stdout.write(s.makefile().read())' ready$client > client$client & done
            wait
            """)
        #expect(result.status == 0, "\(result.errors)")
        func events(_ name: String) throws -> [String] {
            try String(contentsOf: folder.url.appending(path: name), encoding: .utf8).split(separator: "\n")
                .filter { $0.contains("\"type\":\"event\"") }.map(String.init)
        }
        let told = try events("out")
        #expect(told.count > 4)
        #expect(try events("f") == told)
        for client in 1...3 { #expect(try events("client\(client)") == told) }
    }

    @Test("The metrics count the events that were told")
    func metrics() throws {
        let path = folder.path + "/aumd.prom"
        let result = try Program.run(
            "listen", "--config", config, "--source", file, "--name", "cellar", "--format", "ndjson", environment: ["AUMD_METRICS": path])
        #expect(result.status == 0 && result.errors == "")
        var closed: [String: Int] = [:]
        for line in try Line.all(result.output) where line["phase"] == "close" { closed[line["label"] ?? "", default: 0] += 1 }
        let metrics = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        // All labels but Silence, which is mute.
        #expect(!closed.isEmpty && metrics.count { $0.hasPrefix("aumd_events_total{") } == 113)
        #expect(metrics.count { $0.hasPrefix("aumd_events_total{") && !$0.hasSuffix(" 0") } == closed.count)
        for (label, count) in closed { #expect(metrics.contains("aumd_events_total{source=\"cellar\",label=\"\(label)\"} \(count)")) }
        #expect(metrics.contains("aumd_state{source=\"cellar\",state=\"stopping\"} 1"))
        let refused = try Program.run("listen", "--source", file, environment: ["AUMD_METRICS": "/nowhere/x"])
        #expect(refused.status == 73 && refused.errors.contains("/nowhere/x cannot be opened for writing"), "\(refused.errors)")
    }

    @Test("Where the standard output is to be silent it is, and the socket has the permissions that were asked for")
    func quietly() throws {
        let result = try Program.shell(
            """
            cd \(folder.path)
            "$AUMD" listen --config \(config) --source \(file) --pace --socket s --output-file f --format ndjson &
            while [ ! -s f ]; do sleep 0.05; done
            stat -c %a s; kill $!; wait $!
            """, environment: ["AUMD_STDOUT": "false", "AUMD_SOCKET_MODE": "0606"])
        #expect(result.status == 0 && result.output == "606\n", "\(result.errors)")
    }

    @Test("The command line goes over the environment, and that over the configuration")
    func layers() throws {
        try folder.write("source: {name: file}\n", to: "name.yaml")
        let arguments = ["listen", "--source", file, "--config", folder.path + "/name.yaml", "--format", "ndjson"]
        for (more, environment, name) in [
            ([], [:], "file"), ([], ["AUMD_SOURCE_NAME": "environment"], "environment"),
            (["--name", "line"], ["AUMD_SOURCE_NAME": "environment"], "line"),
        ] as [([String], [String: String], String)] {
            let lines = try Line.all(Command(Program.path, arguments + more, environment: environment).output)
            #expect(lines.count > 2 && lines.allSatisfy { $0["source"] == name })
        }
    }

    func scores(_ lines: [Line], _ status: String) -> [[(label: String, score: Double)]] {
        lines.filter { $0["type"] == "scores" && $0["status"] == status }.map(\.tags)
    }
}
