import Recordings
import Sinks
import Tagging
import TestSupport
import Testing


/// An event of a bark as a tagger opens it, with another id, label and parents.
func event(
    _ number: UInt64, _ phase: Action.Phase = .open, _ label: String = "Bark", parents: [String] = ["Dog"],
    status: Event.Status = .confirmed
) throws -> EventRecord {
    let labels = [Label(name: "Bark", mid: "/m/05tny_")]
    var tagger = Tagger(TaggerConfiguration(labels: labels, rules: [LabelRule()])), actions: [Action] = []
    tagger.provisional(start: 0, scores: [1].span, into: &actions)
    var event = EventRecord(
        try #require(actions.first), at: 0, id: ULID(milliseconds: 0, source: "kitchen", number: number), source: "kitchen",
        model: "aumd@0", labels: labels) { .stream(milliseconds: $0 / 16) }
    (event.phase, event.label, event.parents, event.status) = (phase, label, parents, status)
    return event
}

@Suite("The newest sound is held") struct SoundHistoryTests {
    @Test("What is held are the last samples, and every range of them is as it came, in any chunking", arguments: 0..<20)
    func ring(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let capacity = Int.random(in: 1...50, using: &random), start = Int64.random(in: 0...100, using: &random)
        let sound = (0..<300).map { _ in Int16.random(in: .min ... .max, using: &random) }
        var history = SoundHistory(from: start, capacity: capacity), count = 0
        while count < sound.count {
            let chunk = sound[count...].prefix(Int.random(in: 1...80, using: &random))
            chunk.map { Float($0) / 32768 }.withUnsafeBufferPointer { history.append($0) }
            count += chunk.count
            #expect(history.held == start + Int64(max(0, count - capacity))..<start + Int64(count))
            let low = Int64.random(in: history.held.lowerBound...history.held.upperBound, using: &random)
            let range = low..<Int64.random(in: low...history.held.upperBound, using: &random)
            #expect(history.copy(range) == Array(sound[Int(range.lowerBound - start)..<Int(range.upperBound - start)]))
        }
        history.restart(at: 7)
        #expect(history.held == 7..<7)
    }

    @Test("What is louder than full scale is clipped")
    func clipping() {
        var history = SoundHistory(from: 0, capacity: 8)
        [1.5, -1.5, 1, -1, 0.00002, -0.00002, 0.5, 0].withUnsafeBufferPointer { history.append($0) }
        #expect(history.copy(0..<8) == [32767, -32768, 32767, -32768, 1, -1, 16384, 0])
    }
}

@Suite("The sound of events is cut out") struct RecorderTests {
    private static let rate = 100
    private static let rules = RecordingRules(labels: nil, before: 0.5, after: 0.3, longest: 2)

    /// One event of a random scene; times are samples.
    private struct Scene {
        var onset: Int64
        var offset: Int64
        /// When it opens, is confirmed and is closed: seconds after the sound.
        var opens: Int64
        var decided: Int64
        var closes: Int64
        var isRetracted: Bool

        init(_ random: inout SeededRandom) {
            onset = Int64.random(in: 0..<1500, using: &random)
            offset = onset + Int64.random(in: 1...500, using: &random)
            opens = onset + Int64.random(in: 1...100, using: &random)
            decided = opens + Int64.random(in: 0...500, using: &random)
            closes = max(decided, offset) + Int64.random(in: 0...500, using: &random) + (Bool.random(using: &random) ? 0 : 1300)
            isRetracted = Bool.random(using: &random)
        }
    }

    @Test("Each event that is confirmed gives one recording, from before its onset to after its offset, or as long as is kept", arguments: 0..<40)
    func scenes(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let scenes = (0..<8).map { _ in Scene(&random) }
        let sound = (0..<5000).map { _ in Int16.random(in: .min ... .max, using: &random) }
        var recorder = Recorder(Self.rules, rate: Self.rate, from: 0), position: Int64 = 0
        var recordings: [ULID: [(recording: Recording, at: Int64)]] = [:]
        while position < Int64(sound.count) {
            let chunk = sound[Int(position)...].prefix(Int.random(in: 1...40, using: &random))
            chunk.map { Float($0) / 32768 }.withUnsafeBufferPointer { recorder.append($0) }
            let new = position..<position + Int64(chunk.count)
            position = new.upperBound
            for (number, scene) in scenes.enumerated() {
                let n = UInt64(number)
                if new.contains(scene.opens) {
                    recorder.take(try event(n, .open, status: .provisional), onset: scene.onset, offset: nil)
                }
                if new.contains(scene.decided) {
                    recorder.take(try event(n, scene.isRetracted ? .retract : .update), onset: scene.onset, offset: nil)
                }
                if new.contains(scene.closes), !scene.isRetracted {
                    recorder.take(try event(n, .close), onset: scene.onset, offset: scene.offset)
                }
            }
            for recording in recorder.takeComplete() { recordings[recording.id, default: []].append((recording, position)) }
        }
        for (number, scene) in scenes.enumerated() {
            let found = recordings[try event(UInt64(number)).id] ?? []
            #expect(found.count == (scene.isRetracted ? 0 : 1))
            guard let (recording, at) = found.first else { continue }
            // One that is not closed in time is taken to go on.
            let late = scene.onset + 200 + 30 + 1000
            let isLate = scene.closes > late
            let end = (isLate ? scene.onset + 200 : min(scene.offset, scene.onset + 200)) + 30
            #expect(recording.range == max(0, scene.onset - 50)..<end)
            #expect(recording.samples == Array(sound[Int(recording.range.lowerBound)..<Int(end)]))
            #expect(recording.rate == Self.rate)
            let due = isLate ? late : max(end, scene.closes)
            #expect((due...due + 40).contains(at))
        }
    }

    /// Appends silence.
    private func pass(_ seconds: Double, _ recorder: inout Recorder) {
        [Float](repeating: 0, count: Int(seconds * Double(Self.rate))).withUnsafeBufferPointer { recorder.append($0) }
    }

    @Test("Where labels are named, events of these and of what is below them are recorded", arguments: [
        (["Dog"], ["Bark", "Dog"]), (["Bark"], ["Bark"]), (["Speech", "Animal"], ["Bark", "Dog", "Speech"]), ([], []),
    ])
    func labels(named: [String], recorded: [String]) throws {
        var rules = Self.rules
        rules.labels = Set(named)
        var recorder = Recorder(rules, rate: Self.rate, from: 0)
        pass(5, &recorder)
        let parents = ["Bark": ["Dog", "Animal"], "Dog": ["Animal"], "Speech": []]
        for (number, label) in parents.keys.enumerated() {
            recorder.take(try event(UInt64(number), .close, label, parents: parents[label]!), onset: 100, offset: 200)
        }
        #expect(recorder.takeComplete().compactMap(\.label).sorted() == recorded)
    }

    @Test("The name that counts is the last: an animal that turns out to be a bark is recorded as one")
    func renamed() throws {
        var rules = Self.rules
        rules.labels = ["Bark"]
        var recorder = Recorder(rules, rate: Self.rate, from: 0)
        pass(1, &recorder)
        recorder.take(try event(1, .open, "Animal", parents: []), onset: 90, offset: nil)
        pass(14, &recorder)
        #expect(recorder.takeComplete() == [])
        recorder.take(try event(1, .update), onset: 90, offset: nil)
        #expect(recorder.takeComplete().map(\.label) == ["Bark"])
        recorder.take(try event(1, .close), onset: 90, offset: 450)
        pass(1, &recorder)
        #expect(recorder.takeComplete() == [])
    }

    @Test("Where the sound ends, a closed event is recorded with what there is; then nothing of it is left")
    func interrupted() throws {
        var recorder = Recorder(Self.rules, rate: Self.rate, from: 1000)
        pass(1, &recorder)
        recorder.take(try event(1, .close), onset: 1010, offset: 1095)
        recorder.take(try event(2, .open, status: .provisional), onset: 1020, offset: nil)
        #expect(recorder.takeComplete() == [])
        #expect(recorder.takeComplete(isLast: true).map(\.range) == [1000..<1100])
        recorder.restart(at: 5000)
        pass(20, &recorder)
        #expect(recorder.takeComplete(isLast: true) == [])
    }

    @Test("A recording is not made where a sound is in it that none is to have, however short and unsure", arguments: [
        (410..<450, "Speech", Event.Status.confirmed, true), (410..<451, "Speech", .confirmed, false), (500..<501, "Speech", .provisional, false),
        (629..<700, "Whispering", .confirmed, false), (630..<700, "Speech", .confirmed, true), (0..<900, "Speech", .confirmed, false),
        (500..<600, "Music", .confirmed, true),
    ])
    func forbidden(sound: Range<Int64>, label: String, status: Event.Status, isMade: Bool) throws {
        var rules = Self.rules
        (rules.labels, rules.without) = (["Dog"], ["Speech"])
        // What is known of the other sound while the recording could be made: where it ends; or that it goes on, that it is taken back.
        for (offset, isRetracted) in [(sound.upperBound, false), (nil, false), (nil, true)] {
            var recorder = Recorder(rules, rate: Self.rate, from: 0)
            pass(9, &recorder)
            recorder.take(try event(1, .close), onset: 500, offset: 600)
            // It was heard to the end, but another sound in it may not have been told yet.
            #expect(recorder.takeComplete() == [])
            let parents = label == "Whispering" ? ["Speech"] : []
            recorder.take(try event(2, .open, label, parents: parents, status: status), onset: sound.lowerBound, offset: nil)
            pass(2.5, &recorder)
            #expect(recorder.takeComplete() == [])
            if isRetracted || offset != nil {
                recorder.take(try event(2, isRetracted ? .retract : .update, label, parents: parents, status: status), onset: sound.lowerBound, offset: offset)
            }
            pass(1, &recorder)
            let isKept = isRetracted || isMade && (offset != nil || label == "Music" || sound.lowerBound >= 630)
            #expect(recorder.takeComplete().map(\.range) == (isKept ? [450..<630] : []))
            pass(20, &recorder)
            #expect(recorder.takeComplete(isLast: true) == [])
        }
    }

    @Test("What was heard last can be had whatever is in it, as far as it is held; events are recorded all the same")
    func newest() throws {
        var recorder = Recorder(Self.rules, rate: Self.rate, from: 1000)
        func newest(_ seconds: Int) -> Recording? {
            recorder.newest(seconds: seconds, source: "kitchen") { ULID(milliseconds: $0, source: "kitchen", number: 3) }
        }
        #expect(newest(1) == nil)
        pass(3, &recorder)
        let two = try #require(newest(2))
        #expect(two.range == 1100..<1300 && two.samples.count == 200 && two.rate == Self.rate && two.label == nil && two.source == "kitchen")
        #expect(two.id == ULID(milliseconds: 1100, source: "kitchen", number: 3))
        #expect(try #require(newest(300)).range == 1000..<1300)
        pass(30, &recorder)
        // Held are 0.5 + 2 + 0.3 + 15 seconds.
        let all = try #require(newest(300)), some = try #require(newest(3))
        #expect(all.range == 2520..<4300 && some.range == 4000..<4300 && all.samples.suffix(300) == some.samples[...])
        recorder.take(try event(1, .close), onset: 4100, offset: 4200)
        #expect(recorder.takeComplete(isLast: true).map(\.label) == ["Bark"])
        recorder.restart(at: 9000)
        #expect(newest(1) == nil)
    }

    @Test("Of an event that is decided too late, what is still held is recorded")
    func late() throws {
        var recorder = Recorder(Self.rules, rate: Self.rate, from: 0)
        recorder.take(try event(1, .open, status: .provisional), onset: 100, offset: nil)
        pass(19, &recorder)
        recorder.take(try event(1, .update), onset: 100, offset: nil)
        // Held are 0.5 + 2 + 0.3 + 15 seconds.
        #expect(recorder.takeComplete().map(\.range) == [120..<330])
        recorder.take(try event(2, .close), onset: 0, offset: 60)
        #expect(recorder.takeComplete() == [])
    }
}
