import AudioMamba
import Capture
import Glibc
import MQTT
import Settings
import Threads

/// Exit codes of sysexits(3).
enum SystemExit: Int32 {
    case usage = 64
    case dataError = 65
    case noInput = 66
    case unavailable = 69
    case osError = 71
    case cannotCreate = 73
    case ioError = 74
    case noPermission = 77
    case configuration = 78
}

/// What ends the program: a sentence for the person, or one for each thing that is wrong, and one code for the caller.
struct Failure: Error, CustomStringConvertible {
    var exit: SystemExit
    var sentences: [String]
    var description: String { sentences.joined(separator: "\n") }

    init(_ exit: SystemExit, _ sentences: String...) {
        self.init(exit, sentences)
    }

    init(_ exit: SystemExit, _ sentences: [String]) {
        self.exit = exit
        self.sentences = sentences
    }

    init(_ error: ModelError) {
        sentences = [error.description]
        exit =
            switch error {
            case .missing, .notPermitted, .sounds: .noInput
            case .unreadable, .unwritable: .ioError
            case .configuration, .notSafeTensors, .tensorMissing, .tensorShape, .tensorType, .tensorNotFinite, .logitsNotFinite,
                .notHiddenState, .foreignState, .sound, .unlearnable:
                .dataError
            case .unsupported: .unavailable
            }
    }

    init(_ error: CaptureError) {
        sentences = [error.description]
        exit =
            switch error.category {
            case .noInput: .noInput
            case .dataError: .dataError
            case .unavailable: .unavailable
            case .noPermission: .noPermission
            case .ioError: .ioError
            case .osError: .osError
            }
    }

    init(_ error: InvalidSettings) {
        let isUnread = error.errors.contains { if case .unreadable = $0 { true } else { false } }
        self.init(isUnread ? .noInput : .configuration, error.errors.map(\.description))
    }

    init(_ error: BrokerError) {
        sentences = [error.description]
        exit =
            switch error {
            case .certificates: .noInput
            case .unavailable: .osError
            }
    }

    init(mangled arguments: [String]) {
        self.init(.usage, arguments.map { "'\($0)' is not UTF-8 text; rename the file, or reach it by a link." })
    }

    /// - Parameter errno: of write(2) to the standard output.
    init(unwritable errno: Int32) {
        self.init(.ioError, "The standard output cannot be written: \(errorText(errno)).")
    }
}
