import Glibc

/// The limit of open files (RLIMIT_NOFILE), tried before anything is opened: without a descriptor, a wake-up between threads and some
/// libraries end the process, and others blame the one file.
enum DescriptorLimit {
    /// What every output and source opens together, the libraries below them included; clients of a socket come on top.
    private static let needed = 44

    /// - Throws: ``Failure`` where fewer can be opened.
    static func check() throws(Failure) {
        let opened = (0..<needed).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }.filter { $0 >= 0 }
        for descriptor in opened { close(descriptor) }
        guard opened.count < needed else { return }
        throw Failure(
            .osError,
            "Only \(opened.count) more files can be opened, and \(needed) may have to be; raise the limit of open files (ulimit -n).")
    }
}
