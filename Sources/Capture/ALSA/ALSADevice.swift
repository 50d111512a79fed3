import CALSA
import Glibc
import Threads

/// What to ask a device for.
public struct CaptureRequest: Sendable, Equatable {
    /// Any PCM name that ALSA knows.
    public var device: String
    /// The rate it must have, in Hz; nil lets the device decide, see `ALSADevice.chooseRate`.
    public var rate: Int?
    /// Which of its channels are listened to.
    public var channel: ChannelChoice
    /// Microseconds between two wake-ups of the capture thread.
    public var periodTime: Int
    /// Microseconds that the device's own buffer holds.
    public var bufferTime: Int

    /// A request for a device.
    public init(device: String, rate: Int?, channel: ChannelChoice, periodTime: Int, bufferTime: Int) {
        self.device = device
        self.rate = rate
        self.channel = channel
        self.periodTime = periodTime
        self.bufferTime = bufferTime
    }
}

/// An open and configured capture device. Owns the PCM handle; closed when the value ends. Opening allocates,
/// everything `CaptureLoop` calls on it afterwards does not (in aumd; plug-ins may). One thread at a time has it.
struct ALSADevice: ~Copyable, @unchecked Sendable {
    let pcm: OpaquePointer
    let rate: Int
    let converter: MonoConverter
    /// Samples (of every channel).
    let periodSize: Int

    deinit { snd_pcm_close(pcm) }

    /// Opens without waiting for a device that is busy, negotiates and prepares.
    ///
    /// Negotiation: as few channels as it has, mono where offered (one more than the chosen channel at least); formats by
    /// falling quality: S32, FLOAT, S24, S24_3LE, S16. Where a plug layer converts, which has all formats, S32 holds
    /// every integer format unchanged. Sample rate conversion inside libasound stays off unless nothing fits without.
    init(_ request: CaptureRequest) throws(CaptureError) {
        let name = request.device
        collectALSAMessages()
        defer { _ = takeALSAMessage() }
        var opened: OpaquePointer?
        let code = snd_pcm_open(&opened, name, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK)
        guard code >= 0, let pcm = opened else {
            if code == -ENOENT, !ALSADevice.isDefined(name) { throw .device(name, .unknownName) }
            let message = takeALSAMessage()
            // A plug-in that is not installed would be waited for in vain, and what to install only the library says.
            if code == -ENXIO, message.contains("shared library") {
                throw .device(name, .notInstalled(message))
            }
            throw .device(name, .init(call: "snd_pcm_open", errno: -code, message: message))
        }
        do {
            let setup = try ALSADevice.configure(pcm, request)
            self.pcm = pcm
            rate = setup.rate
            converter = setup.converter
            periodSize = setup.periodSize
        } catch {
            snd_pcm_close(pcm)
            throw error
        }
    }

    /// Whether the configuration (alsa.conf, asoundrc) defines a PCM of this name, whatever its arguments.
    static func isDefined(_ name: String) -> Bool {
        if name.contains("{") { return true }
        var top: OpaquePointer?
        var update: OpaquePointer?
        guard snd_config_update_r(&top, &update, nil) >= 0, let top else { return true }
        defer {
            snd_config_delete(top)
            if let update { snd_config_update_free(update) }
        }
        let base = name.prefix { $0 != ":" }
        var found: OpaquePointer?
        return snd_config_search(top, "pcm.\(base)", &found) >= 0
    }

    /// Of the rates a device offers, the one to use. 16 kHz, what the models take, where the device itself has it:
    /// its own decimation filter costs nothing. Else the smallest multiple of 16 kHz (32, 48, 96, 192 kHz), which is
    /// resampled best; else the lowest rate above; else the highest below.
    static func chooseRate(isOffered: (Int) -> Bool) -> Int? {
        commonRates.first(where: isOffered)
    }

    /// In the order of `chooseRate`.
    static let commonRates = [
        16_000, 32_000, 48_000, 96_000, 192_000, 22_050, 24_000, 44_100, 64_000, 88_200, 176_400, 384_000,
        12_000, 11_025, 8_000,
    ]

    private struct Setup {
        var rate: Int
        var converter: MonoConverter
        var periodSize: Int
    }

    private static let formats: [(snd_pcm_format_t, SampleFormat)] = [
        (SND_PCM_FORMAT_S32_LE, .s32), (SND_PCM_FORMAT_FLOAT_LE, .float), (SND_PCM_FORMAT_S24_LE, .s24),
        (SND_PCM_FORMAT_S24_3LE, .s24_3), (SND_PCM_FORMAT_S16_LE, .s16),
    ]

    private static func configure(_ pcm: OpaquePointer, _ request: CaptureRequest) throws(CaptureError) -> Setup {
        // Without conversion of the rate first: some plug configurations have a fixed one and fit only with it.
        // A plug layer may also accept a format and refuse it in the end, so each format is tried to the end.
        var first: CaptureError?
        for resample in [false, true] {
            for format in formats {
                do throws(CaptureError) {
                    if let setup = try configure(pcm, request, format, resample: resample) { return setup }
                } catch {
                    first = first ?? error
                }
            }
        }
        throw first ?? .device(request.device, .unsupported(what: "sample format"))
    }

    /// Nil if the format is not offered.
    private static func configure(
        _ pcm: OpaquePointer, _ request: CaptureRequest, _ format: (snd_pcm_format_t, SampleFormat), resample: Bool
    ) throws(CaptureError) -> Setup? {
        let name = request.device
        var parameters: OpaquePointer?
        try alsa("snd_pcm_hw_params_malloc", device: name) { snd_pcm_hw_params_malloc(&parameters) }
        defer { snd_pcm_hw_params_free(parameters) }
        try alsa("snd_pcm_hw_params_any", device: name) { snd_pcm_hw_params_any(pcm, parameters) }
        try alsa("snd_pcm_hw_params_set_rate_resample", device: name) {
            snd_pcm_hw_params_set_rate_resample(pcm, parameters, resample ? 1 : 0)
        }
        guard snd_pcm_hw_params_set_access(pcm, parameters, SND_PCM_ACCESS_RW_INTERLEAVED) >= 0 else {
            throw .device(name, .unsupported(what: "interleaved access"))
        }
        guard snd_pcm_hw_params_test_format(pcm, parameters, format.0) == 0 else { return nil }
        try alsa("snd_pcm_hw_params_set_format", device: name) {
            snd_pcm_hw_params_set_format(pcm, parameters, format.0)
        }
        let channels = try setChannels(pcm, parameters, request)

        func isOffered(_ rate: Int) -> Bool {
            snd_pcm_hw_params_test_rate(pcm, parameters, UInt32(clamping: rate), 0) == 0
        }
        guard let rate = request.rate ?? chooseRate(isOffered: isOffered) else {
            throw .device(name, .unsupported(what: "sample rate"))
        }
        guard snd_pcm_hw_params_set_rate(pcm, parameters, UInt32(clamping: rate), 0) >= 0 else {
            throw .device(name, .rate(rate))
        }

        var bufferTime = UInt32(clamping: request.bufferTime)
        var periodTime = UInt32(clamping: request.periodTime)
        var direction: Int32 = 0
        snd_pcm_hw_params_set_period_time_near(pcm, parameters, &periodTime, &direction)
        snd_pcm_hw_params_set_buffer_time_near(pcm, parameters, &bufferTime, &direction)
        try alsa("snd_pcm_hw_params", device: name) { snd_pcm_hw_params(pcm, parameters) }

        var periodSize: snd_pcm_uframes_t = 0
        snd_pcm_hw_params_get_period_size(parameters, &periodSize, &direction)
        try setSoftware(pcm, name: name, periodSize: periodSize)
        return Setup(
            rate: rate,
            converter: MonoConverter(format: format.1, channels: channels, choice: request.channel),
            periodSize: max(1, Int(periodSize)))
    }

    private static func setChannels(
        _ pcm: OpaquePointer, _ parameters: OpaquePointer?, _ request: CaptureRequest
    ) throws(CaptureError) -> Int {
        var least: UInt32 = 0
        snd_pcm_hw_params_get_channels_min(parameters, &least)
        var channels = max(1, least)
        if case .one(let channel) = request.channel {
            channels = max(channels, UInt32(clamping: channel) + 1)
            guard channel >= 0 else { throw .device(request.device, .channel(channel)) }
        }
        guard snd_pcm_hw_params_set_channels_near(pcm, parameters, &channels) >= 0 else {
            throw .device(request.device, .unsupported(what: "channel count"))
        }
        if case .one(let channel) = request.channel, channel >= channels {
            throw .device(request.device, .channel(channel))
        }
        return Int(channels)
    }

    /// Wake up for every period, start on request only, timestamps of CLOCK_MONOTONIC, stop at an overrun.
    private static func setSoftware(
        _ pcm: OpaquePointer, name: String, periodSize: snd_pcm_uframes_t
    ) throws(CaptureError) {
        var parameters: OpaquePointer?
        try alsa("snd_pcm_sw_params_malloc", device: name) { snd_pcm_sw_params_malloc(&parameters) }
        defer { snd_pcm_sw_params_free(parameters) }
        try alsa("snd_pcm_sw_params_current", device: name) { snd_pcm_sw_params_current(pcm, parameters) }
        snd_pcm_sw_params_set_avail_min(pcm, parameters, periodSize)
        snd_pcm_sw_params_set_start_threshold(pcm, parameters, .max)
        snd_pcm_sw_params_set_tstamp_mode(pcm, parameters, SND_PCM_TSTAMP_ENABLE)
        snd_pcm_sw_params_set_tstamp_type(pcm, parameters, SND_PCM_TSTAMP_TYPE_MONOTONIC)
        try alsa("snd_pcm_sw_params", device: name) { snd_pcm_sw_params(pcm, parameters) }
    }

    /// Drops what is buffered, prepares and starts. Nil, or what failed.
    func restart() -> DeviceFault? {
        _ = snd_pcm_drop(pcm)
        let prepared = snd_pcm_prepare(pcm)
        if prepared < 0 { return .failed(.snd_pcm_prepare, errno: -prepared) }
        let started = snd_pcm_start(pcm)
        if started < 0 { return .failed(.snd_pcm_start, errno: -started) }
        return nil
    }

    /// How many samples were waiting and when that was (CLOCK_BOOTTIME), or a negative errno value.
    ///
    /// Hardware stamps its last interrupt, when the count was exact. Plug-ins stamp the moment of the call or not at
    /// all; there the clock is read on both sides, and if the thread was interrupted in between (the two are far
    /// apart) it is tried again.
    func measure() -> (available: Int, nanoseconds: Int64) {
        // What the machine has slept so far.
        let slept = nanosecondsNow(CLOCK_BOOTTIME) - nanosecondsNow(CLOCK_MONOTONIC)
        var best = (available: 0, nanoseconds: Int64(0))
        var least = Int64.max
        for _ in 0..<3 {
            var available: snd_pcm_uframes_t = 0
            var stamp = timespec()
            let before = nanosecondsNow(CLOCK_MONOTONIC)
            if snd_pcm_htimestamp(pcm, &available, &stamp) == 0 {
                let time = Int64(stamp.tv_sec) * 1_000_000_000 + Int64(stamp.tv_nsec)
                if time < before, before - time < 1_000_000_000 { return (Int(available), time + slept) }
            }
            let start = nanosecondsNow(CLOCK_MONOTONIC)
            let waiting = snd_pcm_avail(pcm)
            let end = nanosecondsNow(CLOCK_MONOTONIC)
            if waiting < 0 { return (Int(waiting), 0) }
            if end - start < least {
                least = end - start
                best = (Int(waiting), start + least / 2 + slept)
            }
            if least < 10_000 { break }
        }
        return best
    }
}
