import Glibc
import Threads

/// Everything that can go wrong in this module. `description` is one sentence: what is wrong, where, what to do.
public enum CaptureError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A capture device, by the name it was asked for.
    case device(String, DeviceProblem)
    /// A sound file, by its path ("-" is the standard input).
    case file(String, FileProblem)
    /// A pipe, by its path ("-" is the standard input).
    case pipe(String, FileProblem)
    /// A system call that normally cannot fail did.
    case system(call: String, errno: Int32)

    /// What is wrong with a capture device.
    public enum DeviceProblem: Sendable, Equatable {
        /// No configuration defines a PCM of this name.
        case unknownName
        /// The name is known, but the device is not there (not plugged in, driver not loaded).
        case absent
        /// It needs a plug-in of ALSA that is not installed; the text is the library's.
        case notInstalled(String)
        /// Another program has it.
        case busy
        /// The user may not open it.
        case notPermitted
        /// The sound server does not answer.
        case serverGone
        /// It delivers no samples although it runs.
        case stalled
        /// It only plays, or offers no format this program reads.
        case unsupported(what: String)
        /// The rate asked for, or the one it had before it was lost, is not offered.
        case rate(Int)
        /// It has too few channels.
        case channel(Int)
        /// Any other failure: the libasound function, its error code (a positive errno value) and what the library
        /// said in words, if anything.
        case failed(call: String, errno: Int32, message: String)
    }

    /// What is wrong with a sound file or pipe.
    public enum FileProblem: Sendable, Equatable {
        /// There is none of that name.
        case notFound
        /// The user may not read it.
        case notPermitted
        /// It holds files.
        case isDirectory
        /// open(2) says why in words.
        case notOpened(String)
        /// It has no bytes.
        case empty
        /// Not a sound file; the text is the library's reason.
        case notSound(String)
        /// A sound file of a kind that cannot be read here; the text says which kind.
        case unsupported(String)
        /// A sound file whose samples were said to be raw.
        case notRaw
        /// A header, and no sample after it.
        case noSamples
        /// A live pipe through which nothing comes.
        case stalled
        /// A named pipe whose writer has closed it before the first sample.
        case writerGone
        /// A named pipe whose writer has closed it before the end that it had announced.
        case writerLeft
        /// A named pipe whose writer has gone, and that is not there any more; the text says why.
        case notReopened(String)
        /// It ended early. All samples that are there were delivered before.
        case truncated(announced: Int64, delivered: Int64)
        /// The library ended before the file did, as its length is not in the header and the estimate was too short, or as
        /// another stream follows the first. All samples up to there were delivered.
        case readInPart(bytes: Int64, of: Int64)
        /// It has fewer channels.
        case channel(Int, of: Int)
        /// read(2) or the library failed; the text says why.
        case readFailed(String)
    }

    /// What kind of failure it is, as sysexits(3) tells them apart.
    public enum Category: Sendable, Equatable {
        /// EX_NOINPUT: the file or device does not exist or cannot be read.
        case noInput
        /// EX_DATAERR: the input's content is wrong.
        case dataError
        /// EX_UNAVAILABLE: the device or server is there but of no use now.
        case unavailable
        /// EX_NOPERM: a device that may not be opened. A file that may not be read is `noInput`, as sysexits(3) has it.
        case noPermission
        /// EX_IOERR
        case ioError
        /// EX_OSERR
        case osError
    }

    /// What kind of failure it is.
    public var category: Category {
        switch self {
        case .device(_, let problem):
            switch problem {
            case .unknownName, .absent, .notInstalled: .noInput
            case .busy, .serverGone, .stalled, .unsupported, .rate, .channel: .unavailable
            case .notPermitted: .noPermission
            case .failed: .ioError
            }
        case .file(_, let problem), .pipe(_, let problem):
            switch problem {
            case .notFound, .isDirectory, .notOpened, .notPermitted: .noInput
            case .empty, .notSound, .unsupported, .notRaw, .noSamples, .truncated, .readInPart, .channel: .dataError
            case .stalled, .writerGone, .writerLeft, .notReopened: .unavailable
            case .readFailed: .ioError
            }
        case .system: .osError
        }
    }

    /// The end of a file came before its length; all samples there were delivered, and are good.
    public var isOfEnd: Bool {
        switch self {
        case .file(_, .truncated), .file(_, .readInPart): true
        default: false
        }
    }

    /// What is wrong, where, and what to do, in one sentence.
    public var description: String {
        switch self {
        case .device(let name, let problem): "capture device '\(name)' \(problem.predicate)"
        case .file("-", let problem), .pipe("-", let problem): "the standard input \(problem.predicate)"
        case .file(let path, let problem): "sound file '\(path)' \(problem.predicate)"
        case .pipe(let path, let problem): "pipe '\(path)' \(problem.predicate)"
        case .system(let call, let code): "\(call) failed: \(errorText(code))"
        }
    }
}

extension CaptureError.DeviceProblem {
    var predicate: String {
        switch self {
        case .unknownName: "is not known to ALSA; list the names with 'aumd devices'"
        case .absent: "is not there; plug it in, or choose one that 'aumd devices' lists"
        case .notInstalled(let reason): "needs a plug-in of ALSA that is not installed (\(reason)); install it, or choose another device"
        case .busy: "is in use by another program; end that program or use a shared device such as 'default'"
        case .notPermitted: "may not be opened; add the user to the group 'audio'"
        case .serverGone: "needs a sound server that does not answer; is it running?"
        case .stalled: "runs but delivers no samples; plug it in again, or choose another device"
        case .unsupported(let what): "offers no \(what) that can be used; try its 'plughw:' name"
        case .rate(let rate): "does not offer \(rate) Hz; try its 'plughw:' name or another rate"
        case .channel(let channel): "has no channel \(channel) (the first is 0)"
        case .failed(let call, let code, ""): "failed in \(call): \(errorText(code))"
        case .failed(let call, let code, let message): "failed in \(call): \(errorText(code)) (\(message))"
        }
    }
}

extension CaptureError.FileProblem {
    /// Why open(2) failed.
    init(opening code: Int32) {
        self = switch code {
        case ENOENT, ENOTDIR: .notFound
        case EACCES, EPERM: .notPermitted
        default: .notOpened(errorText(code))
        }
    }

    var predicate: String {
        switch self {
        case .notFound: "does not exist"
        case .notPermitted: "may not be read; give this user permission to read it"
        case .isDirectory: "is a directory; name the files in it"
        case .notOpened(let reason): "could not be opened: \(reason)"
        case .empty: "is empty"
        case .notSound(let reason): "is not sound that can be read (\(reason)); is it damaged, or of a format that ffmpeg has to convert first?"
        case .unsupported(let kind): "is \(kind), which cannot be read here; convert it to PCM WAV first"
        case .notRaw: "says itself what its samples are; leave out --raw-format, --raw-rate and --raw-channels"
        case .noSamples: "holds no samples"
        case .stalled: "delivers nothing; is what writes to it still running?"
        case .writerGone: "was closed by its writer before the first sample; start that again"
        case .writerLeft: "was closed by its writer before the end it had announced; start that again"
        case .notReopened(let reason): "was closed by its writer, and could not be opened for the next one: \(reason)"
        case .truncated(let announced, let delivered):
            "ends early: \(delivered) of \(announced) announced samples are there, and were used"
        case .readInPart(let bytes, let size):
            "was read only up to byte \(bytes) of \(size), where the library saw its end; convert it to PCM WAV first"
        case .channel(let channel, let count):
            "has no channel \(channel): it has \(count) and the first is 0"
        case .readFailed(let reason): "could not be read to its end: \(reason)"
        }
    }
}
