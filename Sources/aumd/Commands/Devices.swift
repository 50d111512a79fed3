import ArgumentParser
import Capture
import Sinks

/// `aumd devices`: what can be captured from.
struct Devices: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists what can be captured from, with the name to pass to --device.")

    @Flag(help: "Show names that ALSA knows but finds no device for, too.")
    var all = false

    func run() throws {
        let devices: [CaptureDevice]
        do throws(CaptureError) { devices = try captureDevices() } catch { throw Failure(error) }
        // Plug-in definitions without a device behind them are no use to anybody.
        let present = devices.filter { if case .unusable(.device(_, .absent)) = $0.state { all } else { true } }
        for device in present { try say(line(device)) }
        if !devices.contains(where: { if case .unusable = $0.state { false } else { true } }) {
            report("There is no capture device; plug in a microphone, or try 'aumd listen --demo'.")
            throw SystemExit.unavailable.exitCode
        }
    }

    private func line(_ device: CaptureDevice) -> String {
        var parts: [String] = []
        if !device.rates.isEmpty { parts.append(device.rates.map(String.init).joined(separator: " ") + " Hz") }
        if let channels = device.channels {
            parts.append(
                channels.count == 1 ? "\(channels.lowerBound) channels" : "\(channels.lowerBound) to \(channels.upperBound) channels")
        }
        switch device.state {
        case .free: break
        case .busy(let owner):
            parts.append("in use" + (owner.map { " by \(($0.program ?? "process").printable) (\($0.process))" } ?? ""))
        case .unusable(let error): parts.append("cannot be opened: \("\(error)".printable)")
        }
        let description = device.description.isEmpty ? "" : "  \(device.description.printable)"
        let lines = [parts.joined(separator: ", ")] + device.persistentNames.map { "also \($0.printable)" }
        return (["\(device.name.printable)\(description)"] + lines).joined(separator: "\n    ")
    }
}
