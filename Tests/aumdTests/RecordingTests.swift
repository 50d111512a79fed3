import CSndFile
import Foundation
import TestSupport
import Testing

@Suite("aumd listen records the sound of events")
struct RecordingTests {
    private let folder = TemporaryFolder()

    /// The samples of a sound file and its rate.
    private func samples(_ path: String) throws -> (rate: Int, [Int16]) {
        var info = SF_INFO()
        let file = try #require(sf_open(path, Int32(SFM_READ), &info))
        defer { sf_close(file) }
        var samples = [Int16](repeating: 0, count: Int(info.frames))
        #expect(sf_read_short(file, &samples, info.frames) == info.frames)
        return (Int(info.samplerate), samples)
    }

    @Test("Each confirmed event has one file, told of in a record: the source's own samples around the event", arguments: [16_000, 44_100])
    func recordings(rate: Int) throws {
        let sound = Sound.bursts(seconds: 12)
        try Sound.wav(sound, rate: rate).write(to: URL(filePath: folder.file("bursts.wav")))
        try folder.write(Sound.everything + "recordings: {before: 0.25, after: 0.5, longest: 1.5}\n", to: "all.yaml")
        let result = try Program.shell(
            "cd '\(folder.path)' && \"$AUMD\" listen --config all.yaml --source bursts.wav --recordings sounds --format ndjson")
        #expect(result.status == 0, "\(result.errors)")
        let lines = try Line.all(result.output)
        let start = try #require(lines.first { $0["state"] == "capturing" }?.time("time"))
        let closed = lines.filter { $0["phase"] == "close" }
        let recordings = lines.filter { $0["type"] == "recording" }
        #expect(closed.count > 5)
        #expect(recordings.compactMap { $0["id"] }.sorted() == closed.compactMap { $0["id"] }.sorted())
        #expect(lines.last?["state"] == "stopping")

        for recording in recordings {
            let event = try #require(closed.first { $0["id"] == recording["id"] })
            let file = try #require(recording["file"])
            #expect(file.hasPrefix("/"))
            let (found, heard) = try samples(file)
            #expect(found == rate)
            let from = try #require(recording.time("from")), to = try #require(recording.time("to"))
            let onset = try #require(event.time("onset")), offset = try #require(event.time("offset"))
            #expect(abs(Double(heard.count) * 1000 / Double(rate) - (to - from)) <= 1)
            // Times are to the millisecond, so the file's place is looked for around what they say.
            let about = Int((from - start) * Double(rate) / 1000), reach = rate / 20
            let places = max(0, about - reach)...min(about + reach, sound.count - heard.count)
            #expect(places.contains { sound[$0..<$0 + heard.count].elementsEqual(heard) }, "\(file)")
            let end = start + Double(sound.count) * 1000 / Double(rate)
            #expect(abs(from - max(start, onset - 250)) < 60, "\(onset) \(from)")
            #expect(abs(to - min(end, min(offset, onset + 1500) + 500)) < 60, "\(offset) \(to)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("sounds")).count == recordings.count)
    }

    @Test("None is made where no folder is named, nor of labels that are not")
    func unnamed() throws {
        try Sound.wav(Sound.bursts(seconds: 6)).write(to: URL(filePath: folder.file("bursts.wav")))
        try folder.write(Sound.everything + "recordings: {labels: [Thunder]}\n", to: "all.yaml")
        for option in ["", "--recordings sounds"] {
            let result = try Program.shell(
                "cd '\(folder.path)' && \"$AUMD\" listen --config all.yaml --source bursts.wav --format ndjson \(option)")
            #expect(result.status == 0 && result.output.contains(#""phase":"close""#))
            #expect(!result.output.contains(#""type":"recording""#))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("sounds")).isEmpty)
    }

    @Test("What it cannot work with it says in one sentence, with the code of sysexits", arguments: [
        ("recordings: {folder: /proc/sounds}", 73, "Recordings cannot be written to /proc/sounds: "),
        ("recordings: {folder: sounds, labels: [Brak]}", 78, "c.yaml:1:39: the model has no label \"Brak\"; the nearest is \"Bark\"."),
        ("recordings: {without: [Spech]}", 78, "c.yaml:1:24: the model has no label \"Spech\"; the nearest is \"Speech\"."),
        ("events: {labels: {Piano: {mute: true}}}\nrecordings: {without: [Music]}", 78,
            "c.yaml:2:24: recordings.without cannot be \"Music\"; give labels that are reported: \"Piano\" is mute, and would not be noticed."),
        ("recordings: {longest: 0}", 78, "c.yaml:1:23: recordings.longest cannot be 0; give a number from 1 to 300 s."),
        ("recordings: {keep: 3}", 78, "there is no key recordings.keep; the nearest is recordings.keep_mb."),
    ])
    func errors(settings: String, status: Int32, sentence: String) throws {
        try folder.write(settings + "\n", to: "c.yaml")
        let result = try Program.shell("cd '\(folder.path)' && \"$AUMD\" listen --config c.yaml --demo --format ndjson")
        #expect(result.status == status && result.errors.contains(sentence), "\(result.errors)")
    }
}
