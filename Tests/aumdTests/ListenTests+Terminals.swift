import Foundation
import TestSupport
import Testing

/// On a terminal, and when it goes.
extension ListenTests {
    @Test("The live view gives the terminal back while it is stopped, goes on where no shell could continue it, and a terminal that cannot repaint gets sentences")
    func terminals() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, pty, select, signal, time
            def start(kind, isJob):
                process, terminal = pty.fork()
                if process == 0:
                    # As a shell does: it leads the session, and its job is a foreground group of its own.
                    if isJob and (job := os.fork()):
                        os.write(told, b"%d\\n" % job)
                        while os.WIFSTOPPED(status := os.waitpid(job, os.WUNTRACED)[1]): os.write(told, b"stopped\\n")
                        os.write(told, b"%d\\n" % os.waitstatus_to_exitcode(status))
                        os._exit(0)
                    if isJob:
                        os.setpgid(0, 0)
                        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                        os.tcsetpgrp(0, os.getpid())
                        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                    os.environ["TERM"] = kind
                    os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace", "--config", "\(config)"])
                return process, terminal
            def until(terminal, end, seconds=5):
                text = b""
                while end not in text and select.select([terminal], [], [], seconds)[0]:
                    text += os.read(terminal, 65536)
                return text
            hearing, told = os.pipe()
            shell = os.fdopen(hearing)
            _, terminal = start("xterm", True)
            process = int(shell.readline())
            print("hidden", b"level" in until(terminal, b"level"))
            os.write(terminal, b"\\x1a")
            print(shell.readline().strip(), "shown", until(terminal, b"\\x1b[?25h").endswith(b"\\x1b[?7h\\x1b[?25h"))
            os.kill(process, signal.SIGCONT)
            print("hidden again", b"\\x1b[?25l" in until(terminal, b"\\x1b[?25l"))
            os.write(terminal, b"\\x1a")
            print(shell.readline().strip(), "shown", until(terminal, b"\\x1b[?25h").endswith(b"\\x1b[?7h\\x1b[?25h"))
            os.kill(process, signal.SIGCONT)
            os.kill(process, signal.SIGINT)
            until(terminal, b"\\x1b[?25h")
            print("status", shell.readline().strip())
            # Nobody can continue it.
            process, terminal = start("xterm", False)
            until(terminal, b"level")
            os.write(terminal, b"\\x1a")
            until(terminal, b"\\x1b[?25h")
            print("goes on", b"level" in until(terminal, b"level", 3))
            os.kill(process, signal.SIGCONT)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            process, terminal = start("dumb", False)
            text = until(terminal, b"\\n")
            print("plain", b"\\x1b" not in text and len(text) > 10)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            END
            """)
        #expect(
            result.output
                == "hidden True\nstopped shown True\nhidden again True\nstopped shown True\nstatus 0\ngoes on True\nplain True\n",
            "\(result.output) \(result.errors)")
    }

    @Test("The live view has colours unless NO_COLOR says otherwise", arguments: [(nil, true), ("", true), ("1", false)])
    func colours(value: String?, hasThem: Bool) throws {
        let result = try Program.shell(
            """
            \(value.map { "NO_COLOR='\($0)'; export NO_COLOR" } ?? "unset NO_COLOR")
            python3 - <<'END'
            import os, pty, re, select, signal
            process, terminal = pty.fork()
            if process == 0:
                os.environ["TERM"] = "xterm"
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace"])
            text = b""
            while text.count(b"level") < 3 and select.select([terminal], [], [], 5)[0]: text += os.read(terminal, 65536)
            os.kill(process, signal.SIGINT)
            os.waitpid(process, 0)
            print(text.count(b"level") >= 3, re.search(rb"\\x1b\\[[0-9;]*m", text) is not None)
            END
            """)
        #expect(result.output == (hasThem ? "True True\n" : "True False\n"), "\(result.errors)")
    }

    @Test("It ends with the terminal it was started on", arguments: ["ndjson", "text"])
    func closedTerminal(format: String) throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import os, pty, time
            process, terminal = pty.fork()
            if process == 0:
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--source", "\(file)", "--pace", "--format", "\(format)"])
            os.read(terminal, 1)
            os.close(terminal)
            start = time.time()
            os.waitpid(process, 0)
            print(time.time() - start < 4)
            END
            """)
        #expect(result.output == "True\n", "\(result.errors)")
    }

    @Test("It ends with its terminal, though the reader of its output is stuck")
    func closedTerminalAndStuckReader() throws {
        let result = try Program.shell(
            """
            python3 - <<'END'
            import fcntl, os, pty, signal, time
            output, full = os.pipe()
            fcntl.fcntl(full, fcntl.F_SETPIPE_SZ, 4096)
            os.set_blocking(full, False)
            os.write(full, b"x" * 4096)
            os.set_blocking(full, True)
            process, terminal = pty.fork()
            if process == 0:
                os.dup2(full, 1)
                os.execv(os.environ["AUMD"], ["aumd", "listen", "--scores", "--source", "\(file)", "--format", "ndjson"])
            time.sleep(1)
            os.close(terminal)
            start = time.time()
            while os.waitpid(process, os.WNOHANG)[0] == 0 and time.time() - start < 8: time.sleep(0.05)
            print(time.time() - start < 8)
            try: os.kill(process, signal.SIGKILL)
            except ProcessLookupError: pass
            END
            """)
        #expect(result.output == "True\n", "\(result.errors)")
    }

    @Test("SIGHUP reopens the file of a daemon, though the terminal that it was started from is closed")
    func daemonOfClosedTerminal() throws {
        let result = try Program.shell(
            """
            cd \(folder.path)
            python3 - <<'END'
            import os, pty, signal, subprocess, time
            terminal, errors = pty.openpty()
            program = subprocess.Popen(
                [os.environ["AUMD"], "listen", "--source", "\(file)", "--pace", "--scores", "--output-file", "log"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
            os.close(errors)
            os.close(terminal)
            def size(): return os.path.getsize("log") if os.path.exists("log") else 0
            def fill():
                end = time.time() + 5
                while size() == 0 and time.time() < end: time.sleep(0.02)
                return size() > 0
            print(fill())
            os.rename("log", "log.1")
            program.send_signal(signal.SIGHUP)
            print(fill())
            program.send_signal(signal.SIGTERM)
            print(program.wait())
            END
            """)
        #expect(result.output == "True\nTrue\n0\n", "\(result.errors)")
    }
}
