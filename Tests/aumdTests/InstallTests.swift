import Foundation
import TestSupport
import Testing

@Suite("install.sh")
struct InstallTests {
    /// What a release build leaves, in small: install.sh only copies it and asks it for completions.
    private let build: TemporaryFolder
    private let root: TemporaryFolder

    init() throws {
        build = TemporaryFolder()
        root = TemporaryFolder()
        try build.write("#!/bin/sh\nprintf 'completions for %s \\\\n\\n' \"$2\"\n", to: "aumd", mode: 0o755)
        try build.write("{}", to: "aumd_aumd.resources/model/config.json")
        try build.write("weights", to: "aumd_aumd.resources/model/model.safetensors")
        try build.write("sound", to: "aumd_aumd.resources/demo.ogg")
    }

    @Test("every file is there, readable, and named in what it prints")
    func installs() throws {
        let result = try install()
        #expect(result.status == 0)
        #expect(result.errors == "")
        let files = try root.files()
        #expect(files.mapValues { String($0.mode, radix: 8) } == [
            "usr/local/bin/aumd": "755",
            "usr/local/share/aumd/model/config.json": "644",
            "usr/local/share/aumd/model/model.safetensors": "644",
            "usr/local/share/aumd/demo.ogg": "644",
            "usr/local/share/aumd/aumd-1.schema.json": "644",
            "usr/local/lib/systemd/system/aumd.service": "644",
            "usr/local/lib/systemd/system/aumd@.service": "644",
            "usr/local/lib/systemd/system/aumd-mqtt.service": "644",
            "usr/local/lib/systemd/system/aumd-mqtt@.service": "644",
            "usr/local/lib/systemd/catalog/aumd.catalog": "644",
            "usr/local/lib/sysusers.d/aumd.conf": "644",
            "usr/local/share/bash-completion/completions/aumd": "644",
            "usr/local/share/zsh/site-functions/_aumd": "644",
            "usr/local/share/fish/vendor_completions.d/aumd.fish": "644",
            "usr/local/share/man/man1/aumd.1": "644",
            "etc/aumd/aumd.yaml": "644",
        ])
        #expect(Set(result.output.split(separator: "\n").map { String($0.dropFirst(root.path.count + 1)) }) == Set(files.keys))
        #expect(text(files["usr/local/share/fish/vendor_completions.d/aumd.fish"]) == "completions for fish \\n\n")
        #expect(text(files["usr/local/share/aumd/demo.ogg"]) == "sound")
    }

    @Test("any user reaches every file, whatever the umask is")
    func umask() throws {
        let script = packageRoot.appending(path: "systemd/install.sh").path(percentEncoded: false)
        let result = try Command(
            "sh", ["-c", "umask 077 && '\(script)'"],
            environment: ["BUILD": build.path, "DESTDIR": root.path + "/new", "PREFIX": "/usr/local"])
        #expect(result.status == 0)
        let closed = try Command("find", [root.path + "/new", "-type", "d", "!", "-perm", "755"])
        #expect(closed.output == "")
    }

    @Test("twice gives the same")
    func twice() throws {
        #expect(try install().status == 0)
        let once = try root.files()
        #expect(try install().status == 0)
        #expect(try root.files() == once)
    }

    @Test("the user's configuration is kept, a model's old files are not")
    func upgrade() throws {
        try root.write("model: mine\n", to: "etc/aumd/aumd.yaml", mode: 0o600)
        try root.write("old", to: "usr/local/share/aumd/model/old.json")
        #expect(try install().status == 0)
        let files = try root.files()
        #expect(files["etc/aumd/aumd.yaml"] == TemporaryFolder.File(mode: 0o600, content: Data("model: mine\n".utf8)))
        #expect(files["usr/local/share/aumd/model/old.json"] == nil)
    }

    @Test("the units start the program where it was installed", arguments: ["/usr", "/opt/sound"])
    func prefix(prefix: String) throws {
        #expect(try install(["PREFIX": prefix]).status == 0)
        let files = try root.files()
        let units = prefix == "/usr" ? "usr/lib/systemd/system" : "usr/local/lib/systemd/system"
        for (unit, command) in [("aumd", "listen"), ("aumd@", "listen"), ("aumd-mqtt", "mqtt"), ("aumd-mqtt@", "mqtt")] {
            #expect(text(files["\(units)/\(unit).service"])?.contains("\nExecStart=\(prefix)/bin/aumd \(command) ") == true)
        }
        #expect(files["\(prefix.dropFirst())/bin/aumd"] != nil)
        #expect(files.keys.filter { $0.hasPrefix("usr/local/bin") }.isEmpty)
    }

    @Test("--uninstall leaves the configuration and nothing else")
    func uninstall() throws {
        #expect(try install().status == 0)
        #expect(try install([:], ["--uninstall"]).status == 0)
        #expect(try Array(root.files().keys) == ["etc/aumd/aumd.yaml"])
        #expect(try install([:], ["--uninstall"]).status == 0)
    }

    @Test("without a build, or with an unknown word, it says what to do and touches nothing")
    func refuses() throws {
        let empty = TemporaryFolder()
        let missing = try install(["BUILD": empty.path])
        #expect(missing.status == 66)
        #expect(missing.errors.contains("swift build -c release"))
        let word = try install([:], ["--remove"])
        #expect(word.status == 64)
        #expect(word.errors.contains("systemd/install.sh [--uninstall]"))
        #expect(try root.files().isEmpty)
    }

    @Test("a prefix that a unit cannot name is refused", arguments: ["/opt/a b", "opt", "/opt/50%", "/opt/$x", #"/opt/a\b"#, "/opt/\"a\"", "/a&b"])
    func oddPrefix(prefix: String) throws {
        let result = try install(["PREFIX": prefix])
        #expect(result.status == 64)
        #expect(result.errors.split(separator: "\n").count == 1 && result.errors.contains("PREFIX \"\(prefix)\""), "\(result.errors)")
        #expect(try root.files().isEmpty)
    }

    private func install(_ environment: [String: String] = [:], _ arguments: [String] = []) throws -> Command {
        try Command(
            packageRoot.appending(path: "systemd/install.sh").path(percentEncoded: false), arguments,
            environment: ["BUILD": build.path, "DESTDIR": root.path, "PREFIX": "/usr/local"].merging(environment) { $1 })
    }

    private func text(_ file: TemporaryFolder.File?) -> String? { file.map { String(decoding: $0.content, as: UTF8.self) } }
}
