import Foundation
import TestSupport
import Testing

@Suite("A running daemon is asked")
struct ControlTests {
    private let folder = TemporaryFolder()
    private var socket: String { folder.path + "/control.sock" }

    init() throws {
        try folder.makeScriptedDevice("report \"\(folder.path)/report\" state \"\(folder.path)/state\"")
    }

    /// Runs shell lines beside `aumd listen` of the PCM `mic`, whose records go to the file `out`; `await TEXT` waits for a record that
    /// holds it.
    private func hear(_ options: String, _ lines: String, _ environment: [String: String] = [:]) throws -> (lines: [Line], errors: String) {
        let result = try Program.shell(
            """
            cd \(folder.path)
            await() { until grep -q "$1" out || ! kill -0 $listening; do sleep 0.02; done; }
            : > out
            "$AUMD" listen --device mic --control control.sock --format ndjson --scores \(options) > out &
            listening=$!
            \(lines)
            kill -INT $listening; wait $listening; echo "ended with $?" >&2; cat out
            """, environment: folder.alsa.merging(environment) { $1 })
        #expect(result.errors.hasSuffix("ended with 0\n"), "\(result.errors)")
        return (try Line.all(result.output), result.errors)
    }

    private func states(_ lines: [Line]) -> [String] {
        lines.filter { $0["type"] == "status" }.compactMap { $0["state"] }.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }

    @Test("to pause: it closes the device until it is resumed: the status says so, nothing is scored, and the gap has its length")
    func pauseAndResume() throws {
        let (lines, _) = try hear("", """
            await '"status":"provisional"'
            "$AUMD" pause --control control.sock; await '"state":"paused"'
            sleep 1
            "$AUMD" resume --control control.sock; await '"cause":"paused"'; sleep 1
            """)
        #expect(states(lines) == ["starting", "capturing", "paused", "capturing", "stopping"])
        let paused = try #require(lines.first { $0["state"] == "paused" })
        #expect(paused["message"] == "until it is resumed" && paused.fields["level_dbfs"] is NSNull)
        let gaps = lines.filter { $0["type"] == "gap" }
        #expect(gaps.count == 1 && gaps.first?["cause"] == "paused" && gaps.first?.fields["reset"] as? Bool == true)
        #expect(try (1.0...4.0).contains(#require(gaps.first?.number("samples")) / 16_000))
        let from = try #require(gaps.first?.time("from")), to = try #require(gaps.first?.time("to"))
        let times = lines.filter { $0["type"] == "scores" }.compactMap { $0.time("time") }
        #expect(times.contains { $0 < from } && times.contains { $0 >= to } && !times.contains { $0 >= from && $0 < to })
        #expect(try String(contentsOfFile: folder.path + "/report", encoding: .utf8).split(separator: "\n").count { $0 == "open" } == 2)
    }

    @Test("to pause for some time: that ends by itself, and says when")
    func timed() throws {
        let (lines, _) = try hear("", """
            await '"status":"provisional"'
            "$AUMD" pause --for 1s --control control.sock; await '"cause":"paused"'
            """)
        #expect(states(lines) == ["starting", "capturing", "paused", "capturing", "stopping"])
        let message = try #require(lines.first { $0["state"] == "paused" }?["message"])
        #expect(message.wholeMatch(of: /until [0-2][0-9]:[0-5][0-9]/) != nil, "\(message)")
    }

    @Test("to pause: that outlasts a restart, until it is resumed")
    func restart() throws {
        let kept = ["AUMD_PAUSE_FILE": folder.path + "/kept"]
        let (first, _) = try hear("", """
            await '"status":"provisional"'; "$AUMD" pause --control control.sock; await '"state":"paused"'
            """, kept)
        #expect(states(first) == ["starting", "capturing", "paused", "stopping"])
        let (second, _) = try hear("", """
            await '"state":"paused"'; "$AUMD" resume --control control.sock; await '"status":"provisional"'
            """, kept)
        #expect(states(second) == ["starting", "paused", "capturing", "stopping"])
        #expect(states(try hear("", "await '\"status\":\"provisional\"'", kept).lines) == ["starting", "capturing", "stopping"])
        #expect(access(folder.path + "/kept", F_OK) != 0)
    }

    @Test("to pause where that cannot be kept: it pauses all the same, and says so")
    func unkept() throws {
        let (lines, errors) = try hear("", """
            await '"status":"provisional"'; "$AUMD" pause --control control.sock; await '"state":"paused"'
            """, ["AUMD_PAUSE_FILE": "/nonexistent/kept"])
        #expect(states(lines).contains("paused") && errors.contains("/nonexistent/kept cannot be written"), "\(errors)")
    }

    @Test("nothing in quiet hours: they hold from the start, the device is not opened, and a service is ready all the same")
    func quietHours() throws {
        let result = try Program.shell(
            """
            cd \(folder.path)
            python3 - <<'END'
            import os, socket, subprocess
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("\(folder.path)/notify")
            server.settimeout(10)
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--device", "mic", "--control", "control.sock", "--format", "ndjson"],
                env=dict(os.environ, NOTIFY_SOCKET="\(folder.path)/notify", WATCHDOG_USEC="400000", AUMD_QUIET_HOURS="00:00-24:00"), stdout=subprocess.PIPE)
            heard = ""
            while heard.count("WATCHDOG=1") < 5 or "READY=1" not in heard: heard += server.recv(4096).decode() + "\\n"
            print("STATUS=paused (quiet hours until 00:00)" in heard, os.path.exists("report"))
            subprocess.run([os.environ["AUMD"], "resume", "--control", "control.sock"], check=True)
            while "dBFS" not in heard: heard += server.recv(4096).decode()
            program.terminate()
            print(program.communicate()[0].count(b'"state":"paused"') > 0, program.returncode, os.path.exists("control.sock"))
            END
            """, environment: folder.alsa)
        #expect(result.output == "True False\nTrue 0 False\n", "\(result.errors)")
    }

    @Test("to keep what it heard last: it writes that to its recordings, and tells of it")
    func keep() throws {
        let (lines, errors) = try hear("--recordings sounds", """
            await '"status":"provisional"'; sleep 2.2
            for length in 2s 300s; do
                "$AUMD" keep --last $length --control control.sock
                count=$(($(grep -c '"type":"recording"' out) + 1))
                until [ $(grep -c '"type":"recording"' out) = $count ] || ! kill -0 $listening; do sleep 0.02; done
            done
            """)
        let kept = lines.filter { $0["type"] == "recording" }
        #expect(kept.count == 2 && Set(kept.compactMap { $0["id"] }).count == 2, "\(errors)")
        #expect(kept.allSatisfy { $0.fields["label"] is NSNull && ($0.fields["parents"] as? [String])?.isEmpty == true })
        let lengths = try kept.map { try #require($0.time("to")) - #require($0.time("from")) }
        #expect(lengths.count == 2 && lengths[0] == 2000 && (2200...6000).contains(lengths[1]), "\(lengths)")
        for recording in kept {
            let file = try #require(recording["file"])
            #expect(file.contains("/sounds/") && file.contains("_kept_"))
            #expect(try Program.run("tag", file).status == 0)
        }
        let scored = lines.filter { $0["type"] == "scores" }.compactMap { $0.time("time") }
        #expect(try #require(kept.first?.time("from")) > scored[0] - 200)
    }

    @Test("to keep sound where no recordings are made: none is kept, and the log says why")
    func nothingKept() throws {
        let (lines, errors) = try hear("", """
            await '"status":"provisional"'; "$AUMD" keep --control control.sock; sleep 1.2
            """)
        #expect(errors.contains("recordings.folder") && !lines.contains { $0["type"] == "recording" }, "\(errors)")
        for length in ["0s", "301s", "6m", "10"] { #expect(try Program.run("keep", "--last", length, "--control", socket).status == 64, "\(length)") }
    }

    @Test("what is no request: it says so; and who asks a daemon that is not there is told")
    func refused() throws {
        let (_, errors) = try hear("", """
            await '"status":"provisional"'
            python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"mute", "control.sock")'
            sleep 1.2; grep -c paused out >&2
            """)
        #expect(errors.contains("\"mute\" is no request") && errors.contains("\n0\n"), "\(errors)")
        let nowhere = try Program.run("listen", "--device", "mic", "--control", "/nonexistent/x", environment: folder.alsa)
        #expect(nowhere.status == 73 && nowhere.errors.contains("/nonexistent/x"), "\(nowhere.errors)")
        let nobody = try Program.run("pause", "--control", socket)
        #expect(nobody.status == 69 && nobody.errors.contains(socket) && nobody.errors.contains("No such file"), "\(nobody.errors)")
        for length in ["90", "0s", "-1s", "1.5h", "h", "400d", "99999999999999999999s", "٣s"] {
            #expect(try Program.run("pause", "--for=\(length)", "--control", socket).status == 64, "\(length)")
        }
    }

    @Test("by nobody who may not write to the socket", .enabled(if: geteuid() == 0))
    func permission() throws {
        let (lines, errors) = try hear("", """
            chmod 755 .; await '"status":"provisional"'; cp "$AUMD" aumd; chmod 755 aumd
            setpriv --reuid 65534 --clear-groups ./aumd pause --control control.sock; echo "status $?" >&2
            """)
        #expect(errors.contains("control_mode") && errors.contains("status 77") && !states(lines).contains("paused"), "\(errors)")
        let (open, _) = try hear("", """
            await '"status":"provisional"'
            setpriv --reuid 65534 --clear-groups ./aumd pause --control control.sock; await '"state":"paused"'
            """, ["AUMD_CONTROL_MODE": "0666"])
        #expect(states(open).contains("paused"))
    }
}
