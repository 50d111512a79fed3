import Glibc
import Sinks
import Threads

/// Why a folder takes no recordings.
public enum RecordingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It cannot be made, or not be written to.
    case folder(path: String, errno: Int32)
    /// pthread_create(3) failed.
    case thread(errno: Int32)

    /// What is wrong, where, and what to do, in one sentence.
    public var description: String {
        switch self {
        case .folder(let path, let code):
            "Recordings cannot be written to \(path): \(errorText(code)); choose another folder or fix its permissions."
        case .thread(let code):
            "A thread cannot be started: \(errorText(code)); raise the limit of processes."
        }
    }
}

/// Files with recordings, of which the oldest make room for new ones. Files of other names are left alone.
package struct RecordingFolder {
    /// Absolute.
    let path: String
    /// Bytes that recordings may take in all.
    let limit: Int64

    /// Makes the folder where it is not there; not those above it.
    init(path: String, limit: Int64) throws(RecordingError) {
        self.limit = limit
        var information = stat()
        if mkdir(path, 0o750) != 0, errno != EEXIST { throw .folder(path: path, errno: errno) }
        guard stat(path, &information) == 0 else { throw .folder(path: path, errno: errno) }
        guard information.st_mode & S_IFMT == S_IFDIR else { throw .folder(path: path, errno: ENOTDIR) }
        guard access(path, W_OK | X_OK) == 0, let absolute = realpath(path, nil) else { throw .folder(path: path, errno: errno) }
        defer { free(absolute) }
        self.path = String(cString: absolute)
    }

    /// When the sound begins, the label's words, and the id: names in the order of time.
    package static func name(_ recording: Recording, from: RecordTime) -> String {
        let time = from.text.replacing(":", with: "-")
        return "\(time)_\(recording.title.joinedWords.prefix(60))_\(recording.id).flac"
    }

    /// Whether a file has such a name, with a ULID at its end.
    package static func isRecording(_ name: String) -> Bool {
        guard name.hasSuffix(".flac"), let last = name.dropLast(5).split(separator: "_").last else { return false }
        return last.count == 26 && last.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
    }

    /// Writes a file under another name and gives it its own once it is whole, and readable for the group; 0 or the errno.
    func write(_ bytes: [UInt8], as name: String) -> Int32 {
        replaceFile("\(path)/\(name)", with: bytes, mode: 0o640)
    }

    /// Removes the oldest recordings until the rest is within the limit; the newest stays.
    func prune() {
        guard let folder = opendir(path) else { return }
        var files: [(name: String, size: Int64)] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            var information = stat()
            guard Self.isRecording(name), stat("\(path)/\(name)", &information) == 0 else { continue }
            files.append((name, Int64(information.st_size)))
        }
        closedir(folder)
        var total = files.reduce(0) { $0 + $1.size }
        for file in files.sorted(by: { $0.name < $1.name }).dropLast() where total > limit {
            if unlink("\(path)/\(file.name)") == 0 { total -= file.size }
        }
    }
}
