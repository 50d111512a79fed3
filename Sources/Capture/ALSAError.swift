import CALSA
import Glibc

extension CaptureError.DeviceProblem {
    /// What a libasound function's error code means for a device whose name is known.
    init(call: String, errno code: Int32) {
        self = switch code {
        case ENOENT, ENODEV, ENXIO: .absent
        case EBUSY: .busy
        case EACCES, EPERM: .notPermitted
        case ECONNREFUSED: .serverGone
        default: .failed(call: call, errno: code)
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

/// Keeps libasound from writing its own messages to standard error from this thread: everything is told as a
/// `CaptureError`.
func silenceALSAMessages() {
    snd_lib_error_set_local { _, _, _, _, _, _ in }
}
