import Glibc
import Threads

/// What a sink has to say to people, for a log. Each is reported once when it begins, not with every line.
public enum SinkNotice: Sendable, Equatable, CustomStringConvertible {
    /// Lines cannot be written for now; they are counted, and each further line tries again.
    case failing(name: String, errno: Int32)
    /// Writing works again.
    case recovered(name: String, lost: UInt64)
    /// The file could not be opened anew; writing continues to the old one.
    case reopenFailed(name: String, errno: Int32)
    /// No journal takes entries.
    case journalAway
    /// A reader was too slow and has been cut off.
    case readerDropped(name: String, lost: UInt64)
    /// As many clients read as may, and another was refused; reported once until a client leaves.
    case readerRefused(name: String, limit: Int)

    /// The notice as a sentence.
    public var description: String {
        switch self {
        case .failing(let name, let code):
            "Records cannot be written to \(name) (\(errorText(code))) and are lost until this is fixed; free space, or correct the output."
        case .recovered(let name, let lost):
            "Records are written to \(name) again; \(lost) were lost."
        case .reopenFailed(let name, let code):
            "\(name) could not be reopened (\(errorText(code))); writing continues to the old file."
        case .journalAway:
            "No journal listens on this machine; what is meant for it goes to the standard error."
        case .readerRefused(let name, let limit):
            "\(name) has \(limit) readers already, and another was turned away; end one of them."
        case .readerDropped(let name, let lost):
            "A reader of \(name) was too slow, lost \(lost) records and has been cut off; it may connect again."
        }
    }
}

/// Why a sink cannot be set up.
public enum SinkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file cannot be opened for writing.
    case open(path: String, errno: Int32)
    /// A Unix socket's path holds at most 107 bytes (unix(7)).
    case socketPathLength(path: String)
    /// Another process listens there.
    case socketInUse(path: String)
    /// Something that is not a socket is in the way.
    case socketPathTaken(path: String)
    /// A call on the socket failed.
    case socket(path: String, call: String, errno: Int32)
    /// pthread_create(3) failed.
    case thread(errno: Int32)

    /// What is wrong, where, and what to do, in one sentence.
    public var description: String {
        switch self {
        case .open(let path, ENXIO):
            "Nobody reads the named pipe \(path); start its reader first."
        case .open(let path, let code):
            "\(path) cannot be opened for writing: \(errorText(code)); choose another file or fix its permissions."
        case .socketPathLength(let path):
            "The socket path \(path) is longer than 107 bytes; choose a shorter one."
        case .socketInUse(let path):
            "Another process already listens at \(path); stop it or choose another path."
        case .socketPathTaken(let path):
            "\(path) exists and is not a socket; remove it or choose another path."
        case .socket(let path, let call, let code):
            "No socket can be made at \(path): \(call) says \(errorText(code)); choose another path or fix its permissions."
        case .thread(let code):
            "A thread cannot be started: \(errorText(code)); raise the limit of processes."
        }
    }
}
