"""Scores of one label to segments, as the daemon's tagger cuts them (Sources/Tagging/Track.swift), without the ontology."""

from __future__ import annotations

import numpy as np

#: Seconds after a segment in which the label starts no other.
COOLDOWN = 0.48
#: Seconds that an onset may lie before the score's first column at `on`.
LOOK_BACK = 0.5


def segments(
    scores: np.ndarray, on: float, off: float, centres: np.ndarray, cooldown: float = COOLDOWN
) -> np.ndarray:
    """Onset, offset, and centre of the first column at `on`, (segments, 3) seconds, of runs at or above `off` that reach `on`.

    scores (T), one a column; centres (T), seconds. Crossings of `off` lie on the line between two columns' centres.
    """
    up = np.concatenate([[False], scores >= off, [False]])
    edges = np.flatnonzero(up[1:] != up[:-1]).reshape(-1, 2)  # first column, column after the last
    reach = np.flatnonzero(scores >= on)
    if not len(reach):
        return np.zeros((0, 3))
    first = np.searchsorted(reach, edges[:, 0])
    has = first < len(reach)
    has[has] = reach[first[has]] < edges[has, 1]
    starts, ends = reach[first[has]], edges[has, 1]
    column = centres[1] - centres[0]
    onset = np.maximum(cross(scores, edges[has, 0], off, centres, column), centres[starts] - LOOK_BACK)
    offset = cross(scores, ends, off, centres, column)
    offset = np.maximum(offset, onset + column / 2)
    return cooled(np.stack([onset, offset, centres[starts]], 1), cooldown)


def cross(scores: np.ndarray, at: np.ndarray, threshold: float, centres: np.ndarray, column: float) -> np.ndarray:
    """Where scores pass `threshold` between column at - 1 and column at, seconds."""
    safe = np.clip(at, 1, len(scores) - 1)
    before, after = scores[safe - 1].astype(float), scores[safe].astype(float)
    share = np.clip((threshold - before) / np.where(before == after, 1, after - before), 0, 1)
    inside = centres[safe] - column + share * column
    edge = centres[0] + at * column - column / 2
    return np.where((at > 0) & (at < len(scores)), inside, edge)


def cooled(found: np.ndarray, cooldown: float) -> np.ndarray:
    """A segment that begins in the cooldown of the one before begins at its end, or not at all."""
    if len(found) < 2 or (found[1:, 0] >= found[:-1, 1] + cooldown).all():
        return found
    out = [found[0]]
    for onset, offset, reached in found[1:]:
        onset = max(onset, out[-1][1] + cooldown)
        if onset < offset:
            out.append(np.array([onset, offset, max(reached, onset)]))
    return np.stack(out)
