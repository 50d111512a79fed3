import Recordings
import Sinks

/// The sound of events: from the source's samples to the recordings' writer.
extension Pipeline {
    /// A run begins: what was held of the one before is of no use to its events.
    func beginRecording() {
        guard writer != nil, let rules = options.recordings else { return }
        if recorder == nil { recorder = Recorder(rules, rate: source.rate, from: position) } else { recorder?.restart(at: position) }
    }

    /// Hands complete recordings to their writer, and sends what it has written.
    ///
    /// - Parameter isLast: the run ends: no more sound follows in it.
    func sendRecordings(isLast: Bool = false) {
        guard let writer else { return }
        for recording in recorder?.takeComplete(isLast: isLast) ?? [] { write(recording, to: writer) }
        for record in writer.takeWritten() { send(.recording(record)) }
    }

    /// Hands the newest sound to the writer, where that was asked.
    func keepWhatIsAsked() {
        guard let seconds = options.keeping.take(), let writer, let recorder else { return }
        let recording = recorder.newest(seconds: seconds, source: options.name) { start in
            kept += 1
            // Events count from below.
            return ULID(milliseconds: time(modelPosition(start)).milliseconds, source: options.name, number: .max - kept)
        }
        guard let recording else { return }
        write(recording, to: writer)
    }

    private func write(_ recording: Recording, to writer: RecordingWriter) {
        let (from, to) = (modelPosition(recording.range.lowerBound), modelPosition(recording.range.upperBound))
        writer.write(recording, from: time(from), to: time(to), waits: analysis.waits)
    }

    /// Waits for the last recordings.
    func finishRecordings() {
        writer?.finish(milliseconds: 5000)
        sendRecordings()
    }
}
