import Glibc
import Settings
import TestSupport
import Testing

@Suite("Suggested thresholds")
struct SuggestionTests {
    private let labels: [Settings.ModelLabel] = ["Animal", "Dog", "Bark", "Rain", "Wind"].enumerated().map { index, name in
        (name, 0.3 + 0.1 * Float(index), 0.1, 0.6, 2.5)
    }
    private let parents = ["Dog": ["Animal"], "Bark": ["Dog", "Animal"]]

    private func events(_ peaks: KeyValuePairs<String, [Float]>) -> [Settings.LoggedEvent] {
        peaks.flatMap { label, peaks in peaks.map { (label, parents[label] ?? [], $0) } }
    }

    private func taken(_ suggestions: [Settings.Suggestion], over settings: Settings) -> Settings {
        var said = Settings()
        for suggestion in suggestions {
            said.events.labels[suggestion.label] =
                switch suggestion.value {
                case .sensitivity(let sensitivity): .init(sensitivity: sensitivity)
                case .on(let on): .init(on: on)
                case .mute: .init(mute: true)
                }
        }
        return said.merging(over: settings)
    }

    @Test("keep each label to what is allowed, and no lower than they have to", arguments: [
        "{}", "{events: {default: {sensitivity: 1.5}}}", "{events: {default: {on: 0.2}}}", "{events: {labels: {Bark: {on: 0.3}, Rain: {sensitivity: -1}}}}",
    ])
    func bounds(yaml: String) throws {
        let settings = try Settings(yaml: yaml)
        var random = SeededRandom(seed: 1)
        for _ in 0..<300 {
            let log = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                let label = labels.randomElement(using: &random)!.name
                return (label, parents[label] ?? [], Float.random(in: 0.01...0.9999, using: &random))
            }
            let allowed = Int.random(in: 0...6, using: &random)
            let before = try settings.rules(labels: labels)
            let told = try settings.suggestions(for: log, allowed: allowed, labels: labels)
            let after = try taken(told, over: settings).rules(labels: labels)
            for (index, label) in labels.enumerated() {
                let peaks = log.filter { $0.0 == label.name && $0.2 >= before[index].on }.map(\.2)
                let suggestion = told.first { $0.label == label.name }
                #expect(after[index].mute || peaks.count { $0 >= after[index].on } <= allowed)
                #expect(after[index].on >= before[index].on)
                // Its provisional events are rarer too.
                #expect(suggestion == nil || after[index].mute || after[index].provisionalOn! > before[index].provisionalOn!)
                guard let suggestion else {
                    #expect(peaks.count <= allowed && after[index].on == before[index].on)
                    continue
                }
                #expect(suggestion.events == peaks.count)
                #expect(after[index].mute || suggestion.left == peaks.count { $0 >= after[index].on })
                // Nothing lies below it, so nothing else has raised it.
                if ["Bark", "Rain", "Wind"].contains(label.name), !after[index].mute {
                    let next = peaks.sorted(by: >)[allowed]
                    #expect(next < after[index].on)
                    // A sensitivity has two digits after the point, `on` four.
                    #expect(odds(after[index].on) - odds(next) < 0.02 || after[index].on - next < 0.002)
                }
            }
        }
    }

    @Test("raise a label's ancestors as much, which would be reported in its place")
    func ancestors() throws {
        let told = try Settings().suggestions(for: events(["Bark": [0.9, 0.8]]), allowed: 1, labels: labels)
        #expect(told.map(\.label) == ["Bark", "Animal", "Dog"] && told.map(\.events) == [2, 0, 0])
        #expect(told[0].left == 1 && Set(told.map { "\($0.value)" }).count == 1)
    }

    @Test("pass over what is mute, below what holds by now, or no label of the model; what no threshold keeps out becomes mute")
    func passedOver() throws {
        let settings = try Settings(yaml: "events: {labels: {Rain: {mute: true}}}")
        #expect(try settings.suggestions(for: events(["Rain": [0.9], "Wind": [0.69], "Doorbell": [0.9]]), allowed: 0, labels: labels).isEmpty)
        let told = try settings.suggestions(for: events(["Wind": [1]]), allowed: 0, labels: labels)
        #expect(told.map(\.label) == ["Wind"] && told[0].value == .mute && told[0].events == 1 && told[0].left == 0)
    }

    private func odds(_ score: Float) -> Double { log(Double(score) / (1 - Double(score))) }
}
