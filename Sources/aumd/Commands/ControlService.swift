import Capture
import Control
import Glibc
import Logging
import ServiceLifecycle
import Settings
import Sinks
import Synchronization
import Threads

/// Does what comes to the control socket, and closes and opens the microphone by the quiet hours.
final class ControlService: Service, Sendable {
    private let source: ALSASource
    /// nil where no recordings are made.
    private let keeping: KeepRequest?
    private let state: Mutex<State>
    private let stop = Wakeup()
    private let descriptor: Int32
    /// File that has the pause which was asked for, so that a restart does not end it.
    private let savedPath: String?

    private struct State: ~Copyable {
        var pauses: Pauses
        let socket: ControlSocket?
        var reason: String?
        var saved: String?
    }

    /// The microphone is as it is to be from now on. nil where the source is no device, or there are neither quiet hours nor
    /// a control socket: nothing will change then.
    ///
    /// - Parameter keeping: takes what is to be kept.
    /// - Throws: ``Failure`` where the control socket cannot be made.
    init?(_ source: any Source, _ settings: Settings, keeping: KeepRequest) throws(Failure) {
        guard let source = source as? ALSASource, settings.source.quietHours != nil || settings.source.control != nil else { return nil }
        self.source = source
        self.keeping = settings.recordings.folder == nil ? nil : keeping
        var socket: ControlSocket?
        if let path = settings.source.control {
            do throws(SinkError) { socket = try ControlSocket(path: path, mode: UInt32(settings.controlMode)) } catch {
                throw Failure(.cannotCreate, error.description)
            }
        }
        descriptor = socket?.descriptor ?? -1
        savedPath = settings.source.pauseFile
        let saved = savedPath.flatMap(firstLine)
        let pauses = Pauses(quietHours: settings.source.quietHours, saved: saved, at: Pauses.Instant.now().seconds, clock: Self.clock)
        state = Mutex(State(pauses: pauses, socket: socket, saved: saved))
        update()
    }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThread("control") { [self] in
                while true {
                    var entries = [stop.descriptor, descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                    // Quiet hours begin with a minute; a clock may be set.
                    _ = poll(&entries, nfds_t(entries.count), 1000)
                    if entries[0].revents != 0 { return }
                    update()
                }
            }
        } onGracefulShutdown: {
            self.stop.signal()
        }
    }

    private func update() {
        state.withLock { state in
            while let request = state.socket?.next() {
                switch request {
                case .success(.pause(let request)):
                    state.pauses.take(request, at: .now(), clock: Self.clock)
                case .success(.keep(let seconds)):
                    if let keeping { keeping.ask(seconds: seconds) } else {
                        ServiceLog.logger.warning("No sound is kept, as was asked, for there is no folder for it; name one by recordings.folder.")
                    }
                case .failure(let unknown):
                    ServiceLog.logger.warning("\"\(unknown.text.printable)\" is no request to the control socket; see aumd(1).")
                }
            }
            let reason = state.pauses.reason(at: .now())
            if state.pauses.saved != state.saved {
                state.saved = state.pauses.saved
                save(state.saved)
            }
            guard reason != state.reason else { return }
            state.reason = reason
            if let reason { source.pause(reason) } else { source.resume() }
        }
    }

    private func save(_ pause: String?) {
        guard let savedPath else { return }
        var code: Int32 = 0
        if let pause {
            code = replaceFile(savedPath, with: Array("\(pause)\n".utf8), mode: 0o600)
        } else if unlink(savedPath) != 0, errno != ENOENT {
            code = errno
        }
        guard code != 0 else { return }
        ServiceLog.logger.warning("\(savedPath) cannot be written (\(errorText(code))); what is paused now will not be so after a restart.")
    }

    /// Hours and minutes on the wall clock, so many seconds from now; with the date where that is a day or more ahead.
    private static func clock(_ seconds: Int) -> String {
        var time = localTime(in: seconds)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            strftime(buffer.baseAddress!, buffer.count, seconds < 86_400 ? "%H:%M" : "%F %H:%M", &time)
            return String(cString: buffer.baseAddress!)
        }
    }
}

/// The wall clock (localtime(3)), so many seconds from now.
private func localTime(in seconds: Int = 0) -> tm {
    var now = time(nil) + seconds
    var broken = tm()
    localtime_r(&now, &broken)
    return broken
}

extension Pauses.Instant {
    fileprivate static func now() -> Self {
        let time = localTime()
        return Self(
            seconds: Glibc.time(nil),
            moment: QuietHours.Moment(weekday: Int(time.tm_wday), minute: Int(time.tm_hour) * 60 + Int(time.tm_min)))
    }
}
