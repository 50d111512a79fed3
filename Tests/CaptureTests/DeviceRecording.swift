import Capture

/// A request with a buffer that holds out on a loaded machine.
func request(
    _ device: String, rate: Int? = nil, channel: ChannelChoice = .mix, periodTime: Int = 20_000, bufferTime: Int = 500_000
) -> CaptureRequest {
    CaptureRequest(device: device, rate: rate, channel: channel, periodTime: periodTime, bufferTime: bufferTime)
}

/// Records a scripted device; a failure to start is the recording's error.
func record(
    _ key: String, plug: Bool = false, samples: Int64 = .max, seconds: Double = 8, stallTime: Int = 400,
    channel: ChannelChoice = .mix, until isEnough: @escaping @Sendable (Recording) -> Bool = { _ in false }
) async -> (recording: Recording, statistics: CaptureStatistics, rate: Int) {
    let source = ALSASource(request(ScriptedDevices.name(key, plug: plug), channel: channel), stallTime: stallTime)
    return await onThread {
        do throws(CaptureError) { try source.start() } catch {
            var nothing = Recording(of: source, seconds: 0)
            nothing.error = error
            return (nothing, source.statistics, source.rate)
        }
        let recording = Recording(of: source, samples: samples, seconds: seconds, until: isEnough)
        source.stop()
        return (recording, source.statistics, source.rate)
    }
}
