import Foundation
import TestSupport
import Testing

@Suite("The units are right and hardened")
struct UnitFileTests {
    /// The template with an instance, whose ALSA name is escaped. (`verify` itself fails on instances with a colon.)
    static let units = [
        "aumd.service", #"aumd@kitchen\x2dmicrophone.service"#, "aumd-mqtt.service", #"aumd-mqtt@kitchen\x2dmicrophone.service"#,
    ]

    @Test("systemd-analyze verify says nothing at all", arguments: units)
    func verify(unit: String) throws {
        let folder = TemporaryFolder()
        let result = try Command("systemd-analyze", ["verify", "--man=no", try copy(unit, to: folder)])
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

    @Test("a unit and its template differ in nothing but the device")
    func sameHardening() throws {
        let (plain, template) = (try lines("aumd.service"), try lines("aumd@.service"))
        #expect(plain.subtracting(template) == [
            "Description=Sound tagging from the microphone",
            "Environment=AUMD_SOCKET=%t/aumd/events.sock AUMD_CONTROL=%t/aumd/control.sock AUMD_STDOUT=false",
            "Environment=AUMD_PAUSE_FILE=%S/aumd/aumd.paused", "RuntimeDirectory=aumd",
        ])
        #expect(template.subtracting(plain) == [
            "Description=Sound tagging from %I", #"Environment="AUMD_DEVICE=%I" "AUMD_SOURCE_NAME=%I""#,
            "Environment=AUMD_SOCKET=%t/aumd@%i/events.sock AUMD_CONTROL=%t/aumd@%i/control.sock AUMD_STDOUT=false",
            "Environment=AUMD_PAUSE_FILE=%S/aumd/aumd@%i.paused", "RuntimeDirectory=aumd@%i",
        ])
        let (bridge, bridges) = (try lines("aumd-mqtt.service"), try lines("aumd-mqtt@.service"))
        #expect(bridge.subtracting(bridges) == [
            "Description=Sound events to an MQTT broker", "After=network-online.target aumd.service",
            "Environment=AUMD_SOCKET=%t/aumd/events.sock AUMD_CONTROL=%t/aumd/control.sock",
        ])
        #expect(bridges.subtracting(bridge) == [
            "Description=Sound events from %I to an MQTT broker", "After=network-online.target aumd@%i.service",
            #"Environment="AUMD_SOURCE_NAME=%I""#, "Environment=AUMD_SOCKET=%t/aumd@%i/events.sock AUMD_CONTROL=%t/aumd@%i/control.sock",
        ])
    }

    @Test("what hears has no network, and what has a network no device")
    func apart() throws {
        #expect(try lines("aumd.service").isSuperset(of: ["PrivateNetwork=yes", "IPAddressDeny=any", "RestrictAddressFamilies=AF_UNIX"]))
        #expect(try lines("aumd-mqtt.service").isSuperset(of: ["PrivateDevices=yes", "DevicePolicy=closed"]))
        #expect(try !lines("aumd-mqtt.service").contains { $0.hasPrefix("DeviceAllow") || $0.hasPrefix("SupplementaryGroups") })
    }

    private func lines(_ unit: String) throws -> Set<String> {
        let text = try String(contentsOf: packageRoot.appending(path: "systemd/\(unit)"), encoding: .utf8)
        return Set(text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init))
    }

    /// A unit as systemd would find it, with a program that is there on every machine.
    private func copy(_ unit: String, to folder: TemporaryFolder) throws -> String {
        let source = unit.replacing(#/@.*\./#, with: "@.")
        let text = try String(contentsOf: packageRoot.appending(path: "systemd/\(source)"), encoding: .utf8)
        #expect(text.contains(unit.hasPrefix("aumd-mqtt") ? "\nExecStart=/usr/local/bin/aumd mqtt " : "\nExecStart=/usr/local/bin/aumd listen "))
        for name in [source, unit] {
            try folder.write(text.replacingOccurrences(of: "/usr/local/bin/aumd ", with: "/bin/true "), to: name)
        }
        return folder.url.appending(path: unit).path(percentEncoded: false)
    }
}
