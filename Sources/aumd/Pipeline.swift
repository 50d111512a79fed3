import AudioMamba
import Capture
import Frontend
import Recordings
import Sinks
import Tagging

/// The whole data flow: source → frontend → analysis (recurrent step, window passes, tagger) → records.
///
/// `run` is the analysis thread. Whoever else is needed meets it in a buffer of fixed size: the capture thread in the
/// source's ring, the window passes in `WindowPass`, the writers in the record queues.
final class Pipeline {
    struct Options {
        /// Name of the source in every record.
        var name: String
        /// ALSA's name of the device, for status records.
        var device: String?
        var analysis = Analysis.Options()
        /// Frontend as the model wants it.
        var filterBank = FilterBankParameters()
        /// Top scores of every column to send; 0 for none.
        var scoreCount = 0
        /// Seconds between status records; nil for none at all.
        var statusInterval: Double?
        /// Times as seconds from the start instead of UTC.
        var streamTime = false
        /// What is recorded, where there is a writer.
        var recordings: RecordingRules?
        /// The newest sound that is to be recorded, whatever is in it.
        let keeping = KeepRequest()
    }

    /// What a supervisor hears, on the analysis thread.
    struct Supervision {
        /// Every time around the loop, sound or not.
        var alive: () -> Void = {}
        /// The source has turned out to be live: no reader of the records may hold it up.
        var live: () -> Void = {}
        /// The first column has been analysed; or the source is paused, and does what it is to.
        var ready: () -> Void = {}
        /// A status record was made; the labels are those of open events.
        var status: (StatusRecord, [String]) -> Void = { _, _ in }
    }

    /// Gaps up to this long are filled with noise at the room's floor, longer ones begin a new run.
    static let longestFilledGap = 0.5

    let source: any Source
    let model: Model
    let labels: [Label]
    let options: Options
    let supervision: Supervision
    let send: (Record) -> Void
    let writer: RecordingWriter?
    let analysis: Analysis
    private var frontend: Frontend?
    /// Made when the source's rate is known.
    var recorder: Recorder?
    /// Stretches of sound that were kept as was asked.
    var kept: UInt64 = 0
    var ids: EventIDs
    var level = LevelMeter()
    /// nil before any sound.
    var levelDBFS: Float?
    private var noise = ComfortNoise()
    var actions: [Action] = []
    /// Labels of open events, by number.
    var open: [UInt64: Int] = [:]

    /// Samples of the source's timeline that have been taken.
    var position: Int64 = 0
    /// Position, at the model's rate, of the next step of this run.
    private(set) var nextStep: Int64 = 0
    private var isRunBegun = false
    /// Position, at the model's rate, where the run that is being ended has no more sound.
    var runEnd: Int64?
    private var isReady = false
    var status = SourceStatus()
    var nextStatus: ContinuousClock.Instant?

    /// - Parameters:
    ///   - writer: writes recordings, where `options` tell of any.
    ///   - send: takes every record, on the analysis thread.
    /// - Throws: ``Failure`` where the model cannot run as asked.
    init(
        source: any Source, model: Model, tagging: TaggerConfiguration, options: Options,
        supervision: Supervision = .init(), writer: RecordingWriter? = nil, send: @escaping (Record) -> Void
    ) throws(Failure) {
        self.source = source
        self.model = model
        self.options = options
        self.supervision = supervision
        self.send = send
        self.writer = writer
        labels = tagging.labels
        ids = EventIDs(source: options.name)
        do throws(ModelError) {
            analysis = try Analysis(model: model, tagging: tagging, options: options.analysis)
        } catch { throw Failure(error) }
    }

    /// Runs until the source ends.
    ///
    /// - Throws: ``Failure`` where the source can deliver no more; everything sent before stays good.
    func run() throws(Failure) {
        sendStatus()
        var failure: Failure?
        do throws(Failure) { try listen() } catch { failure = error }
        endRun()
        finishRecordings()
        status.stop(failure)
        sendStatus()
        if let failure { throw failure }
    }

    private func listen() throws(Failure) {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 8192)
        defer { buffer.deallocate() }
        do throws(CaptureError) { try source.start() } catch { throw Failure(error) }
        while true {
            noteLiveness()
            let reading: Reading
            do throws(CaptureError) {
                reading = try source.read(into: buffer, timeoutMilliseconds: 500)
            } catch { throw Failure(error) }
            supervision.alive()
            keepWhatIsAsked()
            switch reading {
            case .samples(let count):
                try process(UnsafeBufferPointer(rebasing: buffer[..<count]))
                position += Int64(count)
            case .gap(let gap): try bridge(gap, buffer)
            case .state(let new):
                status.change(to: new)
                if status.state == .paused { reportReady() }
                sendStatus()
            case .timeout:
                endRunOfLostDevice()
                sendRecordings()
                sendStatusWhenDue()
            case .end: return
            }
        }
    }

    /// A live source must not wait for window passes or slow readers.
    private func noteLiveness() {
        let isLive = source.isLive
        guard analysis.waits == isLive else { return }
        analysis.waits = !isLive
        if isLive { supervision.live() }
    }

    private func process(_ samples: UnsafeBufferPointer<Float>) throws(Failure) {
        let frontend = if let made = self.frontend { made } else { try makeFrontend() }
        if !isRunBegun {
            isRunBegun = true
            nextStep = modelPosition(position)
            beginRecording()
        }
        // A hop at a time, so that a step's level is that of its own samples, however many were read at once.
        let hop = max(1, options.filterBank.hopLength * source.rate / options.filterBank.sampleRate)
        var rest = samples[...]
        while !rest.isEmpty {
            let piece = UnsafeBufferPointer(rebasing: rest.prefix(hop))
            level.add(piece)
            recorder?.append(piece)
            frontend.process(piece) { step($0) }
            rest = rest.dropFirst(piece.count)
        }
    }

    private func step(_ logMel: UnsafeBufferPointer<Float>) {
        levelDBFS = level.read() ?? levelDBFS
        analysis.step(logMel, start: nextStep, into: &actions) { send(scores: $0, at: $1, $2) }
        nextStep += Int64(model.configuration.stepSamples)
        sendActions()
        sendRecordings()
        if analysis.hasHeard { reportReady() }
        sendStatusWhenDue()
    }

    private func reportReady() {
        guard !isReady else { return }
        isReady = true
        supervision.ready()
    }

    /// A gap: what is missing is filled with noise, or begins a new run; the timeline stays right either way.
    private func bridge(_ gap: Gap, _ buffer: UnsafeMutableBufferPointer<Float>) throws(Failure) {
        let isFilled = isRunBegun && Double(gap.samples) <= Self.longestFilledGap * Double(source.rate)
        send(gap, isReset: !isFilled)
        guard isFilled else {
            endRun()
            position += gap.samples
            return
        }
        var rest = Int(gap.samples)
        while rest > 0 {
            let piece = UnsafeMutableBufferPointer(rebasing: buffer[..<min(rest, buffer.count)])
            noise.fill(piece, level: level.noiseFloor)
            try process(UnsafeBufferPointer(piece))
            position += Int64(piece.count)
            rest -= piece.count
        }
    }

    /// A device that stays away for longer than is filled ends what was heard, long before it is back.
    private func endRunOfLostDevice() {
        guard let lostAt = status.lostAt, ContinuousClock.now - lostAt > .seconds(Self.longestFilledGap) else { return }
        endRun()
    }

    private func endRun() {
        guard isRunBegun else { return }
        // The last column is filled up: no sound goes on in that.
        runEnd = modelPosition(position)
        frontend?.finish { step($0) }
        analysis.interrupt(into: &actions) { send(scores: $0, at: $1, $2) }
        sendActions()
        sendRecordings(isLast: true)
        runEnd = nil
        isRunBegun = false
    }

    private func makeFrontend() throws(Failure) -> Frontend {
        do throws(FrontendError) {
            let made = try Frontend(
                inputRate: source.rate, parameters: options.filterBank,
                columnFrames: model.configuration.patchFrames, stepFrames: model.configuration.stepFrames)
            frontend = made
            return made
        } catch { throw Failure(.dataError, "\(options.name): \(error)") }
    }
}

// MARK: - Time

extension Pipeline {
    /// A sample at the model's rate in the source's timeline.
    func sourcePosition(_ sample: Int64) -> Int64 {
        let modelRate = Int64(options.filterBank.sampleRate)
        return (sample * Int64(source.rate) + modelRate / 2) / modelRate
    }

    /// A position of the source's timeline at the model's rate.
    func modelPosition(_ position: Int64) -> Int64 {
        let rate = Int64(max(1, source.rate)), modelRate = Int64(options.filterBank.sampleRate)
        return (position * modelRate + rate / 2) / rate
    }

    /// When a sample at the model's rate was heard.
    func time(_ sample: Int64) -> RecordTime {
        let modelRate = Int64(options.filterBank.sampleRate)
        let instant = options.streamTime ? nil : source.time(ofSample: sourcePosition(sample))
        guard let instant else { return .stream(milliseconds: (sample * 1000 + modelRate / 2) / modelRate) }
        return .clock(milliseconds: instant.nanoseconds / 1_000_000)
    }
}
