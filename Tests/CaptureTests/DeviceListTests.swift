import Capture
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
}
