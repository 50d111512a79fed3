import Glibc
import Settings
import Tagging
import Testing

@Suite("What a file says is what the settings hold")
struct ReadingTests {
    @Test("every key is read")
    func everyKey() throws {
        let settings = try Settings(yaml: """
            model: /srv/model
            source: {name: kitchen, device: "hw:CARD=Mic,DEV=0", channel: 1, rate: 48000, period_ms: 2.5, buffer_ms: 80,
                     quiet_hours: "Mon-Fri 22:00-07:00, Sat 23:00-09:00", control: c.sock, control_mode: "0660", pause_file: p}
            stream: {window: false, chunk: 4, lookahead: 0}
            events:
              default: {on: 0.6, off: 0.2, minimum_duration: 0.32, minimum_gap: 0.2, cooldown: 0, mute: true}
              labels: {Bark: {on: 1e-1, mute: false}}
              groups: {Alarm: [Siren, Alarm clock]}
            output: {stdout: no, file: a.ndjson, socket: e.sock, socket_mode: "0666", journal: yes, scores: 5, status_interval: 1}
            recordings: {folder: sounds, labels: [Dog, Cat], without: [Speech], before: 1, after: 0.5, longest: 9, keep_mb: 20}
            mqtt: {broker: "mqtts://b.lan", user: u, password_file: p, ca_file: c, topic: a/b, discovery: no, provisional: yes, sensors: [Dog],
                   can_pause: true}
            """)
        #expect(settings.model == "/srv/model")
        #expect(settings.source.name == "kitchen")
        #expect(settings.source.device == "hw:CARD=Mic,DEV=0")
        #expect(settings.source.channel == .one(1))
        #expect(settings.source.rate == 48_000)
        #expect(settings.source.periodMilliseconds == 2.5)
        #expect(settings.source.bufferMilliseconds == 80)
        #expect(settings.source.quietHours == QuietHours("Mon-Fri 22:00-07:00, Sat 23:00-09:00"))
        #expect(settings.source.control == "c.sock")
        #expect(settings.source.controlMode == 0o660)
        #expect(settings.source.pauseFile == "p")
        #expect(settings.stream.window == false)
        #expect(settings.stream.chunk == 4)
        #expect(settings.stream.lookahead == 0)
        #expect(settings.events.standard.on == 0.6)
        #expect(settings.events.standard.off == 0.2)
        #expect(settings.events.standard.minimumDuration == 0.32)
        #expect(settings.events.standard.minimumGap == 0.2)
        #expect(settings.events.standard.cooldown == 0)
        #expect(settings.events.standard.mute == true)
        #expect(settings.events.labels["Bark"]?.on == 0.1)
        #expect(settings.events.labels["Bark"]?.mute == false)
        #expect(settings.events.groups["Alarm"]?.map(\.label) == ["Siren", "Alarm clock"])
        #expect(settings.output.stdout == false)
        #expect(settings.output.file == "a.ndjson")
        #expect(settings.output.socket == "e.sock")
        #expect(settings.output.socketMode == 0o666)
        #expect(settings.output.journal == true)
        #expect(settings.output.scores == 5)
        #expect(settings.output.statusInterval == 1)
        #expect(settings.recordings.folder == "sounds")
        #expect(settings.recordings.labels?.map(\.label) == ["Dog", "Cat"] && settings.recordings.without?.map(\.label) == ["Speech"])
        #expect(settings.recordings.before == 1)
        #expect(settings.recordings.after == 0.5)
        #expect(settings.recordings.longest == 9)
        #expect(settings.recordingsLimit == 20_000_000)
        #expect(settings.mqtt.broker?.host == "b.lan")
        #expect(settings.mqtt.user == "u")
        #expect(settings.mqtt.passwordFile == "p")
        #expect(settings.mqtt.certificateFile == "c")
        #expect(settings.mqtt.topic == "a/b")
        #expect(settings.mqtt.discovery == false)
        #expect(settings.mqtt.provisional == true)
        #expect(settings.mqtt.canPause == true)
        #expect(settings.mqtt.sensors?.map(\.label) == ["Dog"])
    }

    @Test("a broker's address is a scheme, a host, and a port where it is not the usual one", arguments: [
        ("mqtt://broker", "broker", 1883, false), ("mqtts://broker", "broker", 8883, true), ("mqtt://10.0.0.1:18", "10.0.0.1", 18, false),
        ("mqtts://[::1]", "::1", 8883, true), ("mqtt://[fe80::1]:99/", "fe80::1", 99, false),
    ])
    func broker(text: String, host: String, port: Int, isEncrypted: Bool) throws {
        let settings = try Settings(yaml: "mqtt: {broker: \"\(text)\"}")
        #expect(settings.mqtt.broker?.host == host && settings.mqtt.broker?.port == port)
        #expect(settings.mqtt.broker?.isEncrypted == isEncrypted)
    }

    @Test("what is no broker's address is refused", arguments: [
        "broker", "broker:1883", "mqtt:broker", "mqtt://", "mqtt://:1883", "mqtt://broker:0", "mqtt://broker:65536", "mqtt://broker:x",
        "mqtt://u@broker", "mqtt://u:p@broker", "mqtt://broker/topic", "mqtt://broker?x", "mqtt://broker#x", "http://broker", "mqtt://a b",
    ])
    func noBroker(text: String) {
        #expect(throws: InvalidSettings.self) { try Settings(yaml: "mqtt: {broker: \"\(text)\"}") }
    }

    @Test("topics begin with aumd/ and the source's name, without what a topic may not hold", arguments: [
        ("kitchen", "aumd/kitchen"), ("plughw:CARD=Mic", "aumd/plughw:CARD=Mic"), ("a/b#c+d$", "aumd/a_b_c_d_"),
    ])
    func topic(name: String, topic: String) {
        var settings = Settings()
        settings.source.name = name
        #expect(settings.topic == topic)
        settings.mqtt.topic = "home/ears"
        #expect(settings.topic == "home/ears")
    }

    @Test("a file that says nothing gives the defaults", arguments: [
        "", "\n\n", "# nothing\n", "---\n", "---\n...\n", "{}", "~", "source:\n", "source: {}\noutput: ~\n", "\u{FEFF}model:\n",
        "events: {labels: , groups: , default: }",
    ])
    func nothing(text: String) throws {
        var settings = try Settings(yaml: text)
        settings.events.standard = Settings.Rule()
        #expect(settings == Settings())
    }

    @Test("the installed example says the defaults, with its keys commented out and without")
    func example() throws {
        let path = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/systemd/aumd.yaml"
        #expect(try Settings(file: path) == Settings())
        let text = try text(of: path)
        // A key that is commented out has its # in the first column and no space after it but indentation.
        let opened = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("#") && line.dropFirst().drop { $0 == " " }.prefix { $0 != ":" }.allSatisfy { $0.isLetter || $0 == "_" }
                && line.contains(":") ? String(line.dropFirst()) : String(line)
        }.joined(separator: "\n")
        let settings = try Settings(yaml: opened)
        let silent = Settings()
        #expect(settings.model == nil && settings.source.name == nil && settings.source.rate == nil)
        #expect(settings.device == silent.device && settings.source.device != nil)
        #expect(settings.channel == silent.channel && settings.source.channel != nil)
        #expect(settings.periodMilliseconds == silent.periodMilliseconds && settings.source.periodMilliseconds != nil)
        #expect(settings.bufferMilliseconds == silent.bufferMilliseconds && settings.source.bufferMilliseconds != nil)
        #expect(settings.usesWindow == silent.usesWindow && settings.stream.window != nil)
        #expect(settings.stream.chunk == nil && settings.stream.lookahead == nil)
        #expect(settings.writesStandardOutput == silent.writesStandardOutput && settings.output.stdout != nil)
        #expect(settings.output.file == nil && settings.output.socket == nil)
        #expect(settings.socketMode == silent.socketMode && settings.output.socketMode != nil)
        #expect(settings.writesJournal == silent.writesJournal && settings.output.journal != nil)
        #expect(settings.scores == silent.scores && settings.output.scores != nil)
        #expect(settings.statusInterval == silent.statusInterval && settings.output.statusInterval != nil)
        #expect(settings.announcesEntities == silent.announcesEntities && settings.mqtt.discovery != nil)
        #expect(settings.provisionalSwitchesSensors == silent.provisionalSwitchesSensors && settings.mqtt.provisional != nil)
        #expect(settings.recordings.folder == nil && settings.recordings.labels == nil)
        #expect(settings.recordedBefore == silent.recordedBefore && settings.recordings.before != nil)
        #expect(settings.recordedAfter == silent.recordedAfter && settings.recordings.after != nil)
        #expect(settings.longestRecorded == silent.longestRecorded && settings.recordings.longest != nil)
        #expect(settings.recordingsLimit == silent.recordingsLimit && settings.recordings.keepMegabytes != nil)
        #expect(settings.mqtt.broker == nil && settings.topic == silent.topic && settings.mqtt.sensors == [])
        let labels: [Settings.ModelLabel] = [("Bark", 0.4, 0.2, 0.3, 0), ("Siren", nil, nil, nil, 0)]
        #expect(settings.events.standard.cooldown != nil && settings.events.standard.minimumDuration != nil)
        #expect(try settings.rules(labels: labels) == silent.rules(labels: labels))
        for key in [
            "model", "name", "device", "channel", "rate", "period_ms", "buffer_ms", "window", "chunk", "lookahead", "on",
            "sensitivity", "off", "provisional_on", "minimum_duration", "minimum_gap", "cooldown", "mute", "labels", "groups", "stdout", "file", "socket", "socket_mode",
            "journal", "scores", "status_interval", "folder", "before", "after", "longest", "keep_mb", "broker", "user", "password_file", "ca_file", "topic", "discovery", "sensors", "provisional",
        ] {
            #expect(opened.contains("\n") && opened.split(separator: "\n").contains { $0.drop { $0 == " " }.hasPrefix("\(key):") }, "\(key)")
        }
    }

    @Test("texts that YAML 1.1 takes for something else stay texts")
    func texts() throws {
        #expect(try Settings(yaml: "source: {name: no}").source.name == "no")
        #expect(try Settings(yaml: "source: {name: 0123}").source.name == "0123")
        #expect(try Settings(yaml: "source: {name: 2026-11-23}").source.name == "2026-11-23")
        #expect(try Settings(yaml: "source: {name: 'null'}").source.name == "null")
        #expect(try Settings(yaml: "events: {labels: {No: {on: 0.4, off: 0.1}, 1: {\"on\": 0.3}}}").events.labels.keys.sorted() == ["1", "No"])
    }

    @Test("true and false have three names each, in any case, and all channels one")
    func words() throws {
        for (words, value) in [(["true", "yes", "on", "True", "YES", "On"], true), (["false", "no", "off", "False", "NO", "Off"], false)] {
            for word in words { #expect(try Settings(yaml: "output: {stdout: \(word)}").output.stdout == value, "\(word)") }
        }
        for word in ["all", "All", "ALL"] { #expect(try Settings(yaml: "source: {channel: \(word)}").source.channel == .all) }
    }

    @Test("a number is taken to both ends of its range and no further", arguments: [
        ("source.channel", ["0", "1023"], ["-1", "1024"]), ("source.rate", ["4000", "384000"], ["3999", "384001"]),
        ("source.period_ms", ["1", "1000"], ["0.999", "1000.1"]), ("source.buffer_ms", ["2", "10000"], ["1.999", "10000.1"]),
        ("stream.chunk", ["1", "1024"], ["0", "1025"]), ("stream.lookahead", ["0", "1024"], ["-1", "1025"]),
        ("output.scores", ["0", "100000"], ["-1", "100001"]), ("output.socket_mode", ["0", "0777"], ["01000"]),
        ("output.status_interval", ["0.1", "86400"], ["0.099", "86400.1"]),
    ])
    func ranges(key: String, allowed: [String], refused: [String]) throws {
        var settings = Settings()
        for text in allowed { #expect(throws: Never.self) { try settings.set(key, to: text, origin: "") } }
        for text in refused { #expect(throws: SettingsError.self, "\(text)") { try settings.set(key, to: text, origin: "") } }
    }

    @Test("a label's numbers too", arguments: [
        ("sensitivity", ["-10", "10"], ["-10.1", "10.1"]), ("on", ["1e-6", "1"], ["0", "1.001"]),
        ("minimum_duration", ["0", "86400"], ["-0.1", "86400.1"]), ("minimum_gap", ["0", "86400"], ["-0.1", "86400.1"]),
        ("cooldown", ["0", "86400"], ["-0.1", "86400.1"]),
    ])
    func rangesOfRules(key: String, allowed: [String], refused: [String]) throws {
        for text in allowed { #expect(throws: Never.self) { try Settings(yaml: "events: {labels: {Bark: {\(key): \(text)}}}") } }
        for text in refused {
            #expect(throws: InvalidSettings.self, "\(text)") { try Settings(yaml: "events: {labels: {Bark: {\(key): \(text)}}}") }
        }
    }

    @Test("a text has at most the bytes that the system takes", arguments: [
        ("model", 4095), ("source.name", 255), ("source.device", 1023), ("output.file", 4095), ("output.socket", 107),
    ])
    func lengths(key: String, limit: Int) throws {
        var settings = Settings()
        try settings.set(key, to: String(repeating: "x", count: limit), origin: "")
        #expect(throws: SettingsError.self) { try settings.set(key, to: String(repeating: "x", count: limit - 1) + "ü", origin: "") }
    }

    @Test("the socket's mode is octal in every spelling", arguments: ["0660", "660", "\"0660\"", "0o660"])
    func mode(text: String) throws {
        #expect(try Settings(yaml: "output: {socket_mode: \(text)}").output.socketMode == 0o660)
    }

    @Test("anchors and aliases are followed")
    func anchors() throws {
        let settings = try Settings(yaml: """
            events:
              labels:
                Bark: &quick {on: 0.2, cooldown: 1}
                Dog: *quick
            """)
        #expect(settings.events.labels["Dog"]?.on == 0.2)
    }

    @Test("Windows line ends and the last line without one are fine")
    func lineEnds() throws {
        #expect(try Settings(yaml: "source:\r\n  device: hw:1\r\n  rate: 8000").source.rate == 8000)
    }

    private func text(of path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
