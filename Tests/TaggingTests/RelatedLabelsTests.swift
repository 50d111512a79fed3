import Tagging
import Testing

@Suite("Events of labels that belong together, by example") struct RelatedLabelsTests {
    @Test("Animal, Dog and Bark that start together are one event, of the bark")
    func together() throws {
        var tagger = makeTagger()
        let actions = tagger.run(
            confirmed: Script(tracks: ["Animal": up(3..<9), "Dog": up(3..<9), "Bark": up(3..<8)]))
        #expect(story(actions) == ["open 0 Bark", "close 0 Bark"])
    }

    @Test("A descendant within a second of the ancestor's onset renames its event, step by step to the deepest")
    func renamed() throws {
        var tagger = makeTagger()
        let actions = tagger.run(
            confirmed: Script(tracks: ["Animal": up(3..<20, 0.9), "Dog": up(5..<20, 0.8), "Bark": up(8..<19, 0.7)]))
        #expect(
            story(actions) == [
                "open 0 Animal", "update 0 Dog (more specific)", "update 0 Bark (more specific)", "close 0 Bark",
            ])
        #expect(actions.map(\.event.onset) == Array(repeating: actions[0].event.onset, count: 4))
        // The highest score of the label that it has by then.
        #expect(actions.map(\.event.peak) == [0.9, 0.8, 0.7, 0.7])
    }

    @Test("A descendant that came up before the ancestor, and was sure of it later, brings its own onset")
    func earlierOnset() throws {
        var tagger = makeTagger()
        let actions = tagger.run(confirmed: Script(tracks: ["Dog": up(6..<15), "Bark": up(3..<8, 0.4) + up(0..<7)]))
        #expect(story(actions) == ["open 0 Dog", "update 0 Bark (more specific)", "close 0 Bark"])
        #expect(actions.map { ($0.event.onset + column / 2) / column } == [6, 3, 3])
    }

    @Test("A descendant in its ancestor's group names the event if it comes within a second, and joins it under its name otherwise")
    func descendantInTheGroup() throws {
        let rule = LabelRule(on: 0.5, off: 0.3, group: "dogs")
        for start in 4..<20 {
            var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3), ["Dog": rule, "Bark": rule])
            let actions = tagger.run(confirmed: Script(tracks: ["Dog": up(3..<20), "Bark": up(start..<25)]))
            // A second is 6.25 columns.
            #expect(story(actions) == (start <= 9 ? ["open 0 Dog", "update 0 Bark (more specific)", "close 0 Bark"] : ["open 0 Dog", "close 0 Dog"]))
            #expect(actions.last.map { $0.event.offset! > 24 * column } == true)
        }
    }

    @Test("A label with two parents that have just opened takes over one event, and retracts the other unless that is confirmed")
    func twoParents() throws {
        var tagger = makeTagger()
        let scores = Script(tracks: ["Animal": up(3..<20), "Pets": up(4..<20), "Dog": up(6..<20)])
        var actions: [Action] = []
        for index in 0..<10 { tagger.provisional(index, scores.scores(index), &actions) }
        #expect(story(actions) == ["open 0 Animal", "open 1 Pets", "update 0 Dog (more specific)", "retract 1 Pets (absorbed)"])
        #expect(actions.map(\.partOf) == [nil, nil, nil, 0])
        var other = makeTagger()
        #expect(
            story(other.run(confirmed: scores)) == [
                "open 0 Animal", "open 1 Pets", "update 0 Dog (more specific)", "close 1 Pets", "close 0 Dog",
            ])
    }

    @Test("A piano two seconds into the music has an event of its own")
    func ownEvent() throws {
        var tagger = makeTagger()
        let actions = tagger.run(confirmed: Script(tracks: ["Music": up(0..<60), "Piano": up(13..<25)]))
        #expect(story(actions) == ["open 0 Music", "open 1 Piano", "close 1 Piano", "close 0 Music"])
    }

    @Test("An ancestor is absorbed while a descendant's event is open and for two seconds after, then told from its end")
    func absorbed() throws {
        for tail in 0..<30 {
            var tagger = makeTagger()
            let actions = tagger.run(
                confirmed: Script(tracks: ["Bark": up(3..<10), "Dog": up(5..<10 + tail), "Music": up(0..<60, 0)]))
            // The offset lies in column 10; two seconds are 12.5 columns, so that column 23 is the first past them.
            let expected = ["open 0 Bark", "close 0 Bark"] + (tail > 13 ? ["open 1 Dog", "close 1 Dog"] : [])
            #expect(story(actions).filter { !$0.contains("update") } == expected, "tail \(tail)")
            if tail > 13, actions.count > 2 { #expect(actions[2].event.onset == actions[1].event.offset) }
        }
    }

    @Test("An ancestor's cooldown begins with a descendant's event too, and the descendant's own is none of the ancestor's")
    func ancestorCools() throws {
        func rule(_ cooldown: Double) -> LabelRule { LabelRule(on: 0.5, off: 0.3, minimumGap: 0, cooldown: cooldown) }
        var onset: Int64 = 0
        for (dog, bark) in [(0.0, 0.0), (0.0, 8.0), (2.0, 0.0), (3.0, 8.0), (8.0, 0.0)] {
            var tagger = makeTagger(rule(0), ["Dog": rule(dog), "Bark": rule(bark)])
            let actions = tagger.run(confirmed: Script(tracks: ["Bark": up(3..<10), "Dog": up(25..<80)]))
            #expect(story(actions) == ["open 0 Bark", "close 0 Bark", "open 1 Dog", "close 1 Dog"])
            guard actions.count == 4, let end = actions[1].event.offset else { continue }
            if dog == 0, bark == 0 { onset = actions[2].event.onset }
            #expect(actions[2].event.onset == max(onset, end + Int64(dog * 16_000)), "\(dog), \(bark)")
        }
    }

    @Test("Siblings have an event each, and absorb their parent between them")
    func siblings() throws {
        var tagger = makeTagger()
        let actions = tagger.run(
            confirmed: Script(tracks: ["Dog": up(3..<20), "Bark": up(3..<10), "Growling": up(8..<18)]))
        #expect(story(actions) == ["open 0 Bark", "open 1 Growling", "close 0 Bark", "close 1 Growling"])
    }

    @Test("The confirmed track names a relative: the event keeps its number and takes the other label")
    func relabelled() throws {
        for (first, second) in [("Bark", "Dog"), ("Dog", "Bark"), ("Animal", "Bark")] {
            var tagger = makeTagger()
            let (actions, _) = tagger.run(
                provisional: Script(tracks: [first: up(5..<9)]), confirmed: Script(tracks: [second: up(6..<9)]))
            #expect(
                story(actions) == [
                    "open 0 \(first)", "update 0 \(first) (ended)", "update 0 \(second) (confirmed)",
                    "close 0 \(second)",
                ])
        }
    }

    @Test("Of two announced events that could be meant, the confirmed sound takes the one of its own label")
    func sameLabelFirst() throws {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Music": up(5..<30), "Piano": up(12..<30)]),
            confirmed: Script(tracks: ["Music": up(9..<30), "Piano": up(0..<30, 0)]))
        #expect(
            story(actions) == [
                "open 0 Music", "open 1 Piano", "update 0 Music (ended)", "update 1 Piano (ended)",
                "update 0 Music (confirmed)", "retract 1 Piano (not confirmed)", "close 0 Music",
            ])
    }

    @Test("Labels of a group share one event, named by its first member and open until the last one ends")
    func group() throws {
        var rule = LabelRule(on: 0.5, off: 0.3, cooldown: 0)
        rule.group = "alarm"
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, cooldown: 0), ["Siren": rule, "Smoke detector": rule])
        let actions = tagger.run(
            confirmed: Script(tracks: ["Siren": up(3..<8, 0.7), "Smoke detector": up(6..<7, 0.95) + up(0..<8, 0.7), "Speech": up(2..<9)]))
        #expect(story(actions) == ["open 0 Speech", "open 1 Siren", "close 0 Speech", "close 1 Siren"])
        #expect(actions[3].event.group == "alarm" && actions[0].event.group == nil)
        #expect(actions[3].event.peak == 0.95)
        let long = (actions[3].event.offset ?? 0) - actions[3].event.onset
        #expect(long > 11 * column)
    }

    @Test("Where members of a group start in one column the strongest names the event, and the first of two as strong")
    func strongest() throws {
        let rule = LabelRule(on: 0.5, off: 0.3, group: "alarm")
        for (siren, alarm, name) in [(0.7, 0.9, "Alarm"), (0.9, 0.7, "Siren"), (0.8, 0.8, "Siren")] as [(Float, Float, String)] {
            var tagger = makeTagger(rule)
            let actions = tagger.run(confirmed: Script(tracks: ["Siren": up(3..<9, siren), "Alarm": up(3..<9, alarm)]))
            #expect(story(actions) == ["open 0 \(name)", "close 0 \(name)"])
        }
    }

    @Test("A group's event lasts as long as the member that was heard last, whichever one's gap is the longest")
    func lastOfGroup() throws {
        func rule(gap: Double) -> LabelRule { LabelRule(on: 0.5, off: 0.3, minimumGap: gap, group: "alarm") }
        for gaps in [(2, 0), (0, 2)] as [(Double, Double)] {
            var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3), ["Siren": rule(gap: gaps.0), "Alarm": rule(gap: gaps.1)])
            let actions = tagger.run(confirmed: Script(tracks: ["Siren": up(3..<8), "Alarm": up(5..<12)], silence: 20))
            #expect(story(actions) == ["open 0 Siren", "close 0 Siren"])
            #expect(actions.last.map { $0.event.offset! / column } == 12)
        }
    }

    @Test("A member that has yet to last long enough when its group's event ends waits for the cooldown")
    func groupCooldown() throws {
        let rule = LabelRule(on: 0.5, off: 0.3, minimumDuration: 0.48, minimumGap: 0, cooldown: 1.6, group: "alarm")
        for end in 9..<30 {
            var tagger = makeTagger(rule)
            let actions = tagger.run(confirmed: Script(tracks: ["Siren": up(3..<8), "Alarm": up(7..<end)]))
            // The cooldown ends in column 18.
            try #require(story(actions) == ["open 0 Siren", "close 0 Siren"] + (end < 19 ? [] : ["open 1 Alarm", "close 1 Alarm"]), "\(end)")
            if end >= 19 { #expect(actions[2].event.onset == actions[1].event.offset! + 25_600) }
        }
    }

    @Test("A descendant in a group takes over its ancestor's young event, too, or leaves it alone where the group's event is open",
          arguments: [false, true])
    func groupOfADescendant(isOpen: Bool) throws {
        let rule = LabelRule(on: 0.5, off: 0.3, group: "loud")
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3), ["Bark": rule, "Siren": rule])
        let siren: [String: [Float]] = isOpen ? ["Siren": up(1..<14)] : [:]
        let actions = tagger.run(confirmed: Script(tracks: ["Dog": up(3..<12), "Bark": up(5..<12)].merging(siren) { $1 }))
        #expect(story(actions) == (isOpen
            ? ["open 0 Siren", "open 1 Dog", "close 1 Dog", "close 0 Siren"]
            : ["open 0 Dog", "update 0 Bark (more specific)", "close 0 Bark"]))
        #expect(actions.last?.event.group == "loud")
    }

    @Test("A muted label is silent and absorbs nothing")
    func mute() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, cooldown: 0), ["Bark": LabelRule(mute: true)])
        let actions = tagger.run(confirmed: Script(tracks: ["Bark": up(3..<9), "Dog": up(3..<9)]))
        #expect(story(actions) == ["open 0 Dog", "close 0 Dog"])
    }
}
