/// Hands every record to each sink's queue. Any thread may send; the order is the same in every queue as long as one
/// thread sends.
public struct RecordStream: Sendable {
    /// One for each sink.
    public let queues: [RecordQueue]

    /// A stream into these queues.
    public init(_ queues: [RecordQueue]) {
        self.queues = queues
    }

    /// Whether a record of this kind has a reader; the pipeline need not make others.
    public func wants(_ kind: Record.Kind) -> Bool {
        queues.contains { $0.kinds.contains(RecordKinds(kind)) }
    }

    /// Ends all patience with readers, now and later.
    public func hurry() {
        for queue in queues { queue.hurry() }
    }

    /// Offers a record to every queue; waits where one has patience, and its reader takes nothing.
    public func send(_ record: Record) {
        for queue in queues { queue.send(record) }
    }
}
