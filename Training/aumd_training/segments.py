"""Scores of one label to segments, as the daemon's tagger cuts them (Sources/Tagging/Track.swift), without the ontology."""

from __future__ import annotations

import numba
import numpy as np

#: Segments of a label that would follow each other by fewer seconds are one.
MINIMUM_GAP = 0.5
#: Columns over which a score's rise is measured.
RISE_COLUMNS = 2
#: Scores below this count as this where their rise is measured.
FLOOR = 0.02
#: How far above FLOOR, in log odds, a score counts as hovering at most; seconds over which that is averaged, and that it lies back.
HOVER_LIMIT, HOVER_SECONDS, HOVER_LAG = 2.0, 10.0, 1.0
#: Seconds that an onset may lie before the score's first column at `on`, of each track.
LOOK_BACK = {"confirmed": 3.0, "provisional": 0.5}


def segments(
    scores: np.ndarray, on: float, off: float, centres: np.ndarray, track: str = "confirmed", minimum_gap: float = MINIMUM_GAP,
    reaching: np.ndarray | None = None,
) -> np.ndarray:
    """Onset, offset, and centre of the first column at `on`, (segments, 3) seconds, of runs at or above `off` that reach `on`.

    scores (T), one a column; centres (T), seconds; reaching (T): what has to reach `on`, if not the score itself. Crossings of `off` lie on the line between two columns' centres.
    """
    up = np.concatenate([[False], scores >= off, [False]])
    edges = np.flatnonzero(up[1:] != up[:-1]).reshape(-1, 2)  # first column, column after the last
    reach = np.flatnonzero((scores if reaching is None else reaching) >= on)
    if not len(reach):
        return np.zeros((0, 3))
    first = np.searchsorted(reach, edges[:, 0])
    has = first < len(reach)
    has[has] = reach[first[has]] < edges[has, 1]
    starts, ends = reach[first[has]], edges[has, 1]
    column = centres[1] - centres[0]
    onset = np.maximum(cross(scores, edges[has, 0], off, centres, column), centres[starts] - LOOK_BACK[track])
    offset = cross(scores, ends, off, centres, column)
    offset = np.maximum(offset, onset + column / 2)
    return merged(np.stack([onset, offset, centres[starts]], 1), minimum_gap)


def ahead(scores: np.ndarray, steps: int = 1) -> np.ndarray:
    """Scores (T) as they will be a column on if their log odds go on rising as over the last two columns.

    What has to reach `on` in the provisional track. `steps`: scores a column.
    """
    scores, back = scores.astype(np.float64), RISE_COLUMNS * steps
    before = np.concatenate([scores[:back], np.minimum(np.maximum(scores[:-back], FLOOR), scores[back:])])
    odds, past = scores / np.maximum(1 - scores, 1e-9), before / np.maximum(1 - before, 1e-9)
    led = odds * np.sqrt(odds / np.maximum(past, 1e-9))
    return np.maximum(scores, led / (1 + led))


@numba.njit
def _harder(odds: np.ndarray, opening: np.ndarray, excess: np.ndarray, first: np.ndarray, on: float, off: float,
            share: float, lag: int, habituation: float) -> np.ndarray:
    """`opening` lowered, row by row, by what has hovered; all log odds but share and lag (rows), first (T) bool: a stream begins."""
    out, counted = np.empty(len(odds)), np.zeros(len(odds))
    mean, begun, is_event = 0.0, 0, False
    for row in range(len(odds)):
        if first[row]:
            mean, begun, is_event = 0.0, row, False
        if row - lag >= begun:
            mean += share * (counted[row - lag] - mean)
        out[row] = opening[row] - habituation * mean
        is_event = odds[row] >= off and (is_event or out[row] >= on)
        if not is_event:
            counted[row] = excess[row]
    return out


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Of scores of any shape, those of 0 and 1 finite."""
    limited = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.log(limited / (1 - limited))


def harder(
    scores: np.ndarray, opening: np.ndarray, on: float, off: float, starts: np.ndarray, step: float, habituation: float
) -> np.ndarray:
    """What has to reach `on`, (T): `opening`, made harder by the scores (T) that have hovered until HOVER_LAG ago.

    Hovering is the mean of log odds above FLOOR, at most HOVER_LIMIT, outside events. starts: first rows of streams.
    """
    if not (opening >= on).any():
        return opening
    odds, first = log_odds(scores), np.zeros(len(scores), np.bool_)
    first[starts] = True
    excess = np.clip(odds - log_odds(np.array(FLOOR)), 0, HOVER_LIMIT)
    share, lag = 1 - np.exp(-step / HOVER_SECONDS), max(1, int(HOVER_LAG / step))
    edges = log_odds(np.array([on, off]))
    return 1 / (1 + np.exp(-_harder(odds, log_odds(opening), excess, first, edges[0], edges[1], share, lag, habituation)))


def cross(scores: np.ndarray, at: np.ndarray, threshold: float, centres: np.ndarray, column: float) -> np.ndarray:
    """Where scores pass `threshold` between column at - 1 and column at, seconds."""
    safe = np.clip(at, 1, len(scores) - 1)
    before, after = scores[safe - 1].astype(float), scores[safe].astype(float)
    share = np.clip((threshold - before) / np.where(before == after, 1, after - before), 0, 1)
    inside = centres[safe] - column + share * column
    edge = centres[0] + at * column - column / 2
    return np.where((at > 0) & (at < len(scores)), inside, edge)


def merged(found: np.ndarray, minimum_gap: float) -> np.ndarray:
    """Segments with those joined that are closer than the gap."""
    if len(found) < 2:
        return found
    first = np.concatenate([[True], found[1:, 0] - found[:-1, 1] >= minimum_gap])
    last = np.concatenate([first[1:], [True]])
    return np.stack([found[first, 0], found[last, 1], found[first, 2]], 1)
