import AudioMamba
import Frontend
import Tagging

/// A label that is heard by the temporal pattern of its sound, beside those of the model. Its scores are correlations, 0 where there is no alarm.
struct AlarmLabel {
    let name: String
    /// AudioSet's id; empty where it has none.
    let mid: String
    let pattern: TemporalPattern
    /// Groups of pulses that have to follow each other, and their correlation that is enough.
    let groups: Int
    let on: Float

    /// AudioSet's label that both are of.
    static let parent = "Alarm"

    /// `Training/evaluate_alarms.py` says what is found so, and what is taken for an alarm.
    static let all = [
        AlarmLabel(name: "Smoke detector, smoke alarm", mid: "/m/01y3hg", pattern: .three, groups: 2, on: 0.75),
        AlarmLabel(name: "Carbon monoxide detector, CO detector", mid: "", pattern: .four, groups: 3, on: 0.65),
    ]
}

extension Model {
    /// The alarms that are heard by their pattern: those that are no label of the model or of a learned sound.
    var alarmLabels: [AlarmLabel] {
        AlarmLabel.all.filter { alarm in !configuration.labels.contains { $0.name == alarm.name } }
    }

    /// All labels that there are scores for: the model's, then the alarms.
    var labels: [Label] {
        let own = configuration.labels.map { Label(name: $0.name, mid: $0.mid, parents: $0.parents) }
        let parents = own.firstIndex { $0.name == AlarmLabel.parent }.map { [$0] + own[$0].parents } ?? []
        return own + alarmLabels.map { Label(name: $0.name, mid: $0.mid, parents: parents) }
    }

    /// Their names.
    var labelNames: [String] { labels.map(\.name) }
}
