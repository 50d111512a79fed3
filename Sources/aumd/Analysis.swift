import AudioMamba
import Frontend
import Tagging

/// Steps of the spectrogram in, actions out: recurrent step, window passes, alarms and tagger, in an order that depends on the sound
/// alone. A step is a column, or half of one where the model has two patch grids.
///
/// A pass begins when its last column is there and is collected before the second column after that is looked at, whether it
/// ended sooner or not; one that is late then is counted and collected before a later column. So a file, which waits, and a
/// microphone, which does not, give the same actions unless a pass was late. One thread.
final class Analysis {
    struct Options {
        /// Run the backward direction, in window passes.
        var window = true
        /// Columns a pass confirms; the model's own where nil.
        var chunk: Int?
        /// Columns to the right of the chunk; the model's own where nil.
        var lookahead: Int?
    }

    /// Takes the model's scores (C) of a column, provisional or confirmed, and the column's first sample.
    typealias OnScores = (Event.Status, Int64, UnsafeBufferPointer<Float>) -> Void

    /// Passes that had not ended when they were to be collected.
    private(set) var lateWindows: UInt64 = 0
    /// Columns that were given up before a pass had confirmed them.
    private(set) var unconfirmedColumns: UInt64 = 0
    /// A whole column of this run has come.
    var hasHeard: Bool { columnsSeen > 0 }
    /// Confirmed scores are those of window passes, and late; otherwise of the column that has just come.
    var runsWindow: Bool { pass != nil }

    private let model: Model
    private let options: Options
    private let columnSamples: Int64
    private let stepSamples: Int64
    /// Steps of a column.
    private let columnSteps: Int
    private let encoder: StreamingEncoder?
    private let pass: WindowPass?
    private let chunk: Int
    private let lookahead: Int
    private let passColumns: Int
    private var tagger: Tagger
    private var onsets: OnsetRefiner
    /// Of the labels after the model's.
    private var alarms: [AlarmDetector]
    /// The model's, (C), and with the alarms', (labels).
    private var modelScores: [Float], scores: [Float]
    private var history: ColumnHistory
    /// Steps of this run.
    private var steps = 0
    /// Columns of this run that have come whole; that a pass confirms or has confirmed; whose confirmed scores have been taken.
    private var columnsSeen: Int { steps / columnSteps }
    private var columnsScheduled = 0
    private var columnsConfirmed = 0
    /// Columns of this run that have come when the pass in flight is to be collected.
    private var passDue = 0
    /// Position of the first sample of column 0 of this run.
    private var origin: Int64 = 0
    /// The pass in flight was counted as late.
    private var isLate = false
    /// The pass in flight belongs to a backlog that was given up.
    private var isDiscarding = false
    /// Wait for passes: for sources that can wait.
    var waits = false

    /// - Throws: ``ModelError/unsupported(mode:reason:)`` where neither direction can run as asked.
    init(model: Model, tagging: TaggerConfiguration, options: Options) throws(ModelError) {
        let c = model.configuration
        self.model = model
        self.options = options
        columnSamples = Int64(c.columnSamples)
        stepSamples = Int64(c.stepSamples)
        columnSteps = c.patchGrids
        encoder = c.recurrentObstacle == nil ? try StreamingEncoder(model: model) : nil
        chunk = min(options.chunk ?? c.chunk, c.clipColumns ?? .max)
        passColumns = Self.passColumns(chunk: chunk)
        let wanted = options.lookahead ?? c.lookahead
        pass = c.needsWindow(options.window) ? try WindowPass(model: model, window: chunk + wanted) : nil
        lookahead = pass?.lookahead(wanted) ?? 0
        tagger = Tagger(tagging)
        // Room for a pass that is 41 s late; an onset is looked for when its event is reported, 5 s and two passes later at most.
        let historyColumns = 256 + 2 * (pass?.capacity ?? 0)
        let onsetColumns = 32 + 2 * (pass?.capacity ?? 0)
        onsets = OnsetRefiner(
            model: model, tagging: tagging, seconds: Double(onsetColumns * c.columnSamples) / Double(c.frontend.sampleRate), capacity: tagger.capacity)
        alarms = model.alarmLabels.map { AlarmDetector($0.pattern, groups: $0.groups, parameters: model.filterBank) }
        modelScores = [Float](repeating: 0, count: c.labels.count)
        scores = [Float](repeating: 0, count: tagging.labels.count)
        history = ColumnHistory(capacity: historyColumns, columnSize: c.columnSize, columnSteps: c.patchGrids)
    }

    deinit { pass?.cancel() }

    /// Columns that come while a pass runs: two of 0.16 s, half of which a slow or busy machine needs; one where a pass begins each column.
    static func passColumns(chunk: Int) -> Int { min(2, chunk) }

    /// Takes the next step of the run.
    ///
    /// - Parameters:
    ///   - logMel: (stepFrames, melCount).
    ///   - start: position of its first sample at the model's rate.
    ///   - actions: what the tagger says is appended.
    ///   - onScores: called for each column that has scores by now, in order.
    func step(_ logMel: UnsafeBufferPointer<Float>, start: Int64, into actions: inout [Action], onScores: OnScores) {
        if steps == 0 { origin = start }
        let first = actions.count
        onsets.append(logMel, start: start)
        for index in alarms.indices { alarms[index].append(logMel, start: start) }
        encode(logMel, start: start, into: &actions, onScores)
        onsets.correct(&actions, from: first, alarms: alarms)
        if steps == 0 { forgetSound() }  // The backlog was given up.
    }

    private func encode(
        _ logMel: UnsafeBufferPointer<Float>, start: Int64, into actions: inout [Action], _ onScores: OnScores
    ) {
        steps += 1
        let endsColumn = steps % columnSteps == 0
        if endsColumn, columnsSeen >= passDue { collect(wait: waits, into: &actions, onScores) }
        if let encoder {
            var logits = modelScores.mutableSpan
            encoder.step(logMel.span, logits: &logits)
            model.sigmoid(&logits)
            tag(columnStart: start + stepSamples - columnSamples, endsColumn, into: &actions, onScores)
        }
        guard let pass else { return }
        history.append(step: logMel)
        guard endsColumn else { return }
        if columnsSeen - columnsConfirmed == history.capacity - pass.capacity {
            giveUpBacklog(into: &actions)
        } else if !pass.isInFlight, columnsSeen - columnsScheduled >= chunk + lookahead {
            begin(confirming: min(columnsSeen - columnsScheduled - lookahead, max(chunk, pass.capacity - lookahead)))
        }
    }

    /// Hands the tagger the scores of the column that ends with the last step, unless that began before the run.
    private func tag(columnStart start: Int64, _ endsColumn: Bool, into actions: inout [Action], _ onScores: OnScores) {
        guard steps >= columnSteps else { return }
        modelScores.withUnsafeBufferPointer { complete($0, columnStart: start) }
        if pass != nil {
            tagger.provisional(start: start, scores: scores.span, into: &actions)
        } else if endsColumn {
            tagger.confirmed(start: start, scores: scores.span, into: &actions)
        } else {
            return
        }
        modelScores.withUnsafeBufferPointer { onScores(pass == nil ? .confirmed : .provisional, start, $0) }
    }

    /// Ends a run of columns, at a gap or at the end of the stream: what is there is confirmed with the right context there
    /// is, open events are ended, and the hidden state goes back to zero.
    func interrupt(into actions: inout [Action], onScores: OnScores) {
        let first = actions.count
        if let pass {
            collect(wait: true, into: &actions, onScores)
            while columnsScheduled < columnsSeen {
                let rest = columnsSeen - columnsScheduled
                begin(confirming: rest <= pass.capacity - pass.leftContext(confirming: rest) ? rest : min(chunk, rest))
                collect(wait: true, into: &actions, onScores)
            }
            pass.reset()
        }
        tagger.interrupt(into: &actions)
        onsets.correct(&actions, from: first, alarms: alarms)
        forgetSound()
        encoder?.state.reset()
        beginRun()
    }

    /// scores = the model's of a column, then the alarms'.
    private func complete(_ modelScores: UnsafeBufferPointer<Float>, columnStart start: Int64) {
        for (label, score) in modelScores.enumerated() { scores[label] = score }
        for (index, alarm) in alarms.enumerated() { scores[modelScores.count + index] = alarm.score(at: start + columnSamples) }
    }

    /// What comes next is not the neighbour of what came last.
    private func forgetSound() {
        onsets.reset()
        for index in alarms.indices { alarms[index].reset() }
    }

    private func beginRun() {
        history.removeAll()
        steps = 0
        columnsScheduled = 0
        columnsConfirmed = 0
        passDue = 0
    }

    private func begin(confirming count: Int) {
        guard let pass else { return }
        let first = max(0, columnsScheduled - pass.leftContext(confirming: count))
        isLate = false
        pass.begin(history, first..<min(columnsSeen, columnsScheduled + count + lookahead), confirming: count)
        columnsScheduled += count
        passDue = columnsSeen + passColumns
    }

    private func collect(wait: Bool, into actions: inout [Action], _ onScores: OnScores) {
        guard let pass, pass.isInFlight else { return }
        let collected = pass.collect(wait: wait) { passScores in
            guard !isDiscarding else { return }
            for vector in 0..<(passScores.count / pass.labelCount) {
                let column = UnsafeBufferPointer(
                    rebasing: passScores[vector * pass.labelCount..<(vector + 1) * pass.labelCount])
                let start = origin + Int64(columnsConfirmed) * columnSamples
                complete(column, columnStart: start)
                tagger.confirmed(start: start, scores: scores.span, into: &actions)
                onScores(.confirmed, start, column)
                columnsConfirmed += 1
            }
        }
        if !collected {
            if !isLate { lateWindows += 1 }
            isLate = true
        } else if isDiscarding {
            isDiscarding = false
            pass.reset()
        }
    }

    /// A pass is so late that its columns are about to be overwritten: what is open is ended and the run begins anew,
    /// which costs the unconfirmed columns and keeps memory fixed. A pass in flight is not waited for.
    private func giveUpBacklog(into actions: inout [Action]) {
        guard let pass else { return }
        isDiscarding = pass.isInFlight
        if !isDiscarding { pass.reset() }
        unconfirmedColumns += UInt64(columnsSeen - columnsConfirmed)
        tagger.interrupt(into: &actions)
        beginRun()
    }
}

/// The newest columns of log-mel, in a ring of fixed size.
struct ColumnHistory {
    let capacity: Int
    private let columnSize: Int
    private let columnSteps: Int
    private var values: [Float]  // (capacity, columnSize)
    private var steps = 0

    init(capacity: Int, columnSize: Int, columnSteps: Int) {
        self.capacity = capacity
        self.columnSize = columnSize
        self.columnSteps = columnSteps
        values = [Float](repeating: 0, count: capacity * columnSize)
    }

    /// Takes the next (columnSize / columnSteps) values.
    mutating func append(step: UnsafeBufferPointer<Float>) {
        let at = steps % (capacity * columnSteps) * step.count
        values.withUnsafeMutableBufferPointer { _ = $0[at..<(at + step.count)].update(fromContentsOf: step) }
        steps += 1
    }

    mutating func removeAll() { steps = 0 }

    /// Copies the columns of a range that is still held, counted from the last `removeAll`, to the front of `target`.
    func copy(_ range: Range<Int>, into target: inout [Float]) {
        // Of a column that has begun, the ring's oldest has been overwritten.
        precondition(range.upperBound <= steps / columnSteps && range.lowerBound * columnSteps >= steps - capacity * columnSteps)
        target.withUnsafeMutableBufferPointer { target in
            values.withUnsafeBufferPointer { values in
                for (offset, index) in range.enumerated() {
                    let at = index % capacity * columnSize
                    _ = target[(offset * columnSize)...].update(fromContentsOf: values[at..<(at + columnSize)])
                }
            }
        }
    }
}
