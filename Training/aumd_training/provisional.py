"""What a threshold of its own would do for the provisional track: sooner, against more that is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .annotation import Event
from .eventcalibration import cut, is_false, shifted
from .program import LATENCY
from .timeline import Timeline

#: Added to the log odds of each label's `on`, for the provisional track alone.
SHIFTS = (0.0, -0.5, -1.0, -1.5, -2.0, -3.0)
#: Seconds after the onset by which a provisional event should have opened.
PROMPT = 0.35
#: A score that was up before the sound is not its own, seconds.
EARLY = 0.2
NEAR = 1.0


def openings(line: Timeline, c: int, on: float) -> tuple[np.ndarray, np.ndarray]:
    """Segments of label `c`, (n, 3), and when each can be told: at the end of the column that reaches `on`; seconds."""
    found = cut(line, c, on)
    return found, found[:, 2] + line.column / 2 + LATENCY


def figures(
    scapes: Mapping[str, Timeline], references: Sequence[Event], heldout: Timeline, allowed: np.ndarray, on: np.ndarray,
    shift: float,
) -> dict[str, float]:
    """Of the sounds that the confirmed track finds: when the provisional one opens. And how much of it is not confirmed.

    scapes: timelines of both tracks; heldout: the provisional track; on (C).
    """
    own, delays, missed, opened, unconfirmed, alarms = shifted(on, shift), [], 0, 0, 0, 0
    for c, name in enumerate(heldout.names):
        onsets = np.array([e.onset for e in references if e.label == name])
        found, told = openings(scapes["provisional"], c, own[c])
        sure = cut(scapes["confirmed"], c, on[c])
        for onset in onsets:
            if not len(sure) or np.abs(sure[:, 0] - onset).min() > NEAR:
                continue
            ours = told[(found[:, 0] >= onset - EARLY) & (found[:, 0] <= onset + NEAR)]
            if len(ours):
                delays.append(float(ours[0] - onset))
            else:
                missed += 1
        opened += len(found)
        for start, end, _ in found:
            near = (np.abs(sure[:, 0] - start) <= NEAR) | ((sure[:, 0] <= end) & (start <= sure[:, 1]))
            unconfirmed += not near.any()
        noise, _ = openings(heldout, c, own[c])
        if len(noise):
            alarms += int(is_false(noise, allowed[:, c], heldout.centres).sum())
    heard = len(delays) + missed
    return {
        "shift": shift, "confirmed_sounds": heard, "announced": len(delays) / max(1, heard),
        "delay_median": float(np.median(delays)) if delays else float("nan"),
        "within_0.35_s": float(np.sum(np.array(delays) <= PROMPT) / max(1, heard)),
        "not_confirmed": unconfirmed / max(1, opened), "false_per_hour": alarms / (heldout.seconds / 3600),
    }
