import Glibc
import Settings
import TestSupport
import Testing

@Suite("What is wrong with a file is told in one sentence each")
struct ErrorTests {
    @Test("place, key and what is right", arguments: [
        ("modle: x", "f:1:1: there is no key modle; the nearest is model."),
        ("device: hw:1", "f:1:1: there is no key device; the nearest is source.device."),
        ("source:\n  devcie: hw:1", "f:2:3: there is no key source.devcie; the nearest is source.device."),
        ("source:\n  Rate: 1", "f:2:3: there is no key source.Rate; the nearest is source.rate."),
        ("output: {sockt_mode: 1}", "f:1:10: there is no key output.sockt_mode; the nearest is output.socket_mode."),
        ("events: {label: {}}", "f:1:10: there is no key events.label; the nearest is events.labels."),
        ("events: {labels: {Alarm clock: {of: 0.1}}}",
         #"f:1:33: there is no key events.labels."Alarm clock".of; the nearest is off."#),
        ("events: {default: {fof: 0.1}}", "f:1:20: there is no key events.default.fof; the nearest is off."),
        ("no: 1", "f:1:1: there is no key no; the nearest is events.default.on."),
        ("events: {cooldown: 3}", "f:1:10: there is no key events.cooldown; the nearest is events.default.cooldown."),
        ("source: kitchen", "f:1:9: source is kitchen; give keys with values."),
        ("[1, 2]", "f:1:1: the file is a list; give keys with values."),
        ("hello", "f:1:1: the file is hello; give keys with values."),
        ("model: [a]", "f:1:8: model is a list; give a single value."),
        ("source: {rate: {a: 1}}", "f:1:16: source.rate is keys with values; give a single value."),
        ("source: {rate: fast}", "f:1:16: source.rate is fast; give a whole number."),
        ("source: {rate: \"48000\"}", "f:1:16: source.rate is \"48000\"; give a whole number."),
        ("source: {rate: 44.1}", "f:1:16: source.rate is 44.1; give a whole number."),
        ("source: {rate: 048000}", "f:1:16: source.rate is 048000; give a whole number."),
        ("source: {rate: 0x1F40}", "f:1:16: source.rate is 0x1F40; give a whole number."),
        ("source: {rate: 1_000}", "f:1:16: source.rate is 1_000; give a whole number."),
        ("source: {rate: 0}", "f:1:16: source.rate cannot be 0; give a whole number from 4000 to 384000 Hz."),
        ("source: {rate: 99999999999999999999999}",
         "f:1:16: source.rate cannot be 99999999999999999999999; give a whole number from 4000 to 384000 Hz."),
        ("source: {channel: left}", "f:1:19: source.channel is left; give all, or a channel's number (the first is 0)."),
        ("source: {channel: -1}", "f:1:19: source.channel cannot be -1; give a whole number from 0 to 1023."),
        ("source: {name: \"a\\nb\"}",
         "f:1:16: source.name cannot be \"a b\"; give 1 to 255 bytes of text without control characters."),
        ("source: {name: ''}",
         "f:1:16: source.name cannot be \"\"; give 1 to 255 bytes of text without control characters."),
        ("source: {period_ms: 150}",
         "f:1:21: source.buffer_ms cannot be 200; give at least two periods (source.period_ms is 150)."),
        ("source: {period_ms: 150, buffer_ms: much}", "f:1:37: source.buffer_ms is much; give a number."),
        ("stream: {window: maybe}", "f:1:18: stream.window is maybe; give true or false."),
        ("stream: {window: \(String(repeating: "x", count: 61))}",
         "f:1:18: stream.window is \(String(repeating: "x", count: 60))…; give true or false."),
        ("stream: {window: 'true'}", "f:1:18: stream.window is \"true\"; give true or false."),
        ("output: {socket_mode: rw}", "f:1:23: output.socket_mode is rw; give octal permission bits, such as \"0660\"."),
        ("output: {socket_mode: 4755}",
         "f:1:23: output.socket_mode cannot be 4755; give octal permission bits from 0000 to 0777."),
        ("output: {socket_mode: 0680}",
         "f:1:23: output.socket_mode cannot be 0680; give octal permission bits from 0000 to 0777."),
        ("events: {groups: {\"a\\e\": [Siren]}}",
         "f:1:19: the name of a group cannot be \"a\u{1B}\"; give 1 to 255 bytes of text without control characters."),
        ("events: {groups: {A: Siren}}",
         "f:1:22: events.groups.A is Siren; give a list of labels, such as [Siren, Alarm clock]."),
        ("events: {groups: {A: [Siren, {}]}}",
         "f:1:30: events.groups.A is keys with values; give a list of labels, such as [Siren, Alarm clock]."),
        ("events: {groups: {A: [Siren], B: [Siren]}}",
         #"f:1:35: events.groups.B cannot be joined by "Siren"; give each label to one group (it is in "A")."#),
        ("events: {groups: {A: [Siren, Siren]}}",
         #"f:1:30: events.groups.A cannot be joined by "Siren"; give each label to one group (it is in "A")."#),
        ("events: {default: {on: 0.3, off: 0.5}}",
         #"f:1:34: events.default.off cannot be 0.5; give at most the "on" of 0.3."#),
        ("model: a\nsource: {rate: 8000}\nmodel: b", "f:1:1: the key model is there twice in its section; keep one of them."),
        ("source: {'rate': 8000, \"rate\": 9000}", "f:1:10: the key rate is there twice in its section; keep one of them."),
        ("? [a]\n: 1", "f:1:3: a key is a list; give a text."),
    ])
    func sentences(text: String, sentence: String) {
        let error = #expect(throws: InvalidSettings.self) { try Settings(yaml: text, path: "f") }
        #expect("\(error!)" == sentence)
    }

    @Test("an off above its own on is told with the file, and the rules do not tell it again")
    func toldOnce() throws {
        let path = "/tmp/aumd-settings-off-\(getpid())"
        defer { unlink(path) }
        let text = Array("events: {labels: {Bark: {on: 0.4, off: 0.8}}}".utf8)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = write(file, text, text.count)
        close(file)
        let (settings, errors) = Settings.reading(file: path)
        #expect(errors.map(\.description) == [
            "\(path):1:40: events.labels.Bark.off cannot be 0.8; give at most the \"on\" of 0.4."
        ])
        #expect(throws: Never.self) { try settings.rules(labels: [("Bark", nil, nil, nil, 0)]) }
    }

    @Test("a pipe is read as its writer writes it")
    func pipe() throws {
        let path = "/tmp/aumd-settings-pipe-\(getpid())"
        defer { unlink(path) }
        #expect(mkfifo(path, 0o600) == 0)
        let writer = popen("(sleep 0.3; printf 'source: {rate: '; sleep 0.3; printf '8000}') > \(path)", "r")
        #expect(try Settings(file: path).source.rate == 8000)
        pclose(writer)
    }

    @Test("a text that is not UTF-8, at the first byte that is not")
    func encoding() {
        let path = "/tmp/aumd-settings-\(getpid())"
        defer { unlink(path) }
        let bytes: [UInt8] = Array("source:\n  name: k".utf8) + [0xFC] + Array("che\n".utf8)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = write(file, bytes, bytes.count)
        close(file)
        #expect(throws: InvalidSettings.self) { try Settings(file: path) }
        #expect(Settings.reading(file: path).errors.map(\.description) == [
            "\(path):2:10: this is not YAML (it is not UTF-8 text from here on); correct the line, or the one above it."
        ])
    }

    @Test("numbers that are none, for every key that takes one", arguments: ["on", "off", "provisional_on", "minimum_duration", "minimum_gap", "cooldown"])
    func notFinite(key: String) {
        for text in [".nan", "nan", "NaN", ".inf", "-.inf", "inf", "Infinity", "1e999", "-1", "-1e-9"] {
            let error = #expect(throws: InvalidSettings.self) { try Settings(yaml: "events: {default: {\(key): \(text)}}") }
            guard case .impossibleValue(_, key: "events.default.\(key)", value: text, _) = error?.errors.first else {
                Issue.record("\(key): \(text) gave \(String(describing: error))")
                continue
            }
        }
        for text in ["0x1p-1", "1:30", "one", "0,5", "1 0", "1e", "--1", "+", "."] {
            let error = #expect(throws: InvalidSettings.self) { try Settings(yaml: "events:\n  default:\n    \(key): \(text)") }
            guard case .wrongType(_, key: "events.default.\(key)", found: text, _) = error?.errors.first else {
                Issue.record("\(key): \(text) gave \(String(describing: error))")
                continue
            }
        }
    }

    @Test("thresholds lie above 0", arguments: ["0", "0.0", "1e-60", "1.0001"])
    func thresholds(text: String) {
        #expect(throws: InvalidSettings.self) { try Settings(yaml: "events: {default: {on: \(text)}}") }
    }

    @Test("all that is wrong is told at once, in the order of the file")
    func collected() {
        let error = #expect(throws: InvalidSettings.self) {
            try Settings(yaml: """
                source:
                  rate: fast
                  volume: 11
                events:
                  labels:
                    Bark: {on: 2}
                    Dog: {of: 0.1}
                output:
                  scores: -1
                models: x
                """, path: "f")
        }
        #expect("\(error!)" == """
            f:2:9: source.rate is fast; give a whole number.
            f:3:3: there is no key source.volume; the nearest is source.name.
            f:6:16: events.labels.Bark.on cannot be 2; give a number from 0 to 1.
            f:7:11: there is no key events.labels.Dog.of; the nearest is off.
            f:9:11: output.scores cannot be -1; give a whole number from 0 to 100000.
            f:10:1: there is no key models; the nearest is model.
            """)
    }

    @Test("what is not YAML is told with line and column", arguments: [
        ("source: {rate: 1", 2), ("a: b: c", 1), ("source:\n\trate: 1", 2), ("model: \"x", 1), ("model: *nobody", 1),
        ("a: 1\n b: 2", 2), ("model: \u{7}", 1), ("model: a\n---\nmodel: b", 2), ("%YAML 3.0\n---\n", 1), ("model: @x", 1),
    ])
    func notYAML(text: String, line: Int) throws {
        let error = #expect(throws: InvalidSettings.self) { try Settings(yaml: text, path: "f") }
        guard case .notYAML(.file("f", line: line, _), let problem) = try #require(error?.errors.first) else {
            Issue.record("\(error!)")
            return
        }
        #expect(problem.count > 8)
        #expect(error?.errors.count == 1)
    }

    @Test("a file of a mebibyte is read, and a larger one is not", arguments: [0, 1])
    func size(excess: Int) {
        let folder = TemporaryFolder()
        let path = folder.file("settings.yaml")
        let text = Array("model: m\n#".utf8), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let bytes = text + [UInt8](repeating: UInt8(ascii: "-"), count: (1 << 20) - text.count + excess)
        #expect(write(file, bytes, bytes.count) == bytes.count)
        close(file)
        let (settings, errors) = Settings.reading(file: path)
        #expect(settings.model == (excess == 0 ? "m" : nil))
        #expect(errors == (excess == 0 ? [] : [.unreadable(path: path, reason: "it is larger than 1 MiB")]))
    }

    @Test("files that cannot be read", arguments: ["/nonexistent.yaml", "/", "/dev/zero", ""])
    func unreadable(path: String) throws {
        let error = #expect(throws: InvalidSettings.self) { try Settings(file: path) }
        guard case .unreadable(path, _) = try #require(error?.errors.first) else {
            Issue.record("\(error!)")
            return
        }
    }

    @Test("deep, wide and mangled texts are refused or read, never a crash")
    func hostile() {
        var texts = ["[", "{a: ", "- ", "? ", "&a [*a, "].map { String(repeating: $0, count: 100_000) }
        texts.append(String(repeating: "k: 1\n", count: 300))
        texts.append((0..<2_000).map { "k\($0): 1\n" }.joined())
        let valid = "source: {rate: 8000, name: 'a'}\nevents:\n  labels:\n    Bark: &x {on: 0.4}\n    Dog: *x\n"
        for seed in UInt64(0)..<500 {
            var random = SeededRandom(seed: seed)
            var scalars = Array(valid.unicodeScalars)
            for _ in 0...Int(random.next() % 4) {
                let at = Int(random.next() % UInt64(scalars.count))
                let replacement = Array("{}[]:,&*!|>'\"%@`#\n\t -?<~\u{E000}\u{0}a1".unicodeScalars).randomElement(using: &random)!
                if random.next() % 2 == 0 { scalars[at] = replacement } else { scalars.insert(replacement, at: at) }
            }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: scalars)
            texts.append(String(text))
        }
        for text in texts {
            do throws(InvalidSettings) { _ = try Settings(yaml: text) } catch { #expect(!error.errors.isEmpty, "\(text.prefix(200))") }
        }
    }
}
