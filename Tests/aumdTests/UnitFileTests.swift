import Foundation
import TestSupport
import Testing

@Suite("The units are right and hardened")
struct UnitFileTests {
    /// The template with an instance, whose ALSA name is escaped. (`verify` itself fails on instances with a colon.)
    static let units = ["aumd.service", #"aumd@kitchen\x2dmicrophone.service"#]

    @Test("systemd-analyze verify says nothing at all", arguments: units)
    func verify(unit: String) throws {
        let folder = TemporaryFolder()
        let result = try Command("systemd-analyze", ["verify", try copy(unit, to: folder)])
        #expect(result.errors == "")
        #expect(result.status == 0)
    }

    @Test("systemd-analyze verify does speak up about a key that it does not know")
    func verifyWorks() throws {
        let folder = TemporaryFolder()
        let path = try copy("aumd.service", to: folder)
        try folder.write(try String(contentsOfFile: path, encoding: .utf8) + "\n[Service]\nProtectEars=yes\n", to: "aumd.service")
        #expect(try Command("systemd-analyze", ["verify", path]).errors.contains("ProtectEars"))
    }

    @Test("the exposure is at most 1.5", arguments: units)
    func security(unit: String) throws {
        let folder = TemporaryFolder()
        let result = try Command(
            "systemd-analyze", ["security", "--offline=true", "--threshold=15", "--no-pager", try copy(unit, to: folder)])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test("the two units differ in nothing but the device")
    func sameHardening() throws {
        let lines = try ["aumd.service", "aumd@.service"].map {
            try String(contentsOf: packageRoot.appending(path: "systemd/\($0)"), encoding: .utf8).split(separator: "\n")
                .filter { !$0.hasPrefix("#") }.map(String.init)
        }
        let (plain, template) = (Set(lines[0]), Set(lines[1]))
        #expect(plain.subtracting(template) == [
            "Description=Sound tagging from the microphone",
            "Environment=AUMD_SOCKET=%t/aumd/events.sock AUMD_STDOUT=false", "RuntimeDirectory=aumd",
        ])
        #expect(template.subtracting(plain) == [
            "Description=Sound tagging from %I", #"Environment="AUMD_DEVICE=%I" "AUMD_SOURCE_NAME=%I""#,
            "Environment=AUMD_SOCKET=%t/aumd@%i/events.sock AUMD_STDOUT=false", "RuntimeDirectory=aumd@%i",
        ])
    }

    /// A unit as systemd would find it, with a program that is there on every machine.
    private func copy(_ unit: String, to folder: TemporaryFolder) throws -> String {
        let source = unit.hasPrefix("aumd@") ? "aumd@.service" : unit
        let text = try String(contentsOf: packageRoot.appending(path: "systemd/\(source)"), encoding: .utf8)
        #expect(text.contains("\nExecStart=/usr/local/bin/aumd listen "))
        for name in [source, unit] {
            try folder.write(text.replacingOccurrences(of: "/usr/local/bin/aumd ", with: "/bin/true "), to: name)
        }
        return folder.url.appending(path: unit).path(percentEncoded: false)
    }
}
