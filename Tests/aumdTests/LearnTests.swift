import Foundation
import TestSupport
import Testing

@Suite("aumd learn")
struct LearnTests {
    private let folder = TemporaryFolder()
    private var sounds: String { folder.path + "/sounds" }

    @Test("A sound that three recordings teach is an event where it sounds and nowhere else: in a file, live, and for whoever names it")
    func learns() throws {
        // Bursts of tones, clicks and noise, then the chime, then more of them.
        let bursts = Sound.bursts(seconds: 6), at = Double(bursts.count) / 16000 + 1
        let quiet = [Int16](repeating: 0, count: 16000)
        try Sound.wav(bursts).write(to: url("bursts.wav"))
        try Sound.wav(bursts + quiet + Self.samples(Self.chime, seed: 9, level: 0.2) + quiet + bursts).write(to: url("scene.wav"))
        let learned = try learn("Our doorbell", Self.chime, "--parent", "Alarm", "--not", folder.path + "/bursts.wav")
        #expect(learned.status == 0 && learned.errors == "", "\(learned.errors)")
        #expect(learned.output == """
            Learned Our doorbell from 3 recordings, each of which would be recognised by what the other ones teach. \
            It is in \(sounds)/our_doorbell.safetensors.

            """)
        let told = try closed(Program.run("tag", "--mode", "stream", "--format", "ndjson", "--sounds", sounds, folder.path + "/scene.wav"))
        #expect(told.count == 1)
        let event = try #require(told.first), onset = try #require(event.number("onset"))
        #expect(abs(onset - at) < 0.2 && event["mid"] == "")
        #expect(event.fields["parents"] as? [String] == ["Alarm"])
        let live = try closed(Program.run("listen", "--source", folder.path + "/scene.wav", "--format", "ndjson", environment: ["AUMD_SOUNDS": sounds]))
        #expect(live.count == 1 && live[0].number("peak") == event.number("peak"))
        #expect(try closed(Program.run("tag", "--mode", "stream", "--format", "ndjson", folder.path + "/scene.wav")).isEmpty)

        // Settings name it as any label; the model's list has it.
        try folder.write("sounds: \(sounds)\nevents: {labels: {Our doorbell: {mute: true}}}\n", to: "aumd.yaml")
        #expect(try Program.run("check", folder.path + "/aumd.yaml").output == "\(folder.path)/aumd.yaml is correct.\n")
        #expect(try closed(Program.run("tag", "--mode", "stream", "--format", "ndjson", "--config", folder.path + "/aumd.yaml", folder.path + "/scene.wav")).isEmpty)
        #expect(try Program.run("model", "--labels", "--sounds", sounds).output.contains("  112  Our doorbell    < Alarm  on 0.5 off 0.1 provisional on 0.82\n"))
    }

    @Test("Sounds of a folder are told from each other; one that is learned again takes its own place")
    func together() throws {
        #expect(try learn("One", Self.chime).status == 0)
        let second = try learn("Other", Self.buzzer)
        #expect(second.output.hasPrefix("Learned Other beside another sound from 3 recordings"))
        #expect(try learn("One", Self.chime).output.hasPrefix("Learned One beside another sound from 3 recordings"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: sounds).sorted() == ["one.safetensors", "other.safetensors"])
        let quiet = [Int16](repeating: 0, count: 24000)
        for (label, tones) in [("One", Self.chime), ("Other", Self.buzzer)] {
            try Sound.wav(quiet + Self.samples(tones, seed: 5, level: 0.1) + quiet).write(to: url("one.wav"))
            let tags = try Program.run("tag", "--top", "all", "--format", "ndjson", "--sounds", sounds, folder.path + "/one.wav")
            let scores = try #require(Line.all(tags.output).first).tags.filter { ["One", "Other"].contains($0.label) }
            #expect(scores.map(\.label).first == label && scores[0].score > 0.5 && scores[1].score < 0.1, "\(scores)")
        }
    }

    @Test("A sound that is damaged is left out with a warning, and all else goes on; check calls it an error, and so is a folder that is not there")
    func damaged() throws {
        try folder.write("{}", to: "sounds/bad.safetensors")
        try Sound.wav(Sound.bursts(seconds: 1)).write(to: url("bursts.wav"))
        let sentence = "The learned sound \(sounds)/bad.safetensors is not used: it is damaged, or was not written by 'aumd learn'."
        let tagged = try Program.run("tag", "--top", "1", "--format", "ndjson", "--sounds", sounds, folder.path + "/bursts.wav")
        #expect(tagged.status == 0 && tagged.errors == "aumd: warning: \(sentence)\n")
        try folder.write("sounds: \(sounds)\n", to: "aumd.yaml")
        #expect(try Program.run("model", "--sounds", sounds).errors == "aumd: warning: \(sentence)\n")
        let absent = try Program.run("tag", folder.path + "/bursts.wav", environment: ["AUMD_SOUNDS": "/nonexistent"])
        #expect(absent.status == 66)
        #expect(absent.errors == "aumd: The learned sounds in /nonexistent cannot be listed: No such file or directory; make the folder, or name another one.\n")
        let checked = try Program.run("check", folder.path + "/aumd.yaml")
        #expect(checked.status == 78 && checked.errors == "aumd: \(sentence)\n")
    }

    @Test("What cannot be learned is refused in one sentence, and nothing is written", arguments: [
        (["Dog", "a.wav"], 64, "'Dog' is a label already; give your sound another name."),
        (["?!", "a.wav"], 64, "'?!' cannot be a label; give it a name of letters and digits, of 200 bytes at most."),
        (["Ours", "a.wav", "--parent", "Alarm clok"], 64, "--parent: the model has no label \"Alarm clok\"; the nearest is \"Alarm clock\"."),
        (["Ours", "absent.wav"], 66, "sound file 'absent.wav' does not exist"),
        (["Ours", "silent.wav"], 65, "sound file 'silent.wav' is silent; record it again"),
        (["Ours", "long.wav"], 65, "sound file 'long.wav' is longer than 60 s; cut out what matters"),
        (["Ours", "a.wav", "--not", "text.txt"], 65, "sound file 'text.txt'"),
        (["Ours", "a.wav", "--sounds", "a.wav/below"], 73, "a.wav/below cannot be made: Not a directory; choose another folder with --sounds."),
        (["Our-Doorbell", "a.wav"], 64, "sounds/our_doorbell.safetensors holds 'Our doorbell'; give your sound a name of other words, or remove that file."),
    ] as [([String], Int32, String)])
    func refused(arguments: [String], status: Int32, sentence: String) throws {
        try Sound.wav(Self.samples(Self.chime, seed: 1, level: 0.1)).write(to: url("a.wav"))
        try Sound.wav([Int16](repeating: 1, count: 16000)).write(to: url("silent.wav"))
        try Sound.wav(Sound.bursts(seconds: 61)).write(to: url("long.wav"))
        try folder.write("no sound", to: "text.txt")
        if arguments[0] == "Our-Doorbell" { #expect(try learn("Our doorbell", Self.chime).status == 0) }
        let before = try folder.files()
        let line = (["learn"] + arguments + (arguments.contains("--sounds") ? [] : ["--sounds", "sounds"])).map { "'\($0)'" }.joined(separator: " ")
        let result = try Program.shell("cd '\(folder.path)' && \"$AUMD\" \(line)")
        #expect(result.status == status)
        #expect(result.errors.contains("aumd: \(sentence)") && result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(try folder.files() == before)
    }

    // MARK: -

    /// Frequency in Hz, and seconds, of tones that follow each other and fade.
    private typealias Tones = [(frequency: Double, seconds: Double)]
    private static let chime: Tones = [(1319, 0.35), (1047, 0.35), (1568, 0.7)]
    private static let buzzer: Tones = [(440, 0.12), (0, 0.05), (440, 0.12), (0, 0.05), (440, 0.12), (0, 0.05), (440, 0.3)]

    /// Tones with overtones, over faint noise.
    private static func samples(_ tones: Tones, seed: UInt64, level: Double) -> [Int16] {
        var generator = SeededRandom(seed: seed)
        return tones.flatMap { frequency, seconds in
            (0..<Int(seconds * 16000)).map { n in
                let t = Double(n) / 16000, noise = 0.002 * Double.random(in: -1...1, using: &generator)
                let tone = (1...4).reduce(0) { $0 + sin(2 * .pi * frequency * Double($1) * t) / Double($1) }
                return Int16(32767 * (level * tone * exp(-2 * t) + noise))
            }
        }
    }

    /// Three recordings of it, at other levels, each with a second of faint noise before and after.
    private func learn(_ label: String, _ tones: Tones, _ more: String...) throws -> Command {
        for (index, level) in [0.05, 0.15, 0.3].enumerated() {
            let noise = Self.samples([(0, 1)], seed: UInt64(100 + index), level: 0)
            try Sound.wav(noise + Self.samples(tones, seed: UInt64(index), level: level) + noise).write(to: url("\(index).wav"))
        }
        let files = (0..<3).map { "'\(folder.path)/\($0).wav'" }.joined(separator: " ")
        let rest = more.map { "'\($0)'" }.joined(separator: " ")
        let result = try Program.shell("\"$AUMD\" learn '\(label)' \(files) --sounds '\(sounds)' \(rest)")
        for index in 0..<3 { try FileManager.default.removeItem(at: url("\(index).wav")) }
        return result
    }

    /// Events of learned sounds that have ended.
    private func closed(_ result: Command) throws -> [Line] {
        #expect(result.status == 0)
        return try Line.all(result.output).filter { $0["phase"] == "close" && $0["label"] == "Our doorbell" }
    }

    private func url(_ name: String) -> URL { folder.url.appending(path: name) }
}
