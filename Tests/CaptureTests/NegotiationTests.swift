import Capture
import Testing

@Suite("Negotiation")
struct NegotiationTests {
    @Test("reads every sample format exactly", arguments: ["s24", "s24_3", "s32", "float"])
    func formats(key: String) async {
        let (recording, _, _) = await record(key, samples: 4000)
        #expect(recording.timelineErrors() == [0])
    }

    @Test("gives the same samples with and without a plug layer")
    func plug() async {
        func number(_ value: Float) -> Int64 { Int64(value * 32_768) + 0x8000 }
        for plug in [false, true] {
            let (recording, _, rate) = await record("s16", plug: plug, samples: 4000)
            #expect(rate == 16_000)
            #expect(recording.error == nil)
            #expect(recording.timelineErrors(number: number) == [0])
        }
    }

    @Test("takes the device's own rate, 16 kHz or the smallest multiple before others")
    func rates() async {
        for (key, expected) in [("usb", 48_000), ("cd", 44_100), ("studio", 192_000), ("twice", 32_000), ("above", 22_050), ("below", 12_000)] {
            let (recording, _, rate) = await record(key, samples: 4800)
            #expect(rate == expected)
            #expect(recording.samples.count >= 4800)
        }
    }

    @Test("takes any rate that is asked for behind a plug layer")
    func converted() {
        _ = ScriptedDevices.directory
        let source = ALSASource(request("converted", rate: 16_000))
        #expect(startError(source) == nil && source.rate == 16_000)
        source.stop()
    }

    @Test("mixes all channels, or takes the one asked for")
    func channels() async {
        // Channel c is c samples ahead, so the mean of two is half a sample ahead: halve the step to see it.
        let mixed = await record("stereo", samples: 1000).recording.samples
        #expect(zip(mixed, mixed.dropFirst()).allSatisfy { abs($1 - $0 - 0x1p-23) < 0x1p-25 })
        let third = await record("six", samples: 4000, channel: .one(3)).recording
        #expect(third.timelineErrors() == [0])
        for channel in [6, -1] {
            #expect(await record("six", channel: .one(channel)).recording.error == .device("test_six", .channel(channel)))
        }
        // Of one that can have fewer, as many are taken as that channel needs.
        #expect(await record("any", samples: 4000, channel: .one(3)).recording.timelineErrors() == [0])
    }

    @Test("refuses what cannot be, in one sentence and with the right kind")
    func refusals() async {
        let expected: [(String, CaptureError.DeviceProblem, CaptureError.Category)] = [
            ("busy", .busy, .unavailable), ("denied", .notPermitted, .noPermission),
            ("unsupported", .unsupported(what: "sample format"), .unavailable),
        ]
        for (key, problem, category) in expected {
            let error = await record(key).recording.error
            #expect(error == .device("test_\(key)", problem))
            #expect(error?.category == category)
        }
        _ = ScriptedDevices.directory
        let unknown = ALSASource(request("no_such_name"))
        #expect(startError(unknown) == CaptureError.device("no_such_name", .unknownName))
        let rate = ALSASource(request(ScriptedDevices.name("fixed"), rate: 48_000))
        #expect(startError(rate) == CaptureError.device("test_fixed", .rate(48_000)))
        // It is not held any more.
        #expect(startError(ALSASource(request(ScriptedDevices.name("fixed")))) == nil)
    }

    @Test("says in the library's words what is wrong in a configuration, or what it needs and is not installed")
    func misspelt() {
        _ = ScriptedDevices.directory
        let error = startError(ALSASource(request("misspelt")))
        #expect(error?.description == "capture device 'misspelt' failed in snd_pcm_open: Invalid argument (Unknown field crad)")
        let plugIn = startError(ALSASource(request("uninstalled")))
        #expect(plugIn?.description.contains("(Cannot open shared library libasound_module_pcm_nowhere.so ") == true, "\(String(describing: plugIn))")
    }

    @Test("waits for what is not there yet, and says why at once")
    func absences() async {
        let names = ["absent", "refused", "down"].map { ScriptedDevices.name($0) } + ["hw:CARD=Nowhere", "hw:9", "{type hw card 9}"]
        for (name, problem) in zip(names, [.absent, .serverGone, .serverGone, .absent, .absent, .absent] as [CaptureError.DeviceProblem]) {
            let source = ALSASource(request(name))
            let recording = await onThread {
                do { try source.start() } catch { Issue.record(error) }
                defer { source.stop() }
                return Recording(of: source, seconds: 1) { !$0.states.isEmpty }
            }
            #expect(recording.parts == [.state(.waiting(.device(name, problem)))])
        }
    }
}
