import Glibc

/// The limit of open files (RLIMIT_NOFILE), looked at before anything is opened: without a descriptor, a wake-up between threads and some
/// libraries end the process, and others blame the one file. Free ones are counted and not taken: Dispatch may need one at that moment.
enum DescriptorLimit {
    /// What every output and source opens together, the libraries below them included; clients of a socket come on top.
    private static let needed = 44

    /// - Throws: ``Failure`` where fewer can be opened.
    static func check() throws(Failure) {
        // sysconf(3): the soft limit as it is now, -1 where there is none.
        let soft = sysconf(Int32(_SC_OPEN_MAX)), limit = soft < 0 ? .max : Int32(clamping: soft)
        var free = 0, descriptor: Int32 = 0
        while free < needed, descriptor < limit {
            if fcntl(descriptor, F_GETFD) < 0 { free += 1 }
            descriptor += 1
        }
        guard free < needed else { return }
        throw Failure(
            .osError,
            "Only \(free) more files can be opened, and \(needed) may have to be; raise the limit of open files (ulimit -n).")
    }
}
