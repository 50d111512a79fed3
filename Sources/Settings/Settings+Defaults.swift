import Glibc

/// What holds where nothing was said.
extension Settings {
    /// Default: the host's name.
    public var sourceName: String { source.name ?? Self.hostName }
    /// Default: the system's default PCM.
    public var device: String { source.device ?? "default" }
    /// Default: the mean of all channels.
    public var channel: Channel { source.channel ?? .all }
    /// Default: 10 ms, one hop of the frontend.
    public var periodMilliseconds: Double { source.periodMilliseconds ?? 10 }
    /// Default: 200 ms, what a busy machine may hold up the capture thread without a loss.
    public var bufferMilliseconds: Double { source.bufferMilliseconds ?? 200 }
    /// Default: 0600, owner and root.
    public var controlMode: Int { source.controlMode ?? 0o600 }
    /// Default: true, both directions.
    public var usesWindow: Bool { stream.window ?? true }
    /// Default: true.
    public var writesStandardOutput: Bool { output.stdout ?? true }
    /// Default: 0660, owner and group.
    public var socketMode: Int { output.socketMode ?? 0o660 }
    /// Default: false.
    public var writesJournal: Bool { output.journal ?? false }
    /// Default: 0, no scores.
    public var scores: Int { output.scores ?? 0 }
    /// Default: 10 s.
    public var statusInterval: Double { output.statusInterval ?? 10 }

    /// Default: 2 s.
    public var recordedBefore: Double { recordings.before ?? 2 }
    /// Default: 2 s.
    public var recordedAfter: Double { recordings.after ?? 2 }
    /// Default: 20 s.
    public var longestRecorded: Double { recordings.longest ?? 20 }
    /// Default: 1000 MB.
    public var recordingsLimit: Int64 { Int64((recordings.keepMegabytes ?? 1000) * 1e6) }

    /// Default: "aumd/" and the source's name.
    public var topic: String {
        mqtt.topic ?? "aumd/" + String(sourceName.map { "/+#$".contains($0) ? "_" : $0 })
    }
    /// Default: true.
    public var announcesEntities: Bool { mqtt.discovery ?? true }
    /// Default: false, a confirmed event only.
    public var provisionalSwitchesSensors: Bool { mqtt.provisional ?? false }
    /// Default: false.
    public var brokerCanPause: Bool { mqtt.canPause ?? false }

    /// gethostname(2), or "aumd" on a host without a name.
    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "aumd" }
        let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return text.isEmpty ? "aumd" : text
    }
}
