import Sinks
import Synchronization
import Threads

/// What a writer has to say to people, for a log. Reported once when it begins, not with every recording.
public enum RecordingNotice: Sendable, Equatable, CustomStringConvertible {
    /// A recording cannot be written; each further one tries again.
    case failing(folder: String, errno: Int32)
    /// FLAC has no such sample rate.
    case rate(Int)
    /// Writing works again.
    case recovered(folder: String, lost: Int)
    /// The program ends, and some are not written yet.
    case unfinished(folder: String)

    /// The notice as a sentence.
    public var description: String {
        switch self {
        case .failing(let folder, let code):
            "Recordings cannot be written to \(folder) (\(errorText(code))) and are lost until this is fixed; free space, or correct the folder."
        case .rate(let rate):
            "Sound of \(rate) samples a second cannot be written as FLAC, and is not recorded; choose another source.rate."
        case .recovered(let folder, let lost):
            "Recordings are written to \(folder) again; \(lost) were lost."
        case .unfinished(let folder):
            "The last recordings are lost: writing to \(folder) takes too long."
        }
    }
}

/// Writes recordings on a thread of its own, so that a slow disk holds up nobody.
public final class RecordingWriter: Sendable {
    private struct State {
        var waiting: [(recording: Recording, from: RecordTime, to: RecordTime)] = []
        var written: [RecordingRecord] = []
        var lost = 0
        var isEnding = false
    }

    /// Recordings that may wait for a slow disk; further ones are lost.
    private static let capacity = 16

    private let folder: RecordingFolder
    private let onNotice: @Sendable (RecordingNotice) -> Void
    private let state = Mutex(State())
    private let work = Wakeup()
    private let room = Wakeup()
    private let ended = Wakeup()

    /// Makes the folder where it is not there, and starts the thread.
    ///
    /// - Parameters:
    ///   - limit: Bytes that recordings may take in all; the oldest make room.
    ///   - onNotice: Called on the writer's thread, or on that of ``finish(milliseconds:)``.
    /// - Throws: ``RecordingError``.
    public init(
        folder: String, limit: Int64, onNotice: @escaping @Sendable (RecordingNotice) -> Void = { _ in }
    ) throws(RecordingError) {
        self.folder = try RecordingFolder(path: folder, limit: limit)
        self.onNotice = onNotice
        let code = startThread("recordings") { self.run() }
        guard code == 0 else { throw .thread(errno: code) }
    }

    /// Hands a recording over, with the times of its first sample and of the end of its last.
    ///
    /// - Parameter waits: for room, for a source that can wait; otherwise it is lost where there is none.
    public func write(_ recording: Recording, from: RecordTime, to: RecordTime, waits: Bool) {
        while waits {
            room.clear()
            if state.withLock({ $0.waiting.count < Self.capacity || $0.isEnding }) { break }
            _ = room.wait(milliseconds: 1000)
        }
        state.withLock { state in
            if state.waiting.count < Self.capacity { state.waiting.append((recording, from, to)) } else { state.lost += 1 }
        }
        work.signal()
    }

    /// What has been written since the last call.
    public func takeWritten() -> [RecordingRecord] {
        state.withLock { state in
            defer { state.written.removeAll() }
            return state.written
        }
    }

    /// Writes what was handed over and ends the thread.
    ///
    /// - Returns: false where that takes longer than `milliseconds`; the thread is then left to the end of the process.
    @discardableResult
    public func finish(milliseconds: Int32) -> Bool {
        state.withLock { $0.isEnding = true }
        work.signal()
        if ended.wait(milliseconds: milliseconds) { return true }
        onNotice(.unfinished(folder: folder.path))
        return false
    }

    private func run() {
        var failing: RecordingNotice?
        while true {
            _ = work.wait(milliseconds: -1)
            work.clear()
            while let (recording, from, to) = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) {
                room.signal()
                let name = RecordingFolder.name(recording, from: from)
                let notice = write(recording, as: name, from)
                if let notice {
                    state.withLock { $0.lost += 1 }
                    if notice != failing { onNotice(notice) }
                } else {
                    folder.prune()
                    let lost = state.withLock { state in
                        state.written.append(
                            RecordingRecord(
                                id: recording.id, source: recording.source, label: recording.label, parents: recording.parents,
                                file: "\(folder.path)/\(name)", from: from, to: to))
                        defer { state.lost = 0 }
                        return state.lost
                    }
                    if lost > 0 { onNotice(.recovered(folder: folder.path, lost: lost)) }
                }
                failing = notice
            }
            if state.withLock({ $0.isEnding && $0.waiting.isEmpty }) { break }
        }
        ended.signal()
    }

    private func write(_ recording: Recording, as name: String, _ from: RecordTime) -> RecordingNotice? {
        let subject = recording.label == nil ? "kept as was asked" : "event \(recording.id)"
        guard
            let bytes = FLAC.encode(
                recording.samples, rate: recording.rate, title: recording.title, date: from.text, comment: "\(recording.source), \(subject)")
        else { return .rate(recording.rate) }
        let code = folder.write(bytes, as: name)
        return code == 0 ? nil : .failing(folder: folder.path, errno: code)
    }
}
