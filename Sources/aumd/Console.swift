import Glibc
import Sinks

/// Writes a line or several to the standard output. A reader that closes it has read enough.
///
/// - Throws: ``Failure`` where it cannot be written.
func say(_ text: String) throws(Failure) {
    guard case .failed(let code, _) = writeAll(Array("\(text)\n".utf8), to: STDOUT_FILENO) else { return }
    throw Failure(unwritable: code)
}

/// Says one sentence, an error's, to the person at the terminal or the reader of the log.
func report(_ sentence: String) {
    writeError("\(ServiceLog.isJournal ? "<3>" : "aumd: ")\(sentence.printable)\n")
}

func report(_ failure: Failure) {
    for sentence in failure.sentences { report(sentence) }
}

/// Writes to the standard error, which may be closed, or a pipe that nobody reads: what that does not take within a second is lost.
func writeError(_ text: String) {
    var entry = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    guard poll(&entry, 1, 1000) != 0 else { return }
    _ = writeAll(Array(text.utf8), to: STDERR_FILENO)
}
