import Glibc

/// A clock's time in nanoseconds. Async-signal-safe and without a system call for the usual clocks.
package func nanosecondsNow(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
