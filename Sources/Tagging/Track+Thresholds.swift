import Glibc

/// When a label's score is up: where it crosses `off`, and whether it reaches `on`.
extension Track {
    mutating func noteRise(_ label: Int, _ score: Float, _ centre: Int64) {
        if !(score >= limits[label].off) {
            states[label].upAt = .min
        } else if states[label].upAt == .min {
            states[label].upAt = crossing(label, score, centre)
        }
    }

    mutating func startRising(_ label: Int, _ score: Float, _ centre: Int64) {
        guard reachesOn(label, score), centre >= states[label].coolUntil else { return }
        states[label].phase = .rising
        states[label].steps = 1
        states[label].peak = score
        states[label].onset = max(states[label].upAt, centre - lookBack, states[label].coolUntil)
        states[label].upAt = .min
        if limits[label].steps == 1 { starting.append(label) }
    }

    /// Whether a segment goes on: its score is up, or a rise in a later column could still end a gap in time.
    mutating func staysMember(_ label: Int, _ score: Float, _ centre: Int64) -> Bool {
        let limit = limits[label]
        if states[label].downAt == .min {
            guard !(score >= limit.off) else { return true }
            states[label].downAt = crossing(label, score, centre)
            states[label].upAt = .min
        } else {
            noteRise(label, score, centre)
        }
        let gapEnd = states[label].downAt + limit.gap
        let up = states[label].upAt
        if reachesOn(label, score), max(up, centre - lookBack) < gapEnd {
            states[label].downAt = .min
            states[label].upAt = .min
            return true
        }
        let earliest = up == .min ? centre : max(up, centre + step - lookBack)
        return earliest < gapEnd
    }

    /// Whether a score is at `on`, or `ahead`, would be a column on, at `off` already: if its log odds went on rising as they
    /// did over the last ``riseColumns`` columns. In odds o of the score s, `on` and the score b two columns before, that is
    /// o(s) (o(s) / o(b))^(1/2) >= o(on), and o(on) is the higher the more the label has hovered.
    private func reachesOn(_ label: Int, _ score: Float) -> Bool {
        let limit = limits[label]
        guard score >= limit.off else { return false }
        let raise = limit.habituation * states[label].hover
        if raise == 0, score >= limit.on { return true }
        let now = odds(score), wanted = odds(limit.on) * exp(Double(raise))
        if now >= wanted { return true }
        let before = max(earlier[oldest * ontology.count + label], Self.floor)
        guard limit.ahead, before < score else { return false }
        return now * now * now >= wanted * wanted * odds(before)
    }

    /// Log odds by which a score hovers above ``floor``: what belongs to an event does not hover, or sounds that follow each other would
    /// hold each other up.
    func hovering(_ label: Int, _ score: Float) -> Float {
        let phase = states[label].phase
        guard limits[label].habituation > 0, phase != .member, phase != .absorbed, score > Self.floor else { return 0 }
        return min(Float(log(odds(min(score, 0.999)) / odds(Self.floor))), Self.hoverLimit)
    }

    private func odds(_ score: Float) -> Double { Double(score) / (1 - Double(score)) }

    /// Where the score crossed `off`, between the centre of the step before and this one's, on the line through both scores.
    private func crossing(_ label: Int, _ score: Float, _ centre: Int64) -> Int64 {
        let before = states[label].previous
        let off = limits[label].off
        // Across NaN, or from the first step on, nothing is known but this step.
        guard before.isFinite, score.isFinite, (before < off) != (score < off) else { return centre - column / 2 }
        let fraction = min(max((off - before) / (score - before), 0), 1)
        return centre - step + Int64((Double(fraction) * Double(step)).rounded())
    }
}
