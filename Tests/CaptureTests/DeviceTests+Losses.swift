import Capture
import Glibc
import Testing

/// What makes a device miss samples, or go.
extension DeviceTests {
    @Test("that overruns leaves gaps of the true length")
    func xruns() async {
        let (recording, statistics, _) = await record("xruns", samples: 48_000)
        #expect(recording.gaps.map(\.cause) == [.xrun, .xrun, .xrun, .xrun])
        #expect(recording.gaps.allSatisfy { $0.samples > 0 })
        #expect(statistics.xruns == 4)
        #expect(recording.states == [.capturing] && ScriptedDevices.reopenings("xruns") == 0, "\(recording.states)")
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

    @Test("may be unplugged again and again: each time is told, and waited for as if it were the first; what it misses then is no more than that")
    func unpluggedTwice() async {
        let (recording, _, _) = await record("unplugged_long", samples: 72_000)
        #expect(recording.gaps.map(\.cause) == [.deviceLost, .deviceLost, .xrun])
        #expect(ScriptedDevices.reopenings("unplugged_long") == 2)
        // Tried again after 0.1 and 0.3 s; a back-off that goes on would be at 0.8 s.
        #expect(recording.gaps.count > 1 && recording.gaps[1].samples < 12_000, "\(recording.gaps)")
        let lost = SourceState.lost(.device("test_unplugged_long", .absent))
        #expect(recording.states == [.capturing, lost, .capturing, lost, .capturing], "\(recording.states)")
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

    @Test("that stands still is restarted, and the time it stood still is a gap, each time that it does")
    func stalled() async {
        let (recording, _, _) = await record("stalled", samples: 56_000)
        #expect(recording.gaps.map(\.cause) == [.stall, .stall])
        let lost = SourceState.lost(.device("test_stalled", .stalled))
        #expect(recording.states == [.capturing, lost, .capturing, lost, .capturing], "\(recording.states)")
        expectExact(recording)
    }

    @Test("that stands still because its server goes away is told so, once that shows")
    func silentServer() async {
        let path = "\(ScriptedDevices.directory)/silent_server"
        let (recording, _, _) = await record("silent_server", samples: 56_000, stallTime: 200) {
            write($0.states.count < 3 ? "refused" : "", to: path + ".new")
            if !$0.samples.isEmpty { rename(path + ".new", path) }
            return false
        }
        #expect(recording.gaps.map(\.cause) == [.deviceLost])
        let reasons = [CaptureError.DeviceProblem.stalled, .serverGone].map { SourceState.lost(.device("test_silent_server", $0)) }
        #expect(recording.states == [.capturing] + reasons + [.capturing], "\(recording.states)")
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

    @Test("that is back but delivers nothing is no longer told as away, and has one gap, for its first reason")
    func numb() async {
        let (recording, _, _) = await record("numb", samples: 84_000)
        let reasons = [CaptureError.DeviceProblem.absent, .stalled].map { SourceState.lost(.device("test_numb", $0)) }
        #expect(recording.states == [.capturing] + reasons + [.capturing], "\(recording.states)")
        #expect(recording.gaps.map(\.cause) == [.deviceLost])
        expectExact(recording)
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

    /// Each gap is as long as it was: to a sample either way, as a device's clock is read in whole samples, and to 100 ppm of the
    /// time that it was away, since its rate is known no better from the second before. Where that was short, it is one sample.
    func expectExact(_ recording: Recording, sourceLocation: SourceLocation = #_sourceLocation) {
        let errors = recording.timelineErrors()
        #expect(errors.first == 0 && errors.count == 1 + recording.gaps.count, "\(errors)", sourceLocation: sourceLocation)
        for (gap, (before, after)) in zip(recording.gaps, zip(errors, errors.dropFirst())) {
            #expect(abs(after - before) <= 1 + gap.samples / 10_000, "\(errors)", sourceLocation: sourceLocation)
        }
    }
}
