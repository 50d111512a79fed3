"""Thresholds for the best event F1 at a stated number of false alarms an hour.

Each label's `on` is chosen from a grid so that the sum over labels of F1 - price * (false alarms an hour) is
greatest. One price holds for all labels; it is the lowest at which all of them together stay below the rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .annotation import Event
from .segments import segments
from .timeline import Timeline

#: Thresholds tried, evenly spaced in log odds.
GRID = 1 / (1 + np.exp(-np.linspace(-3.0, 7.0, 41)))
#: `off` as a share of `on`.
HYSTERESIS = 0.6
#: Seconds between the onsets of an event and its reference.
COLLAR = 0.2
#: Events assumed right and wrong before any are seen: a label with few references takes no extreme threshold for one lucky event.
PRIOR = 1.0


@dataclass
class Curves:
    """What each threshold would do: all (C, G) over the grid."""

    f1: np.ndarray
    false: np.ndarray  # an hour
    has: np.ndarray  # (C), whether there is a reference


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
    """Segments (n, 2), seconds, during which their label may nowhere be told; allowed (T) bool."""
    before = np.concatenate([[0], np.cumsum(allowed)])
    column = centres[1] - centres[0]
    first = np.clip(((found[:, 0] - centres[0]) / column + 0.5).astype(int), 0, len(allowed) - 1)
    last = np.clip(((found[:, 1] - centres[0]) / column + 0.5).astype(int), first, len(allowed) - 1)
    return before[last + 1] == before[first]


def curves(
    scapes: Timeline, references: Sequence[Event], heldout: Timeline, allowed: np.ndarray, grid: np.ndarray = GRID
) -> Curves:
    """Event F1 on soundscapes and false alarms an hour on held-out streams, label by label."""
    shape = (len(scapes.names), len(grid))
    out = Curves(np.zeros(shape), np.zeros(shape), np.zeros(shape[0], bool))
    hours = heldout.seconds / 3600
    for c, name in enumerate(scapes.names):
        onsets = np.sort([e.onset for e in references if e.label == name])
        out.has[c] = len(onsets) > 0
        for g, on in enumerate(grid):
            found = segments(scapes.scores[:, c], on, HYSTERESIS * on, scapes.centres)
            if len(onsets):
                right = matches(found[:, 0], onsets)
                out.f1[c, g] = 2 * right / (len(found) + len(onsets) + PRIOR)
            alarms = segments(heldout.scores[:, c], on, HYSTERESIS * on, heldout.centres)
            if len(alarms):
                out.false[c, g] = is_false(alarms, allowed[:, c], heldout.centres).sum() / hours
    return out


def choose(found: Curves, price: float) -> np.ndarray:
    """Index into the grid for each label, (C). Of equals the middle one is taken."""
    out = np.zeros(len(found.f1), int)
    f1 = smoothed(found.f1)
    for c in range(len(out)):
        gain = f1[c] - price * found.false[c]
        best = np.flatnonzero(gain >= gain.max() - 1e-9)
        # A label without any reference has nothing to gain: it speaks only where nothing on these streams resembles it.
        out[c] = best[len(best) // 2] if found.has[c] else len(gain) - 1
    return out


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
        alarms = segments(heldout.scores[:, c], on[c], HYSTERESIS * on[c], heldout.centres)
        if len(alarms):
            wrong = is_false(alarms, allowed[:, c], heldout.centres)
            found += [Event(float(a), float(b), name) for a, b in alarms[wrong]]
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
    found: Curves, heldout: Timeline, allowed: np.ndarray, parents: Mapping[str, Sequence[str]],
    prices: Sequence[float] = (0, *np.geomspace(1e-3, 3.0, 22)), grid: np.ndarray = GRID,
) -> list[dict]:
    """For each price: mean F1 over labels with references, false alarms an hour of all labels, and `on` (C)."""
    out = []
    for price in prices:
        on = grid[choose(found, price)]
        rate = len(false_alarms(heldout, allowed, on, parents)) / (heldout.seconds / 3600)
        f1 = found.f1[np.arange(len(on)), choose(found, price)][found.has].mean()
        out.append({"price": float(price), "f1": float(f1), "false_per_hour": rate, "on": on.tolist()})
    return out


def at_rate(points: Sequence[dict], rate: float) -> dict:
    """The point with the best F1 among those that keep the rate; the quietest where none does."""
    kept = [point for point in points if point["false_per_hour"] <= rate]
    return max(kept, key=lambda p: p["f1"]) if kept else min(points, key=lambda p: p["false_per_hour"])
