import Foundation
import TestSupport
import Testing

/// Listening to a device.
extension ListenTests {
    /// The PCM `mic` plays eight seconds of bursts, and fails as the script says.
    func makeBursts(_ script: String = "") throws {
        try Sound.raw(Sound.bursts(seconds: 8)).write(to: folder.url.appending(path: "bursts.raw"))
        try folder.makeScriptedDevice("infile \"\(folder.path)/bursts.raw\" script \"\(script)\"")
    }

    /// What is told of `mic` in so many seconds.
    private func hear(_ seconds: Double, _ options: String = "") throws -> [Line] {
        try Line.all(
            Program.shell(
                "timeout -s INT \(seconds) \"$AUMD\" listen --config \(config) --device mic --format ndjson \(options)",
                environment: folder.alsa
            ).output)
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
        let lines = try hear(8.5, "--scores")
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
        let last = try #require(lines.last)
        #expect(last["state"] == "stopping" && last.number("xruns") == 1 && last.number("lost_samples") == 0, "\(last.fields)")
        #expect(try (0..<1000).contains(#require(last.number("worst_wake_up_ms"))))
        let end = try #require(gaps.last?.time("to"))
        #expect(starts.count { $0 >= end } > 10)
    }

    @Test("After a long gap it hears as at the beginning: the same sound has the same scores, bit for bit")
    func anew() throws {
        try folder.makeScriptedDevice("kind \"zeros\" script \"48000:gone:800\"")
        let lines = try hear(7.5, "--scores --chunk 3 --lookahead 3"), gap = try #require(lines.firstIndex { $0["type"] == "gap" })
        for status in ["provisional", "confirmed"] {
            let before = scores(Array(lines[..<gap]), status), after = scores(Array(lines[gap...]), status)
            let common = min(before.count, after.count) - 6
            #expect(common > 8, "\(before.count), \(after.count)")
            for (x, y) in zip(before.prefix(common), after) { #expect(x.map(\.label) == y.map(\.label) && x.map(\.score) == y.map(\.score)) }
        }
    }

    @Test("A short gap sounds like the room at its quietest")
    func comfortNoise() throws {
        var random = SeededRandom(seed: 1)
        let samples: [Int16] = (0..<8 * 16_000).map { n in (Bool.random(using: &random) ? 1 : -1) * (n < 16_000 ? 3277 : 33) }
        try Sound.raw(samples).write(to: folder.url.appending(path: "room.raw"))
        try folder.makeScriptedDevice("infile \"\(folder.path)/room.raw\" script \"48000:stall:300\"")
        let lines = try hear(6.5, "--scores"), gap = try #require(lines.firstIndex { $0["type"] == "gap" })
        #expect(lines[gap].fields["reset"] as? Bool == false && lines[gap].number("samples")! > 3000, "\(lines[gap].fields)")
        let levels = lines[gap...].filter { $0["status"] == "provisional" && $0["type"] == "scores" }.prefix(6).map { $0.number("level_dbfs")! }
        #expect(levels.count == 6 && levels.allSatisfy { abs($0 + 59.9) < 1 }, "\(levels)")
    }

    @Test("What was heard is decided while the device is away, not when it is back")
    func decidedWhileAway() throws {
        try makeBursts("24000:gone:3000")
        let lines = try hear(6)
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

    @Test("The device gets the rate, the period and the buffer that the configuration says, and the environment over it")
    func periods() throws {
        try folder.makeScriptedDevice("rates \"16000,48000\" report \"\(folder.path)/report\"")
        try folder.write("source: {device: mic, rate: 48000, period_ms: 20, buffer_ms: 300}\n", to: "device.yaml")
        for environment in [[:], ["AUMD_PERIOD_MS": "5", "AUMD_RATE": "16000"]] {
            let heard = try Program.shell(
                """
                cd \(folder.path); rm -f out; "$AUMD" listen --config device.yaml --format ndjson --scores > out &
                until grep -q '"type":"scores"' out || ! kill -0 $!; do sleep 0.02; done
                kill -INT $!; wait $!
                """, environment: folder.alsa.merging(environment) { $1 })
            #expect(heard.status == 0, "\(heard.errors)")
        }
        #expect(try String(contentsOfFile: folder.path + "/report", encoding: .utf8) == "open\n48000 960 14400\nopen\n16000 80 4800\n")
    }

    @Test("A device that hangs while it is opened is left on SIGTERM")
    func hangingDevice() throws {
        try folder.makeScriptedDevice("opening 30000")
        let left = try Program.shell(
            "timeout -k 5 1 \"$AUMD\" listen --device mic --format ndjson", environment: folder.alsa)
        #expect(left.status == 124, "\(left.errors)")
    }

    @Test("The devices are listed with what there is to say of them")
    func devices() throws {
        try folder.makeScriptedDevice("rates \"16000,48000\" channels 2 hint { description \"A microphone\" show on }")
        let result = try Program.run("devices", environment: folder.alsa)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("mic  A microphone\n    16000 48000 Hz, 2 channels\n"), "\(result.output)")
        try folder.makeScriptedDevice("hint { description \"a \u{1B}[31mred one\" show on }")
        let red = try Program.run("devices", environment: folder.alsa)
        #expect(red.output.contains("red one") && !red.output.contains("\u{1B}"), "\(red.output)")
    }

    /// What was told of sounds that began in the first 3 s, and when, in ms from the first one's onset.
    private func events(_ lines: [Line]) -> [(name: String, onset: Double)] {
        let events = lines.filter { $0["type"] == "event" }
        guard let start = events.first?.time("onset") else { return [] }
        return events.prefix { $0.time("onset")! - start < 3000 }
            .map { ("\($0["phase"]!) \($0["label"]!) \($0["status"]!) \($0.number("score")!)", $0.time("onset")! - start) }
    }
}
