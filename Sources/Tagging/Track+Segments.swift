/// Which segment reports a label that is up, and when it ends: groups and the ontology.
extension Track {
    /// Descendants before their ancestors, then the stronger before the weaker, then the lower index: an insertion
    /// sort, because almost always there are none or a few and it allocates nothing.
    mutating func sortStarting(_ scores: Span<Float>) {
        for index in starting.indices.dropFirst() {
            var place = index
            while place > 0, precedes(starting[place], starting[place - 1], scores) {
                starting.swapAt(place, place - 1)
                place -= 1
            }
        }
    }

    private func precedes(_ first: Int, _ second: Int, _ scores: Span<Float>) -> Bool {
        let depths = (ontology.ancestors[first].count, ontology.ancestors[second].count)
        if depths.0 != depths.1 { return depths.0 > depths.1 }
        if scores[first] != scores[second] { return scores[first] > scores[second] }
        return first < second
    }

    /// Finds the segment that reports a label which is up: a descendant's, its group's, an ancestor's to be renamed, or
    /// a new one.
    mutating func begin(_ label: Int, start: Int64, score: Float) {
        guard let descendantEnd = descendantEnd(of: label), start >= descendantEnd + absorbWindow else {
            states[label].phase = .absorbed
            return
        }
        // A group's event may have ended, and its cooldown begun, since the label rose.
        if start + column / 2 < states[label].coolUntil {
            states[label].phase = .absorbed
            return
        }
        let onset = ownOnset(label, after: descendantEnd)
        let isTold = joinGroup(label, onset: onset, score: score)
        if takeAncestors(label, onset: onset, score: score, isTold: isTold) { return }
        guard let slot = freeSlots.popLast() else { return }
        states[label].phase = .member
        states[label].slot = slot
        let group = ontology.group[label]
        if group >= 0 { groupSlot[group] = slot }
        segments[slot] = Segment(
            label: label, members: 1, group: group, onset: onset, offset: .min, peak: states[label].peak, score: score)
        report(.began, slot)
    }

    /// Where the last segment of a label's descendants ended; nil while one is open.
    func descendantEnd(of label: Int) -> Int64? {
        var end = Int64.min / 2
        for descendant in ontology.descendants[label] {
            if states[descendant].phase == .member { return nil }
            end = max(end, states[descendant].endedAt)
        }
        return end
    }

    /// Where a label's own segment begins, which does not begin before its descendants' end and its cooldown's.
    func ownOnset(_ label: Int, after descendantEnd: Int64) -> Int64 {
        max(states[label].onset, descendantEnd, states[label].coolUntil)
    }

    private mutating func joinGroup(_ label: Int, onset: Int64, score: Float) -> Bool {
        let group = ontology.group[label]
        guard group >= 0, groupSlot[group] >= 0 else { return false }
        let slot = groupSlot[group]
        states[label].phase = .member
        states[label].slot = slot
        segments[slot].members += 1
        segments[slot].peak = max(segments[slot].peak, states[label].peak)
        if ontology.isAncestor(segments[slot].label, of: label), onset - segments[slot].onset <= renameWindow,
            segments[slot].onset >= states[label].coolUntil
        {
            segments[slot].label = label
            segments[slot].score = score
            report(.renamed, slot)
        }
        return true
    }

    /// Takes over the nearest ancestor's young segment. The provisional track drops further ancestors' young segments, and all where
    /// the label's group reports it already; in the confirmed one, whose events are never taken back, they go on. What is in a group stays there.
    ///
    /// - Returns: whether the label has a segment now.
    private mutating func takeAncestors(_ label: Int, onset: Int64, score: Float, isTold: Bool) -> Bool {
        var isTold = isTold
        for ancestor in ontology.ancestors[label] where states[ancestor].phase == .member {
            let slot = states[ancestor].slot
            guard segments[slot].group < 0, onset - segments[slot].onset <= renameWindow,
                // Otherwise the event would reach back into this label's cooldown.
                segments[slot].onset >= states[label].coolUntil
            else { continue }
            if isTold, status == .confirmed { continue }
            absorb(ancestor)
            if isTold {
                report(.dropped, slot, takenBy: states[label].slot)
                release(slot)
                continue
            }
            isTold = true
            let group = ontology.group[label]
            segments[slot].group = group
            if group >= 0 { groupSlot[group] = slot }
            states[label].phase = .member
            states[label].slot = slot
            segments[slot].label = label
            segments[slot].onset = min(segments[slot].onset, onset)
            segments[slot].peak = states[label].peak
            segments[slot].score = score
            report(.renamed, slot)
        }
        return isTold
    }

    mutating func leave(_ label: Int, at offset: Int64) {
        let slot = states[label].slot
        states[label].phase = .idle
        states[label].slot = -1
        states[label].downAt = .min
        // A column is the resolution: what was there at all was there for half of one.
        let offset = max(offset, segments[slot].onset + column / 2)
        states[label].endedAt = offset
        segments[slot].offset = max(segments[slot].offset, offset)
        segments[slot].members -= 1
        guard segments[slot].members == 0 else { return }
        report(.ended, slot)
        let end = segments[slot].offset
        if segments[slot].group >= 0 {
            for member in ontology.members[segments[slot].group] { cool(member, from: end) }
        } else {
            cool(label, from: end)
        }
        // The event was one of every ancestor too.
        for ancestor in ontology.ancestors[segments[slot].label] where limits[ancestor].cooldown > 0 { cool(ancestor, from: end) }
        release(slot)
    }

    /// What is another label's event may have ended later than the label's own.
    private mutating func cool(_ label: Int, from end: Int64) {
        states[label].coolUntil = max(states[label].coolUntil, end + limits[label].cooldown)
    }

    /// Takes a segment back: labels that are still up begin anew at the end of their cooldown.
    mutating func withdraw(_ slot: Int) {
        for label in states.indices where states[label].phase == .member && states[label].slot == slot {
            absorb(label)
        }
        release(slot)
    }

    /// Takes a label that is up out of its segment.
    private mutating func absorb(_ label: Int) {
        states[label].phase = .absorbed
        states[label].slot = -1
        states[label].downAt = .min
    }

    private mutating func release(_ slot: Int) {
        if segments[slot].group >= 0 { groupSlot[segments[slot].group] = -1 }
        segments[slot].members = 0
        freeSlots.append(slot)
    }

    private mutating func report(_ kind: Transition.Kind, _ slot: Int, takenBy: Int = -1) {
        transitions.append(Transition(kind, slot, segments[slot], takenBy: takenBy))
    }
}
