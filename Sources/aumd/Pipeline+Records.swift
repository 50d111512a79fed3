import AudioMamba
import Capture
import Sinks
import Tagging

/// What the pipeline sends: events, scores, gaps and status as records.
extension Pipeline {
    func sendActions() {
        for var action in actions {
            if let runEnd, let offset = action.event.offset, action.event.onset < runEnd { action.event.offset = min(offset, runEnd) }
            let former = open[action.event.number]
            var partOf: EventRecord.Other?
            if let other = action.partOf, let id = ids[other], let label = open[other] {
                partOf = EventRecord.Other(id: id, label: labels[label].name)
            }
            switch action.phase {
            case .open, .update: open[action.event.number] = action.event.label
            case .close, .retract: open[action.event.number] = nil
            }
            let record = EventRecord(
                action, at: min(nextStep, runEnd ?? .max), former: former, partOf: partOf, id: ids.id(of: action, time: time),
                source: options.name, model: model.identifier, labels: labels, time: time)
            send(.event(record))
            recorder?.take(
                record, onset: sourcePosition(action.event.onset), offset: action.event.offset.map(sourcePosition))
        }
        actions.removeAll(keepingCapacity: true)
    }

    func send(scores status: Event.Status, at start: Int64, _ scores: UnsafeBufferPointer<Float>) {
        guard options.scoreCount > 0 else { return }
        let top = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(options.scoreCount)
        send(
            .scores(
                ScoresRecord(
                    source: options.name, time: time(start), status: status,
                    levelDBFS: status == .provisional || !analysis.runsWindow ? levelDBFS : nil,
                    tags: top.map { Tag(label: labels[$0].name, mid: labels[$0].mid, score: scores[$0]) })))
    }

    func send(_ gap: Gap, isReset: Bool) {
        send(
            .gap(
                GapRecord(
                    source: options.name, from: time(modelPosition(position)),
                    to: time(modelPosition(position + gap.samples)), samples: gap.samples,
                    // The two have the same words (SchemaTests).
                    cause: GapRecord.Cause(rawValue: gap.cause.rawValue)!, reset: isReset)))
    }

    func sendStatusWhenDue() {
        guard let interval = options.statusInterval else { return }
        let now = ContinuousClock.now
        if let nextStatus, now < nextStatus { return }
        nextStatus = now + .seconds(interval)
        sendStatus()
    }

    func sendStatus() {
        guard options.statusInterval != nil else { return }
        let statistics = source.statistics, stretch = level.readStretch()
        let record = StatusRecord(
            source: options.name, time: .clock(milliseconds: StreamInstant.now().nanoseconds / 1_000_000),
            state: status.state, levelDBFS: status.lostAt == nil ? levelDBFS : nil, meanLevelDBFS: stretch?.mean,
            highestLevelDBFS: stretch?.highest, xruns: UInt64(statistics.xruns),
            lostSamples: UInt64(statistics.lostSamples), brokenSamples: UInt64(statistics.brokenSamples),
            lateWindows: analysis.lateWindows, unconfirmedColumns: analysis.unconfirmedColumns,
            worstWakeUpMilliseconds: options.device == nil ? nil : statistics.worstWakeUpMilliseconds,
            realtime: statistics.realtimeScheduling.map { $0 == .granted }, device: options.device, message: status.message)
        send(.status(record))
        supervision.status(record, open.values.map { labels[$0].name }.sorted())
    }
}
