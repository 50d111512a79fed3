import CSndFile
import Foundation
import Glibc
import Recordings
import Sinks
import Synchronization
import TestSupport
import Testing


/// What was said to people.
private final class Notices: Sendable {
    private let list = Mutex<[RecordingNotice]>([])
    var all: [RecordingNotice] { list.withLock { $0 } }
    func add(_ notice: RecordingNotice) { list.withLock { $0.append(notice) } }
}

@Suite("Recordings are written") struct RecordingWriterTests {
    private let folder = TemporaryFolder()
    private let notices = Notices()

    private func writer(_ name: String = "sounds", limit: Int64 = 1_000_000) throws -> RecordingWriter {
        try RecordingWriter(folder: folder.file(name), limit: limit) { [notices] in notices.add($0) }
    }

    private func recording(_ number: UInt64, _ samples: [Int16] = [1, 2, 3], rate: Int = 48_000) throws -> Recording {
        Recording(event: try event(number), range: 0..<Int64(samples.count), rate: rate, samples: samples)
    }

    private func names(_ name: String = "sounds") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.file(name)).sorted()
    }

    private func write(_ recording: Recording, at milliseconds: Int64 = 0, to writer: RecordingWriter, waits: Bool = false) {
        let end = milliseconds + Int64(recording.samples.count * 1000 / recording.rate)
        writer.write(recording, from: .clock(milliseconds: milliseconds), to: .clock(milliseconds: end), waits: waits)
    }

    @Test("A file holds the samples bit for bit, at their rate, with label, time and event", arguments: [8000, 16_000, 44_100, 192_000, 384_000])
    func samples(rate: Int) throws {
        var random = SeededRandom(seed: UInt64(rate))
        let samples = (0..<3 * rate / 2).map { _ in Int16.random(in: .min ... .max, using: &random) }
        let writer = try writer()
        write(try recording(1, samples, rate: rate), at: 1_795_407_502_480, to: writer)
        #expect(writer.finish(milliseconds: 10_000))
        let record = try #require(writer.takeWritten().first)
        let id = try event(1).id
        #expect(record == RecordingRecord(
            id: id, source: "kitchen", label: "Bark", parents: ["Dog"], file: folder.file("sounds/2026-11-23T04-18-22.480Z_bark_\(id).flac"),
            from: .clock(milliseconds: 1_795_407_502_480), to: .clock(milliseconds: 1_795_407_503_980)))
        #expect(writer.takeWritten() == [])

        var info = SF_INFO()
        let file = try #require(sf_open(record.file, Int32(SFM_READ), &info))
        defer { sf_close(file) }
        #expect(info.channels == 1 && info.samplerate == rate && info.frames == samples.count)
        var read = [Int16](repeating: 0, count: samples.count)
        #expect(sf_read_short(file, &read, sf_count_t(read.count)) == samples.count && read == samples)
        #expect(sf_get_string(file, Int32(SF_STR_TITLE)).map { String(cString: $0) } == "Bark")
        #expect(sf_get_string(file, Int32(SF_STR_DATE)).map { String(cString: $0) } == "2026-11-23T04:18:22.480Z")
        #expect(sf_get_string(file, Int32(SF_STR_COMMENT)).map { String(cString: $0) } == "kitchen, event \(id)")
        #expect(notices.all == [])
    }

    @Test("A source that can wait loses none, one that cannot is not held up, and what it loses is counted", arguments: [true, false])
    func pace(waits: Bool) throws {
        let samples = (0..<480_000).map { Int16(truncatingIfNeeded: $0 &* $0) }
        let writer = try writer(limit: 1_000_000_000)
        for number in 0..<40 { write(try recording(UInt64(number), samples), at: Int64(number), to: writer, waits: waits) }
        #expect(writer.finish(milliseconds: 60_000))
        let written = writer.takeWritten().count
        #expect(try names().count == written)
        let lost = notices.all.reduce(0) { if case .recovered(_, let lost) = $1 { $0 + lost } else { $0 } }
        #expect(written + lost == 40 && (lost == 0) == waits, "\(written) written, \(lost) lost")
    }

    @Test("Owner and group may read them, nobody else")
    func permissions() throws {
        let writer = try writer()
        write(try recording(1), to: writer)
        writer.finish(milliseconds: 10_000)
        for (path, mode) in [(folder.file("sounds"), 0o750), (folder.file("sounds/\(try names()[0])"), 0o640)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? Int).map { $0 & ~mode } == 0)
        }
    }

    @Test("The oldest recordings make room, the newest stays whatever it takes, and other files are left alone")
    func limit() throws {
        let others = ["song.flac", "2020-01-01_bark_01.flac", "2020-01-01T00-00-00.000Z_bark_01M8F09ZREZ2KQJ55EKWEKT92J.wav"]
        mkdir(folder.file("sounds"), 0o700)
        for name in others { try Data(repeating: 0, count: 100_000).write(to: URL(filePath: folder.file("sounds/\(name)"))) }
        var random = SeededRandom(seed: 1)
        let samples = (0..<10_000).map { _ in Int16.random(in: .min ... .max, using: &random) }
        // Noise takes some 20 kB a file.
        let writer = try writer(limit: 70_000)
        for number in 0..<8 { write(try recording(UInt64(number), samples), at: Int64(number) * 1000, to: writer) }
        #expect(eventually { writer.takeWritten().count == 8 || (try? names().count) == others.count + 3 })
        writer.finish(milliseconds: 10_000)
        let kept = try names().filter { !others.contains($0) }
        #expect(kept.map { $0.prefix(24) } == ["1970-01-01T00-00-05.000Z", "1970-01-01T00-00-06.000Z", "1970-01-01T00-00-07.000Z"])
        #expect(Set(try names()).isSuperset(of: others))

        let small = try self.writer(limit: 1)
        write(try recording(9, samples), at: 9000, to: small)
        small.finish(milliseconds: 10_000)
        #expect(try names().filter { !others.contains($0) }.map { $0.prefix(24) } == ["1970-01-01T00-00-09.000Z"])
    }

    @Test("A folder that takes nothing is told of once, and so is its return, with how many were lost")
    func failing() throws {
        let writer = try writer()
        let path = folder.file("sounds")
        rmdir(path)
        for number in 0..<3 { write(try recording(UInt64(number)), to: writer) }
        #expect(eventually { notices.all == [.failing(folder: path, errno: ENOENT)] })
        usleep(200_000)
        mkdir(path, 0o700)
        write(try recording(4), to: writer)
        writer.finish(milliseconds: 10_000)
        #expect(notices.all == [.failing(folder: path, errno: ENOENT), .recovered(folder: path, lost: 3)])
        #expect(writer.takeWritten().map(\.id) == [try event(4).id])
        #expect(try names().count == 1)
    }

    @Test("Where there is no room for a file, no half of it is left")
    func noRoom() throws {
        // The limit and the signal's disposition are the whole process's; the limit is far beyond what anything else writes meanwhile.
        let fileSize = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        let disposition = signal(SIGXFSZ, SIG_IGN)
        var before = rlimit()
        getrlimit(fileSize, &before)
        var limit = rlimit(rlim_cur: 1 << 22, rlim_max: before.rlim_max)
        #expect(setrlimit(fileSize, &limit) == 0)
        defer {
            setrlimit(fileSize, &before)
            signal(SIGXFSZ, disposition)
        }
        var random = SeededRandom(seed: 1)
        let writer = try writer()
        // Noise of 5 MB, which FLAC cannot make smaller.
        write(try recording(1, (0..<2_500_000).map { _ in Int16(truncatingIfNeeded: random.next()) }), to: writer)
        write(try recording(2), to: writer)
        writer.finish(milliseconds: 10_000)
        let path = folder.file("sounds")
        #expect(notices.all == [.failing(folder: path, errno: EFBIG), .recovered(folder: path, lost: 1)])
        #expect(try names().count == 1)
    }

    @Test("A folder that cannot be is refused at once")
    func refused() throws {
        try Data().write(to: URL(filePath: folder.file("file")))
        for (name, code) in [("file", ENOTDIR), ("none/sounds", ENOENT), ("file/sounds", ENOTDIR)] {
            #expect(throws: RecordingError.folder(path: folder.file(name), errno: code)) { try writer(name) }
        }
    }

    @Test("Labels become names of files whatever is in them", arguments: [
        ("Bark", "bark"), ("Chirp, tweet", "chirp_tweet"), ("../a/b", "a_b"), ("Röhre", "röhre"), ("", ""), (String(repeating: "a", count: 300), String(repeating: "a", count: 60)),
    ])
    func labels(label: String, words: String) throws {
        let recording = Recording(event: try event(1, .close, label), range: 0..<1, rate: 8000, samples: [0])
        let name = RecordingFolder.name(recording, from: .clock(milliseconds: 0))
        #expect(name == "1970-01-01T00-00-00.000Z_\(words)_\(try event(1).id).flac")
        #expect(RecordingFolder.isRecording(name))
    }
}
