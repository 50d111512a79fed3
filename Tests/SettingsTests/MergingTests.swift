import Glibc
import Settings
import Tagging
import Testing

@Suite("Command line over environment over file over defaults")
struct MergingTests {
    @Test("what the upper says goes, the rest stays")
    func layers() throws {
        let file = try Settings(yaml: "source: {device: hw:1, name: cellar, rate: 8000}\noutput: {scores: 3}")
        let environment = try Settings(environment: ["AUMD_DEVICE": "hw:2", "AUMD_RATE": "16000", "PATH": "/bin"])
        var line = Settings()
        try line.set("source.rate", to: "48000", origin: "--rate")
        let merged = line.merging(over: environment).merging(over: file)
        #expect(merged.device == "hw:2")
        #expect(merged.sourceName == "cellar")
        #expect(merged.source.rate == 48_000)
        #expect(merged.scores == 3)
        #expect(merged.periodMilliseconds == 10)
    }

    @Test("merging with nothing changes nothing, and is associative")
    func laws() throws {
        let a = try Settings(yaml: "model: a\nsource: {rate: 8000}\nevents: {labels: {Bark: {on: 0.4}}, groups: {A: [Bark]}}\nmqtt: {sensors: [Bark]}\nrecordings: {labels: [Dog], without: [Speech]}")
        let b = try Settings(yaml: "model: b\nsource: {channel: 2}\nevents: {labels: {Bark: {off: 0.1}, Dog: {mute: on}}}")
        let c = try Settings(yaml: "stream: {chunk: 2}\nevents: {default: {on: 0.7}, groups: {A: [Dog], B: [Cat]}}\nmqtt: {sensors: [Cat, Dog], topic: t}\nrecordings: {labels: [], without: [Cat], after: 3}")
        #expect(a.merging(over: Settings()) == a)
        #expect(Settings().merging(over: a) == a)
        #expect(a.merging(over: b).merging(over: c) == a.merging(over: b.merging(over: c)))
        let merged = a.merging(over: b)
        #expect(merged.model == "a")
        #expect(merged.events.labels["Bark"]?.on == 0.4)
        #expect(merged.events.labels["Bark"]?.off == 0.1)
        #expect(merged.events.labels["Dog"]?.mute == true)
        #expect(a.merging(over: c).events.groups == ["A": a.events.groups["A"], "B": c.events.groups["B"]])
        #expect(merged.merging(over: c).events.standard.on == 0.7)
        #expect(merged.merging(over: c).mqtt.sensors?.map(\.label) == ["Bark"] && merged.merging(over: c).topic == "t")
        #expect(merged.merging(over: c).recordings.labels?.map(\.label) == ["Dog"] && merged.merging(over: c).recordedAfter == 3)
        #expect(b.merging(over: c).recordings.labels == [])
        #expect(merged.merging(over: c).recordings.without == a.recordings.without && b.merging(over: c).recordings.without == c.recordings.without)
        #expect(b.merging(over: c).mqtt.sensors?.map(\.label) == ["Cat", "Dog"])
    }

    @Test("an environment variable for every key with a single value")
    func environment() throws {
        let settings = try Settings(environment: [
            "AUMD_MODEL": "m", "AUMD_SOURCE_NAME": "n", "AUMD_DEVICE": "d", "AUMD_CHANNEL": "3", "AUMD_RATE": "44100",
            "AUMD_PERIOD_MS": "20", "AUMD_BUFFER_MS": "400", "AUMD_WINDOW": "false", "AUMD_CHUNK": "2",
            "AUMD_LOOKAHEAD": "9", "AUMD_STDOUT": "no", "AUMD_FILE": "f", "AUMD_SOCKET": "s", "AUMD_SOCKET_MODE": "600",
            "AUMD_JOURNAL": "true", "AUMD_METRICS": "x", "AUMD_SCORES": "1", "AUMD_STATUS_INTERVAL": "0.5", "AUMD_MQTT_BROKER": "mqtt://b",
            "AUMD_MQTT_USER": "u", "AUMD_MQTT_PASSWORD_FILE": "p", "AUMD_MQTT_CA_FILE": "c", "AUMD_MQTT_TOPIC": "t",
            "AUMD_RECORDINGS_FOLDER": "r", "AUMD_RECORDINGS_BEFORE": "1", "AUMD_RECORDINGS_AFTER": "0", "AUMD_RECORDINGS_LONGEST": "2",
            "AUMD_RECORDINGS_KEEP_MB": "3", "AUMD_MQTT_DISCOVERY": "no", "AUMD_MQTT_PROVISIONAL": "yes",
            "AUMD_MQTT_CAN_PAUSE": "yes", "AUMD_QUIET_HOURS": "Mon 22:00-07:00", "AUMD_CONTROL": "k", "AUMD_CONTROL_MODE": "660", "AUMD_PAUSE_FILE": "q",
        ])
        let file = try Settings(yaml: """
            {model: m, source: {name: n, device: d, channel: 3, rate: 44100, period_ms: 20, buffer_ms: 400,
                      quiet_hours: Mon 22:00-07:00, control: k, control_mode: 660, pause_file: q},
             stream: {window: false, chunk: 2, lookahead: 9},
             output: {stdout: no, file: f, socket: s, socket_mode: 600, journal: true, metrics: x, scores: 1, status_interval: 0.5},
             recordings: {folder: r, before: 1, after: 0, longest: 2, keep_mb: 3},
             mqtt: {broker: "mqtt://b", user: u, password_file: p, ca_file: c, topic: t, discovery: no, provisional: yes,
                    can_pause: yes}}
            """)
        #expect(settings == file)
    }

    @Test("empty variables say nothing, wrong ones are all told")
    func wrongEnvironment() throws {
        #expect(try Settings(environment: ["AUMD_FILE": "", "AUMD_RATE": ""]) == Settings())
        let error = #expect(throws: InvalidSettings.self) {
            try Settings(environment: ["AUMD_RATE": "fast", "AUMD_CHUNK": "0"])
        }
        #expect(error?.errors == [
            .wrongType(.option("AUMD_RATE"), key: "source.rate", found: "fast", expected: "a whole number"),
            .impossibleValue(.option("AUMD_CHUNK"), key: "stream.chunk", value: "0", allowed: "a whole number from 1 to 1024"),
        ])
    }

    @Test("variables that no key has are told with the nearest that one has")
    func unknownVariables() {
        let environment = ["AUMD_DEVCE": "hw:1", "AUMD_THRESHOLD": "0.3", "AUMD_RATE": "8000", "AUMDX": "", "PATH": "/bin"]
        let sentences = Settings.unknownVariables(in: environment)
        #expect(sentences.count == 2)
        #expect(sentences[0] == "AUMD_DEVCE is no variable of aumd, and is ignored; the nearest is AUMD_DEVICE.")
        #expect(sentences[1] == "AUMD_THRESHOLD is no variable of aumd, and is ignored.")
    }

    @Test("a buffer has to hold two periods, whoever said them")
    func combination() throws {
        let file = try Settings(yaml: "source: {buffer_ms: 50}")
        let merged = try Settings(environment: ["AUMD_PERIOD_MS": "40"]).merging(over: file)
        #expect(throws: SettingsError.self) { try merged.checkCombination() }
        #expect(throws: Never.self) { try file.checkCombination() }
    }

    @Test("a file that says one of the two leaves the check to the settings as merged, if they say the other or it again")
    func mended() throws {
        for variable in ["AUMD_PERIOD_MS", "AUMD_BUFFER_MS"] {
            let environment = try Settings(environment: [variable: variable == "AUMD_PERIOD_MS" ? "5" : "20"])
            let file = try Settings(yaml: "source: {buffer_ms: 15}", under: environment)
            #expect(throws: Never.self) { try environment.merging(over: file).checkCombination() }
            #expect(throws: InvalidSettings.self) {
                try Settings(yaml: "source: {period_ms: 10, buffer_ms: 15}", under: environment)
            }
        }
        #expect(throws: InvalidSettings.self) {
            try Settings(yaml: "source: {buffer_ms: 15}", under: Settings(environment: ["AUMD_RATE": "8000"]))
        }
    }
}

@Suite("The rules of a model's labels")
struct RuleTests {
    let labels: [Settings.ModelLabel] = [
        ("Speech", nil, nil, nil, 0), ("Bark", 0.4, 0.25, nil, 0), ("Siren", 0.6, 0.5, nil, 0), ("Alarm clock", nil, nil, nil, 0),
    ]

    @Test("without settings: the model's thresholds, else the defaults")
    func defaults() throws {
        #expect(try Settings().rules(labels: labels) == [
            LabelRule(), LabelRule(on: 0.4, off: 0.25), LabelRule(on: 0.6, off: 0.5), LabelRule(),
        ])
    }

    @Test("a label's own setting goes over the one for all, which goes over the model's")
    func order() throws {
        let settings = try Settings(yaml: """
            events:
              default: {on: 0.7, cooldown: 2}
              labels: {Bark: {on: 0.3, minimum_duration: 1, minimum_gap: 3}, Speech: {mute: true, cooldown: 0}}
              groups: {Alarm: [Siren, Alarm clock]}
            """)
        #expect(try settings.rules(labels: labels) == [
            LabelRule(on: 0.7, off: 0.3, cooldown: 0, mute: true),
            LabelRule(on: 0.3, off: 0.25, minimumDuration: 1, minimumGap: 3, cooldown: 2),
            LabelRule(on: 0.7, off: 0.5, cooldown: 2, group: "Alarm"),
            LabelRule(on: 0.7, off: 0.3, cooldown: 2, group: "Alarm"),
        ])
    }

    @Test("the model's habituation holds where the user chose no `on`")
    func habituation() throws {
        let labels: [Settings.ModelLabel] = [("Bark", 0.4, 0.25, nil, 2.5), ("Siren", 0.6, 0.5, nil, 2.5)]
        let settings = try Settings(yaml: "events: {default: {sensitivity: 1}, labels: {Bark: {on: 0.3}}}")
        #expect(try settings.rules(labels: labels).map(\.habituation) == [0, 2.5])
        #expect(try Settings(yaml: "events: {default: {on: 0.3}}").rules(labels: labels).map(\.habituation) == [0, 0])
    }

    @Test("an inherited off gives way to a lower on")
    func lowerOn() throws {
        let rules = try Settings(yaml: "events: {labels: {Siren: {on: 0.2}}}").rules(labels: labels)
        #expect(rules[2] == LabelRule(on: 0.2, off: 0.2))
        #expect(try Settings(yaml: "events: {default: {off: 0.45}}").rules(labels: labels)[1] == LabelRule(on: 0.4, off: 0.4))
    }

    @Test("the model's provisional threshold stays as far from on, in log odds, as the model has it")
    func provisional() throws {
        let labels: [Settings.ModelLabel] = [("Bark", 0.6, 0.2, 0.4, 0)]
        func rule(_ yaml: String) throws -> LabelRule { try Settings(yaml: yaml).rules(labels: labels)[0] }
        #expect(try rule("{}").provisionalOn == 0.4)
        func odds(_ score: Float) -> Float { score / (1 - score) }
        for on in [Float(0.01), 0.3, 0.7, 0.99] {
            let moved = try #require(try rule("events: {default: {on: \(on)}}").provisionalOn)
            #expect(abs(odds(moved) / odds(on) * odds(0.6) / odds(0.4) - 1) < 1e-4, "\(on) \(moved)")
        }
        #expect(try rule("events: {default: {on: 1}}").provisionalOn == nil)
        #expect(try rule("events: {default: {on: 0.7}, labels: {Bark: {provisional_on: 0.5}}}").provisionalOn == 0.5)
        #expect(try rule("events: {labels: {Bark: {off: 0.1}}}").provisionalOn == 0.4)
    }

    @Test("a sensitivity moves what the model chose, and nothing that the user chose")
    func sensitivity() throws {
        let labels: [Settings.ModelLabel] = [("Bark", 0.5, 0.25, 0.5, 0), ("Siren", 0.9, 0.3, 0.8, 0)]
        func rules(_ yaml: String) throws -> [LabelRule] { try Settings(yaml: yaml).rules(labels: labels) }
        let moved = try rules("events: {default: {sensitivity: 1}, labels: {Siren: {on: 0.7}}}")
        let on = Float(1 / (1 + exp(1.0)))
        #expect(moved[0] == LabelRule(on: on, off: 0.25 * (on / 0.5), provisionalOn: on))
        #expect(moved[1] == (try rules("events: {labels: {Siren: {on: 0.7}}}")[1]))
        #expect((moved[1].on, moved[1].off) == (0.7, 0.3))
        #expect(try rules("events: {default: {sensitivity: 0}}") == rules("{}"))
        #expect(try rules("events: {default: {sensitivity: 2}, labels: {Bark: {sensitivity: 0}}}")[0] == rules("{}")[0])
        #expect(try rules("events: {default: {on: 0.9, off: 0.2, provisional_on: 0.3}, labels: {Siren: {sensitivity: 1}}}")[1] == rules("events: {default: {sensitivity: 1}}")[1])
        #expect(try rules("events: {default: {on: 0.9}, labels: {Siren: {sensitivity: 1}}}")[0].on == 0.9)
        for extreme in [-10.0, 10] {
            let rule = try rules("events: {default: {sensitivity: \(extreme)}}")[1]
            #expect(0 < rule.off && rule.off <= rule.on && rule.on < 1)
        }
    }

    @Test("an off above the model's on is told")
    func highOff() throws {
        let settings = try Settings(yaml: "events:\n  labels:\n    Bark: {off: 0.45}\n", path: "f")
        let error = #expect(throws: InvalidSettings.self) { try settings.rules(labels: labels) }
        #expect("\(error!)" == #"f:3:17: events.labels.Bark.off cannot be 0.45; give at most the "on" that holds for the label, 0.4."#)
    }

    @Test("every unknown label is told with its line and the nearest label")
    func unknownLabels() throws {
        let settings = try Settings(yaml: """
            events:
              labels:
                bark: {on: 0.2}
                Speach: {mute: true}
              groups:
                Alarm: [Siren, Alarmclock]
            """, path: "f")
        let error = #expect(throws: InvalidSettings.self) { try settings.rules(labels: labels) }
        #expect("\(error!)" == """
            f:3:5: the model has no label "bark"; the nearest is "Bark".
            f:4:5: the model has no label "Speach"; the nearest is "Speech".
            f:6:20: the model has no label "Alarmclock"; the nearest is "Alarm clock".
            """)
    }
}
