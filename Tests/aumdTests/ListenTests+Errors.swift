import Foundation
import TestSupport
import Testing

/// What cannot work, and what is taken all the same.
extension ListenTests {
    @Test("A file that is right only with what the environment says over it is taken")
    func mended() throws {
        try folder.write("source: {buffer_ms: 15}\n", to: "short.yaml")
        let short = folder.path + "/short.yaml"
        let mended = try Program.run(
            "listen", "--config", short, "--source", file, "--format", "ndjson", environment: ["AUMD_PERIOD_MS": "5"])
        #expect(mended.status == 0 && mended.errors == "", "\(mended.errors)")
        for arguments in [["listen", "--config", short, "--source", file], ["tag", "--config", short, file], ["check", short]] {
            let refused = try Command(Program.path, arguments)
            #expect(refused.status == 78 && refused.errors.contains("short.yaml:1:21"), "\(arguments): \(refused.errors)")
        }
        let spoilt = try Program.run("listen", "--config", short, "--source", file, environment: ["AUMD_PERIOD_MS": "8"])
        #expect(spoilt.status == 78 && spoilt.errors.contains("source.period_ms is 8"), "\(spoilt.errors)")
    }

    @Test("What cannot be written is said, and the exit code is that of an input or output error")
    func fullDisk() throws {
        for line in [
            "listen --source \(file) --format ndjson > /dev/full", "listen --source \(file) --format text > /dev/full",
            "listen --source \(file) --format ndjson --output-file /dev/full > /dev/null", "tag \(file) > /dev/full",
            "model --labels > /dev/full", "bench --json --only frontend --runs 1 > /dev/full", "check \(config) > /dev/full",
            "--help > /dev/full", "--version > /dev/full", "--generate-completion-script bash > /dev/full",
        ] {
            let result = try Program.shell("\"$AUMD\" \(line)")
            #expect(result.status == 74 && result.errors.split(separator: "\n").count == 1, "\(line): \(result.errors)")
        }
    }

    @Test("What cannot work is said in one sentence, with the exit code of sysexits(3)")
    func exitCodes() throws {
        // A named pipe in place of a file would be waited for.
        #expect(try Command("sh", ["-c", "mkdir $0 && mkfifo $0/config.json", folder.path + "/pipe"]).status == 0)
        try Data("surce: {}\n".utf8).write(to: folder.url.appending(path: "bad.yaml"))
        try folder.write("{}", to: "damaged/config.json")
        try folder.write("busy", to: "state")
        try folder.makeScriptedDevice("state \"\(folder.path)/state\"")
        let cases: [([String], Int32, String)] = [
            (["listen", "--device", "no_such_pcm"], 66, "no_such_pcm"),
            (["listen", "--device", "mic"], 69, "mic"),
            (["listen", "--source", "/nonexistent.wav"], 66, "/nonexistent.wav"),
            (["listen", "--model", "/nonexistent", "--source", file], 66, "/nonexistent"),
            (["listen", "--config", folder.path + "/bad.yaml", "--source", file], 78, "source"),
            (["listen", "--config", "/nonexistent.yaml", "--source", file], 66, "/nonexistent.yaml"),
            (["listen", "--source", file, "--output-file", "/nonexistent/x"], 73, "/nonexistent/x"),
            (["listen", "--source", file, "--socket", "/nonexistent/x"], 73, "/nonexistent/x"),
            (["listen", "--source", file, "--rate", "fast"], 64, "--rate"),
            (["check", folder.path + "/bad.yaml"], 78, "bad.yaml:1:1"),
            (["tag", "-"], 64, "--source -"),
            (["model", folder.path], 66, "config.json"),
            (["model", folder.path + "/pipe"], 74, "config.json"),
            (["model", folder.path + "/damaged"], 65, "damaged/config.json"),
            (["listen", "--model", folder.path + "/damaged", "--source", file], 65, "damaged/config.json"),
            (["tag", "--model", folder.path + "/damaged", file], 65, "damaged/config.json"),
        ]
        for (arguments, code, word) in cases {
            let result = try Command("timeout", ["20", Program.path] + arguments, environment: folder.alsa)
            #expect(result.status == code, "\(arguments): \(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(word), "\(result.errors)")
        }
        #expect(try Program.run("listen", "--no-such-option").status == 64)
        #expect(try Program.shell("\"$AUMD\" tag $(printf 'k\\374che.wav')").status == 64)
        #expect(try Program.shell("\"$AUMD\" listen --source - <&- --format ndjson").status == 65)
        try folder.write("events: {labels: {Barc: {on: 0.5}}}\nsorce: {}\n", to: "two.yaml")
        let two = try Program.run("check", folder.path + "/two.yaml")
        #expect(two.status == 78 && two.errors.contains("Bark") && two.errors.contains("source"), "\(two.errors)")
    }

    @Test("The last record says that it stops, and the error where that is why")
    func lastRecord() throws {
        let slow = folder.path + "/slow.wav"
        try Sound.wav(Sound.bursts(seconds: 1), rate: 1).write(to: URL(filePath: slow))
        for (source, status, word) in [(file, 0, nil), ("/nonexistent.wav", 66, "/nonexistent.wav"), (slow, 65, "slow.wav")] as [(String, Int32, String?)] {
            let heard = try Program.run("listen", "--source", source, "--format", "ndjson")
            let lines = try Line.all(heard.output), first = try #require(lines.first), last = try #require(lines.last)
            #expect(heard.status == status && last["state"] == "stopping", "\(heard.errors)")
            #expect(first.fields["level_dbfs"] is NSNull)
            #expect(word.map { last["message"]?.contains($0) ?? false } ?? (last["message"] == nil), "\(last.fields)")
        }
    }

    @Test("A limit of open files that is too low is told before anything is opened; one that is just high enough will do")
    func descriptors() throws {
        for command in ["listen --source \(file) --socket \(folder.path)/s", "tag \(file)"] {
            for limit in [7, 10, 12, 13, 14, 16, 24, 42] {
                let result = try Program.shell("ulimit -n \(limit); exec \"$AUMD\" \(command)")
                #expect(result.status == 71 && result.output == "", "\(limit): \(result.status)")
                #expect(result.errors.split(separator: "\n").count == 1 && result.errors.contains("open files"), "\(result.errors)")
            }
        }
        // How high that is depends on what the tests themselves have open.
        let enough = try Program.shell(
            """
            cd \(folder.path); limit=42; code=71
            while [ $code = 71 ] && [ $limit -lt 99 ]; do
                limit=$((limit + 1))
                (ulimit -n $limit; exec "$AUMD" listen --source \(file) --socket s --output-file f --format ndjson > out)
                code=$?
            done
            exit $code
            """)
        #expect(enough.status == 0, "\(enough.errors)")
    }

    @Test("An option that would say nothing beside another one is refused", arguments: [
        ["listen", "--demo", "--device", "mic"], ["listen", "--demo", "--rate", "48000"], ["listen", "--demo", "--channel", "1"],
        ["listen", "--demo", "--source", "FILE"], ["listen", "--demo", "--raw-rate", "8000"], ["listen", "--source", "FILE", "--device", "mic"],
        ["listen", "--source", "FILE", "--rate", "48000"], ["bench", "--shape", "tiny", "--model", "FILE"], ["tag", "--top", "3", "--mode", "stream", "FILE"],
        ["tag", "--mode", "scores", "--format", "audacity", "FILE"], ["listen", "--no-window", "--chunk", "8"],
        ["listen", "--no-window", "--lookahead", "8"], ["listen", "--source", "FILE", "--control", "s"],
    ])
    func contradictions(arguments: [String]) throws {
        let result = try Command("timeout", ["20", Program.path] + arguments.map { $0 == "FILE" ? file : $0 })
        #expect(result.status == 64)
        let options = arguments.filter { $0.hasPrefix("--") }
        #expect(options.allSatisfy(result.errors.contains) && result.errors.contains(" exclude each other.\n"), "\(result.errors)")
    }

    @Test("What the configuration says of a device holds for none beside --source; raw samples are a source's")
    func deviceInConfiguration() throws {
        try folder.write("source: {device: mic, rate: 48000}\n", to: "device.yaml")
        let heard = try Program.run("listen", "--config", folder.path + "/device.yaml", "--source", file, "--format", "ndjson")
        #expect(heard.status == 0, "\(heard.errors)")
        let raw = try Command("timeout", ["20", Program.path, "listen", "--raw-rate", "8000"])
        #expect(raw.errors == "aumd: --raw-rate says what a --source holds; name one.\n")
        let pace = try Command("timeout", ["20", Program.path, "listen", "--pace"])
        #expect(pace.errors == "aumd: --pace says how a --source is taken; name one.\n" && pace.status == 64)
    }
}
