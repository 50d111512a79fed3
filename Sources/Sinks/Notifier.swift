import Glibc
import Threads

/// Tells the service manager how the daemon is doing (sd_notify(3)). Does nothing where there is no manager, which
/// `NOTIFY_SOCKET` says. Any thread may call; the call is one datagram and never waits.
///
/// Not by libsystemd's sd_notify: that waits while the manager has left so many datagrams unread that its socket takes no more
/// (net.unix.max_dgram_qlen), and the analysis would stand still with it. The protocol is stable (sd_notify(3), NOTES).
public enum Notifier {
    /// Whether a service manager listens.
    public static var isActive: Bool { getenv("NOTIFY_SOCKET") != nil }

    /// The service is up: for aumd, the first audio has been analysed.
    @discardableResult
    public static func ready(status: String) -> Bool { send("READY=1\nSTATUS=\(line(status))") }

    /// One line of free text for `systemctl status`.
    @discardableResult
    public static func status(_ text: String) -> Bool { send("STATUS=\(line(text))") }

    /// The configuration is being read again; `ready` ends it. The time stamp is what `Type=notify-reload` asks for.
    @discardableResult
    public static func reloading() -> Bool {
        send("RELOADING=1\nMONOTONIC_USEC=\(nanosecondsNow(CLOCK_MONOTONIC) / 1000)")
    }

    /// The daemon is ending.
    @discardableResult
    public static func stopping() -> Bool { send("STOPPING=1") }

    /// Keeps the watchdog from restarting the service; call it from the loop that must not stand still.
    @discardableResult
    public static func watchdog() -> Bool { send("WATCHDOG=1") }

    /// Microseconds within which `watchdog` has to be called (call it twice as often), or nil where the manager has
    /// set none for this process (sd_watchdog_enabled(3)).
    public static var watchdogMicroseconds: UInt64? {
        guard let interval = getenv("WATCHDOG_USEC").flatMap({ UInt64(String(cString: $0)) }), interval > 0 else { return nil }
        if let process = getenv("WATCHDOG_PID"), pid_t(String(cString: process)) != getpid() { return nil }
        return interval
    }

    /// Returns whether the manager's socket took it; `EAGAIN`, as any error, loses the message.
    private static func send(_ state: String) -> Bool {
        guard let variable = getenv("NOTIFY_SOCKET") else { return false }
        var name = Array(String(cString: variable).utf8)
        // An abstract name is written with @ for its NUL.
        guard name.first == UInt8(ascii: "/") || name.first == UInt8(ascii: "@") else { return false }
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        return UnixAddress(name)?.send(Array(state.utf8)) == 0
    }

    /// A newline would begin another assignment.
    private static func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
