import Glibc
import Sinks

/// Runs a command of the user's for a record.
package enum EventCommand {
    /// errno(3) of what failed.
    package struct SpawnError: Error {
        package var code: Int32
    }

    /// Runs it in sh(1) and waits for its end.
    ///
    /// - Parameters:
    ///   - environment: laid over this process' own.
    ///   - input: its standard input, with a newline at its end.
    /// - Returns: its exit status; 128 and the signal's number for one that a signal has ended.
    package static func run(_ command: String, environment: [String: String], input: [UInt8]) throws(SpawnError) -> Int32 {
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw SpawnError(code: errno) }
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipe[0], STDIN_FILENO)
        // This program ignores SIGPIPE; a shell's pipeline counts on it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))

        var variables = inherited.filter { !environment.keys.contains(String($0.prefix { $0 != "=" })) }
        variables += environment.map { "\($0)=\($1)" }
        var arguments: [UnsafeMutablePointer<CChar>?] = ["sh", "-c", command].map { (text: String) in strdup(text) } + [nil]
        var strings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { for text in arguments + strings { free(text) } }
        var process = pid_t()
        let code = posix_spawn(&process, "/bin/sh", &actions, &attributes, &arguments, &strings)
        close(pipe[0])
        // A command that does not read it does not mind. A record is shorter than what a pipe holds (pipe(7)).
        if code == 0 { _ = writeAll(input + [UInt8(ascii: "\n")], to: pipe[1]) }
        close(pipe[1])
        guard code == 0 else { throw SpawnError(code: code) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }

    private static var inherited: [String] {
        var variables: [String] = [], entry = environ
        while let text = entry.pointee {
            variables.append(String(cString: text))
            entry += 1
        }
        return variables
    }
}
