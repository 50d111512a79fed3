import Foundation
import Tagging
import Testing

@Suite("How soon a provisional event opens") struct ProvisionalTests {
    @Test("A sound opens within 0.35 s of its onset, wherever in a column it begins, while its second column crosses")
    func latency() throws {
        for begin in stride(from: Int64(5 * 2560), to: 6 * 2560, by: 40) {
            var tagger = try makeTagger()
            var actions: [Action] = []
            for index in 0..<12 {
                // The score of a column is the part of it that sounds.
                let part = min(max(Float(Int64(index + 1) * column - begin) / Float(column), 0), 1)
                tagger.provisional(index, Script(tracks: ["Siren": Array(repeating: part, count: 20)]).scores(index), &actions)
                if let event = actions.first?.event {
                    let told = Int64(index + 1) * column
                    #expect(Double(told - begin) / 16_000 <= 0.35)
                    #expect(abs(Double(event.onset - begin)) / 16_000 <= event.onsetError)
                    break
                }
            }
            #expect(actions.count == 1)
        }
    }

    @Test("A provisional threshold of its own opens events sooner, and the confirmed scores decide by theirs")
    func provisionalThreshold() throws {
        var tagger = try makeTagger(LabelRule(on: 0.6, off: 0.3, provisionalOn: 0.35, cooldown: 0))
        let rising: [Float] = [0, 0, 0.4, 0.5, 0.7, 0.8, 0.8, 0.1], faint: [Float] = [0, 0, 0.4, 0.5, 0.4, 0.1]
        let (heard, _) = tagger.run(provisional: Script(tracks: ["Siren": rising]), confirmed: Script(tracks: ["Siren": rising]))
        #expect(story(heard).first == "open 0 Siren" && story(heard).last == "close 0 Siren")
        #expect(heard[0].event.score == 0.4)
        let (taken, _) = tagger.run(
            provisional: Script(tracks: ["Siren": faint]), confirmed: Script(tracks: ["Siren": faint]), first: 100)
        #expect(story(taken).first == "open 1 Siren" && story(taken).last == "retract 1 Siren (not confirmed)")
        for on: Float in [0, -1, 1.01, .nan] {
            #expect(throws: TaggerConfigurationError.self) {
                _ = try makeTagger(LabelRule(on: 0.6, off: 0.3, provisionalOn: on))
            }
        }
    }

    @Test("A provisional threshold of its own is for the score a column on, if it rises as over the last two; else for the score")
    func risingScore() throws {
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
                var tagger = try makeTagger(rule), actions: [Action] = []
                for (index, score) in scores.enumerated() {
                    tagger.provisional(index, Script(tracks: ["Siren": [score]]).scores(0), &actions)
                }
                #expect(!actions.isEmpty == expected, "\(scores) for \(on)")
            }
            outcomes[scores[2] >= on ? "at once" : expected ? "ahead" : "not", default: 0] += 1
        }
        #expect(outcomes.count == 3 && outcomes.values.allSatisfy { $0 > 200 }, "\(outcomes)")
    }
}
