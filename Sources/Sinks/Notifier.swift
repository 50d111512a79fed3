import CSystemd
import Glibc

/// Tells the service manager how the daemon is doing (sd_notify(3)). Does nothing where there is no manager, which
/// `NOTIFY_SOCKET` says. Any thread may call; the call is one datagram, and waits only while the manager has left so many unread
/// that its socket takes no more (net.unix.max_dgram_qlen).
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
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return send("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
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
        var interval: UInt64 = 0
        return sd_watchdog_enabled(0, &interval) > 0 ? interval : nil
    }

    /// Returns whether the manager got it.
    private static func send(_ state: String) -> Bool { sd_notify(0, state) > 0 }

    /// A newline would begin another assignment.
    private static func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
