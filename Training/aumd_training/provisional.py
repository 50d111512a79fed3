"""A threshold of its own for each label's provisional scores: sooner, against more that is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .annotation import Event
from .eventcalibration import GRID, HIGHEST, HYSTERESIS, cut, shifted
from .eventmetrics import PROMPT
from .program import COLUMN, LATENCY
from .segments import ahead, segments
from .timeline import Timeline

#: Added to the log odds of a label's `on`, from the most careful to the hastiest.
SHIFTS = np.arange(2.0, -8.25, -0.25)
#: Events of a label assumed to be taken back as often as all labels' are, before any are seen.
PRIOR = 4.0
#: No provisional threshold is below the lowest that is tried for `on`: where a label opens hardly anything, lower ones cost nothing there,
#: and everything elsewhere.
LOWEST = GRID[0]
#: A score that was up before the sound is not its own, seconds.
EARLY = 0.2
#: Seconds that the onsets of the two tracks may lie apart, as in the program.
NEAR = 1.0


def openings(line: Timeline, c: int, reached: np.ndarray, early: float, on: float) -> np.ndarray:
    """Provisional segments of label `c`, (n, 3): onset, offset, and when it can be told, at the end of the column in which
    `reached`, its scores a column ahead (T), is at `early`; seconds. `on` is the label's threshold for confirmed scores, of which `off` is a share."""
    off = min(early, HYSTERESIS * on)
    reached = line.reaching(c, early, off, reached)
    found = segments(line.scores[:, c], early, off, line.centres, "provisional", reaching=reached)
    return np.column_stack([found[:, :2], found[:, 2] + COLUMN / 2 + LATENCY])


def reaching(line: Timeline, c: int) -> np.ndarray:
    """What of label `c` has to reach its threshold, (T)."""
    return ahead(line.scores[:, c], round(COLUMN / line.step))


def is_taken_back(found: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Which provisional segments have no confirmed one near; (n) bool."""
    near = np.abs(sure[:, 0] - found[:, :1]) <= NEAR
    together = (sure[:, 0] <= found[:, 1:2]) & (found[:, :1] <= sure[:, 1])
    return ~(near | together).any(1)


@dataclass
class Trials:
    """What each threshold that is tried would open and take back."""

    tried: np.ndarray  # (C, shifts)
    opened: np.ndarray  # (C, shifts), events
    taken: np.ndarray  # (C, shifts), of them taken back

    def choose(self, share: float) -> np.ndarray:
        """For each label the lowest threshold down to which at most `share` of its provisional events are taken back, (C).

        A label with few events is judged by the others' too.
        """
        usual = self.taken.sum(0) / np.maximum(1, self.opened.sum(0))
        too_many = (self.taken + PRIOR * usual) / (self.opened + PRIOR) > share
        last = np.where(too_many.any(1), np.maximum(too_many.argmax(1) - 1, 0), len(SHIFTS) - 1)
        return np.maximum(self.tried[np.arange(len(last)), last], LOWEST)


def trials(streams: Sequence[Mapping[str, Timeline]], on: np.ndarray) -> Trials:
    """streams: timelines of both tracks, by name; on (C): thresholds of the confirmed one."""
    tried = np.stack([np.minimum(shifted(on, shift), HIGHEST) for shift in SHIFTS], 1)
    out = Trials(tried, np.zeros(tried.shape), np.zeros(tried.shape))
    for lines in streams:
        for c in range(len(on)):
            sure, reached = cut(lines["confirmed"], c, on[c]), reaching(lines["provisional"], c)
            for i, early in enumerate(tried[c]):
                found = openings(lines["provisional"], c, reached, early, on[c])
                out.opened[c, i] += len(found)
                out.taken[c, i] += is_taken_back(found, sure).sum()
    return out


def figures(
    streams: Sequence[Mapping[str, Timeline]], references: Sequence[Event], on: np.ndarray, early: np.ndarray
) -> dict[str, float]:
    """Of the sounds that the confirmed track finds in the first of the streams: when the provisional one opens, seconds.

    And of all that it opens in any of them, the share that is taken back. on, early (C).
    """
    delays, missed, opened, taken = [], 0, 0, 0
    for place, lines in enumerate(streams):
        for c, name in enumerate(lines["confirmed"].names):
            found = openings(lines["provisional"], c, reaching(lines["provisional"], c), early[c], on[c])
            sure = cut(lines["confirmed"], c, on[c])
            opened += len(found)
            taken += int(is_taken_back(found, sure).sum())
            for onset in (e.onset for e in references if place == 0 and e.label == name):
                if not len(sure) or np.abs(sure[:, 0] - onset).min() > NEAR:
                    continue
                ours = found[(found[:, 0] >= onset - EARLY) & (found[:, 0] <= onset + NEAR), 2]
                if len(ours):
                    delays.append(float(ours[0] - onset))
                else:
                    missed += 1
    heard = max(1, len(delays) + missed)
    return {
        "announced": len(delays) / heard, "within_0.35_s": float(np.sum(np.array(delays) <= PROMPT) / heard),
        "delay_median": float(np.median(delays)) if delays else float("nan"), "taken_back": taken / max(1, opened),
    }
