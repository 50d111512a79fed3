import Tagging
import Testing

@Suite("Events, by example") struct ExampleTests {
    @Test("A bark opens provisionally, ends provisionally, is confirmed and closed, with one number throughout")
    func bark() throws {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Bark": up(11..<15, 0.71), "Speech": up(0..<40, 0)]),
            confirmed: Script(tracks: ["Bark": up(10..<16, 0.88)]))
        #expect(
            story(actions) == ["open 0 Bark", "update 0 Bark (ended)", "update 0 Bark (confirmed)", "close 0 Bark"])
        #expect(actions.map(\.event.revision) == [0, 1, 2, 3])
        #expect(actions.map(\.event.status) == [.provisional, .provisional, .confirmed, .confirmed])
        #expect(actions[0].event.parents == ["Dog", "Animal", "Pets"].map(Labels.index))
        // From 0 to 0.88 the score comes up through 0.3 at 0.3/0.88 of the way from centre to centre.
        let crossing = 10 * column - column / 2 + Int64((0.3 / 0.88 * 2560).rounded())
        #expect(abs(actions[3].event.onset - crossing) <= 1)
        #expect(actions[0].event.openedOnset != actions[3].event.onset)
        #expect(actions.allSatisfy { $0.event.openedOnset == actions[0].event.onset })
        #expect(actions[3].event.peak == 0.88)
        #expect(actions.map(\.event.score) == [0.71, 0.71, 0.88, 0.88])
    }

    @Test("A sound begins where its score came up through off, at most 3 s before it reached on, provisionally half a second")
    func slowRise() throws {
        for risen in [1, 2, 3, 4, 10, 18, 19, 40] {
            let scores = [Float](repeating: 0, count: 20) + [Float](repeating: 0.3, count: risen) + [0.9, 0.9]
            let script = Script(tracks: ["Siren": scores])
            var confirmed = makeTagger(), provisional = makeTagger()
            let told = confirmed.run(confirmed: script)
            let early = provisional.run(provisional: script, confirmed: Script(tracks: [:])).actions
            // 0.3 is reached at a column's centre; half a second is 3.125 columns.
            for (actions, most) in [(told, 18.75), (early, 3.125)] {
                let before = 20.5 + Double(risen) - Double(actions[0].event.onset) / Double(column)
                #expect(abs(before - min(most, Double(risen))) < 0.01)
            }
        }
    }

    @Test("An announced sound of which the confirmed track is slow to be sure keeps its number and gets the earlier onset")
    func slowlySure() throws {
        for (risen, announced) in [(2, 1), (10, 3), (17, 1), (17, 12), (17, 16)] {
            var tagger = makeTagger()
            let (actions, _) = tagger.run(
                provisional: Script(tracks: ["Siren": up(20 + announced..<50)]),
                confirmed: Script(tracks: ["Siren": up(20..<20 + risen, 0.4) + up(0..<30 - risen)]))
            #expect(story(actions.filter { $0.reason != .ended }) == ["open 0 Siren", "update 0 Siren (confirmed)", "close 0 Siren"])
            #expect(actions.last?.event.onset == 20 * column - column / 2 + 3 * column / 4)
        }
    }

    @Test("An announced sound of which the confirmed track never becomes sure is retracted 3 s after its onset")
    func neverSure() throws {
        var tagger = makeTagger()
        var actions: [Action] = []
        let announced = Script(tracks: ["Siren": up(20..<40)])
        let doubtful = Script(tracks: ["Siren": [Float](repeating: 0, count: 20) + [Float](repeating: 0.4, count: 60)])
        for index in 0..<60 { tagger.provisional(index, announced.scores(index), &actions) }
        let open = actions.count
        for index in 0..<80 {
            tagger.confirmed(index, doubtful.scores(index), &actions)
            // The onset is a third of a column before the middle of column 20; 3 s are 18.75 columns.
            #expect((actions.count > open) == (index >= 38), "column \(index)")
        }
        #expect(story(actions).last == "retract 0 Siren (not confirmed)")
    }

    @Test("What the confirmed track does not bear out is retracted once it has passed, at most a second after the onset")
    func retracted() throws {
        var tagger = makeTagger()
        var actions: [Action] = []
        let script = Script(tracks: ["Siren": up(10..<14)])
        for index in 0..<40 { tagger.provisional(index, script.scores(index), &actions) }
        #expect(story(actions) == ["open 0 Siren", "update 0 Siren (ended)"])
        for index in 0..<40 {
            tagger.confirmed(index, Script(tracks: [:]).scores(index), &actions)
            // The onset is in column 9 or 10; a second is 6.25 columns.
            #expect((actions.count == 3) == (index >= 16))
        }
        #expect(story(actions).last == "retract 0 Siren (not confirmed)")
    }

    @Test("What only the confirmed track hears opens confirmed")
    func unannounced() throws {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(provisional: Script(tracks: [:]), confirmed: Script(tracks: ["Siren": up(10..<14)]))
        #expect(story(actions) == ["open 0 Siren", "close 0 Siren"])
        #expect(actions.allSatisfy { $0.event.status == .confirmed && $0.event.onsetError == 0.08 })
    }

    @Test("Barks two seconds apart each open at once, though the one before is still undecided")
    func twoBarks() throws {
        var tagger = makeTagger()
        let barks = Script(tracks: ["Bark": up(5..<8) + up(8..<11)])
        let (actions, _) = tagger.run(provisional: barks, confirmed: barks)
        #expect(
            story(actions) == [
                "open 0 Bark", "update 0 Bark (ended)", "open 1 Bark", "update 1 Bark (ended)",
                "update 0 Bark (confirmed)", "close 0 Bark", "update 1 Bark (confirmed)", "close 1 Bark",
            ])
    }

    @Test("A dip that the confirmed track does not see makes one event of two")
    func oneSound() throws {
        var tagger = makeTagger()
        let (actions, _) = tagger.run(
            provisional: Script(tracks: ["Speech": up(5..<15) + up(3..<40)]),
            confirmed: Script(tracks: ["Speech": up(5..<55)]))
        #expect(
            story(actions) == [
                "open 0 Speech", "update 0 Speech (ended)", "open 1 Speech", "update 0 Speech (confirmed)",
                "retract 1 Speech (absorbed)", "update 0 Speech (resumed)", "update 0 Speech (ended)", "close 0 Speech",
            ])
    }

    @Test("An event with a long minimum duration is not retracted while the confirmed score is still counting up to it")
    func longMinimum() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumDuration: 2, cooldown: 0))
        let siren = Script(tracks: ["Siren": up(10..<40)])
        let (actions, _) = tagger.run(provisional: siren, confirmed: siren)
        #expect(
            story(actions) == ["open 0 Siren", "update 0 Siren (confirmed)", "update 0 Siren (ended)", "close 0 Siren"])
    }

    @Test("A minimum duration delays the opening by its columns and lets shorter sounds pass unheard", arguments: 0...12)
    func minimumDuration(columns: Int) throws {
        for length in 1...14 {
            var tagger = makeTagger(
                LabelRule(on: 0.5, off: 0.3, minimumDuration: Double(columns) * 0.16, cooldown: 0))
            var actions: [Action] = []
            var opened: Int?
            for index in 0..<40 {
                tagger.provisional(index, Script(tracks: ["Siren": up(10..<10 + length)]).scores(index), &actions)
                if !actions.isEmpty, opened == nil { opened = index }
            }
            #expect(opened == (length >= max(1, columns) ? 10 + max(1, columns) - 1 : nil))
        }
    }

    @Test("Events closer than the minimum gap are one, for every score of eight columns and every gap")
    func minimumGap() throws {
        let levels: [Float] = [0, 0.4, 0.9]
        for code in 0..<6561 {
            var rest = code
            let scores = (0..<8).map { _ in
                defer { rest /= 3 }
                return levels[rest % 3]
            }
            var alone = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0))
            let runs = standing(alone.run(confirmed: Script(tracks: ["Siren": scores], silence: 12)))
            let gap = [0.1, 0.16, 0.4, 0.5, 1][code % 5]
            var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: gap))
            let found = standing(tagger.run(confirmed: Script(tracks: ["Siren": scores], silence: 12)))
            var expected: [(onset: Int64, offset: Int64)] = []
            for run in runs {
                if let last = expected.last, run.onset < last.offset + Int64((gap * 16_000).rounded()) {
                    expected[expected.count - 1].offset = run.offset
                } else {
                    expected.append((run.onset, run.offset))
                }
            }
            #expect(found.map(\.onset) == expected.map(\.onset), "\(scores), gap \(gap)")
            #expect(found.map(\.offset) == expected.map(\.offset), "\(scores), gap \(gap)")
        }
    }

    @Test("An event's end is told when no gap can have it go on, and a gap in a column's scores is not an end")
    func gapInTime() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0.5))
        let steps = Script(tracks: ["Siren": up(5..<7) + up(2..<4) + up(2..<4)])
        let (actions, _) = tagger.run(provisional: steps, confirmed: steps)
        #expect(story(actions) == ["open 0 Siren", "update 0 Siren (ended)", "update 0 Siren (confirmed)", "close 0 Siren"])
        // Up to column 14; the score falls through 0.3 there, and half a second later nothing can follow in time.
        var live = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0.5))
        var heard: [Action] = []
        for index in 0..<30 {
            live.provisional(index, steps.scores(index), &heard)
            #expect(heard.count == (index < 5 ? 0 : index < 18 ? 1 : 2), "column \(index)")
        }
        // What is up again, and not enough, could go on as long as half a second back is within the gap.
        var doubtful = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0.5)), told: [Action] = []
        let hovering = Script(tracks: ["Siren": up(5..<10) + up(1..<20, 0.4)])
        for index in 0..<30 {
            doubtful.provisional(index, hovering.scores(index), &told)
            #expect(told.count == (index < 5 ? 0 : index < 15 ? 1 : 2), "column \(index)")
        }
    }

    @Test("A sound that goes on beyond the cooldown counts from the cooldown's end")
    func cooldown() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumGap: 0, cooldown: 1.6))
        let actions = tagger.run(confirmed: Script(tracks: ["Siren": up(5..<10) + up(3..<30)]))
        #expect(story(actions) == ["open 0 Siren", "close 0 Siren", "open 1 Siren", "close 1 Siren"])
        #expect(actions[2].event.onset == (actions[1].event.offset ?? 0) + 25_600)
        // Its minimum duration, too. The first ends in column 8, the cooldown in column 18.
        for end in 11..<30 {
            var tagger = makeTagger(LabelRule(on: 0.5, off: 0.3, minimumDuration: 0.48, minimumGap: 0, cooldown: 1.6))
            #expect(tagger.run(confirmed: Script(tracks: ["Siren": up(3..<8) + up(2..<end - 8)])).count == (end < 21 ? 2 : 4), "\(end)")
        }
    }

    @Test("A sound that its threshold was reached by and no more was there for half a column, in either track")
    func shortest() throws {
        var tagger = makeTagger(LabelRule(on: 0.5, off: 0.5, minimumGap: 0))
        let touch = Script(tracks: ["Siren": up(5..<6, 0.5)])
        let (actions, _) = tagger.run(provisional: touch, confirmed: touch)
        #expect(story(actions) == ["open 0 Siren", "update 0 Siren (ended)", "update 0 Siren (confirmed)", "close 0 Siren"])
        #expect(actions.allSatisfy { $0.event.offset == nil || $0.event.offset == $0.event.onset + column / 2 })
    }

    @Test("A gap closes what is confirmed and retracts what is not; the sound after it is another event")
    func gap() throws {
        var tagger = makeTagger()
        var actions: [Action] = []
        let scene = Script(tracks: ["Speech": up(0..<30), "Siren": up(25..<30), "Alarm": up(20..<30, 0.4)])
        for index in 0..<30 { tagger.provisional(index, scene.scores(index), &actions) }
        for index in 0..<20 { tagger.confirmed(index, scene.scores(index), &actions) }
        tagger.interrupt(into: &actions)
        #expect(
            story(actions) == [
                "open 0 Speech", "open 1 Siren", "update 0 Speech (confirmed)", "close 0 Speech (interrupted)",
                "retract 1 Siren (interrupted)",
            ])
        #expect(actions[3].event.offset == 20 * column)
        actions.removeAll()
        // Whether it was up before the gap, or below `on`, or not there.
        tagger.provisional(100, Script(tracks: ["Speech": [0.9], "Alarm": [0.9], "Music": [0.9]]).scores(0), &actions)
        #expect(story(actions) == ["open 2 Music", "open 3 Speech", "open 4 Alarm"])
        #expect(actions.allSatisfy { $0.event.onset == 100 * column })
    }

    @Test("No score that is not a number opens, holds or breaks anything")
    func notANumber() throws {
        var tagger = makeTagger()
        let values: [Float] = [.nan, 0.9, .nan, .infinity, -.infinity, 0.9, .infinity, .nan, -.nan, 0.4, 0.9, 0.4]
        let actions = tagger.run(confirmed: Script(tracks: ["Siren": values]))
        #expect(actions.filter { $0.phase == .open }.count == actions.filter { $0.phase == .close }.count)
        #expect(standing(actions).allSatisfy { $0.onset < $0.offset })
        #expect(standing(actions).count == 4)
    }

    @Test("While the confirmed track stands still, undecided events are bounded")
    func bounded() throws {
        var tagger = makeTagger()
        var actions: [Action] = []
        let on = Script(tracks: ["Siren": [0.9]]).scores(0)
        let off = Script(tracks: [:]).scores(0)
        for index in 0..<2000 { tagger.provisional(index, index % 2 == 0 ? on : off, &actions) }
        let opened = actions.filter { $0.phase == .open }.count
        #expect(opened == 64 + 7 * Labels.all.count)
        for index in 0..<2000 { tagger.confirmed(index, off, &actions) }
        #expect(actions.filter { $0.phase == .retract }.count == opened)
    }
}
