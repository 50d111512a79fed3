import Settings
import Testing

@Suite("The nearest label to a name")
struct NearestLabelTests {
    @Test("has its words, or is a slip of the pen away; where none is like it, the list is named", arguments: [
        ("Dog barking", "Bark"), ("barking", "Bark"), ("dogs", "Dog"), ("Baby crying", "Baby cry, infant cry"),
        ("infant cry", "Baby cry, infant cry"), ("Smoke detector, smoke alarm", "Alarm"), ("Footsteps", "Walk, footsteps"),
        ("Alarmclock", "Alarm clock"), ("Speach", "Speech"), ("Doorbell", nil), ("Human voice", nil), ("Carpenter", nil), ("Windows", nil),
        ("Gunshot", nil), ("/m/05tny_", nil), ("é", nil), ("", nil),
    ] as [(String, String?)])
    func nearest(name: String, nearest: String?) {
        let names = [
            "Speech", "Breathing", "Laughter", "Crying, sobbing", "Baby cry, infant cry", "Walk, footsteps", "Dog", "Bark", "Alarm",
            "Alarm clock", "Door", "Bass drum", "Computer keyboard",
        ]
        var settings = Settings()
        settings.events.labels[name] = Settings.Rule()
        let error = #expect(throws: InvalidSettings.self) {
            try settings.rules(labels: names.map { ($0, nil, nil, nil, 0) })
        }
        let advice = nearest.map { "the nearest is \"\($0)\"" + ($0.contains(",") ? " (in { } or [ ] in quotes, for its comma)." : ".") }
        #expect("\(error!)" == "the model has no label \"\(name)\"; " + (advice ?? "'aumd model --labels' lists those it has."))
    }
}
