/// What the user said about how aumd runs. nil is "not said": `merging(over:)` lays one set over another, and the
/// accessors in Settings+Defaults.swift fill in what nobody said. The keys, their types and ranges are in Key.swift.
public struct Settings: Sendable, Equatable {
    /// Model folder; nil for the model that comes with the program.
    public var model: String?
    /// Folder of learned sounds.
    public var sounds: String?
    public var source = Source()
    public var stream = Stream()
    public var events = Events()
    public var output = Output()
    public var recordings = Recordings()
    public var mqtt = MQTT()

    /// Where sound comes from.
    public struct Source: Sendable, Equatable {
        /// Name of the source in every record.
        public var name: String?
        /// ALSA PCM, as `arecord -D` takes it.
        public var device: String?
        /// What of the device is heard.
        public var channel: Channel?
        /// Hz; nil for what the device offers best.
        public var rate: Int?
        /// ALSA's period in milliseconds.
        public var periodMilliseconds: Double?
        /// ALSA's buffer in milliseconds.
        public var bufferMilliseconds: Double?
        /// When the device is closed.
        public var quietHours: QuietHours?
        /// Unix socket that takes requests: to pause, to go on, to keep what was heard.
        public var control: String?
        /// Permission bits of that socket.
        public var controlMode: Int?
        /// File that has the pause which was asked for.
        public var pauseFile: String?
    }

    /// Which channels of a device make the mono signal.
    public enum Channel: Sendable, Equatable {
        /// The mean of all.
        case all
        /// One; the first is 0.
        case one(Int)
    }

    /// How the model runs as a stream.
    public struct Stream: Sendable, Equatable {
        /// Whether window passes confirm the provisional scores.
        public var window: Bool?
        /// Columns that a window pass confirms; nil for the model's own.
        public var chunk: Int?
        /// Columns to the right of the chunk; nil for the model's own.
        public var lookahead: Int?
    }

    /// When scores become events.
    public struct Events: Sendable, Equatable {
        /// For every label.
        public var standard = Rule()
        /// By label name, over `standard`.
        public var labels: [String: Rule] = [:]
        /// By group name: labels that share an event.
        public var groups: [String: [Member]] = [:]
    }

    /// What was said about a label, or about all.
    public struct Rule: Sendable, Equatable {
        /// Log odds by which the model's own thresholds are lowered.
        public var sensitivity: Double?
        /// Score that starts an event.
        public var on: Float?
        /// Provisional score that starts one.
        public var provisionalOn: Float?
        /// Score below which it ends.
        public var off: Float?
        /// Seconds.
        public var minimumDuration: Double?
        /// Seconds.
        public var minimumGap: Double?
        /// Seconds.
        public var cooldown: Double?
        /// Whether the label never makes an event.
        public var mute: Bool?
        /// Where the label is named, and where its `off`.
        public internal(set) var origin: Origin?
        var offOrigin: Origin?

        /// A rule that was not read from a file; nil is "not said".
        public init(
            sensitivity: Double? = nil, on: Float? = nil, off: Float? = nil, provisionalOn: Float? = nil,
            minimumDuration: Double? = nil, minimumGap: Double? = nil, cooldown: Double? = nil, mute: Bool? = nil
        ) {
            self.sensitivity = sensitivity
            self.on = on
            self.off = off
            self.provisionalOn = provisionalOn
            self.minimumDuration = minimumDuration
            self.minimumGap = minimumGap
            self.cooldown = cooldown
            self.mute = mute
        }
    }

    /// A label in a list.
    public struct Member: Sendable, Equatable {
        /// Its name.
        public var label: String
        /// Where the label is named.
        public internal(set) var origin: Origin?

        /// A member that was not read from a file.
        public init(_ label: String) { self.label = label }
    }

    /// Where records go.
    public struct Output: Sendable, Equatable {
        /// NDJSON to standard output.
        public var stdout: Bool?
        /// NDJSON file to append to.
        public var file: String?
        /// Unix socket that clients read NDJSON from.
        public var socket: String?
        /// Permission bits of the socket.
        public var socketMode: Int?
        /// Events to the systemd journal.
        public var journal: Bool?
        /// How many of every column's top scores are written.
        public var scores: Int?
        /// File of metrics for Prometheus.
        public var metrics: String?
        /// Seconds between status records.
        public var statusInterval: Double?
    }

    /// What sound is kept, and where.
    public struct Recordings: Sendable, Equatable {
        /// Where; nil: nowhere.
        public var folder: String?
        /// Labels whose events are recorded; nil for all.
        public var labels: [Member]?
        /// Labels whose sound is in no recording; nil for none.
        public var without: [Member]?
        /// Seconds before the onset.
        public var before: Double?
        /// Seconds after the offset.
        public var after: Double?
        /// Seconds of an event at most.
        public var longest: Double?
        /// Megabytes (10⁶ bytes) that recordings may take in all.
        public var keepMegabytes: Double?
    }

    /// Where `aumd mqtt` takes records to.
    public struct MQTT: Sendable, Equatable {
        /// The broker.
        public var broker: Broker?
        /// Name that the broker knows the program by.
        public var user: String?
        /// File whose first line is the password.
        public var passwordFile: String?
        /// PEM file of the certificates that are trusted; nil for the system's.
        public var certificateFile: String?
        /// What every topic begins with.
        public var topic: String?
        /// Whether Home Assistant is told of the entities.
        public var discovery: Bool?
        /// Whether a provisional event switches a sensor on.
        public var provisional: Bool?
        /// Labels that have a sensor.
        public var sensors: [Member]?
        /// Whether the broker's clients may have the daemon pause and go on.
        public var canPause: Bool?
    }

    /// Where an MQTT broker is.
    public struct Broker: Sendable, Equatable {
        /// Name or address.
        public var host: String
        /// TCP port.
        public var port: Int
        /// Whether it speaks TLS.
        public var isEncrypted: Bool
    }

    /// Settings that say nothing.
    public init() {}

    /// These settings where something was said, `other` elsewhere. Rules of a label merge key by key; a group replaces
    /// the group of the same name, and a list of labels the other list.
    public func merging(over other: Settings) -> Settings {
        var merged = other
        for key in Key<Settings>.all { key.merge(&merged, self) }
        merged.events.standard = events.standard.merging(over: other.events.standard)
        merged.events.labels.merge(events.labels) { $1.merging(over: $0) }
        merged.events.groups.merge(events.groups) { $1 }
        merged.recordings.labels = recordings.labels ?? other.recordings.labels
        merged.recordings.without = recordings.without ?? other.recordings.without
        merged.mqtt.sensors = mqtt.sensors ?? other.mqtt.sensors
        return merged
    }
}

extension Settings.Rule {
    func merging(over other: Self) -> Self {
        var merged = other
        for key in Key<Settings.Rule>.all { key.merge(&merged, self) }
        merged.origin = origin ?? other.origin
        return merged
    }
}
