import Foundation
import Tagging
import Testing

/// A label whose scores hover, as a steady noise makes them, needs more to open an event.
@Suite("Hovering scores")
struct HabituationTests {
    private static let habituation: Float = 2.5
    private static let rule = LabelRule(on: 0.5, off: 0.1, habituation: habituation)

    private func odds(_ score: Double) -> Double { score / (1 - score) }

    /// The score that is enough after `count` columns at `hovering`, by the equations: a mean over 10 s, 1 s late, of log odds above
    /// 0.02, at most 2, by which the log odds of `on` are higher.
    private func enough(after count: Int, at hovering: Double) -> Float {
        let excess = min(2, max(0, log(odds(hovering) / odds(0.02))))
        let mean = excess * (1 - exp(-0.016 * Double(max(0, count - 5))))
        let wanted = odds(0.5) * exp(Double(Self.habituation) * mean)
        return Float(wanted / (1 + wanted))
    }

    @Test("make `on` higher, by how far and how long they hover, to the column", arguments: [0.01, 0.03, 0.08, 0.3], [0, 1, 6, 20, 100, 500])
    func onset(hovering: Double, count: Int) {
        for (score, opens) in [(enough(after: count, at: hovering) + 2e-4, true), (enough(after: count, at: hovering) - 2e-4, false)] {
            var tagger = makeTagger(Self.rule)
            let track = [Float](repeating: Float(hovering), count: count) + [score]
            let actions = tagger.run(confirmed: Script(tracks: ["Siren": track]))
            #expect(actions.contains { $0.phase == .open } == opens, "\(score)")
        }
    }

    @Test("count for nothing without habituation, after a minute of silence, and beyond an interruption")
    func forgotten() {
        let hovering = [Float](repeating: 0.3, count: 200)
        func opens(_ rule: LabelRule, _ before: [Float], isCut: Bool = false) -> Bool {
            var tagger = makeTagger(rule), actions: [Action] = []
            for index in before.indices { tagger.confirmed(index, Script(tracks: ["Siren": before]).scores(index), &actions) }
            if isCut { tagger.interrupt(into: &actions) }
            tagger.confirmed(before.count, Script(tracks: ["Siren": [0.51]]).scores(0), &actions)
            return actions.contains { $0.phase == .open }
        }
        #expect(!opens(Self.rule, hovering))
        #expect(opens(LabelRule(on: 0.5, off: 0.1), hovering))
        #expect(opens(Self.rule, hovering, isCut: true))
        #expect(opens(Self.rule, hovering + [Float](repeating: 0, count: 560)))
    }

    @Test("are not those of events: sounds that follow each other do not hold each other up")
    func repeated() {
        let one = [Float](repeating: 0.6, count: 8) + [Float](repeating: 0.01, count: 8)
        var tagger = makeTagger(Self.rule)
        let actions = tagger.run(confirmed: Script(tracks: ["Siren": (0..<30).flatMap { _ in one }]))
        #expect(actions.filter { $0.phase == .close }.count == 30)
    }

    @Test("do not end what is open, nor hold up a sudden sound, in either track")
    func sudden() {
        let hovering = [Float](repeating: 0.06, count: 100), sound = [Float](repeating: 0.95, count: 40)
        var rule = Self.rule
        rule.provisionalOn = 0.4
        for step in [column, column / 2] {
            var tagger = makeTagger(rule, step: step)
            let script = Script(tracks: ["Siren": hovering + sound])
            let (actions, _) = tagger.run(provisional: script.stepped(Int(column / step)), confirmed: script)
            let events = standing(actions)
            #expect(events.count == 1 && events[0].offset - events[0].onset > 38 * column)
            #expect(actions.first?.phase == .open && actions.first?.event.status == .provisional)
        }
    }

    @Test("are followed in columns of any length", arguments: [2, 160, 16_000, 16_001, 163_840])
    func columns(length: Int) {
        let configuration = TaggerConfiguration(
            labels: [Label(name: "Siren", mid: "")], rules: [Self.rule], columnLength: length)
        var tagger = Tagger(configuration), actions: [Action] = []
        for index in 0..<400 { tagger.confirmed(start: Int64(index * length), scores: [index < 399 ? 0.3 : 0.51].span, into: &actions) }
        // So short a time of hovering counts for nothing.
        #expect(actions.isEmpty == (length >= 160))
    }

    @Test("with NaN among them are as if it were silence")
    func notANumber() {
        var tagger = makeTagger(Self.rule)
        let actions = tagger.run(confirmed: Script(tracks: ["Siren": [Float](repeating: .nan, count: 50) + [0.51]]))
        #expect(actions.contains { $0.phase == .open })
    }
}
