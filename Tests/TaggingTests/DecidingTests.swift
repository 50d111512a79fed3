import Tagging
import Testing

@Suite("What the confirmed track makes of what was announced, by example") struct DecidingTests {
    @Test("At an interruption, what the confirmed track has passed to its end was not confirmed, the rest is cut off", arguments: [false, true])
    func interrupted(isOpen: Bool) {
        for confirmed in 20...25 {
            var tagger = makeTagger(), actions: [Action] = []
            let siren = Script(tracks: ["Siren": up(20..<(isOpen ? 25 : 23))])
            for index in 0..<25 { tagger.provisional(index, siren.scores(index), &actions) }
            for index in 0..<confirmed { tagger.confirmed(index, Script(tracks: [:]).scores(index), &actions) }
            tagger.interrupt(into: &actions)
            // The score falls through 0.3 in column 23.
            #expect(actions.last?.reason == (confirmed >= (isOpen ? 25 : 24) ? .notConfirmed : .interrupted), "\(confirmed)")
        }
    }

    @Test("What was announced twice and is one sound is absorbed at an interruption, too, and then not told to go on")
    func absorbedAtTheEnd() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Speech": up(5..<15) + up(3..<9)], silence: 0),
            confirmed: Script(tracks: ["Speech": up(5..<24)], silence: 0), chunk: 4, lookahead: 2)
        #expect(story(actions) == [
            "open 0 Speech", "update 0 Speech (confirmed)", "update 0 Speech (ended)", "open 1 Speech", "retract 1 Speech (absorbed)",
            "close 0 Speech (interrupted)",
        ])
    }

    @Test("Of two sounds that were announced a second before the confirmed one, the nearer is it; the other was over before it began")
    func overBefore() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(10..<11) + up(2..<8)]), confirmed: Script(tracks: ["Siren": up(13..<19)]))
        #expect(story(actions.filter { $0.phase == .retract || $0.phase == .close }) == ["retract 0 Siren (not confirmed)", "close 1 Siren"])
    }

    @Test("A sound is not announced by what the confirmed track has yet to come to")
    func ahead() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(20..<24)]), confirmed: Script(tracks: ["Siren": up(10..<12) + up(8..<12)]))
        #expect(story(actions) == [
            "open 0 Siren", "update 0 Siren (ended)", "open 1 Siren", "close 1 Siren", "update 0 Siren (confirmed)", "close 0 Siren",
        ])
    }

    @Test("A sound that goes on after its event was retracted is that which the confirmed track finds later: its end is told at once")
    func foundLate() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(5..<40)]), confirmed: Script(tracks: ["Siren": up(20..<40)]), chunk: 1, lookahead: 1)
        #expect(story(actions) == [
            "open 0 Siren", "retract 0 Siren (not confirmed)", "open 1 Siren", "update 1 Siren (ended)", "close 1 Siren",
        ])
    }

    @Test("A peak is the highest score so far of the track that the event rests on")
    func peak() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(5..<7, 0.6) + up(0..<20, 0.8)]),
            confirmed: Script(tracks: ["Siren": up(5..<7, 0.7) + up(0..<20, 0.9)]), chunk: 1, lookahead: 4)
        #expect(story(actions) == ["open 0 Siren", "update 0 Siren (confirmed)", "update 0 Siren (ended)", "close 0 Siren"])
        #expect(actions.map(\.event.peak) == [0.6, 0.7, 0.9, 0.9])
        var unconfirmed = makeTagger()
        let (told, _) = unconfirmed.run(
            provisional: Script(tracks: ["Siren": up(5..<7, 0.6) + up(0..<2, 0.8)]), confirmed: Script(tracks: [:]))
        #expect(told.map(\.event.peak) == [0.6, 0.8, 0.8])
        // Also of the columns that it took to last long enough, and of those in which it may still have been another's tail.
        var long = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumDuration: 0.8)), tail = makeTagger()
        let rising = Script(tracks: ["Siren": up(5..<7, 0.6) + up(0..<1, 0.9) + up(0..<9, 0.6)])
        #expect(long.run(confirmed: rising).map(\.event.peak) == [0.9, 0.9])
        let dog = Script(tracks: ["Bark": up(5..<10), "Dog": up(5..<10, 0.6) + up(0..<5, 0.8) + up(0..<30, 0.7)])
        #expect(standing(tail.run(confirmed: dog)).map(\.peak) == [0.9, 0.8])
    }

    @Test("A label that begins where an event which took its name ends waits for the cooldown, and is told from its end on")
    func renamedAndCooling() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0, cooldown: 1.6)), actions: [Action] = []
        let heard = Script(tracks: ["Dog": up(5..<30), "Bark": up(30..<60)]), decided = Script(tracks: ["Bark": up(5..<30)])
        for index in 0..<50 {
            tagger.provisional(index, heard.scores(index), &actions)
            if index >= 8, index < 30 { tagger.confirmed(index - 8, decided.scores(index - 8), &actions) }
        }
        try #require(story(actions) == ["open 0 Dog", "update 0 Bark (confirmed)", "update 0 Bark (ended)", "open 1 Bark"])
        #expect(actions[3].event.onset == actions[2].event.offset! + 25_600)
    }

    @Test("A sound that began while only the confirmed track had an event of its label, and after that event, is told as soon as this shows")
    func joinedTooEarly() throws {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(36..<50)]), confirmed: Script(tracks: ["Siren": up(10..<20) + up(16..<30)]))
        try #require(story(actions) == [
            "open 0 Siren", "close 0 Siren", "open 1 Siren", "update 1 Siren (ended)", "update 1 Siren (confirmed)", "close 1 Siren",
        ])
        #expect(actions[2].event.status == .provisional && actions[2].event.onset > actions[1].event.offset!)
    }

    @Test("What seemed to be over before the confirmed sound began is not over when it is confirmed")
    func goesOn() {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Siren": up(10..<12)]), confirmed: Script(tracks: ["Siren": up(14..<30)]))
        #expect(story(actions) == ["open 0 Siren", "update 0 Siren (ended)", "update 0 Siren (confirmed)", "close 0 Siren"])
        #expect(actions.map { $0.event.offset == nil } == [true, false, true, false])
    }
}
