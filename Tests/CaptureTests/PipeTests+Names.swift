import Capture
import Glibc
import TestSupport
import Testing

/// Named pipes, which writers come to and leave.
extension PipeTests {
    @Test("with a name, of raw samples, goes on with the next writer's whole samples, also after one that wrote nothing or hardly anything; WAV ends with its own")
    func writers() async throws {
        for header in [[UInt8](), liveHeader] {
            let path = "\(directory)/writers-\(header.count)"
            mkfifo(path, 0o600)
            let descriptor = try StreamSource.open(path)
            let source = StreamSource(descriptor: descriptor, name: path, path: path)
            async let feeding: Void = onThread {
                // Half a sample at its end is nobody's.
                let whole = header + ramp(1000) + [1]
                for bytes in [[], [1, 2, 3, 4, 5], whole] + (header.isEmpty ? [whole, whole] : []) {
                    let input = open(path, O_WRONLY | O_CLOEXEC)
                    put(bytes, input)
                    close(input)
                    usleep(700_000)
                }
                source.stop()
            }
            let recording = await onThread { record(source) }
            await feeding
            #expect(descriptors(of: path) == 1)
            close(descriptor)
            #expect(recording.error == nil && recording.hasEnded)
            try #require(recording.samples.count == (header.isEmpty ? 3000 : 1000), "\(recording.samples.count)")
            #expect(stride(from: 0, to: recording.samples.count, by: 1000).allSatisfy { isRamp(Array(recording.samples[$0..<$0 + 1000]), 1000) })
        }
        let (output, input) = makePipe()
        #expect(StreamSource.isPipe("/dev/fd/\(output)") && !StreamSource.isNamedPipe("/dev/fd/\(output)"))
        close(output)
        close(input)
    }

    @Test("with a name, that somebody has made anew, is the new one; one that is not there any more, or a file, ends with its writer",
          arguments: [false, true])
    func madeAnew(isFile: Bool) async throws {
        let path = "\(directory)/anew-\(isFile)"
        mkfifo(path, 0o600)
        let source = try StreamSource(descriptor: StreamSource.open(path), name: path, path: path)
        async let feeding: Void = onThread {
            unlink(path)
            mkfifo(path, 0o600)
            for isLast in [false, true] {
                let input = open(path, O_WRONLY | O_CLOEXEC)
                put(ramp(1000), input)
                usleep(700_000)
                if isLast {
                    unlink(path)
                    if isFile { write(ramp(1000), to: path) }
                }
                close(input)
            }
        }
        let recording = await onThread { record(source) }
        await feeding
        #expect(recording.samples.count == 2000)
        #expect(
            recording.error?.description
                == "pipe '\(path)' was closed by its writer, and could not be opened for the next one: No such file or directory")
    }

    @Test("with a name, that somebody has made anew while nothing came, is the new one")
    func madeAnewWhileStalled() async throws {
        let path = "\(directory)/anew-stalled"
        mkfifo(path, 0o600)
        let source = try StreamSource(descriptor: StreamSource.open(path), name: path, path: path, stallTime: 600)
        async let feeding = onThread {
            let old = open(path, O_WRONLY | O_CLOEXEC)
            for _ in 0..<10 {
                put(ramp(1600), old)
                usleep(100_000)
            }
            unlink(path)
            mkfifo(path, 0o600)
            // Waits for a reader.
            let new = open(path, O_WRONLY | O_CLOEXEC)
            put(ramp(1000), new)
            return [old, new]
        }
        let recording = await onThread {
            do { try source.start() } catch { Issue.record(error) }
            defer { source.stop() }
            return Recording(of: source, seconds: 20) { $0.samples.count >= 17_000 }
        }
        #expect(recording.samples.count == 17_000)
        // Or a writer that nobody reads from would wait for ever.
        let output = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        await feeding.forEach { close($0) }
        close(output)
    }

    @Test("with a name, whose writer leaves it before the end of its WAV, says how far it came")
    func writersWAV() async throws {
        let cases: [([UInt8], CaptureError.FileProblem?)] = [
            (Array(liveHeader.prefix(20)), .writerGone), (liveHeader, .writerGone), (wav([], announced: 4000), .writerGone),
            (wav(ramp(1000), announced: 4000), .writerLeft), (wav(ramp(1000)), nil),
        ]
        for (index, (bytes, problem)) in cases.enumerated() {
            let path = "\(directory)/wav-\(index)"
            mkfifo(path, 0o600)
            let source = try StreamSource(descriptor: StreamSource.open(path), name: path, path: path)
            async let feeding: Void = onThread {
                let input = open(path, O_WRONLY | O_CLOEXEC)
                put(bytes, input)
                close(input)
            }
            #expect(await onThread { record(source) }.error == problem.map { .pipe(path, $0) })
            await feeding
        }
    }
}
