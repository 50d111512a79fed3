import Capture
import Glibc
import Testing

/// A request with a buffer that holds out on a loaded machine.
private func request(
    _ device: String, rate: Int? = nil, channel: ChannelChoice = .mix, periodTime: Int = 20_000, bufferTime: Int = 500_000
) -> CaptureRequest {
    CaptureRequest(device: device, rate: rate, channel: channel, periodTime: periodTime, bufferTime: bufferTime)
}

/// Records a scripted device; a failure to start is the recording's error.
private func record(
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

/// What the system says to a thread of this process that asks to run in real time, as the capture thread does; it is so from then on.
private func realtimeScheduling() -> CaptureStatistics.Privilege {
    var parameters = sched_param(sched_priority: 20)
    let code = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters)
    return code == 0 ? .granted : .refused(errno: code)
}

/// What the system says to this process when it locks so many bytes.
private func locking(_ count: Int) -> CaptureStatistics.Privilege {
    let memory = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    defer { munmap(memory, count) }
    return mlock(memory, count) == 0 ? .granted : .refused(errno: errno)
}

@Suite("A capture device")
struct DeviceTests {
    @Test("delivers every sample once, in order, and the state first")
    func steady() async {
        let (recording, statistics, rate) = await record("steady", samples: 32_000)
        #expect(rate == 16_000)
        #expect(recording.parts.first == .state(.capturing))
        #expect(recording.parts.count == 2)
        #expect(recording.timelineErrors() == [0])
        #expect(recording.samples.count >= 32_000)
        #expect(statistics.xruns == 0)
        #expect(statistics.realtimeScheduling == (await onThread { realtimeScheduling() }))
        // What other tests have locked counts, too: of what is in between this says nothing.
        if locking(4096) != .granted { #expect(statistics.lockedMemory == locking(4096)) }
        if locking(64 << 20) == .granted { #expect(statistics.lockedMemory == .granted) }
    }

    @Test("that overruns leaves gaps of the true length")
    func xruns() async {
        let (recording, statistics, _) = await record("xruns", samples: 48_000)
        #expect(recording.gaps.map(\.cause) == [.xrun, .xrun, .xrun, .xrun])
        #expect(recording.gaps.allSatisfy { $0.samples > 0 })
        #expect(statistics.xruns == 4)
        expectExact(recording)
    }

    @Test("that was suspended goes on")
    func suspended() async {
        let (recording, _, _) = await record("suspended", samples: 32_000)
        #expect(recording.gaps.map(\.cause) == [.suspend])
        #expect(ScriptedDevices.report("suspended").count == 3, "it was opened, started, and started again")
        expectExact(recording)
    }

    @Test("that is unplugged is told, waited for, and its absence measured")
    func unplugged() async {
        let (recording, _, _) = await record("unplugged", samples: 56_000)
        #expect(recording.gaps.map(\.cause) == [.deviceLost])
        #expect((recording.gaps.first?.samples ?? 0) > 16_000)
        #expect(recording.states.count == 3)
        #expect(recording.states.first == .capturing && recording.states.last == .capturing)
        guard case .lost(.device(_, .absent)) = recording.states[1] else {
            Issue.record("\(recording.states) \(String(describing: recording.error))")
            return
        }
        #expect(ScriptedDevices.reopenings("unplugged") == 1)
        expectExact(recording)
    }

    @Test("may be unplugged again and again")
    func unpluggedTwice() async {
        let (recording, _, _) = await record("unplugged_long", samples: 72_000)
        #expect(recording.gaps.map(\.cause) == [.deviceLost, .deviceLost])
        #expect(ScriptedDevices.reopenings("unplugged_long") == 2)
        expectExact(recording)
    }

    @Test("whose server goes away is told so")
    func server() async {
        let (recording, _, _) = await record("server", samples: 48_000)
        #expect(recording.gaps.map(\.cause) == [.deviceLost])
        guard recording.states.count == 3, case .lost(.device(_, .serverGone)) = recording.states[1] else {
            Issue.record("\(recording.states) \(String(describing: recording.error))")
            return
        }
        expectExact(recording)
    }

    @Test("that stands still is restarted, and the time it stood still is a gap")
    func stalled() async {
        let (recording, _, _) = await record("stalled", samples: 48_000)
        #expect(recording.gaps.map(\.cause) == [.stall])
        #expect(recording.states.contains { if case .lost(.device(_, .stalled)) = $0 { true } else { false } })
        expectExact(recording)
    }

    @Test("that loses samples without telling is found out by its clock")
    func slipping() async {
        let (recording, _, _) = await record("slipping", samples: 48_000)
        #expect(recording.gaps.map(\.cause) == [.slip])
        // Between the loss and the finding the timeline is behind; after it, it is right again.
        let errors = recording.timelineErrors()
        #expect(errors.count == 3)
        #expect(errors.count > 1 && errors[1] < -2000)
        #expect(abs(errors.last ?? 99) <= 1)
    }

    @Test("that never delivers is told as stalled and tried for ever")
    func stuck() async {
        let source = ALSASource(request(ScriptedDevices.name("stuck")), stallTime: 400)
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            // Four times it may take 3 s to begin, then it is opened again.
            return Recording(of: source, seconds: 20) { _ in ScriptedDevices.reopenings("stuck") > 0 }
        }
        guard case .lost(.device(_, .stalled)) = recording.states.first else {
            Issue.record("\(recording.states) \(String(describing: recording.error))")
            return
        }
        #expect(recording.states.count == 1 && recording.samples.isEmpty)
        let report = ScriptedDevices.report("stuck")
        #expect(report.prefix(6).map { $0 == "open" } == [true, false, false, false, false, true], "\(report)")
        #expect(ScriptedDevices.reopenings("stuck") == 1)
    }

    @Test("that is back but delivers nothing is no longer told as away")
    func numb() async {
        let isStalled: @Sendable (SourceState) -> Bool = { if case .lost(.device(_, .stalled)) = $0 { true } else { false } }
        let (recording, _, _) = await record("numb", seconds: 6) { $0.states.contains(where: isStalled) }
        #expect(recording.states.first == .capturing && recording.states.last.map(isStalled) == true, "\(recording.states)")
        #expect(recording.states.dropFirst().contains { if case .lost(.device(_, .absent)) = $0 { true } else { false } })
    }

    @Test("that opens but never starts is tried again with back-off, and told once")
    func broken() async {
        let (recording, _, _) = await record("broken", seconds: 1.5)
        guard case .lost(.device(_, .failed(call: "snd_pcm_start", _, _))) = recording.states.first else {
            Issue.record("\(recording.states) \(String(describing: recording.error))")
            return
        }
        #expect(recording.states.count == 1)
        // After 0.1, 0.3, 0.7 and 1.5 s.
        #expect((2...4).contains(ScriptedDevices.reopenings("broken")))
    }

    @Test("that gives a little and then fails, again and again, is tried again with back-off")
    func flaky() async {
        let (recording, _, _) = await record("flaky", seconds: 1.5)
        #expect(recording.states.contains { if case .lost(.device(_, .absent)) = $0 { true } else { false } })
        // At once, and after waits of 0.1, 0.2, 0.4 and 0.8 s.
        #expect((2...5).contains(ScriptedDevices.reopenings("flaky")), "\(ScriptedDevices.reopenings("flaky"))")
        #expect(recording.states.count <= 12)
    }

    @Test("that is lost and there again at once has been opened again")
    func fleeting() async {
        let (recording, _, _) = await record("fleeting", samples: 28_000)
        #expect(recording.gaps.map(\.cause) == [.deviceLost])
        #expect(ScriptedDevices.reopenings("fleeting") == 1)
        expectExact(recording)
    }

    @Test("whose period is longer than the time after which it counts as stalled is waited for")
    func longPeriods() async {
        let source = ALSASource(
            request(ScriptedDevices.name("blocks"), periodTime: 400_000, bufferTime: 2_000_000), stallTime: 200)
        let (recording, first): (Recording, Double) = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            let begin = now()
            var first = 0.0
            let recording = Recording(of: source, samples: 19_200, seconds: 3) {
                if first == 0, !$0.samples.isEmpty { first = now() - begin }
                return false
            }
            return (recording, first)
        }
        #expect(first > 0.35, "the period is the one that was asked for")
        #expect(recording.states == [.capturing] && recording.gaps.isEmpty)
        #expect(ScriptedDevices.report("blocks").count == 2, "it was opened, and started once")
        #expect(recording.timelineErrors() == [0])
    }

    @Test("without a clock is not read as fast as it gives, and stops at once")
    func clockless() async {
        let source = ALSASource(request("null", rate: 16_000))
        let (count, took): (Int, Double) = await onThread {
            _ = ScriptedDevices.directory
            do { try source.start() } catch { Issue.record(error) }
            let recording = Recording(of: source, seconds: 2)
            let begin = now()
            source.stop()
            return (recording.samples.count, now() - begin)
        }
        #expect((32_000...80_000).contains(count), "\(count)")
        #expect(took < 1)
    }

    @Test("that is not there yet is waited for, and every new reason is told")
    func late() async {
        let path = "\(ScriptedDevices.directory)/late"
        let (recording, _, rate) = await record("late", samples: 8000) {
            // In one rename: an opening between truncation and writing would find no reason to fail.
            write($0.states.count == 1 ? "denied" : "", to: path + ".new")
            if !$0.states.isEmpty { rename(path + ".new", path) }
            return false
        }
        guard recording.states.count == 3, case .waiting(.device(_, .absent)) = recording.states[0],
            case .waiting(.device(_, .notPermitted)) = recording.states[1]
        else {
            Issue.record("\(recording.states) \(String(describing: recording.error))")
            return
        }
        #expect(recording.states[2] == .capturing)
        #expect(recording.gaps.isEmpty)
        #expect(rate == 16_000)
        expectExact(recording)
    }

    @Test("that delivers only zeros is told as silent, and its samples keep coming")
    func zeros() async {
        let source = ALSASource(request(ScriptedDevices.name("zeros")), silenceTime: 500)
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            return Recording(of: source, samples: 16_000, seconds: 5)
        }
        #expect(recording.states == [.capturing, .silent(seconds: 0.5)])
        #expect(recording.samples.count >= 16_000)
    }

    @Test("that was silent across an overrun is told as capturing once it is not")
    func muted() async {
        let source = ALSASource(request(ScriptedDevices.name("muted")), silenceTime: 500)
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            return Recording(of: source, samples: 32_000, seconds: 5)
        }
        #expect(recording.gaps.map(\.cause) == [.xrun])
        #expect(recording.states == [.capturing, .silent(seconds: 0.5), .capturing])
    }

    @Test("with values that are no numbers, or beyond all sound, delivers zeros for them, counted")
    func notNumbers() async {
        let (recording, statistics, _) = await record("nan", samples: 16_000)
        #expect(recording.samples.allSatisfy { abs($0) <= 1 })
        #expect(statistics.brokenSamples >= 15)
    }

    @Test("whose reader is late loses the oldest samples, exactly counted")
    func overflow() async {
        let source = ALSASource(request(ScriptedDevices.name("overflowing")), ringTime: 200)
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            // Reads for a while, sleeps longer than the ring holds, reads on.
            var naps = 0
            return Recording(of: source, samples: 32_000, seconds: 5, blockSize: 640) { recording in
                if recording.samples.count > (naps + 1) * 6000, naps < 2 {
                    naps += 1
                    sleep(milliseconds: 400)
                }
                return false
            }
        }
        // One for each nap, though the ring has an anchor for every period; a busy machine may nap, too.
        #expect((2...6).contains(recording.gaps.count), "\(recording.gaps.count)")
        #expect(recording.gaps.filter { $0.samples > 1600 }.count >= 2)
        #expect(recording.gaps.allSatisfy { $0.cause == .overflow })
        #expect(Set(recording.timelineErrors()) == [0])
        #expect(source.statistics.lostSamples == recording.gaps.reduce(0) { $0 + $1.samples })
    }

    @Test("with a fast clock is measured")
    func drift() async {
        let source = ALSASource(request(ScriptedDevices.name("fast")))
        let (early, late): (StreamInstant?, StreamInstant?) = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            _ = Recording(of: source, samples: 96_000, seconds: 8)
            return (source.time(ofSample: 16_000), source.time(ofSample: 96_000))
        }
        let span = Double((late?.nanoseconds ?? 0) - (early?.nanoseconds ?? 0)) * 1e-9
        #expect(abs(80_000 / span / 16_016 - 1) < 100e-6, "measured \(80_000 / span) Hz")
        #expect(abs((late?.nanoseconds ?? 0) - StreamInstant.now().nanoseconds) < 300_000_000)
    }

    @Test("that is stopped from another thread wakes its reader")
    func stopped() async {
        let source = ALSASource(request(ScriptedDevices.name("stopped")))
        let took: Double = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            _ = Recording(of: source, samples: 1600, seconds: 2)
            let begin = now()
            Task { await onThread { source.stop() } }
            let rest = Recording(of: source, seconds: 5)
            #expect(rest.hasEnded)
            return now() - begin
        }
        #expect(took < 2)
    }

    @Test("that is stopped while it is opened does not begin")
    func stoppedEarly() async {
        let source = ALSASource(request(ScriptedDevices.name("slow")))
        let path = "\(ScriptedDevices.directory)/stopping"
        async let stopping: Void = onThread {
            write("", to: path)
            sleep(milliseconds: 100)
            source.stop()
        }
        let recording = await onThread {
            while access(path, F_OK) != 0 { sleep(milliseconds: 1) }
            do { try source.start() } catch { Issue.record(error) }
            return Recording(of: source, seconds: 5)
        }
        await stopping
        #expect(recording.hasEnded && recording.parts.isEmpty)
    }

    @Test("that hangs while it is opened first is left when it is stopped")
    func stoppedWhileHanging() async {
        let source = ALSASource(request(ScriptedDevices.name("hanging")))
        async let stopping: Void = onThread {
            sleep(milliseconds: 300)
            source.stop()
        }
        let took: Double = await onThread {
            let begin = now()
            do { try source.start() } catch { Issue.record(error) }
            #expect(Recording(of: source, seconds: 5).hasEnded)
            return now() - begin
        }
        await stopping
        #expect(took < 5)
    }

    /// Each gap is as long as it was: to a sample either way, as a device's clock is read in whole samples, and to 100 ppm of the
    /// time that it was away, since its rate is known no better from the second before. Where that was short, it is one sample.
    private func expectExact(_ recording: Recording, sourceLocation: SourceLocation = #_sourceLocation) {
        let errors = recording.timelineErrors()
        #expect(errors.first == 0 && errors.count == 1 + recording.gaps.count, "\(errors)", sourceLocation: sourceLocation)
        for (gap, (before, after)) in zip(recording.gaps, zip(errors, errors.dropFirst())) {
            #expect(abs(after - before) <= 1 + gap.samples / 10_000, "\(errors)", sourceLocation: sourceLocation)
        }
    }
}

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
        for (key, expected) in [("usb", 48_000), ("cd", 44_100), ("studio", 192_000)] {
            let (recording, _, rate) = await record(key, samples: 9600)
            #expect(rate == expected)
            #expect(recording.samples.count >= 9600)
        }
    }

    @Test("mixes all channels, or takes the one asked for")
    func channels() async {
        // Channel c is c samples ahead, so the mean of two is half a sample ahead: halve the step to see it.
        let mixed = await record("stereo", samples: 1000).recording.samples
        #expect(zip(mixed, mixed.dropFirst()).allSatisfy { abs($1 - $0 - 0x1p-23) < 0x1p-25 })
        let third = await record("six", samples: 4000, channel: .one(3)).recording
        #expect(third.timelineErrors() == [0])
        let missing = await record("six", channel: .one(6)).recording
        #expect(missing.error == .device("test_six", .channel(6)))
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
    }

    @Test("waits for what is not there yet, and says why at once")
    func absences() async {
        let names = ["absent", "refused", "down"].map { ScriptedDevices.name($0) } + ["hw:CARD=Nowhere"]
        for (name, problem) in zip(names, [.absent, .serverGone, .serverGone, .absent] as [CaptureError.DeviceProblem]) {
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

@Suite("The list of devices")
struct DeviceListTests {
    @Test("has the PCMs that the configuration shows, with their rates and channels, and no others")
    func listed() throws {
        let name = ScriptedDevices.name("listed")
        let scripted = try captureDevices().filter { $0.name.hasPrefix("test_") }
        #expect(scripted.map(\.name) == [name])
        let device = try #require(scripted.first)
        #expect(device.description == "A microphone")
        #expect(device.rates == [16_000, 48_000])
        #expect(device.channels == 2...2)
        #expect(device.state == .free)
    }
}
