import CALSA
import Glibc

/// Something that can be captured from.
public struct CaptureDevice: Sendable, Equatable {
    /// What to pass as the device.
    public var name: String
    /// Names of the same device whatever order the cards are found in: by maker and serial number, then by the socket that it is plugged
    /// into. udev's links, see `persistentNames`; empty for a PCM of the configuration.
    public var persistentNames: [String]
    /// A line for people.
    public var description: String
    /// The usual rates it offers, in Hz, ascending; empty if it could not be asked.
    public var rates: [Int]
    /// The channel counts it offers; nil if it could not be asked.
    public var channels: ClosedRange<Int>?
    /// Whether it can be opened now.
    public var state: State

    /// Whether a device can be opened.
    public enum State: Sendable, Equatable {
        /// It was opened for a moment, and can be.
        case free
        /// In use, by this process if it is known.
        case busy(Owner?)
        /// It could not be opened for another reason.
        case unusable(CaptureError)
    }

    /// Who has a device.
    public struct Owner: Sendable, Equatable {
        /// Its process id.
        public var process: Int
        /// The program's name, if it can be read.
        public var program: String?
    }
}

/// Every device that can capture sound: first the cards' own ("hw:"), then the named PCMs that ALSA's hints list (`default`, those
/// of a sound server, and those of an asoundrc: with a `hint` block, or all where `defaults.namehint.showall` is on, as on
/// Debian). Each is opened for a moment to learn its rates, and left as it was; a device in use is not disturbed.
///
/// - Throws: ``CaptureError/system(call:errno:)`` where ALSA has no hints to give.
public func captureDevices() throws(CaptureError) -> [CaptureDevice] {
    silenceALSAMessages()
    var devices = hardwareDevices()
    let known = Set(devices.map(\.name))
    devices += try namedDevices().filter { !known.contains($0.name) }
    return devices
}

private func hardwareDevices() -> [CaptureDevice] {
    var devices: [CaptureDevice] = []
    var card: Int32 = -1
    while snd_card_next(&card) >= 0, card >= 0 {
        var control: OpaquePointer?
        guard snd_ctl_open(&control, "hw:\(card)", 0) >= 0 else { continue }
        defer { snd_ctl_close(control) }
        var cardInfo: OpaquePointer?
        var info: OpaquePointer?
        guard snd_ctl_card_info_malloc(&cardInfo) >= 0 else { continue }
        defer { snd_ctl_card_info_free(cardInfo) }
        guard snd_pcm_info_malloc(&info) >= 0 else { continue }
        defer { snd_pcm_info_free(info) }
        guard snd_ctl_card_info(control, cardInfo) >= 0 else { continue }
        let id = String(cString: snd_ctl_card_info_get_id(cardInfo))
        let cardName = String(cString: snd_ctl_card_info_get_name(cardInfo))
        var device: Int32 = -1
        while snd_ctl_pcm_next_device(control, &device) >= 0, device >= 0 {
            snd_pcm_info_set_device(info, UInt32(device))
            snd_pcm_info_set_subdevice(info, 0)
            snd_pcm_info_set_stream(info, SND_PCM_STREAM_CAPTURE)
            guard snd_ctl_pcm_info(control, info) >= 0 else { continue }
            let deviceName = String(cString: snd_pcm_info_get_name(info))
            devices.append(
                probed(
                    "hw:CARD=\(id),DEV=\(device)", description: "\(cardName), \(deviceName)",
                    persistentNames: persistentNames(card: Int(card)).map { "\($0),DEV=\(device)" },
                    owner: { owner(card: card, device: device) }))
        }
    }
    return devices
}

/// The PCMs that the configuration shows to users, without those that only play.
private func namedDevices() throws(CaptureError) -> [CaptureDevice] {
    var hints: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    let code = snd_device_name_hint(-1, "pcm", &hints)
    guard code >= 0, let hints else { throw .system(call: "snd_device_name_hint", errno: -code) }
    defer { snd_device_name_free_hint(hints) }
    var devices: [CaptureDevice] = []
    var hint = hints
    while let entry = hint.pointee {
        defer { hint += 1 }
        guard let name = text(entry, "NAME"), name != "null", text(entry, "IOID") != "Output" else { continue }
        let description = text(entry, "DESC") ?? ""
        devices.append(probed(name, description: description.split(separator: "\n").joined(separator: ", ")))
    }
    return devices
}

private func text(_ entry: UnsafeMutableRawPointer, _ field: String) -> String? {
    guard let value = snd_device_name_get_hint(entry, field) else { return nil }
    defer { free(value) }
    return String(cString: value)
}

/// Opens a device without waiting and asks for its rates and channels.
private func probed(
    _ name: String, description: String, persistentNames: [String] = [], owner: () -> CaptureDevice.Owner? = { nil }
) -> CaptureDevice {
    var device = CaptureDevice(
        name: name, persistentNames: persistentNames, description: description, rates: [], channels: nil, state: .free)
    var pcm: OpaquePointer?
    let code = snd_pcm_open(&pcm, name, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK)
    guard code >= 0 else {
        device.state =
            code == -EBUSY ? .busy(owner()) : .unusable(.device(name, .init(call: "snd_pcm_open", errno: -code)))
        return device
    }
    defer { snd_pcm_close(pcm) }
    var parameters: OpaquePointer?
    guard snd_pcm_hw_params_malloc(&parameters) >= 0 else { return device }
    defer { snd_pcm_hw_params_free(parameters) }
    guard snd_pcm_hw_params_any(pcm, parameters) >= 0 else { return device }
    // What the device has, not what libasound can make of it.
    snd_pcm_hw_params_set_rate_resample(pcm, parameters, 0)
    device.rates = ALSADevice.commonRates.filter { snd_pcm_hw_params_test_rate(pcm, parameters, UInt32($0), 0) == 0 }
        .sorted()
    var least: UInt32 = 0
    var most: UInt32 = 0
    if snd_pcm_hw_params_get_channels_min(parameters, &least) >= 0,
        snd_pcm_hw_params_get_channels_max(parameters, &most) >= 0, least <= most
    {
        device.channels = Int(least)...Int(most)
    }
    return device
}

/// Names of a card by the links that udev's rules (60-persistent-alsa.rules) make to its control device in by-id and by-path;
/// libasound takes a control device's path for a card wherever it takes a card's id.
///
/// - Parameter folder: where sound devices are.
package func persistentNames(card: Int, folder: String = "/dev/snd") -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob("\(folder)/by-*/*", 0, nil, &found) == 0, let device = resolved("\(folder)/controlC\(card)") else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { index in
        guard let link = found.gl_pathv[index].map({ String(cString: $0) }), resolved(link) == device else { return nil }
        return "hw:CARD=\(link)"
    }
}

/// The path without links in it; nil where there is no such file.
private func resolved(_ path: String) -> String? {
    guard let path = realpath(path, nil) else { return nil }
    defer { free(path) }
    return String(cString: path)
}

/// Who has a card's capture device, as the kernel says in /proc/asound.
private func owner(card: Int32, device: Int32) -> CaptureDevice.Owner? {
    guard let status = contents("/proc/asound/card\(card)/pcm\(device)c/sub0/status"),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("owner_pid") }),
        let process = line.split(whereSeparator: { $0 == " " || $0 == ":" }).last.flatMap({ Int($0) })
    else { return nil }
    let program = contents("/proc/\(process)/comm")?.split(separator: "\n").first.map(String.init)
    return CaptureDevice.Owner(process: process, program: program)
}

/// The first 4096 bytes of a file of the kernel.
private func contents(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        return count > 0 ? String(decoding: buffer[0..<count], as: UTF8.self) : nil
    }
}
