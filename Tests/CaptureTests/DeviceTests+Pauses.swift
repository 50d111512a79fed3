import Capture
import Glibc
import Testing

/// A device that is closed on purpose.
extension DeviceTests {
    /// What a source says until it is in a state, or for 8 s.
    private func read(_ source: ALSASource, until state: SourceState) -> Recording {
        Recording(of: source, seconds: 8) { $0.states.last == state }
    }

    @Test("that is paused is closed, so that others may open it; resumed, it goes on, and the pause is a gap of its true length")
    func paused() async {
        let name = ScriptedDevices.name("paused")
        let source = ALSASource(request(name), stallTime: 400)
        let recording: Recording = await onThread {
            #expect(startError(source) == nil)
            var whole = Recording(of: source, samples: 24_000, seconds: 8)
            for pause in 1...2 {
                for reason in ["asked \(pause)", "asked again"] {
                    source.pause(reason)
                    whole.parts += read(source, until: .paused(reason)).parts
                }
                let other = ALSASource(request(name))
                #expect(startError(other) == nil, "nobody else holds it")
                other.stop()
                #expect(Recording(of: source, seconds: 0.5).parts.isEmpty)
                source.resume()
                whole.parts += Recording(of: source, samples: 16_000, seconds: 8).parts
            }
            source.stop()
            return whole
        }
        #expect(recording.gaps.map(\.cause) == [.paused, .paused] && recording.gaps.allSatisfy { $0.samples >= 8000 }, "\(recording.gaps)")
        #expect(
            recording.states == [
                .capturing, .paused("asked 1"), .paused("asked again"), .capturing, .paused("asked 2"), .paused("asked again"), .capturing,
            ])
        expectExact(recording)
    }

    @Test("that is paused from the start is not opened before it is resumed")
    func pausedFromTheStart() async {
        let source = ALSASource(request(ScriptedDevices.name("paused_first")), stallTime: 400)
        let recording: Recording = await onThread {
            source.pause("until noon")
            #expect(startError(source) == nil)
            var whole = read(source, until: .paused("until noon"))
            #expect(Recording(of: source, seconds: 0.3).parts.isEmpty && ScriptedDevices.report("paused_first").isEmpty)
            source.resume()
            whole.parts += Recording(of: source, samples: 8000, seconds: 8).parts
            source.stop()
            return whole
        }
        #expect(recording.states == [.paused("until noon"), .capturing] && recording.gaps.isEmpty)
        #expect(ScriptedDevices.report("paused_first").count == 2, "it was opened, and started once")
        expectExact(recording)
    }

    @Test("that is gone when it is resumed is waited for as ever")
    func pausedAndGone() async {
        let state = "\(ScriptedDevices.directory)/paused_gone"
        write("", to: state)
        let source = ALSASource(request(ScriptedDevices.name("paused_gone")), stallTime: 400)
        let lost = SourceState.lost(.device("test_paused_gone", .absent))
        let recording: Recording = await onThread {
            #expect(startError(source) == nil)
            var whole = Recording(of: source, samples: 24_000, seconds: 8)
            source.pause("a while")
            whole.parts += read(source, until: .paused("a while")).parts
            write("absent", to: state)
            source.resume()
            whole.parts += read(source, until: lost).parts
            // A pause of what is away, and its end, are told too.
            source.pause("another while")
            whole.parts += read(source, until: .paused("another while")).parts
            write("", to: state)
            source.resume()
            whole.parts += Recording(of: source, samples: 32_000, seconds: 8).parts
            source.stop()
            return whole
        }
        #expect(recording.states == [.capturing, .paused("a while"), lost, .paused("another while"), .capturing], "\(recording.states)")
        #expect(recording.gaps.map(\.cause) == [.paused])
        expectExact(recording)
    }

    @Test("may be paused and resumed in any haste, and ends as it was last told to be; stopped while paused, it ends")
    func haste() async {
        let source = ALSASource(request(ScriptedDevices.name("hasty")), stallTime: 400)
        let (recording, last): (Recording, Recording) = await onThread {
            #expect(startError(source) == nil)
            var whole = Recording(of: source, samples: 24_000, seconds: 8)
            for milliseconds in 0..<40 {
                source.pause("haste")
                sleep(milliseconds: milliseconds % 7)
                source.resume()
                sleep(milliseconds: milliseconds % 5)
            }
            whole.parts += Recording(of: source, samples: 48_000, seconds: 8).parts
            source.pause("the end")
            let last = read(source, until: .paused("the end"))
            source.stop()
            #expect(Recording(of: source, seconds: 1).hasEnded)
            return (whole, last)
        }
        #expect(recording.states.last == .capturing && recording.gaps.allSatisfy { $0.cause == .paused })
        #expect(last.states == [.paused("the end")])
        expectExact(recording)
    }
}
