import Foundation
import TestSupport
import Testing

@Suite("Alarms are heard by their temporal pattern")
struct AlarmTests {
    static let smoke = "Smoke detector, smoke alarm", monoxide = "Carbon monoxide detector, CO detector"
    private let folder = TemporaryFolder()

    /// Two seconds of faint noise, groups of pulses of 3.1 kHz, and twelve seconds of noise.
    private func alarm(pulses: Int, on: Double, off: Double, pause: Double, groups: Int) -> [Int16] {
        var random = SeededRandom(seed: 3)
        var samples: [Int16] = []
        func append(_ seconds: Double, level: Double = 0) {
            for _ in 0..<Int(seconds * 16_000) {
                let tone = level * sin(2 * .pi * 3100 * Double(samples.count) / 16_000)
                samples.append(Int16((tone + 0.001 * Double.random(in: -1...1, using: &random)) * 32767))
            }
        }
        append(2)
        for pulse in 1...(pulses * groups) {
            append(on, level: 0.2)
            append(pulse % pulses == 0 ? pause : off)
        }
        append(12)
        return samples
    }

    private func file(_ samples: [Int16]) throws -> String {
        try Sound.wav(samples).write(to: URL(filePath: folder.file("alarm.wav")))
        return folder.file("alarm.wav")
    }

    @Test("one event, from the first pulse to the last, that opens in the second or third group and is confirmed, with both directions and with one",
        arguments: [true, false], [true, false])
    func event(isSmoke: Bool, window: Bool) throws {
        let samples = isSmoke
            ? alarm(pulses: 3, on: 0.5, off: 0.5, pause: 1.5, groups: 4) : alarm(pulses: 4, on: 0.1, off: 0.1, pause: 5, groups: 4)
        let label = isSmoke ? Self.smoke : Self.monoxide, group = isSmoke ? 2.5 : 0.7, period = isSmoke ? 4 : 5.7
        let result = try Program.run(
            "tag", "--mode", "stream", "--format", "ndjson", try file(samples), environment: ["AUMD_WINDOW": "\(window)"])
        let lines = try Line.all(result.output).filter { [Self.smoke, Self.monoxide].contains($0["label"]) }
        #expect(lines.allSatisfy { $0["label"] == label && $0["mid"] == (isSmoke ? "/m/01y3hg" : "") && $0.fields["parents"] as? [String] == ["Alarm"] })
        #expect(Set(lines.map { $0["id"] }).count == 1)
        let opened = try #require(lines.first), closed = try #require(lines.last)
        #expect(opened["phase"] == "open" && opened["status"] == (window ? "provisional" : "confirmed"))
        #expect(closed["phase"] == "close" && closed["status"] == "confirmed" && closed["reason"] == nil)
        #expect(lines.allSatisfy { abs(($0.number("onset") ?? 0) - 2) < 0.05 })
        let known = 2 + (isSmoke ? 1 : 2) * period + group
        #expect((known...(known + 1.8)).contains(opened.number("time") ?? 0))
        #expect(abs((closed.number("offset") ?? 0) - (2 + 3 * period + group)) < 0.05)
        #expect(closed.number("score") ?? 0 > 0.8)
    }

    @Test("to the end of its last whole group, where the sound ends in the middle of the alarm")
    func cut() throws {
        let samples = alarm(pulses: 3, on: 0.5, off: 0.5, pause: 1.5, groups: 3)
        let lines = try Line.all(Program.run("tag", "--mode", "stream", "--format", "ndjson", try file(Array(samples[..<(13 * 16_000)]))).output)
        let closed = try #require(lines.last { $0["label"] == Self.smoke })
        #expect(closed["phase"] == "close" && closed["reason"] == "interrupted")
        #expect(abs((closed.number("onset") ?? 0) - 2) < 0.05 && abs((closed.number("offset") ?? 0) - 8.5) < 0.05)
    }

    @Test("as labels like others: by name in the settings and for every command, to be muted, and taken")
    func labels() throws {
        let config = folder.file("aumd.yaml"), names = "[\"\(Self.smoke)\", \"\(Self.monoxide)\"]"
        try folder.write(
            """
            events: {labels: {"\(Self.smoke)": {mute: true}}, groups: {danger: \(names)}}
            recordings: {labels: \(names)}
            mqtt: {sensors: \(names)}

            """, to: "aumd.yaml")
        #expect(try Program.run("check", config).errors == "")
        let sound = try file(alarm(pulses: 3, on: 0.5, off: 0.5, pause: 1.5, groups: 3))
        let result = try Program.run("tag", "--mode", "stream", "--format", "ndjson", "--config", config, sound)
        #expect(result.status == 0 && !result.output.contains(Self.smoke))
        #expect(try Program.run("suggest", "--label", Self.monoxide, "/dev/null").errors.contains("No time passes"))
        let learned = try Program.run("learn", Self.smoke, sound, "--sounds", folder.file("sounds"))
        #expect(learned.status == 64 && learned.errors.contains("'\(Self.smoke)' is a label already"))
        let shown = try Program.run("model", "--labels").output
        #expect(shown.contains("labels      112, and 2 alarms by temporal pattern\n"))
        #expect(shown.contains("\n  by its pattern  \(Self.smoke)  /m/01y3hg  on 0.75\n"))
    }

    @Test("unless the model has a label of the name, which is heard by the model alone")
    func ownLabel() throws {
        let model = folder.file("model")
        try FileManager.default.copyItem(atPath: BundledModel.folder.path, toPath: model)
        let config = try String(contentsOfFile: model + "/config.json", encoding: .utf8)
        try config.replacing("\"Alarm clock\"", with: "\"\(Self.smoke)\"").write(toFile: model + "/config.json", atomically: true, encoding: .utf8)
        let shown = try Program.run("model", "--labels", model).output
        #expect(shown.contains("labels      112, and 1 alarm by temporal pattern\n"))
        let sound = try file(alarm(pulses: 3, on: 0.5, off: 0.5, pause: 1.5, groups: 3))
        let lines = try Line.all(Program.run("tag", "--mode", "stream", "--format", "ndjson", "--model", model, sound).output)
        // The model hears each group for itself.
        #expect(Set(lines.filter { $0["label"] == Self.smoke && $0["phase"] == "close" }.map { $0["id"] }).count != 1)
    }
}
