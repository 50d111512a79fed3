/// What each change of a track means for the events. `Tagger` has the rules in words.
extension Tagger {
    // MARK: The provisional track

    mutating func provisionalBegan(_ transition: Track.Transition, into actions: inout [Action]) {
        let open = order.first {
            live[$0].event.offset == nil && ontology.isCovered(transition.label, by: live[$0].event.label)
        }
        if let open {
            attach(transition.slot, to: open)
        } else if transition.onset < coolUntil(transition.label) {
            // An event of the label has ended in the same step.
            provisionalTrack.withdraw(transition.slot)
        } else if hasRoom {
            attach(transition.slot, to: self.open(transition, .provisional, into: &actions))
        }
    }

    mutating func provisionalRenamed(_ transition: Track.Transition, into actions: inout [Action]) {
        let place = placeOfProvisional[transition.slot]
        guard place >= 0, live[place].confirmedSlot < 0 else { return }
        if let other = openPlace(of: transition.label), other != place {
            absorb(place, into: other, &actions)
            return
        }
        rename(place, transition)
        update(place, .moreSpecific, into: &actions)
    }

    mutating func provisionalEnded(_ transition: Track.Transition, into actions: inout [Action]) {
        guard let place = detach(transition.slot), live[place].event.offset == nil else { return }
        live[place].event.offset = max(
            transition.offset, live[place].event.onset + Int64(configuration.columnLength / 2))
        if live[place].confirmedSlot < 0 { live[place].event.peak = transition.peak }
        update(place, .ended, into: &actions)
    }

    mutating func provisionalDropped(_ transition: Track.Transition, into actions: inout [Action]) {
        guard let place = detach(transition.slot), live[place].confirmedSlot < 0 else { return }
        let other = placeOfProvisional[transition.takenBy]
        retract(place, .absorbed, partOf: other < 0 ? nil : other, into: &actions)
    }

    private mutating func attach(_ slot: Int, to place: Int) {
        placeOfProvisional[slot] = place
        live[place].provisionalCount += 1
    }

    /// The event that stood for a segment, if that was its last one.
    private mutating func detach(_ slot: Int) -> Int? {
        let place = placeOfProvisional[slot]
        guard place >= 0 else { return nil }
        placeOfProvisional[slot] = -1
        live[place].provisionalCount -= 1
        return live[place].provisionalCount == 0 ? place : nil
    }

    // MARK: The confirmed track

    mutating func confirmedBegan(_ transition: Track.Transition, into actions: inout [Action]) {
        if let place = announced(transition) {
            confirm(place, transition, .confirmed, into: &actions)
            return
        }
        let place = open(transition, .confirmed, into: &actions)
        hold(place, transition.slot)
        // A provisional segment that lost its event (closed or retracted under it) is this sound, if any.
        for slot in provisionalTrack.segments.indices
        where provisionalTrack.segments[slot].members > 0 && placeOfProvisional[slot] < 0 {
            if ontology.isCovered(provisionalTrack.segments[slot].label, by: transition.label) {
                attach(slot, to: place)
            }
        }
    }

    mutating func confirmedRenamed(_ transition: Track.Transition, into actions: inout [Action]) {
        confirm(placeOfConfirmed[transition.slot], transition, .moreSpecific, into: &actions)
    }

    mutating func confirmedEnded(_ transition: Track.Transition, into actions: inout [Action]) {
        let place = placeOfConfirmed[transition.slot]
        // Segments that joined the event but began after its end are sounds of their own, still to be reported.
        var later = 0
        if live[place].provisionalCount > 0 {
            for slot in placeOfProvisional.indices where placeOfProvisional[slot] == place {
                guard provisionalTrack.segments[slot].onset > transition.offset else { continue }
                placeOfProvisional[slot] = Self.later
                live[place].provisionalCount -= 1
                later += 1
            }
        }
        close(place, transition, nil, into: &actions)
        guard later > 0 else { return }
        for slot in placeOfProvisional.indices where placeOfProvisional[slot] == Self.later {
            placeOfProvisional[slot] = -1
            provisionalBegan(Track.Transition(.began, slot, provisionalTrack.segments[slot]), into: &actions)
        }
    }

    /// Marks a provisional segment between its old event and its new one.
    private static var later: Int { -2 }

    /// The undecided event that announced a confirmed segment: of the same label before a relative, then the one whose
    /// onset is nearest. An open one of the same label is taken at any distance, since a label has one open event only.
    private func announced(_ transition: Track.Transition) -> Int? {
        var best: Int?
        for place in order where live[place].confirmedSlot < 0 {
            let event = live[place].event
            guard ontology.areRelated(event.label, transition.label), matches(event, onset: transition.onset) else {
                continue
            }
            guard let other = best else {
                best = place
                continue
            }
            let rival = live[other].event
            let isSame = (event.label == transition.label, rival.label == transition.label)
            let isNearer = abs(event.onset - transition.onset) < abs(rival.onset - transition.onset)
            if isSame.0 != isSame.1 ? isSame.0 : isNearer { best = place }
        }
        if best == nil, let open = openPlace(of: transition.label), live[open].confirmedSlot < 0 { best = open }
        return best
    }

    /// Gives an event the confirmed track's label, onset and score.
    private mutating func confirm(
        _ place: Int, _ transition: Track.Transition, _ reason: Action.Reason, into actions: inout [Action]
    ) {
        hold(place, transition.slot)
        let other = openPlace(of: transition.label).flatMap { $0 == place ? nil : $0 }
        if let offset = live[place].event.offset {
            if offset <= transition.onset {
                // The provisional score had fallen before the sound began: only another open event keeps it ended.
                live[place].event.offset = other == nil ? nil : transition.onset + Int64(configuration.columnLength / 2)
            }
        } else if let other {
            // As `absorb`, but this event is about to be reported anyway.
            _ = moveSegments(from: other, to: place)
            retract(other, .absorbed, partOf: place, into: &actions)
        }
        rename(place, transition)
        live[place].event.status = .confirmed
        live[place].event.onsetError = resolution(.confirmed)
        update(place, reason, into: &actions)
    }

    private mutating func hold(_ place: Int, _ slot: Int) {
        placeOfConfirmed[slot] = place
        live[place].confirmedSlot = slot
    }
}
