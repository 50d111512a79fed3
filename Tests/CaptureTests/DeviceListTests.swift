import Capture
import Foundation
import TestSupport
import Testing

@Suite("The list of devices")
struct DeviceListTests {
    @Test("has the PCMs that the configuration shows, with their rates and channels, and no others")
    func listed() throws {
        let name = ScriptedDevices.name("listed")
        // Twice: it is left as it was.
        for _ in 0..<2 {
            let scripted = try captureDevices().filter { $0.name.hasPrefix("test_") }
            #expect(scripted.map(\.name) == [name])
            let device = try #require(scripted.first)
            #expect(device.description == "A microphone")
            #expect(device.rates == [16_000, 44_100, 48_000])
            #expect(device.channels == 2...2)
            #expect(device.state == .free)
        }
        let source = ALSASource(request(name))
        #expect(startError(source) == nil)
        defer { source.stop() }
        #expect(try captureDevices().first { $0.name == name }?.state == .busy(nil))
    }

    @Test("has a card's names by its serial number and its socket, as udev links them, and no other card's")
    func persistent() throws {
        let folder = TemporaryFolder(), files = FileManager.default
        for card in [1, 10] { try Data().write(to: URL(filePath: folder.file("controlC\(card)"))) }
        #expect(persistentNames(card: 1, folder: folder.path) == [])
        for (link, card) in [
            ("by-path/pci-0000:00:14.0-usb-0:2:1.0", 1), ("by-path/pci-0000:00:14.0-usb-0:3:1.0", 10), ("by-path/pci-0000:00:1f.3", 2),
            ("by-id/usb-Maker_Microphone_1234-00", 1),
        ] {
            let path = folder.file(link)
            try files.createDirectory(atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try files.createSymbolicLink(atPath: path, withDestinationPath: "../controlC\(card)")
        }
        #expect(
            persistentNames(card: 1, folder: folder.path) == [
                "hw:CARD=\(folder.path)/by-id/usb-Maker_Microphone_1234-00", "hw:CARD=\(folder.path)/by-path/pci-0000:00:14.0-usb-0:2:1.0",
            ])
        #expect(persistentNames(card: 10, folder: folder.path) == ["hw:CARD=\(folder.path)/by-path/pci-0000:00:14.0-usb-0:3:1.0"])
        #expect(persistentNames(card: 3, folder: folder.path) == [])
    }
}
