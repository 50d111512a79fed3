import Tagging
import TestSupport
import Testing

/// Random score sequences, from a seed so that a failure can be repeated.
struct RandomScores {
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    mutating func unit() -> Float { Float(next() >> 40) / Float(1 << 24) }

    /// Bursts of sound: each label is off or on for a random time, its scores scattered around the level.
    mutating func script(columns: Int, jitter: Float) -> Script {
        var tracks: [String: [Float]] = [:]
        for label in Labels.all {
            var track: [Float] = []
            var level: Float = 0.1
            while track.count < columns {
                let length = 1 + Int(next() % 14)
                for _ in 0..<length { track.append(min(1, max(0, level + jitter * (unit() - 0.5)))) }
                level = unit() < 0.6 ? 0.1 : 0.5 + 0.5 * unit()
            }
            if next() % 50 == 0 { track[Int(next() % UInt64(track.count))] = .nan }
            tracks[label.name] = Array(track.prefix(columns))
        }
        return Script(tracks: tracks, silence: 0)
    }

    /// The same sounds as a causal model may hear them: moved by up to two columns, louder or fainter, some missed.
    mutating func provisional(_ confirmed: Script, jitter: Float) -> Script {
        var tracks: [String: [Float]] = [:]
        // In the order of the labels: a dictionary's own is another in every process.
        for name in Labels.all.map(\.name) {
            guard let track = confirmed.tracks[name] else { continue }
            let shift = Int(next() % 5) - 2
            let gain = 0.6 + 0.8 * unit()
            tracks[name] = track.indices.map { index in
                let from = index - shift
                guard track.indices.contains(from) else { return 0 }
                return min(1, max(0, track[from] * gain + jitter * (unit() - 0.5)))
            }
            if next() % 4 == 0 { tracks[name] = script(columns: track.count, jitter: jitter).tracks[name] }
        }
        return Script(tracks: tracks, silence: 0)
    }

    mutating func rules() -> [LabelRule] {
        // Groups of relatives and strangers, or of alarms only.
        let anyGroups = next() % 3 == 0
        let minimum = [0, 0, 0, 0.1, 0.32, 1.0]
        let gap = [0, 0.3, 0.5, 2.0]
        let cooldown = [0, 0.48, 1.0, 3.0]
        return Labels.all.map { label in
            let on = 0.4 + 0.3 * unit()
            return LabelRule(
                on: on, off: next() % 4 == 0 ? on : on * 0.6, provisionalOn: next() % 2 == 0 ? min(1, on * (0.5 + unit())) : nil,
                minimumDuration: minimum[Int(next() % 6)], minimumGap: gap[Int(next() % 4)],
                cooldown: cooldown[Int(next() % 4)],
                mute: next() % 12 == 0,
                group: next() % 2 == 0 ? nil
                    : anyGroups ? ["first", "second"][Int(next() % 2)]
                    : ["Siren", "Alarm", "Smoke detector"].contains(label.name) ? "alarm" : nil)
        }
    }
}

/// What has to hold of any sequence of actions, whatever the scores.
func expectConsistent(_ actions: [Action], _ rules: [LabelRule], _ context: String) {
    var revisions: [UInt64: Int] = [:]
    var ended: Set<UInt64> = []
    var sounding: [Int: UInt64] = [:]
    var nextNumber: UInt64 = 0
    var standing: [UInt64: Event] = [:]
    for action in actions {
        let event = action.event
        if action.phase == .open, event.status == .provisional {
            for other in standing.values where cools(event.label, after: other.label, rules) {
                let earliest = other.offset.map { $0 + Int64((rules[event.label].cooldown * 16_000).rounded()) } ?? .max
                #expect(event.onset >= earliest, "\(context): \(event.number) opens within \(other.number)'s cooldown")
            }
        }
        if let whole = action.partOf {
            #expect(action.reason == .absorbed && whole != event.number)
            #expect(standing[whole] != nil && !ended.contains(whole), "\(context): \(event.number) is part of \(whole), which is over")
        }
        standing[event.number] = action.phase == .retract ? nil : event
        #expect(!rules[event.label].mute, "\(context): a muted label is told")
        #expect(event.parents == Labels.all[event.label].parents)
        #expect(event.group == rules[event.label].group)
        #expect(!ended.contains(event.number), "\(context): event \(event.number) goes on after its end")
        if action.phase == .open {
            #expect(event.number == nextNumber && event.revision == 0, "\(context): opening \(event.number)")
            #expect(event.openedOnset == event.onset)
            nextNumber += 1
        } else {
            #expect(event.revision == revisions[event.number]! + 1, "\(context): hole in \(event.number)'s revisions")
        }
        revisions[event.number] = event.revision
        if let offset = event.offset {
            #expect(event.onset < offset, "\(context): event \(event.number) ends before it begins")
        }
        #expect(event.onsetError == (event.status == .confirmed ? 0.08 : 0.16))
        #expect(event.offsetError == (action.phase == .close ? 0.08 : 0.16))
        sounding = sounding.filter { $0.value != event.number }
        switch action.phase {
        case .open, .update:
            if event.offset == nil {
                #expect(sounding[event.label] == nil, "\(context): two open events of label \(event.label)")
                let shared = sounding.keys.contains { event.group != nil && rules[$0].group == event.group }
                #expect(!shared, "\(context): two open events of a group")
                sounding[event.label] = event.number
            }
        case .close:
            #expect(event.status == .confirmed && event.offset != nil)
            #expect(event.peak >= rules[event.label].on || event.group != nil)
            ended.insert(event.number)
        case .retract:
            #expect(action.reason != nil && event.status == .provisional, "\(context): \(event.number) was confirmed")
            ended.insert(event.number)
        }
    }
    #expect(ended.count == Int(nextNumber), "\(context): an event is neither closed nor retracted")
    expectCooldowns(actions, rules, context)
}

/// Whether an event of `label` begins no sooner than its cooldown after one of `other`: the same, one of its group, or a descendant.
private func cools(_ label: Int, after other: Int, _ rules: [LabelRule]) -> Bool {
    label == other || rules[label].group != nil && rules[label].group == rules[other].group
        || rules[label].cooldown > 0 && Labels.all[other].parents.contains(label)
}

/// Standing events of one label neither overlap nor follow each other within the cooldown, nor follow a descendant's within it.
private func expectCooldowns(_ actions: [Action], _ rules: [LabelRule], _ context: String) {
    var lastOffset: [Int: Int64] = [:]
    let closed = actions.filter { $0.phase == .close }.map(\.event).sorted { $0.onset < $1.onset }
    for event in closed {
        for other in closed where other.offset! <= event.onset && cools(event.label, after: other.label, rules) {
            let earliest = other.offset! + Int64((rules[event.label].cooldown * 16_000).rounded())
            #expect(event.onset >= earliest, "\(context): \(event.number) within the cooldown after \(other.number)")
        }
        if let last = lastOffset[event.label] {
            let earliest = last + Int64((rules[event.label].cooldown * 16_000).rounded())
            #expect(event.onset >= earliest, "\(context): label \(event.label) within its cooldown")
        }
        lastOffset[event.label] = event.offset
    }
}

@Test("Any scores in both tracks give consistent actions, and what stands is what the confirmed track alone gives")
func randomScores() throws {
    var kinds: [String: Int] = [:], unnamed = 0
    for seed in UInt64(0)..<1500 {
        var random = RandomScores(seed: seed)
        let rules = random.rules()
        let steps = 1 + Int(seed / 4 % 2)
        let configuration = TaggerConfiguration(labels: Labels.all, rules: rules, stepLength: Int(column) / steps)
        let jitter = [Float(0), 0.1, 0.5, 1.5][Int(seed % 4)]
        let chunk = 1 + Int(random.next() % 12)
        let lookahead = Int(random.next() % 20)
        var both = Tagger(configuration)
        var single = Tagger(configuration)
        var actions: [Action] = []
        var alone: [Action] = []
        var first = 0
        // Stretches of columns with gaps between them; at some gaps the confirmed track is not brought up to date.
        for _ in 0...Int(random.next() % 3) {
            let confirmed = random.script(columns: 10 + Int(random.next() % 100), jitter: jitter)
            let provisional = random.provisional(confirmed.stepped(steps), jitter: jitter)
            let stretch = both.run(
                provisional: provisional, confirmed: confirmed, first: first, chunk: chunk, lookahead: lookahead,
                flush: random.next() % 3 > 0)
            actions += stretch.actions
            alone += single.run(confirmed: confirmed, first: first, count: stretch.confirmed)
            first += confirmed.count + Int(random.next() % 10)
        }
        expectConsistent(actions, rules, "seed \(seed)")
        expectConsistent(alone, rules, "seed \(seed), confirmed alone")
        #expect(standing(actions) == standing(alone), "seed \(seed)")
        for action in actions {
            kinds["\(action.phase.rawValue) \(action.reason?.rawValue ?? "")", default: 0] += 1
            if action.reason == .absorbed, action.partOf == nil { unnamed += 1 }
        }
    }
    // The scores have to have reached every kind of action often enough to mean something.
    for kind in [
        "open ", "close ", "close interrupted", "update confirmed", "update more specific", "update ended",
        "update resumed", "retract not confirmed", "retract absorbed", "retract interrupted",
    ] {
        #expect(kinds[kind, default: 0] >= 100, "only \(kinds[kind, default: 0]) of \"\(kind)\"")
    }
    // An absorbed event names the one that goes on for it, unless that was decided before.
    #expect(unnamed * 100 < kinds["retract absorbed", default: 0], "\(unnamed)")
}

@Test("Where the confirmed scores are the provisional ones, next to nothing that was told is retracted as not confirmed")
func sameScores() throws {
    var opened = 0, taken: [String] = []
    for seed in UInt64(0)..<600 {
        var random = RandomScores(seed: seed)
        var rules = random.rules()
        for index in rules.indices {
            rules[index] = LabelRule(on: rules[index].on, off: rules[index].off, mute: rules[index].mute)
        }
        let steps = 1 + Int(seed / 3 % 2)
        var tagger = Tagger(TaggerConfiguration(labels: Labels.all, rules: rules, stepLength: Int(column) / steps))
        let scores = random.script(columns: 150, jitter: [Float(0), 0.3, 1.0][Int(seed % 3)])
        let actions = tagger.run(
            provisional: scores.stepped(steps), confirmed: scores, chunk: 1 + Int(random.next() % 12), lookahead: Int(random.next() % 20)
        ).actions
        opened += actions.filter { $0.phase == .open && $0.event.status == .provisional }.count
        taken += actions.filter { $0.reason == .notConfirmed }.map { "seed \(seed): \(Labels.all[$0.event.label].name)" }
    }
    // The confirmed track looks back further: what began earlier there may be told apart from a descendant, and then absorb others.
    #expect(taken.count * 1000 < opened, "\(taken)")
    #expect(opened > 5000)
}
