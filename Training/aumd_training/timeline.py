"""Many streams on one time axis, so that scores, references and events need no file names.

T columns, C labels. Streams follow each other with a pause in which all scores are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .annotation import Event, Sound, events_of
from .ontology import related

#: Seconds between two streams on the axis.
PAUSE = 8.0
#: Seconds around a sound in which its labels may be told.
MARGIN = 1.0


@dataclass
class Timeline:
    """Streams laid end to end."""

    scores: np.ndarray  # (T, C) float32
    centres: np.ndarray  # (T), seconds
    starts: np.ndarray  # (streams), seconds
    sounds: list[Sound]
    names: Sequence[str]
    seconds: float  # of sound, pauses left out

    @property
    def column(self) -> float:
        """Seconds of a column."""
        return float(self.centres[1] - self.centres[0])

    def references(self, parents: Mapping[str, Sequence[str]], leave_out: Sequence[str] = ()) -> list[Event]:
        """One event for each sound and label, ancestors included; without some labels."""
        return events_of(self.sounds, parents, set(self.names) - set(leave_out))

    def allowed(self, parents: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Where each label, or a relative of it, may be told: (T, C) bool."""
        out = np.zeros(self.scores.shape, bool)
        kin = related(list(self.names), parents)
        index = {name: i for i, name in enumerate(self.names)}
        for sound in self.sounds:
            first, end = np.searchsorted(self.centres, [sound.onset - MARGIN, sound.offset + MARGIN])
            for label in sound.labels:
                if label in index:
                    out[first:end, kin[index[label]]] = True
        return out


def join(traces: Sequence[np.ndarray], sounds: Sequence[Sequence[Sound]], names: Sequence[str], column: float) -> Timeline:
    """traces: scores (T, C) of each stream, `column` seconds a row; sounds: what is in each stream."""
    pause = int(np.ceil(PAUSE / column))
    rows, centres, starts, shifted, at, total = [], [], [], [], 0, 0.0
    for trace, own in zip(traces, sounds):
        start = at * column
        starts.append(start)
        rows += [trace, np.zeros((pause, len(names)), np.float32)]
        shifted += [Sound(s.onset + start, s.offset + start, s.labels) for s in own]
        at += len(trace) + pause
        total += len(trace) * column
    centres = (np.arange(at) + 0.5) * column
    return Timeline(np.concatenate(rows), centres, np.array(starts), shifted, names, total)
