import Foundation
import TestSupport
import Testing

@Suite("package.sh")
struct PackageTests {
    private let build = TemporaryFolder()
    private let folder = TemporaryFolder()

    /// A program that needs ALSA's library, with resources, in place of a release build.
    init() throws {
        try build.write(
            """
            #include <alsa/asoundlib.h>
            #include <string.h>
            int main(int count, char **words) {
                if (count > 1 && !strcmp(words[1], "--version")) puts("1.2.3");
                return snd_asoundlib_version() == 0;
            }
            """, to: "aumd.c")
        let made = try Command("cc", [build.path + "/aumd.c", "-o", build.path + "/aumd", "-lasound"])
        #expect(made.status == 0, "\(made.errors)")
        try build.write("{}", to: "aumd_aumd.resources/model/config.json")
    }

    private func package(_ build: String) throws -> Command {
        try Command(
            packageRoot.appending(path: "systemd/package.sh").path(percentEncoded: false), [folder.path], environment: ["BUILD": build])
    }

    @Test("makes a package that depends on the program's libraries, is of root, and has what install.sh installs, for /usr")
    func contents() throws {
        let result = try package(build.path)
        #expect(result.status == 0 && result.errors == "", "\(result.errors)")
        let file = try #require(result.output.split(separator: "\n").first.map(String.init))
        #expect(file.hasPrefix(folder.path + "/aumd_1.2.3_") && file.hasSuffix(".deb"))
        let fields = try Command("dpkg-deb", ["--field", file]).output
        #expect(fields.contains("Package: aumd\nVersion: 1.2.3\n"))
        let needed = fields.split(separator: "\n").first { $0.hasPrefix("Depends: ") } ?? ""
        #expect(needed.contains("libasound2") && needed.contains("libc6 (>= ") && needed.hasSuffix(", systemd"), "\(fields)")
        let listed = try Command("dpkg-deb", ["--contents", file]).output.split(separator: "\n")
        #expect(listed.allSatisfy { $0.contains(" root/root ") })
        let files = Set(listed.filter { !$0.hasSuffix("/") }.compactMap { $0.split(separator: " ").last.map(String.init) })
        #expect(files == [
            "./usr/bin/aumd", "./usr/share/aumd/model/config.json", "./usr/share/aumd/aumd-1.schema.json",
            "./usr/lib/systemd/system/aumd.service",
            "./usr/lib/systemd/system/aumd@.service", "./usr/lib/systemd/system/aumd-mqtt.service",
            "./usr/lib/systemd/system/aumd-mqtt@.service", "./usr/lib/systemd/catalog/aumd.catalog", "./usr/lib/sysusers.d/aumd.conf",
            "./usr/share/bash-completion/completions/aumd", "./usr/share/zsh/vendor-completions/_aumd",
            "./usr/share/fish/vendor_completions.d/aumd.fish", "./usr/share/man/man1/aumd.1.gz", "./usr/share/doc/aumd/copyright",
            "./etc/aumd/aumd.yaml",
        ])
        // The settings are the administrator's: dpkg asks before it replaces them.
        #expect(try Command("dpkg-deb", ["--info", file, "conffiles"]).output == "/etc/aumd/aumd.yaml\n")
        for script in ["postinst", "prerm", "postrm"] {
            let text = try Command("dpkg-deb", ["--info", file, script]).output
            try folder.write(text, to: script)
            #expect(try Command("sh", ["-n", folder.path + "/" + script]).status == 0 && text.contains("systemctl"))
        }
    }

    @Test("refuses a program that needs Swift's libraries, as the one beside these tests does, and says what to do")
    func swiftLibraries() throws {
        try FileManager.default.removeItem(atPath: build.path + "/aumd")
        try FileManager.default.createSymbolicLink(atPath: build.path + "/aumd", withDestinationPath: Program.path)
        let result = try package(build.path)
        #expect(result.status == 69 && result.output == "" && result.errors.contains("--static-swift-stdlib"), "\(result.errors)")
        #expect(try Command("find", [folder.path, "-name", "*.deb"]).output == "")
    }

    @Test("says what to do where nothing is built")
    func nothingBuilt() throws {
        let result = try package(folder.path)
        #expect(result.status == 66 && result.errors.contains("swift build -c release"), "\(result.errors)")
    }
}
