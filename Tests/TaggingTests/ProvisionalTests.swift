import Foundation
import Tagging
import Testing

@Suite("How soon a provisional event opens") struct ProvisionalTests {
    @Test("A sound opens within a step of half a column of it, wherever in a column it begins", arguments: [1, 2, 4])
    func latency(steps: Int) throws {
        let step = column / Int64(steps)
        for begin in stride(from: Int64(5 * 2560), to: 6 * 2560, by: 40) {
            var tagger = makeTagger(step: step)
            var actions: [Action] = []
            for index in 0..<12 * steps {
                // The score of a column is the part of it that sounds.
                let told = Int64(index) * step + column
                let part = min(max(Float(told - begin) / Float(column), 0), 1)
                tagger.provisional(index, Script(tracks: ["Siren": Array(repeating: part, count: 20 * steps)]).scores(index), &actions)
                if let event = actions.first?.event {
                    #expect(told - begin >= column / 2 && told - begin < column / 2 + step)
                    #expect(abs(Double(event.onset - begin)) / 16_000 <= event.onsetError)
                    break
                }
            }
            #expect(actions.count == 1)
        }
    }

    @Test("A provisional threshold of its own opens events sooner, and the confirmed scores decide by theirs")
    func provisionalThreshold() throws {
        var tagger = makeTagger(LabelRule(on: 0.6, off: 0.3, provisionalOn: 0.35, cooldown: 0))
        let rising: [Float] = [0, 0, 0.4, 0.5, 0.7, 0.8, 0.8, 0.1], faint: [Float] = [0, 0, 0.4, 0.5, 0.4, 0.1]
        let (heard, _) = tagger.run(provisional: Script(tracks: ["Siren": rising]), confirmed: Script(tracks: ["Siren": rising]))
        #expect(story(heard).first == "open 0 Siren" && story(heard).last == "close 0 Siren")
        #expect(heard[0].event.score == 0.4)
        let (taken, _) = tagger.run(
            provisional: Script(tracks: ["Siren": faint]), confirmed: Script(tracks: ["Siren": faint]), first: 100)
        #expect(story(taken).first == "open 1 Siren" && story(taken).last == "retract 1 Siren (not confirmed)")
    }

    @Test("A provisional threshold below off is where a provisional event ends, too")
    func belowOff() throws {
        var tagger = makeTagger(LabelRule(on: 0.6, off: 0.4, provisionalOn: 0.2, minimumGap: 0)), actions: [Action] = []
        let faint = Script(tracks: ["Siren": up(5..<10, 0.25)])
        for index in 0..<20 {
            tagger.provisional(index, faint.scores(index), &actions)
            #expect(actions.count == (index < 5 ? 0 : index < 10 ? 1 : 2), "column \(index)")
        }
    }

    @Test("A provisional event waits for the cooldown of what stands, and not of what was taken back")
    func cooldown() throws {
        let rule = LabelRule(on: 0.5, off: 0.3, minimumGap: 0, cooldown: 5)
        /// When the event that stands for the sound in columns 40 to 44 is told, in columns, after one in 5 to 9.
        func told(provisionally: Bool, confirmed: Bool) throws -> Int? {
            var tagger = makeTagger(rule), actions: [Action] = []
            for index in 0..<48 {
                let sounds = (first: (5..<10).contains(index), second: (40..<45).contains(index))
                tagger.provisional(index, Script(tracks: ["Siren": up(0..<1)]).scores(sounds.second || sounds.first && provisionally ? 0 : 1), &actions)
                if sounds.second, let last = actions.last, last.phase == .open { return index }
                guard index >= 12 else { continue }
                tagger.confirmed(index - 12, Script(tracks: ["Siren": up(0..<1)]).scores(confirmed && (5..<10).contains(index - 12) ? 0 : 1), &actions)
            }
            return nil
        }
        #expect(try told(provisionally: true, confirmed: false) == 40)
        #expect(try told(provisionally: false, confirmed: false) == 40)
        // The first ended at 10 columns; 5 s are 31.25.
        #expect(try told(provisionally: true, confirmed: true) == 41)
        #expect(try told(provisionally: false, confirmed: true) == 41)
    }

    @Test("What was taken back before a gap keeps no sound after it from being told")
    func cooldownAcrossAGap() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0, cooldown: 60)), actions: [Action] = []
        let sound = Script(tracks: ["Siren": up(1..<20)])
        for index in 0..<20 { tagger.provisional(index, sound.scores(index), &actions) }
        for index in 0..<16 { tagger.confirmed(index, Script(tracks: [:]).scores(index), &actions) }
        tagger.interrupt(into: &actions)
        for index in 40..<44 { tagger.provisional(index, sound.scores(index - 39), &actions) }
        #expect(story(actions) == ["open 0 Siren", "retract 0 Siren (not confirmed)", "open 1 Siren"])
    }

    @Test("A score rises from what it was in the same run: the first one after a gap has to reach the threshold itself", arguments: [0.4, 0.5] as [Float])
    func risesAnew(score: Float) throws {
        var tagger = makeTagger(LabelRule(on: 0.9, off: 0.1, provisionalOn: 0.5)), actions: [Action] = []
        for index in 0..<4 { tagger.provisional(index, Script(tracks: [:]).scores(index), &actions) }
        tagger.interrupt(into: &actions)
        tagger.provisional(10, Script(tracks: ["Siren": [score]]).scores(0), &actions)
        #expect(story(actions) == (score < 0.5 ? [] : ["open 0 Siren"]))
    }

    @Test("A sound shorter than the minimum duration opens nothing, in either track, and one as long opens in both", arguments: [1, 2])
    func minimumDuration(steps: Int) throws {
        for hundredths in stride(from: 0, through: 120, by: 4) {
            let minimum = Double(hundredths) / 100
            for length in 1...8 {
                var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumDuration: minimum), step: column / Int64(steps))
                let sound = Script(tracks: ["Siren": up(3..<3 + length)])
                let story = story(tagger.run(provisional: sound.stepped(steps), confirmed: sound).actions)
                let isLong = length * 16 >= hundredths
                #expect(story.first == (isLong ? "open 0 Siren" : nil) && story.last == (isLong ? "close 0 Siren" : nil), "\(minimum) s, \(length): \(story)")
            }
        }
    }

    @Test(
        "A provisional threshold of its own is for the score a column on, if it rises as over the last two; else for the score",
        arguments: [1, 2])
    func risingScore(steps: Int) throws {
        func logit(_ score: Float) -> Float { log(score / (1 - score)) }
        var random = RandomScores(seed: 1), outcomes: [String: Int] = [:]
        for _ in 0..<2000 {
            let on = 0.3 + 0.6 * random.unit(), scores = [0.3 * random.unit() * random.unit(), 0.3 * random.unit(), random.unit()]
            let ahead = logit(scores[2]) + max(0, logit(scores[2]) - logit(max(scores[0], 0.02))) / 2
            // What the last bit decides is no example.
            guard abs(ahead - logit(on)) > 1e-4, scores[1] < on else { continue }
            let expected = scores[2] >= 0.1 && ahead >= logit(on)
            for (rule, expected) in [
                (LabelRule(on: 0.95, off: 0.1, provisionalOn: on), expected), (LabelRule(on: on, off: 0.1), scores[2] >= on),
            ] {
                var tagger = makeTagger(rule, step: column / Int64(steps)), actions: [Action] = []
                // What is heard between the columns does not count.
                let between = Array(repeating: min(scores[0], scores[1]), count: steps - 1)
                for (index, score) in scores.map({ [$0] }).joined(separator: between).enumerated() {
                    tagger.provisional(index, Script(tracks: ["Siren": [score]]).scores(0), &actions)
                }
                #expect(!actions.isEmpty == expected, "\(scores) for \(on)")
            }
            outcomes[scores[2] >= on ? "at once" : expected ? "ahead" : "not", default: 0] += 1
        }
        #expect(outcomes.count == 3 && outcomes.values.allSatisfy { $0 > 200 }, "\(outcomes)")
    }
}
