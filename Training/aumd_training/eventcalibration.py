"""Thresholds for the best event F1 at a stated number of false alarms an hour.

Each label's `on` is chosen from a grid so that F1 - price * (false alarms an hour) is greatest, and raised by a margin.
A label has few references, so half of its F1 is the mean over all labels at the same threshold. Price and margin are the
same for all labels. They are the pair with the best F1 among those that keep the rate, both measured on sounds which the
choice did not hear: thresholds chosen on one half of the soundscapes, which share no recording with the other, and on the
first or second half of every held-out stream, are tried on the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .annotation import Event
from .segments import segments
from .timeline import Timeline

#: Thresholds tried, evenly spaced in log odds.
GRID = 1 / (1 + np.exp(-np.linspace(-3.0, 7.0, 41)))
#: `off` as a share of `on`: of 0.12, 0.15, 0.2, 0.25, 0.3, 0.45 and 0.6 the best event F1 on unheard halves of
#: the validation split's soundscapes wherever false alarms have a price; without one, 0.15 is 0.006 better.
HYSTERESIS = 0.2
PRICES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3)
#: Log odds by which `on` is higher for each that a label has hovered: of 0, 1.5, 2.5 and 4 the best event F1 at 5 false alarms an hour, on
#: unheard halves of the validation split.
HABITUATION = 2.5
#: Added to the log odds of `on`.
MARGINS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 2.0, 3.0)
#: The model folder's thresholds lie below 1.
HIGHEST = 0.9995
#: Seconds between the onsets of an event and its reference.
COLLAR = 0.2
#: A label without references is told where it is surer than this share of the others must be.
CAREFUL = 0.75
#: Events assumed right and wrong before any are seen: a label with few references takes no extreme threshold for one lucky event.
PRIOR = 1.0
#: Weight of the mean over labels beside a label's own F1: of 0, 0.25, 0.5, 1, 2, 4 and 8 the best on unheard halves.
SHRINKAGE = 1.0


def matches(estimated: np.ndarray, reference: np.ndarray, collar: float = COLLAR) -> int:
    """The most pairs of onsets (sorted, seconds) at most `collar` apart, each used once."""
    i = j = pairs = 0
    while i < len(estimated) and j < len(reference):
        if abs(estimated[i] - reference[j]) <= collar:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif estimated[i] < reference[j]:
            i += 1
        else:
            j += 1
    return pairs


def is_false(found: np.ndarray, allowed: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Segments (onset, offset, …), (n, …) seconds, during which their label may nowhere be told; allowed (T) bool."""
    before = np.concatenate([[0], np.cumsum(allowed)])
    column = centres[1] - centres[0]
    first = np.clip(((found[:, 0] - centres[0]) / column + 0.5).astype(int), 0, len(allowed) - 1)
    last = np.clip(((found[:, 1] - centres[0]) / column + 0.5).astype(int), first, len(allowed) - 1)
    return before[last + 1] == before[first]


def cut(line: Timeline, c: int, on: float) -> np.ndarray:
    """Segments of label `c` at a threshold, (segments, 2), seconds."""
    return segments(line.scores[:, c], on, HYSTERESIS * on, line.centres, reaching=line.reaching(c, on, HYSTERESIS * on))


def f1_curves(scapes: Timeline, references: Sequence[Event], grid: np.ndarray = GRID) -> np.ndarray:
    """Event F1 of each label at each threshold, (C, G); NaN for labels without a reference."""
    out = np.full((len(scapes.names), len(grid)), np.nan)
    for c, name in enumerate(scapes.names):
        onsets = np.sort([e.onset for e in references if e.label == name])
        for g, on in enumerate(grid if len(onsets) else ()):
            found = cut(scapes, c, on)
            out[c, g] = 2 * matches(found[:, 0], onsets) / (len(found) + len(onsets) + PRIOR)
    return out


def halves(line: Timeline, references: Sequence[Event]) -> list[tuple[Timeline, list[Event]]]:
    """The first and the second half of the streams: scores are 0 in the others, and their references left out."""
    middle, out = line.starts[len(line.starts) // 2], []
    columns, events = line.centres >= middle, np.array([e.onset for e in references]) >= middle
    for half in (False, True):
        scores = np.where((columns == half)[:, None], line.scores, 0)
        out.append((replace(line, scores=scores), [e for e, second in zip(references, events) if second == half]))
    return out


def false_curves(heldout: Timeline, allowed: np.ndarray, grid: np.ndarray = GRID) -> tuple[np.ndarray, np.ndarray]:
    """False alarms an hour of each label at each threshold, in the first and the second half of every stream: (C, G) each."""
    out = np.zeros((2, len(heldout.names), len(grid)))
    ends = np.append(heldout.starts[1:], heldout.centres[-1])
    for c in range(len(heldout.names)):
        for g, on in enumerate(grid):
            alarms = cut(heldout, c, on)
            if len(alarms):
                wrong = alarms[is_false(alarms, allowed[:, c], heldout.centres), 0]
                late = in_second_half(wrong, heldout.starts, ends)
                out[:, c, g] = (~late).sum(), late.sum()
    out *= 2 / (heldout.seconds / 3600)
    return out[0], out[1]


def in_second_half(times: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether each time (n) lies in the second half of its stream. Near and far versions of a stream have the same halves."""
    stream = np.clip(np.searchsorted(starts, times, "right") - 1, 0, None)
    return times > (starts[stream] + ends[stream]) / 2


def choose(f1: np.ndarray, false: np.ndarray, price: float, margin: float, grid: np.ndarray = GRID) -> np.ndarray:
    """`on` of each label, (C). f1 and false (C, G). Of equals the middle one is taken."""
    out = np.zeros(len(f1))
    gain = smoothed(shrunk(f1)) - price * false
    for c in range(len(out)):
        best = np.flatnonzero(gain[c] >= gain[c].max() - 1e-9)
        out[c] = grid[best[len(best) // 2]]
    heard = ~np.isnan(f1).all(1)
    out[~heard] = np.maximum(out[~heard], np.quantile(out[heard], CAREFUL))
    return np.minimum(shifted(out, margin), HIGHEST)


def shifted(on: np.ndarray, by: float) -> np.ndarray:
    """Thresholds (C) with `by` added to their log odds."""
    return 1 / (1 + np.exp(-(np.log(on / (1 - on)) + by)))


def shrunk(f1: np.ndarray) -> np.ndarray:
    """Each label's F1 drawn to the mean over labels, (C, G); a label without references has the mean. Some label has one."""
    mean = np.nanmean(f1, 0)
    return (np.where(np.isnan(f1), mean, f1) + SHRINKAGE * mean) / (1 + SHRINKAGE)


def smoothed(f1: np.ndarray) -> np.ndarray:
    """Mean over three neighbouring thresholds, (C, G)."""
    padded = np.pad(f1, ((0, 0), (1, 1)), mode="edge")
    return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3


def false_alarms(
    heldout: Timeline, allowed: np.ndarray, on: np.ndarray, parents: Mapping[str, Sequence[str]]
) -> list[Event]:
    """False events of all labels at their thresholds, an ancestor's left out where a descendant's is told."""
    index, found = {name: i for i, name in enumerate(heldout.names)}, []
    for c, name in enumerate(heldout.names):
        alarms = cut(heldout, c, on[c])
        if len(alarms):
            wrong = is_false(alarms, allowed[:, c], heldout.centres)
            found += [Event(float(a), float(b), name) for a, b, _ in alarms[wrong]]
    spans: dict[str, list[Event]] = {}
    for event in found:
        for parent in parents.get(event.label, ()):
            if parent in index:
                spans.setdefault(parent, []).append(event)
    return [
        e for e in found
        if not any(o.onset <= e.offset + 2 and e.onset <= o.offset + 2 for o in spans.get(e.label, ()))
    ]


def operating_points(
    scapes: Timeline, references: Sequence[Event], heldout: Timeline, allowed: np.ndarray,
    parents: Mapping[str, Sequence[str]],
) -> list[dict]:
    """For each price and margin: `on` (C), and on unheard halves mean F1 over labels and false alarms an hour of all labels."""
    f1, false = f1_curves(scapes, references), false_curves(heldout, allowed)
    parts = halves(scapes, references)
    curves = [f1_curves(*part) for part in parts]
    ends, hours, out = np.append(heldout.starts[1:], heldout.centres[-1]), heldout.seconds / 3600, []
    for price in PRICES:
        for margin in MARGINS:
            alarms, unheard = 0, []
            for half in (0, 1):
                on = choose(curves[half], false[half], price, margin)
                found = false_alarms(heldout, allowed, on, parents)
                late = in_second_half(np.array([e.onset for e in found]), heldout.starts, ends)
                alarms += int((late != half).sum())
                unheard.append(mean_f1(*parts[1 - half], on))
            on = choose(f1, (false[0] + false[1]) / 2, price, margin)
            out.append({
                "price": price, "margin": margin, "f1": float(np.mean(unheard)),
                "false_per_hour": alarms / hours, "on": on.tolist(),
            })
    return out


def mean_f1(scapes: Timeline, references: Sequence[Event], on: np.ndarray) -> float:
    """Event F1 by onsets, mean over labels with references."""
    values = []
    for c, name in enumerate(scapes.names):
        onsets = np.sort([e.onset for e in references if e.label == name])
        if len(onsets):
            found = cut(scapes, c, on[c])
            values.append(2 * matches(found[:, 0], onsets) / (len(found) + len(onsets)))
    return float(np.mean(values))


def frontier(points: Sequence[dict]) -> list[dict]:
    """The points that no other one beats in both F1 and false alarms, from the loudest to the quietest."""
    out: list[dict] = []
    for point in sorted(points, key=lambda p: (p["false_per_hour"], -p["f1"])):
        if not out or point["f1"] > out[-1]["f1"]:
            out.append(point)
    return out[::-1]


def at_rate(points: Sequence[dict], rate: float) -> dict:
    """The point with the best F1 among those that keep the rate; the quietest where none does."""
    kept = [point for point in points if point["false_per_hour"] <= rate]
    return max(kept, key=lambda p: p["f1"]) if kept else min(points, key=lambda p: p["false_per_hour"])
