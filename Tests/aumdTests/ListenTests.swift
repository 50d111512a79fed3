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

    /// The PCM `mic` plays eight seconds of bursts, and fails as the script says.
    private func makeBursts(_ script: String = "") throws {
        try Sound.raw(Sound.bursts(seconds: 8)).write(to: folder.url.appending(path: "bursts.raw"))
        try folder.makeScriptedDevice("infile \"\(folder.path)/bursts.raw\" script \"\(script)\"")
    }

    @Test("What comes through libasound has the scores of the file, bit for bit, and the same events")
    func alsaEqualsFile() throws {
        try makeBursts()
        let live = try Program.shell(
            "timeout -s INT 9.5 \"$AUMD\" listen --config \(config) --device mic --scores --format ndjson", environment: folder.alsa)
        #expect(live.status == 0 || live.status == 124, "\(live.errors)")
        let fromDevice = try Line.all(live.output)
        let fromFile = try Line.all(Program.run("listen", "--config", config, "--source", file, "--scores", "--format", "ndjson").output)
        #expect(fromDevice.filter { $0["type"] == "gap" }.isEmpty)
        for status in ["provisional", "confirmed"] {
            let a = scores(fromDevice, status), b = scores(fromFile, status)
            // The file's last columns end with the file, the device's go on with silence.
            let common = status == "provisional" ? 49 : 24
            #expect(a.count >= common && b.count >= common)
            for (x, y) in zip(a.prefix(common), b.prefix(common)) {
                #expect(x.map(\.label) == y.map(\.label))
                #expect(x.map(\.score) == y.map(\.score))
            }
        }
        let a = events(fromDevice), b = events(fromFile)
        // The device is left before the last of them are confirmed.
        #expect(!b.isEmpty && a.count > b.count / 2)
        for (x, y) in zip(a, b) {
            #expect(x.name == y.name)
            #expect(abs(x.onset - y.onset) < 20)
        }
    }

    @Test("Whatever makes a device miss samples leaves a gap record of that length, and listening goes on right after it")
    func lostDevice() throws {
        try makeBursts("24000:gone:800,64000:xrun,76000:suspend,88000:eio:600")
        let live = try Program.shell(
            "timeout -s INT 8.5 \"$AUMD\" listen --config \(config) --device mic --scores --format ndjson", environment: folder.alsa)
        let lines = try Line.all(live.output)
        let states = lines.filter { $0["type"] == "status" }.compactMap { $0["state"] }
        #expect(states.count { $0 == "device_lost" } == 2)
        #expect(lines.compactMap { $0.number("seq") } == Array(0..<lines.count).map(Double.init))
        let gaps = lines.filter { $0["type"] == "gap" }
        #expect(gaps.compactMap { $0["cause"] } == ["device_lost", "xrun", "suspend", "device_lost"])
        // The device was away for 0.8 s and for 0.6 s, and is tried again with back-off.
        #expect(try (0.7...2.0).contains(#require(gaps.first?.number("samples")) / 16000))
        #expect(try (0.5...2.0).contains(#require(gaps.last?.number("samples")) / 16000))
        let starts = lines.filter { $0["type"] == "scores" && $0["status"] == "provisional" }.compactMap { $0.time("time") }
        for gap in gaps {
            let from = try #require(gap.time("from")), to = try #require(gap.time("to"))
            let samples = try #require(gap.number("samples"))
            #expect(abs(to - from - samples / 16) <= 1, "\(gap.fields)")
            let isLong = samples > 8000
            #expect(gap.fields["reset"] as? Bool == isLong, "\(gap.fields)")
            // A short gap is filled with noise and has scores of its own; after a long one they begin with the sound.
            let next = try #require(starts.first { $0 >= from }), step = 80.0
            #expect(abs(next - (isLong ? to : from)) <= step, "\(gap.fields), scores from \(next)")
        }
        let end = try #require(gaps.last?.time("to"))
        #expect(starts.count { $0 >= end } > 10)
    }

    @Test("What was heard is decided while the device is away, not when it is back")
    func decidedWhileAway() throws {
        try makeBursts("24000:gone:3000")
        let live = try Program.shell(
            "timeout -s INT 6 \"$AUMD\" listen --config \(config) --device mic --format ndjson", environment: folder.alsa)
        let lines = try Line.all(live.output)
        let lost = try #require(lines.firstIndex { $0["state"] == "device_lost" })
        let gap = try #require(lines.firstIndex { $0["type"] == "gap" })
        let told = lines[..<gap].filter { $0["type"] == "event" }
        let ended = told.filter { $0["phase"] == "close" || $0["phase"] == "retract" }
        #expect(!told.isEmpty && Set(told.compactMap { $0["id"] }) == Set(ended.compactMap { $0["id"] }))
        #expect(lines[lost..<gap].contains { $0["phase"] == "close" || $0["phase"] == "retract" })
        #expect(lines[lost].number("level_dbfs") == nil && lines[lost]["message"]?.contains("lost") == false)
    }

    @Test("A device that stands still is stalled, not lost, and is listened to when it goes on")
    func stalledDevice() throws {
        try folder.makeScriptedDevice("script \"8000:stall:1500\"")
        let live = try Program.shell("timeout -s INT 5 \"$AUMD\" listen --device mic --format ndjson", environment: folder.alsa)
        let states = try Line.all(live.output).filter { $0["type"] == "status" }.compactMap { $0["state"] }
        #expect(states.contains("stalled") && !states.contains("device_lost"), "\(states) \(live.errors)")
        #expect(states.suffix(2) == ["capturing", "stopping"])
    }

    @Test("A capture thread that may not run in real time says so once, and in every status")
    func refusedPriority() throws {
        try folder.makeScriptedDevice("formats \"S16_LE\"")
        // Root's right to it goes with the capability.
        let refused = "prlimit --rtprio=0:0 " + (geteuid() == 0 ? "setpriv --bounding-set -sys_nice --inh-caps -sys_nice " : "")
        let result = try Program.shell(
            "timeout -s INT 3 \(refused)\"$AUMD\" listen --device mic --format ndjson",
            environment: folder.alsa.merging(["AUMD_STATUS_INTERVAL": "0.5"]) { $1 })
        let sentences = result.errors.split(separator: "\n").filter { $0.contains("SCHED_FIFO was refused") }
        #expect(sentences.count == 1, "\(result.errors)")
        let states = try Line.all(result.output).filter { $0["state"] == "capturing" && $0.number("level_dbfs") != nil }
        #expect(!states.isEmpty && states.allSatisfy { $0.fields["realtime"] as? Bool == false }, "\(result.output)")
    }

    @Test("Without the second direction every event is confirmed at once, known to a column, and never taken back")
    func oneDirection() throws {
        let lines = try Line.all(
            Program.run("listen", "--config", config, "--source", file, "--no-window", "--format", "ndjson").output)
        let events = lines.filter { $0["type"] == "event" }
        #expect(events.count { $0["phase"] == "open" } > 5)
        #expect(events.allSatisfy { $0["status"] == "confirmed" && $0["phase"] != "retract" && $0.number("onset_error") == 0.16 })
    }

    @Test("A steady sound has one level in every record, whatever its rate, with the second direction and without",
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
            #expect(found.count > 5)
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

    @Test("The live view gives the terminal back while it is stopped, goes on where no shell could continue it, and a terminal that cannot repaint gets sentences")
    func terminals() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, pty, select, signal, time
            def start(kind, isJob):
                process, terminal = pty.fork()
                if process == 0:
                    # As a shell does: it leads the session, and its job is a foreground group of its own.
                    if isJob and (job := os.fork()):
                        os.write(told, b"%d\\n" % job)
                        while os.WIFSTOPPED(status := os.waitpid(job, os.WUNTRACED)[1]): os.write(told, b"stopped\\n")
                        os.write(told, b"%d\\n" % os.waitstatus_to_exitcode(status))
                        os._exit(0)
                    if isJob:
                        os.setpgid(0, 0)
                        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                        os.tcsetpgrp(0, os.getpid())
                        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                    os.environ["TERM"] = kind
                    os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace", "--config", "\(config)"])
                return process, terminal
            def until(terminal, end, seconds=5):
                text = b""
                while end not in text and select.select([terminal], [], [], seconds)[0]:
                    text += os.read(terminal, 65536)
                return text
            hearing, told = os.pipe()
            shell = os.fdopen(hearing)
            _, terminal = start("xterm", True)
            process = int(shell.readline())
            print("hidden", b"level" in until(terminal, b"level"))
            os.write(terminal, b"\\x1a")
            print(shell.readline().strip(), "shown", until(terminal, b"\\x1b[?25h").endswith(b"\\x1b[?7h\\x1b[?25h"))
            os.kill(process, signal.SIGCONT)
            print("hidden again", b"\\x1b[?25l" in until(terminal, b"\\x1b[?25l"))
            os.write(terminal, b"\\x1a")
            print(shell.readline().strip(), "shown", until(terminal, b"\\x1b[?25h").endswith(b"\\x1b[?7h\\x1b[?25h"))
            os.kill(process, signal.SIGCONT)
            os.kill(process, signal.SIGINT)
            until(terminal, b"\\x1b[?25h")
            print("status", shell.readline().strip())
            # Nobody can continue it.
            process, terminal = start("xterm", False)
            until(terminal, b"level")
            os.write(terminal, b"\\x1a")
            until(terminal, b"\\x1b[?25h")
            print("goes on", b"level" in until(terminal, b"level", 3))
            os.kill(process, signal.SIGCONT)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            process, terminal = start("dumb", False)
            text = until(terminal, b"\\n")
            print("plain", b"\\x1b" not in text and len(text) > 10)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            END
            """)
        #expect(
            result.output
                == "hidden True\nstopped shown True\nhidden again True\nstopped shown True\nstatus 0\ngoes on True\nplain True\n",
            "\(result.output) \(result.errors)")
    }

    @Test("It ends with the terminal it was started on", arguments: ["ndjson", "text"])
    func closedTerminal(format: String) throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, pty, time
            process, terminal = pty.fork()
            if process == 0:
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace", "--format", "\(format)"])
            os.read(terminal, 1)
            os.close(terminal)
            start = time.time()
            os.waitpid(process, 0)
            print(time.time() - start < 4)
            END
            """)
        #expect(result.output == "True\n", "\(result.errors)")
    }

    @Test("It ends with its terminal, though the reader of its output is stuck")
    func closedTerminalAndStuckReader() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import fcntl, os, pty, signal, time
            output, full = os.pipe()
            fcntl.fcntl(full, fcntl.F_SETPIPE_SZ, 4096)
            os.set_blocking(full, False)
            os.write(full, b"x" * 4096)
            os.set_blocking(full, True)
            process, terminal = pty.fork()
            if process == 0:
                os.dup2(full, 1)
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--scores", "--source", "\(file)", "--format", "ndjson"])
            time.sleep(1)
            os.close(terminal)
            start = time.time()
            while os.waitpid(process, os.WNOHANG)[0] == 0 and time.time() - start < 8: time.sleep(0.05)
            print(time.time() - start < 8)
            try: os.kill(process, signal.SIGKILL)
            except ProcessLookupError: pass
            END
            """)
        #expect(result.output == "True\n", "\(result.errors)")
    }

    @Test("In a pipe, and with no format said, every record is a line of the schema aumd/1")
    func schema() throws {
        let result = try Program.shell("\"$AUMD\" listen --config \(config) --source \(file) --scores | cat")
        try folder.write(result.output, to: "lines")
        let validated = try Command(
            "python3",
            ["-c", "import json, jsonschema, sys; schema = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n"
                + "for line in open(sys.argv[2]): schema.validate(json.loads(line))",
                "Sources/Sinks/aumd-1.schema.json", folder.path + "/lines"])
        #expect(validated.status == 0, "\(validated.errors)")
        let lines = try Line.all(result.output)
        let kinds = Dictionary(grouping: lines) { $0["type"] ?? "" }
        #expect(Set(kinds.keys) == ["status", "scores", "event"])
        #expect(kinds["scores"]!.count > 100 && kinds["scores"]!.allSatisfy { $0.tags.count == 5 })
    }

    @Test("The live view has colours unless NO_COLOR says otherwise", arguments: [(nil, true), ("", true), ("1", false)])
    func colours(value: String?, hasThem: Bool) throws {
        let result = try Program.shell(
            """
            \(value.map { "NO_COLOR='\($0)'; export NO_COLOR" } ?? "unset NO_COLOR")
            python3 - <<'END'
            import os, pty, re, select, signal
            process, terminal = pty.fork()
            if process == 0:
                os.environ["TERM"] = "xterm"
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace"])
            text = b""
            while text.count(b"level") < 3 and select.select([terminal], [], [], 5)[0]: text += os.read(terminal, 65536)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            print(text.count(b"level") >= 3, re.search(rb"\\x1b\\[[0-9;]*m", text) is not None)
            END
            """)
        #expect(result.output == (hasThem ? "True True\n" : "True False\n"), "\(result.errors)")
    }

    @Test("SIGHUP reopens the file of a daemon, though the terminal that it was started from is closed")
    func daemonOfClosedTerminal() throws {
        let result = try Program.shell(
            """
            cd \(folder.path)
            python3 - <<'END'
            import os, pty, signal, subprocess, time
            terminal, errors = pty.openpty()
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "\(file)", "--pace", "--scores", "--output-file", "log"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
            os.close(errors)
            os.close(terminal)
            def size(): return os.path.getsize("log") if os.path.exists("log") else 0
            def fill():
                end = time.time() + 5
                while size() == 0 and time.time() < end: time.sleep(0.02)
                return size() > 0
            print(fill())
            os.rename("log", "log.1")
            program.send_signal(signal.SIGHUP)
            print(fill())
            program.send_signal(signal.SIGTERM)
            print(program.wait())
            END
            """)
        #expect(result.output == "True\nTrue\n0\n", "\(result.errors)")
    }

    @Test("The bundled model says how often it tells scores")
    func interval() throws {
        #expect(try Program.run("model").output.contains("provisional scores each 0.08 s"))
    }

    @Test("A device that hangs while it is opened is left on SIGTERM")
    func hangingDevice() throws {
        try folder.makeScriptedDevice("opening 30000")
        let left = try Program.shell(
            "timeout -k 5 1 \"$AUMD\" listen --device mic --format ndjson", environment: folder.alsa)
        #expect(left.status == 124, "\(left.errors)")
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

    @Test("The devices are listed with what there is to say of them")
    func devices() throws {
        try folder.makeScriptedDevice("rates \"16000,48000\" channels 2 hint { description \"A microphone\" show on }")
        let result = try Program.run("devices", environment: folder.alsa)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("mic  A microphone\n    16000 48000 Hz, 2 channels\n"), "\(result.output)")
    }

    @Test("--version is three numbers; the help of each command that takes more than a flag holds an example")
    func help() throws {
        #expect(try Program.run("--version").output.wholeMatch(of: /[0-9]+\.[0-9]+\.[0-9]+\n/) != nil)
        for command in ["listen", "tag", "model", "check", "bench"] {
            let help = try Program.run(command, "--help"), example = try Regex("Examples?:\\n +aumd \(command) ")
            #expect(help.status == 0 && help.output.contains(example), "\(help.output)")
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
        ["listen", "--source", "FILE", "--rate", "48000"], ["bench", "--shape", "tiny", "--model", "FILE"],
    ])
    func contradictions(arguments: [String]) throws {
        let result = try Command("timeout", ["20", Program.path] + arguments.map { $0 == "FILE" ? file : $0 })
        #expect(result.status == 64)
        let options = arguments.filter { $0.hasPrefix("--") }
        #expect(result.errors.hasPrefix("aumd: \(options[0]) and \(options[1]) exclude each other.\n"), "\(result.errors)")
    }

    @Test("What the configuration says of a device holds for none beside --source; raw samples are a source's")
    func deviceInConfiguration() throws {
        try folder.write("source: {device: mic, rate: 48000}\n", to: "device.yaml")
        let heard = try Program.run("listen", "--config", folder.path + "/device.yaml", "--source", file, "--format", "ndjson")
        #expect(heard.status == 0, "\(heard.errors)")
        let raw = try Command("timeout", ["20", Program.path, "listen", "--raw-rate", "8000"])
        #expect(raw.errors == "aumd: --raw-rate says what a --source holds; name one.\n")
    }

    @Test("READY comes after the first analysed audio, the watchdog is fed, SIGTERM ends it in good order")
    func service() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, signal, socket, subprocess, time
            path = "\(folder.path)/notify"
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(path)
            server.settimeout(10)
            environment = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="800000")
            environment.pop("WATCHDOG_PID", None)
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "\(file)", "--pace", "--format", "ndjson"],
                env=environment, stdout=subprocess.PIPE)
            heard, stopped = [], False
            start = time.time()
            while not any("STOPPING=1" in text for text in heard):
                text = server.recv(4096).decode()
                heard.append(text)
                if "READY=1" in text: print("ready after audio", time.time() - start > 0.15)
                if not stopped and sum("WATCHDOG=1" in text for text in heard) > 3 and any("READY=1" in t for t in heard):
                    stopped = True
                    program.send_signal(signal.SIGTERM)
            out, _ = program.communicate(timeout=10)
            print("status", program.returncode, "ended early", time.time() - start < 7)
            print("status lines", any("STATUS=" in text for text in heard))
            print("whole lines", out.endswith(b"\\n"))
            END
            """)
        #expect(result.output == "ready after audio True\nstatus 0 ended early True\nstatus lines True\nwhole lines True\n", "\(result.errors)")
    }

    @Test("READY waits for a whole column of sound, however long that takes")
    func readiness() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, socket, subprocess
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("\(folder.path)/notify")
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "-", "--pace", "--format", "ndjson"],
                env=dict(os.environ, NOTIFY_SOCKET="\(folder.path)/notify"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            def heard(word, seconds):
                server.settimeout(seconds)
                try:
                    while word not in (text := server.recv(4096).decode()): assert "READY=1" not in text
                    return True
                except TimeoutError: return False
            # A column is 2560 samples, and some more for its last frame.
            program.stdin.write(bytes(2 * 2500))
            program.stdin.flush()
            print(heard("STATUS=", 10), heard("READY=1", 0.7))
            program.stdin.write(bytes(2 * 400))
            program.stdin.flush()
            print(heard("READY=1", 10))
            program.terminate()
            print(program.wait())
            END
            """)
        #expect(result.output == "True False\nTrue\n0\n", "\(result.errors)")
    }

    @Test("The watchdog is fed by the analysis and by nothing else: while that waits, it is not")
    func watchdog() throws {
        let long = folder.path + "/long.wav"
        // More than the queue holds. One layer is through it at once.
        try Sound.wav(Sound.bursts(seconds: 80)).write(to: URL(filePath: long))
        try BundledModel.write(layers: 1, to: folder)
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, socket, subprocess, time
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("\(folder.path)/notify")
            output, full = os.pipe()
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "\(long)", "--model", "\(folder.path)", "--scores", "--format", "ndjson"],
                env=dict(os.environ, NOTIFY_SOCKET="\(folder.path)/notify", WATCHDOG_USEC="400000"), stdout=full)
            server.settimeout(20)
            while b"WATCHDOG=1" not in server.recv(4096): pass
            server.settimeout(1)
            end = time.time() + 20
            try:
                while time.time() < end: server.recv(4096)
                print("fed for ever")
            except TimeoutError: print("waits", program.poll())
            program.kill()
            END
            """)
        #expect(result.output == "waits None\n", "\(result.errors)")
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

    private func scores(_ lines: [Line], _ status: String) -> [[(label: String, score: Double)]] {
        lines.filter { $0["type"] == "scores" && $0["status"] == status }.map(\.tags)
    }

    /// What was told of sounds that began in the first 3 s, and when, in ms from the first one's onset.
    private func events(_ lines: [Line]) -> [(name: String, onset: Double)] {
        let events = lines.filter { $0["type"] == "event" }
        guard let start = events.first?.time("onset") else { return [] }
        return events.prefix { $0.time("onset")! - start < 3000 }
            .map { ("\($0["phase"]!) \($0["label"]!) \($0["status"]!) \($0.number("score")!)", $0.time("onset")! - start) }
    }
}
