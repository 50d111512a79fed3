import CALSA
import Glibc
import Synchronization

extension CaptureError.DeviceProblem {
    /// What a libasound function's error code means for a device whose name is known.
    init(call: String, errno code: Int32, message: String = "") {
        self = switch code {
        case ENOENT, ENODEV, ENXIO: .absent
        case EBUSY: .busy
        case EACCES, EPERM: .notPermitted
        // PulseAudio's and PipeWire's plug-in.
        case ECONNREFUSED, EHOSTDOWN: .serverGone
        default: .failed(call: call, errno: code, message: message)
        }
    }
}

/// The one way into libasound for calls whose failure ends an attempt: turns a negative return code into an error
/// that names the call.
@discardableResult
func alsa(
    _ call: StaticString, device: String, _ body: () -> Int32
) throws(CaptureError) -> Int32 {
    let result = body()
    if result < 0 { throw .device(device, .init(call: call.description, errno: -result)) }
    return result
}

/// What libasound says in words goes to standard error by default. This makes it go nowhere on the calling thread,
/// without allocating: for the capture thread's steady loop.
func silenceALSAMessages() {
    snd_lib_error_set_local { _, _, _, _, _, _ in }
}

/// Keeps what libasound says in words on the calling thread, from now to `takeALSAMessage`: its return code for a
/// broken asoundrc, say, is only "Invalid argument".
func collectALSAMessages() {
    _ = takeALSAMessage()
    snd_lib_error_set_local { _, _, _, _, format, arguments in
        guard let format, let arguments else { return }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard vsnprintf(buffer.baseAddress!, 256, format, arguments) > 0 else { return }
            let text = String(cString: buffer.baseAddress!)
            // The first message is the nearest to the cause.
            messages.withLock { if $0[pthread_self()] == nil { $0[pthread_self()] = text } }
        }
    }
}

/// The first message since `collectALSAMessages`, or ""; later ones go nowhere.
func takeALSAMessage() -> String {
    silenceALSAMessages()
    return messages.withLock { $0.removeValue(forKey: pthread_self()) } ?? ""
}

private let messages = Mutex<[pthread_t: String]>([:])
