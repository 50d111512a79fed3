import Foundation
import TestSupport
import Testing

/// Under a service manager.
extension ListenTests {
    @Test("READY comes after the first analysed audio, the watchdog is fed, SIGTERM ends it in good order")
    func service() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, re, signal, socket, subprocess, time
            path = "\(folder.path)/notify"
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(path)
            server.settimeout(10)
            environment = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="800000")
            environment.pop("WATCHDOG_PID", None)
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--config", "\(config)", "--source", "\(file)", "--pace", "--format", "ndjson"],
                env=dict(environment, AUMD_STATUS_INTERVAL="0.2"), stdout=subprocess.PIPE)
            heard, hungUp, stopped = [], False, False
            start = time.time()
            while not any("STOPPING=1" in text for text in heard):
                text = server.recv(4096).decode()
                heard.append(text)
                if "READY=1" in text and not hungUp: print("ready after audio", time.time() - start > 0.15)
                if not hungUp and any("READY=1" in t for t in heard):
                    hungUp = True
                    program.send_signal(signal.SIGHUP)
                named = any(text.startswith("STATUS=-") and not text.endswith(", nothing of note") for text in heard)
                if not stopped and named and sum("WATCHDOG=1" in text for text in heard) > 3 and sum("READY=1" in t for t in heard) > 1:
                    stopped = True
                    program.send_signal(signal.SIGTERM)
            out, _ = program.communicate(timeout=10)
            print("status", program.returncode, "ended early", time.time() - start < 7)
            labels = set(re.findall(r'"phase":"open".*?"label":"(.*?)"', out.decode()))
            told = [re.fullmatch(r"STATUS=-[0-9]+ dBFS, (.+)", text) for text in heard]
            print("heard", bool(labels) and any(match and any(label in match[1] for label in labels) for match in told))
            words = [text.split("\\n")[0].split("=")[0] for text in heard if not text.startswith(("STATUS=", "WATCHDOG="))]
            print(words, heard[-1])
            print("whole lines", out.endswith(b"\\n"))
            END
            """)
        #expect(result.output == """
            ready after audio True
            status 0 ended early True
            heard True
            ['READY', 'RELOADING', 'READY', 'STOPPING'] STOPPING=1
            whole lines True

            """, "\(result.errors)")
    }

    @Test("READY waits for a whole column of sound, however long that takes")
    func readiness() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, signal, socket, subprocess
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
            # A file reopened is no sound.
            program.send_signal(signal.SIGHUP)
            print(heard("READY=1", 0.3))
            program.stdin.write(bytes(2 * 400))
            program.stdin.flush()
            print(heard("READY=1", 10))
            program.terminate()
            print(program.wait())
            END
            """)
        #expect(result.output == "True False\nFalse\nTrue\n0\n", "\(result.errors)")
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

    @Test("A signal that comes before it listens, even where it is ignored at first, does what it is meant to")
    func earlySignals() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, signal, subprocess, time
            ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
            for sent, first in [(signal.SIGTERM, None), (signal.SIGINT, None), (signal.SIGINT, ignore), (signal.SIGHUP, None)]:
                codes = set()
                for milliseconds in (0, 5, 20, 50, 100, 200):
                    program = subprocess.Popen(
                        [os.environ["AUMD"], "listen", "--source", "\(file)", "--pace", "--format", "ndjson"],
                        stdout=subprocess.DEVNULL, preexec_fn=first)
                    # Until it is loaded, signals have their default action.
                    caught = 0
                    while not caught & 1 << signal.SIGTERM - 1:
                        lines = open(f"/proc/{program.pid}/status").read().splitlines()
                        caught = int(next(line.split()[1] for line in lines if line.startswith("SigCgt")), 16)
                    time.sleep(milliseconds / 1000)
                    program.send_signal(sent)
                    if sent == signal.SIGHUP:
                        time.sleep(0.3)
                        program.terminate()
                    codes.add(program.wait(timeout=20))
                print(sent.name, codes)
            END
            """)
        #expect(result.output == "SIGTERM {0}\nSIGINT {0}\nSIGINT {0}\nSIGHUP {0}\n", "\(result.errors)")
    }

    @Test("A manager, or a reader of the standard error, that takes nothing holds up neither the analysis nor the end")
    func nobodyReads() throws {
        // What was no number is said at the end.
        let samples = [Float](repeating: .nan, count: 100) + [Float](repeating: 0, count: 10 * 16_000)
        try samples.withUnsafeBytes { try Data($0).write(to: folder.url.appending(path: "nan.raw")) }
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, signal, socket, subprocess, time
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("\(folder.path)/notify")
            _, errors = os.pipe()
            os.set_blocking(errors, False)
            try:
                while os.write(errors, b" "): pass
            except BlockingIOError: os.set_blocking(errors, True)
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "\(folder.path)/nan.raw", "--raw-format", "float", "--pace", "--format", "ndjson"],
                env=dict(os.environ, NOTIFY_SOCKET="\(folder.path)/notify", WATCHDOG_USEC="40000", AUMD_STATUS_INTERVAL="0.1"),
                stderr=errors, stdout=subprocess.PIPE)
            begin = time.time()
            lines = 0
            while time.time() - begin < 4 and program.stdout.readline(): lines += 1
            program.terminate()
            print(lines > 25, program.communicate(timeout=10) and program.returncode)
            END
            """)
        #expect(result.output == "True 0\n", "\(result.errors)")
    }

    @Test("With --journal a real journal holds what began, ended and was taken back, as the standard output has it")
    func journal() throws {
        let journal = try Journal()
        let name = "test-\(folder.url.lastPathComponent)"
        let heard = try Program.run(
            "listen", "--config", config, "--source", file, "--name", name, "--journal", "--format", "ndjson")
        #expect(heard.status == 0 && heard.errors == "", "\(heard.errors)")
        let told = try Line.all(heard.output).filter { ["open", "close", "retract"].contains($0["phase"]) }
        #expect(told.count > 10)
        func entries(_ phase: String) -> [[String: String]] {
            let count = told.count { $0["phase"] == phase }
            return journal.entries("AUMD_SOURCE=\(name)", "AUMD_PHASE=\(phase)", count: count).map { $0.compactMapValues(\.first) }
        }
        for phase in ["open", "close", "retract"] {
            let lines = told.filter { $0["phase"] == phase }, entries = entries(phase)
            #expect(entries.map { $0["AUMD_EVENT_ID"] } == lines.map { $0["id"] })
            for (entry, line) in zip(entries, lines) {
                #expect(entry["AUMD_LABEL"] == line["label"] && entry["SYSLOG_IDENTIFIER"] == "aumd")
                #expect(heard.output.split(separator: "\n").contains { $0 == entry["AUMD_JSON"] ?? "" })
            }
        }
    }
}
