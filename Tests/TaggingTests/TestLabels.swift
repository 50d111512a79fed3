import Tagging

/// Columns of 2560 samples, 160 ms.
let column: Int64 = 2560

/// A small cut of AudioSet's ontology, with a label that has two parents; `Labels.index` finds a label by name.
enum Labels {
    static let all: [Label] = {
        let rows: [(String, [String])] = [
            ("Animal", []), ("Pets", []), ("Dog", ["Animal", "Pets"]), ("Bark", ["Dog", "Animal", "Pets"]),
            ("Growling", ["Dog", "Animal", "Pets"]),
            ("Music", []), ("Piano", ["Music"]), ("Speech", []), ("Siren", []), ("Alarm", []),
            ("Smoke detector", ["Alarm"]),
        ]
        let names = rows.map(\.0)
        return rows.enumerated().map { index, row in
            Label(name: row.0, mid: "/m/\(index)", parents: row.1.map { names.firstIndex(of: $0)! })
        }
    }()

    static func index(_ name: String) -> Int { all.firstIndex { $0.name == name }! }
}

/// A tagger with one rule for all labels but those named.
func makeTagger(
    _ rule: LabelRule = LabelRule(on: 0.5, off: 0.3, minimumGap: 0), _ named: [String: LabelRule] = [:], step: Int64 = column
) -> Tagger {
    Tagger(
        TaggerConfiguration(labels: Labels.all, rules: Labels.all.map { named[$0.name] ?? rule }, stepLength: Int(step)))
}

/// Scores of some labels by name, one value a column; labels that are not named, and columns past the end, have 0.
struct Script {
    var tracks: [String: [Float]]
    /// Silent columns after the last score.
    var silence = 8
    var count: Int { (tracks.values.map(\.count).max() ?? 0) + silence }

    /// The same sounds in provisional columns that begin `1 / steps` of a column apart, each heard as the column that it ends in.
    func stepped(_ steps: Int) -> Script {
        let count = (count - 1) * steps + 1
        return Script(
            tracks: tracks.mapValues { track in (0..<count).map { ($0 + steps - 1) / steps }.map { $0 < track.count ? track[$0] : 0 } },
            silence: 0)
    }

    func scores(_ column: Int) -> [Float] {
        Labels.all.map { label in
            guard let track = tracks[label.name], column < track.count else { return 0 }
            return track[column]
        }
    }
}

extension Tagger {
    /// Steps of a column.
    var steps: Int { configuration.columnLength / configuration.stepLength }

    mutating func provisional(_ index: Int, _ scores: [Float], _ actions: inout [Action]) {
        provisional(start: Int64(index * configuration.stepLength), scores: scores.span, into: &actions)
    }

    mutating func confirmed(_ index: Int, _ scores: [Float], _ actions: inout [Action]) {
        confirmed(start: Int64(index) * column, scores: scores.span, into: &actions)
    }

    /// Runs both tracks as the pipeline does, then ends the run: the confirmed track a chunk at a time, once its
    /// lookahead is there, and at the end, unless `flush` is false, up to the last column.
    ///
    /// - Parameters:
    ///   - provisional: A score a step.
    ///   - first: Number of the first column.
    /// - Returns: The actions, and how many columns were confirmed.
    mutating func run(
        provisional: Script, confirmed: Script, first: Int = 0, chunk: Int = 8, lookahead: Int = 16, flush: Bool = true
    ) -> (actions: [Action], confirmed: Int) {
        var actions: [Action] = []
        let count = max((provisional.count + steps - 1) / steps, confirmed.count)
        var frontier = 0
        for index in 0..<count {
            for step in max(0, (index - 1) * steps + 1)...index * steps {
                self.provisional(first * steps + step, provisional.scores(step), &actions)
            }
            if index + 1 >= frontier + chunk + lookahead {
                for _ in 0..<chunk {
                    self.confirmed(first + frontier, confirmed.scores(frontier), &actions)
                    frontier += 1
                }
            }
        }
        while flush, frontier < count {
            self.confirmed(first + frontier, confirmed.scores(frontier), &actions)
            frontier += 1
        }
        interrupt(into: &actions)
        return (actions, frontier)
    }

    /// Runs the confirmed track alone, as for a model with one direction.
    mutating func run(confirmed: Script, first: Int = 0, count: Int? = nil) -> [Action] {
        var actions: [Action] = []
        for index in 0..<(count ?? confirmed.count) {
            self.confirmed(first + index, confirmed.scores(index), &actions)
        }
        interrupt(into: &actions)
        return actions
    }
}

/// An event that was not retracted: what stands in the end.
struct Standing: Hashable, Comparable {
    var label: String
    var onset: Int64
    var offset: Int64
    var peak: Float

    static func < (first: Standing, second: Standing) -> Bool {
        (first.onset, first.label) < (second.onset, second.label)
    }
}

func standing(_ actions: [Action]) -> [Standing] {
    actions.filter { $0.phase == .close }.map {
        Standing(
            label: Labels.all[$0.event.label].name, onset: $0.event.onset, offset: $0.event.offset ?? .min,
            peak: $0.event.peak)
    }.sorted()
}

/// `"open Bark, update Bark confirmed, close Bark"`: the story of a run in short.
func story(_ actions: [Action]) -> [String] {
    actions.map {
        var words = [$0.phase.rawValue, "\($0.event.number)", Labels.all[$0.event.label].name]
        if let reason = $0.reason { words.append("(\(reason.rawValue))") }
        return words.joined(separator: " ")
    }
}

/// A score that is up in a range of columns.
func up(_ columns: Range<Int>, _ score: Float = 0.9) -> [Float] {
    Array(repeating: 0, count: columns.lowerBound) + Array(repeating: score, count: columns.count)
}
