import AudioMamba
import Dispatch
import Threads
import Synchronization

/// The model's backward direction, in window passes scheduled on Dispatch: at most one pass in flight, begun and collected by the analysis
/// thread, never waited for while live.
///
/// Begin and collect are called from one thread; between them the buffers belong to the pass.
final class WindowPass: @unchecked Sendable {
    /// What a pass is.
    private enum Encoder {
        /// From a checkpointed forward state, with lookahead; the backward scan starts at the right edge.
        case chunked(WindowEncoder)
        /// A whole clip of the model's own length, up to the newest column.
        case clip(ClipEncoder, columns: Int)
    }

    private let model: Model
    let labelCount: Int
    /// Columns one pass can read.
    let capacity: Int
    private let encoder: Encoder
    private let columnSize: Int
    private let queue = DispatchQueue(label: "aumd.window-pass", qos: .userInitiated)
    /// Runs a pass for each datum: beginning one allocates nothing, as a block would.
    private let work: any DispatchSourceUserDataAdd
    private let done = DispatchSemaphore(value: 0)
    private var columns: [Float]
    private var columnCount = 0
    private var scores: [Float]
    private var confirming = 0
    /// A pass has begun and was not collected.
    private(set) var isInFlight = false

    /// - Parameter window: columns of an ordinary chunked pass; one that comes late has room for twice as many, to catch up. A
    ///   clip-bound model reads its own length.
    init(model: Model, window: Int) throws(ModelError) {
        let c = model.configuration
        self.model = model
        labelCount = c.labels.count
        columnSize = c.columnSize
        if let clip = c.clipColumns {
            encoder = .clip(ClipEncoder(model: model), columns: clip)
            capacity = clip
        } else {
            capacity = 2 * window
            encoder = .chunked(
                try WindowEncoder(model: model, capacity: capacity, threads: model.threads(tokens: window * c.bands)))
        }
        columns = [Float](repeating: 0, count: capacity * c.columnSize)
        scores = [Float](repeating: 0, count: capacity * c.labels.count)
        work = DispatchSource.makeUserDataAddSource(queue: queue)
        work.setEventHandler { self.run() }
        work.activate()
    }

    /// Lets go of this object, which its source holds; a pass in flight comes to its end by itself.
    func cancel() { work.cancel() }

    /// Columns before the first unconfirmed one that a pass reads too.
    func leftContext(confirming: Int) -> Int {
        if case .clip(_, let columns) = encoder { max(0, columns - confirming) } else { 0 }
    }

    /// Columns to the right of the chunk that a pass waits for.
    func lookahead(_ wanted: Int) -> Int {
        if case .clip = encoder { 0 } else { wanted }
    }

    /// Begins a pass.
    ///
    /// - Parameters:
    ///   - range: columns of `history` it reads, copied: a chunk and its lookahead, or a clip.
    ///   - count: columns to confirm: the first ones, or a clip's last.
    func begin(_ history: ColumnHistory, _ range: Range<Int>, confirming count: Int) {
        precondition(!isInFlight && range.count <= capacity && count <= range.count)
        history.copy(range, into: &columns)
        columnCount = range.count
        confirming = count
        isInFlight = true
        work.add(data: 1)
    }

    /// Passes the scores (confirmed columns, C) of the pass in flight on, once it has ended.
    ///
    /// - Parameter wait: wait for its end.
    /// - Returns: false where none is in flight or it has not ended yet.
    func collect(wait: Bool, _ body: (UnsafeBufferPointer<Float>) -> Void) -> Bool {
        guard isInFlight else { return false }
        guard done.wait(timeout: wait ? .distantFuture : .now()) == .success else { return false }
        isInFlight = false
        scores.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[..<(confirming * labelCount)])) }
        return true
    }

    /// Back to the beginning of a stream.
    func reset() {
        precondition(!isInFlight)
        if case .chunked(let windows) = encoder { windows.reset() }
    }

    private func run() {
        nameThread("window pass")
        defer { done.signal() }
        columns.withUnsafeBufferPointer { columns in
            let window = UnsafeBufferPointer(rebasing: columns[..<(columnCount * columnSize)])
            switch encoder {
            case .chunked(let windows):
                scores.withUnsafeMutableBufferPointer {
                    var logits = $0.mutableSpan
                    windows.run(columns: window.span, confirm: confirming, logits: &logits)
                }
            case .clip(let clips, let clipColumns):
                // A clip-bound model cannot refuse a clip.
                guard let vectors = try? clips.logits(logMel: window.span) else { return }
                let isPerColumn = vectors.count == clipColumns * labelCount && clipColumns > 1
                for column in 0..<confirming {
                    let vector = isPerColumn ? columnCount - confirming + column : 0
                    for label in 0..<labelCount {
                        scores[column * labelCount + label] = vectors[vector * labelCount + label]
                    }
                }
            }
        }
        var all = scores.mutableSpan
        model.sigmoid(&all)
    }
}
