import Glibc
import Sinks
import Testing

@Suite("Sentences to a file") struct TextTests {
    @Test("A new reason for the same state is told, and the same one once")
    func reasons() {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("lines"), O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        var sink = TextSink(descriptor: descriptor)
        for record in Samples.absences { _ = sink.write(NumberedRecord(sequence: 0, record: record), dropped: 0) }
        #expect(
            text(folder.file("lines")) == """
                0.0  kitchen: starting
                0.0  kitchen: starting (it is not there)
                0.0  kitchen: starting (it is busy)
                0.0  kitchen: listening to the source
                0.0  kitchen: the device is away and is tried again (it is not there)
                0.0  kitchen: the device is away and is tried again (it is busy)
                0.0  kitchen: listening to the source

                """)
    }
}
