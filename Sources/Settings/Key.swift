/// A key with a single value: its name, its type and range, and its place in `Root`. The tables below are the one place
/// that names a key; reading, merging, the environment and the nearest valid key all go by them.
struct Key<Root: Sendable>: Sendable {
    /// Name from the root of its table, parts joined with dots.
    let path: String
    /// The environment variable that says the same; empty for none.
    let variable: String
    let set: @Sendable (inout Root, Value) throws(Value.Problem) -> Void
    /// Copies the second's value, where it has one, to the first.
    let merge: @Sendable (inout Root, Root) -> Void

    init<T>(
        _ path: String, _ place: WritableKeyPath<Root, T?> & Sendable, variable: String = "",
        _ read: @escaping @Sendable (Value) -> Value.Reading<T>
    ) {
        self.path = path
        self.variable = variable
        set = { (root, value) throws(Value.Problem) in root[keyPath: place] = try read(value).get() }
        merge = { root, other in
            if let value = other[keyPath: place] { root[keyPath: place] = value }
        }
    }
}

extension Key<Settings> {
    static let all: [Key<Settings>] = [
        Key("model", \.model, variable: "AUMD_MODEL") { $0.string(limit: 4095) },
        Key("sounds", \.sounds, variable: "AUMD_SOUNDS") { $0.string(limit: 4095) },
        Key("source.name", \.source.name, variable: "AUMD_SOURCE_NAME") { $0.string(limit: 255) },
        Key("source.device", \.source.device, variable: "AUMD_DEVICE") { $0.string(limit: 1023) },
        Key("source.channel", \.source.channel, variable: "AUMD_CHANNEL") { $0.channel() },
        Key("source.rate", \.source.rate, variable: "AUMD_RATE") { $0.integer(4_000...384_000, unit: " Hz") },
        Key("source.period_ms", \.source.periodMilliseconds, variable: "AUMD_PERIOD_MS") {
            $0.number(1...1_000, unit: " ms")
        },
        Key("source.buffer_ms", \.source.bufferMilliseconds, variable: "AUMD_BUFFER_MS") {
            $0.number(2...10_000, unit: " ms")
        },
        Key("source.quiet_hours", \.source.quietHours, variable: "AUMD_QUIET_HOURS") { $0.quietHours() },
        // sun_path of unix(7) holds 108 bytes with the final NUL.
        Key("source.control", \.source.control, variable: "AUMD_CONTROL") { $0.string(limit: 107) },
        Key("source.control_mode", \.source.controlMode, variable: "AUMD_CONTROL_MODE") { $0.mode() },
        Key("source.pause_file", \.source.pauseFile, variable: "AUMD_PAUSE_FILE") { $0.string(limit: 4000) },
        Key("stream.window", \.stream.window, variable: "AUMD_WINDOW") { $0.bool() },
        Key("stream.chunk", \.stream.chunk, variable: "AUMD_CHUNK") { $0.integer(1...1_024) },
        Key("stream.lookahead", \.stream.lookahead, variable: "AUMD_LOOKAHEAD") { $0.integer(0...1_024) },
        Key("output.stdout", \.output.stdout, variable: "AUMD_STDOUT") { $0.bool() },
        Key("output.file", \.output.file, variable: "AUMD_FILE") { $0.string(limit: 4095) },
        Key("output.socket", \.output.socket, variable: "AUMD_SOCKET") { $0.string(limit: 107) },
        Key("output.socket_mode", \.output.socketMode, variable: "AUMD_SOCKET_MODE") { $0.mode() },
        Key("output.journal", \.output.journal, variable: "AUMD_JOURNAL") { $0.bool() },
        Key("output.scores", \.output.scores, variable: "AUMD_SCORES") { $0.integer(0...100_000) },
        Key("output.metrics", \.output.metrics, variable: "AUMD_METRICS") { $0.string(limit: 4000) },
        Key("output.status_interval", \.output.statusInterval, variable: "AUMD_STATUS_INTERVAL") {
            $0.number(0.1...86_400, unit: " s")
        },
        Key("recordings.folder", \.recordings.folder, variable: "AUMD_RECORDINGS_FOLDER") { $0.string(limit: 3900) },
        Key("recordings.before", \.recordings.before, variable: "AUMD_RECORDINGS_BEFORE") { $0.number(0...60, unit: " s") },
        Key("recordings.after", \.recordings.after, variable: "AUMD_RECORDINGS_AFTER") { $0.number(0...60, unit: " s") },
        Key("recordings.longest", \.recordings.longest, variable: "AUMD_RECORDINGS_LONGEST") { $0.number(1...300, unit: " s") },
        Key("recordings.keep_mb", \.recordings.keepMegabytes, variable: "AUMD_RECORDINGS_KEEP_MB") {
            $0.number(1...1e9, unit: " MB")
        },
        Key("mqtt.broker", \.mqtt.broker, variable: "AUMD_MQTT_BROKER") { $0.broker() },
        Key("mqtt.user", \.mqtt.user, variable: "AUMD_MQTT_USER") { $0.string(limit: 65_535) },
        Key("mqtt.password_file", \.mqtt.passwordFile, variable: "AUMD_MQTT_PASSWORD_FILE") { $0.string(limit: 4095) },
        Key("mqtt.ca_file", \.mqtt.certificateFile, variable: "AUMD_MQTT_CA_FILE") { $0.string(limit: 4095) },
        Key("mqtt.topic", \.mqtt.topic, variable: "AUMD_MQTT_TOPIC") { $0.topic() },
        Key("mqtt.discovery", \.mqtt.discovery, variable: "AUMD_MQTT_DISCOVERY") { $0.bool() },
        Key("mqtt.provisional", \.mqtt.provisional, variable: "AUMD_MQTT_PROVISIONAL") { $0.bool() },
        Key("mqtt.can_pause", \.mqtt.canPause, variable: "AUMD_MQTT_CAN_PAUSE") { $0.bool() },
    ]
}

extension Key<Settings.Rule> {
    static let all: [Key<Settings.Rule>] = [
        Key("sensitivity", \.sensitivity) { $0.number(-10...10) },
        Key("on", \.on) { $0.threshold() },
        Key("off", \.off) { $0.threshold() },
        Key("provisional_on", \.provisionalOn) { $0.threshold() },
        Key("minimum_duration", \.minimumDuration) { $0.number(0...86_400, unit: " s") },
        Key("minimum_gap", \.minimumGap) { $0.number(0...86_400, unit: " s") },
        Key("cooldown", \.cooldown) { $0.number(0...86_400, unit: " s") },
        Key("mute", \.mute) { $0.bool() },
    ]
}

/// The nearest of some names, letter case ignored.
func nearest(to name: String, among candidates: [String]) -> String {
    candidates.min { distance(name, $0) < distance(name, $1) } ?? ""
}

/// How far a name is from another, to compare: the edit distance, and between equals the longer beginning in common.
func distance(_ name: String, _ other: String) -> (Int, Int) {
    // The cost is quadratic, and no key of ours is this long.
    let a = Array(name.lowercased().unicodeScalars.prefix(256))
    let b = Array(other.lowercased().unicodeScalars.prefix(256))
    return (editDistance(a, b), -zip(a, b).prefix { $0 == $1 }.count)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other (optimal string
/// alignment distance).
func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var before: [Int] = []
    var above = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var cost = min(above[j + 1], row[j]) + 1
            cost = min(cost, above[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
            row.append(cost)
        }
        (before, above) = (above, row)
    }
    return above[b.count]
}
