import Capture
import Glibc
import Testing

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

    @Test("may take longer to begin than to count as stalled later")
    func slowBeginning() async {
        let (recording, _, _) = await record("slow_beginning", samples: 8000)
        #expect(recording.states == [.capturing] && recording.gaps.isEmpty)
        #expect(ScriptedDevices.report("slow_beginning").count == 2, "it was opened, and started once")
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
        guard recording.parts.count > 1, case .samples(let before) = recording.parts[1] else { return }
        #expect((8000..<12_000).contains(before.count), "\(before.count)")
    }

    @Test("that was silent and comes back silent is told as that again")
    func zerosAgain() async {
        let source = ALSASource(request(ScriptedDevices.name("zeros_again")), silenceTime: 500)
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            return Recording(of: source, seconds: 5) { $0.states.count == 5 }
        }
        let lost = SourceState.lost(.device("test_zeros_again", .absent)), silent = SourceState.silent(seconds: 0.5)
        #expect(recording.states == [.capturing, silent, lost, .capturing, silent])
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

    @Test("that is stopped from another thread ends")
    func stopped() async {
        let source = ALSASource(request(ScriptedDevices.name("stopped")))
        let hasEnded: Bool = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            _ = Recording(of: source, samples: 1600, seconds: 2)
            Task { await onThread { source.stop() } }
            return Recording(of: source, seconds: 5).hasEnded
        }
        #expect(hasEnded)
    }

    @Test("that gives nothing and is stopped from another thread wakes its reader, however long that would wait")
    func stoppedWhileWaiting() async {
        let source = ALSASource(request(ScriptedDevices.name("quiet")))
        async let stopping: Void = onThread {
            sleep(milliseconds: 300)
            source.stop()
        }
        let (reading, took): (Reading?, Double) = await onThread {
            let begin = now()
            do { try source.start() } catch { Issue.record(error) }
            let block = UnsafeMutableBufferPointer<Float>.allocate(capacity: 100)
            defer { block.deallocate() }
            return (try? source.read(into: block, timeoutMilliseconds: 10_000), now() - begin)
        }
        await stopping
        #expect(reading == .end && took < 5)
    }

    @Test("that was stopped before is not waited for, though it hangs while it is opened")
    func stoppedBefore() async {
        let source = ALSASource(request(ScriptedDevices.name("never")))
        source.stop()
        let took: Double = await onThread {
            let begin = now()
            do { try source.start() } catch { Issue.record(error) }
            #expect(Recording(of: source, seconds: 5).hasEnded)
            return now() - begin
        }
        #expect(took < 5)
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
}
