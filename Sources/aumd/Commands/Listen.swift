import ArgumentParser
import AudioMamba
import Capture
import Glibc
import Recordings
import ServiceLifecycle
import Settings
import Sinks

/// `aumd listen`: the main job.
struct Listen: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Listens and reports which sounds are present, while it happens.",
        discussion: """
            On a terminal it shows a live view, into a pipe it writes JSON lines (schema aumd/1). An AUMD_… variable \
            in the environment overrides its key of the configuration file: AUMD_DEVICE, AUMD_PERIOD_MS, AUMD_FILE.

            Examples:
              aumd listen --demo
              aumd listen --device hw:CARD=USB --journal
              aumd listen --format ndjson >> events.ndjson
              aumd listen --recordings sounds
              ffmpeg -i URL -f s16le -ar 16000 -ac 1 - | aumd listen --source -
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, text
    }

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var settingsOptions: SettingsOptions
    @OptionGroup var sourceOptions: SourceOptions
    @Option(help: "What the standard output gets in place of the live view: ndjson, or text for sentences, each with the time of the sound.")
    var format: Format?

    func run() async throws {
        EarlySignals.keep([SIGHUP, SIGINT, SIGTERM])
        try DescriptorLimit.check()
        let settings = try settingsOptions.merged()
        try sourceOptions.check(beside: settingsOptions)
        let model = try modelOptions.load(settings: settings)
        let tagging = try model.tagging(settings)
        let source = try sourceOptions.source(settings)
        let logger = ServiceLog.logger
        let outputs = try Outputs(
            settings: settings, labels: tagging.reportedNames, format: format, patience: source.patience, logger: logger,
            onReaderGone: { source.stop() })
        defer { outputs.finish() }

        var options = Pipeline.Options(name: source.name ?? settings.sourceName)
        options.device = source.device
        options.filterBank = model.filterBank
        options.scoreCount = outputs.scoreCount
        options.statusInterval = outputs.showsView ? min(1, settings.statusInterval) : settings.statusInterval
        options.analysis = Analysis.Options(settings)
        let manager = ServiceManager()
        var supervision = manager.supervision()
        supervision.live = outputs.stopWaiting
        let ready = supervision.ready
        supervision.ready = { [source = source.source] in
            ready()
            for refusal in source.statistics.refusals { outputs.notify(refusal) }
        }
        options.recordings = try model.recordings(settings)
        let pipeline = try Pipeline(
            source: source.source, model: model, tagging: tagging, options: options, supervision: supervision,
            writer: try RecordingWriter.of(settings, notify: outputs.notify), send: outputs.send)

        let control = try ControlService(source.source, settings, keeping: options.keeping)
        let service = ListenService(pipeline: pipeline, outputs: outputs, stop: { source.stop() })
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                          failureTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: HangUpService(outputs: outputs, manager: manager, stop: { source.stop() })),
                ] + (control.map { [.init(service: $0)] } ?? []),
                gracefulShutdownSignals: [.sigterm, .sigint], logger: ServiceLog.quietLogger))
        try await group.run()
        let lost = outputs.finish()
        let broken = source.source.statistics.brokenSamples
        if broken > 0 { logger.warning("\(broken) samples were NaN, infinite or out of range, and were heard as 0.") }
        if lost { throw SystemExit.ioError.exitCode }
    }
}
