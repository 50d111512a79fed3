import CSndFile
import Foundation
import TestSupport
import Testing

@Suite("The demo scene")
struct DemoTests {
    struct Sound: Decodable {
        var label: String
        var onset, offset: Double
    }

    private let folder = packageRoot.appending(path: "Sources/aumd/Resources")

    @Test("is mono at 16 kHz and small enough to ship")
    func format() throws {
        let (samples, information) = try read()
        #expect(information.samplerate == 16_000)
        #expect(information.channels == 1)
        #expect((35...50).contains(Double(samples.count) / 16_000))
        #expect(try Data(contentsOf: folder.appending(path: "demo.ogg")).count < 300_000)
    }

    @Test("holds each sound of its list, with quiet between them")
    func scene() throws {
        let (samples, _) = try read()
        let sounds = try JSONDecoder().decode([Sound].self, from: Data(contentsOf: folder.appending(path: "demo.json")))
        #expect(sounds.count >= 8)
        #expect(Set(sounds.map(\.label)).count == sounds.count)
        var end = 0.0
        for sound in sounds {
            #expect(sound.onset - end > 1)
            #expect(level(samples, end + 0.1, sound.onset - 0.1) < -55, "before \(sound.label)")
            #expect((-26 ... -20).contains(level(samples, sound.onset, sound.offset)), "\(sound.label)")
            #expect(level(samples, sound.onset, sound.onset + 0.1) > -50, "onset of \(sound.label)")
            end = sound.offset
        }
        #expect(level(samples, end + 0.1, Double(samples.count) / 16_000) < -55)
    }

    @Test("is heard: nearly every sound by its name and from its beginning, and nothing in the quiet")
    func heard() throws {
        let sounds = try JSONDecoder().decode([Sound].self, from: Data(contentsOf: folder.appending(path: "demo.json")))
        let scene = folder.appending(path: "demo.ogg").path(percentEncoded: false)
        let run = try Program.run("tag", "--mode", "stream", "--format", "ndjson", scene)
        #expect(run.status == 0)
        let events = try Line.all(run.output).filter { $0["phase"] == "close" }.map { line in
            Sound(
                label: line["label"] ?? "", onset: try #require(line.number("onset")),
                offset: try #require(line.number("offset")))
        }
        let named = sounds.filter { sound in
            events.contains { $0.label == sound.label && abs($0.onset - sound.onset) <= 0.05 }
        }
        #expect(named.count >= sounds.count - 2, "named from their beginning: \(named.map(\.label))")
        for event in events {
            #expect(sounds.contains { $0.onset - 0.1 <= event.onset && event.offset <= $0.offset + 0.5 }, "\(event)")
        }
    }

    @Test("is told while it happens: nearly every sound has a provisional event before 0.35 s of it have been heard")
    func announced() throws {
        let sounds = try JSONDecoder().decode([Sound].self, from: Data(contentsOf: folder.appending(path: "demo.json")))
        let scene = folder.appending(path: "demo.ogg").path(percentEncoded: false)
        let lines = try Line.all(Program.run("listen", "--source", scene, "--scores", "--format", "ndjson").output)
        // A record comes after the scores of the column that it rests on, and that column's end is how far the stream has come.
        var start: Double?, now = 0.0, openings: [Double] = []
        for line in lines {
            if line["status"] == "provisional", line["type"] == "scores", let time = line.time("time") {
                start = start ?? time
                now = (time - start!) / 1000 + 0.16
            }
            if line["status"] == "provisional", line["phase"] == "open" { openings.append(now) }
        }
        let late = sounds.filter { sound in !openings.contains { (sound.onset...sound.onset + 0.35).contains($0) } }
        #expect(late.count <= 1, "\(late.map(\.label))")
    }

    @Test("has no event within the cooldown after one of its label, or of a label below it, however much is heard", arguments: [
        (1, 5), (1, 6), (2, 4), (8, 5),
    ])
    func cooldowns(cooldown: Double, sensitivity: Int) throws {
        let settings = TemporaryFolder()
        try settings.write("events: {default: {cooldown: \(cooldown), sensitivity: \(sensitivity)}}\n", to: "settings.yaml")
        let scene = folder.appending(path: "demo.ogg").path(percentEncoded: false)
        let run = try Program.run("tag", "--mode", "stream", "--config", settings.path + "/settings.yaml", "--format", "ndjson", scene)
        let events = try Line.all(run.output).filter { $0["phase"] == "close" }.map { line in
            (
                labels: [try #require(line["label"])] + (line.fields["parents"] as? [String] ?? []), onset: try #require(line.number("onset")),
                offset: try #require(line.number("offset"))
            )
        }
        #expect(events.count > 20)
        for event in events {
            for other in events where other.offset <= event.onset && other.labels.contains(event.labels[0]) {
                // Times are in whole milliseconds.
                #expect(event.onset >= other.offset + cooldown - 0.0015, "\(event) after \(other)")
            }
        }
    }

    private func read() throws -> ([Float], SF_INFO) {
        var information = SF_INFO()
        let file = try #require(sf_open(folder.appending(path: "demo.ogg").path(percentEncoded: false), Int32(SFM_READ), &information))
        defer { sf_close(file) }
        var samples = [Float](repeating: 0, count: Int(information.frames) * Int(information.channels))
        let count = sf_readf_float(file, &samples, information.frames)
        #expect(count == information.frames)
        return (samples, information)
    }

    /// RMS in dBFS between two times in seconds.
    private func level(_ samples: [Float], _ from: Double, _ to: Double) -> Double {
        let part = samples[Int(from * 16_000)..<Int(to * 16_000)]
        return 10 * log10(part.reduce(1e-12) { $0 + Double($1 * $1) } / Double(part.count))
    }
}
