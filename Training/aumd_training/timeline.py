"""Many streams on one time axis, so that scores, references and events need no file names.

T columns, C labels. Streams follow each other with a pause in which all scores are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .annotation import Event, Sound, events_of
from .ontology import unsaid
from .segments import harder

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
    habituation: float = 0.0  # log odds of `on` for each that a label has hovered

    def reaching(self, c: int, on: float, off: float, opening: np.ndarray | None = None) -> np.ndarray:
        """What of label `c` has to reach its `on`, (T): its scores, or `opening` in their place, less what has hovered."""
        opening = self.scores[:, c] if opening is None else opening
        if not self.habituation:
            return opening
        starts = np.searchsorted(self.centres, self.starts, "right")
        return harder(self.scores[:, c], opening, on, off, starts, self.step, self.habituation)

    @property
    def step(self) -> float:
        """Seconds from one row to the next: of a column, where they do not overlap."""
        return float(self.centres[1] - self.centres[0])

    def references(self, parents: Mapping[str, Sequence[str]], leave_out: Sequence[str] = ()) -> list[Event]:
        """One event for each sound and label, ancestors included; without some labels."""
        return events_of(self.sounds, parents, set(self.names) - set(leave_out))

    def allowed(self, parents: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Where each label may be told, since a sound's labels name it or leave it open: (T, C) bool."""
        out = np.zeros(self.scores.shape, bool)
        index, columns = {name: i for i, name in enumerate(self.names)}, {}
        for sound in self.sounds:
            if sound.labels not in columns:
                told = [*sound.labels, *unsaid(sound.labels, self.names, parents)]
                columns[sound.labels] = [index[label] for label in told if label in index]
            first, end = np.searchsorted(self.centres, [sound.onset - MARGIN, sound.offset + MARGIN])
            out[first:end, columns[sound.labels]] = True
        return out


def join(
    traces: Sequence[np.ndarray], sounds: Sequence[Sequence[Sound]], names: Sequence[str], column: float, step: float | None = None
) -> Timeline:
    """traces: scores (T, C) of each stream, of columns of `column` seconds, `step` seconds apart where they overlap.

    sounds: what is in each stream. A stream begins at the same time on the axis whatever the step.
    """
    each = round(column / (step or column))  # steps of a column
    step, pause = column / each, int(np.ceil(PAUSE / column)) * each
    rows, starts, shifted, at, total = [], [], [], 0, 0.0
    for trace, own in zip(traces, sounds):
        start = at * step
        starts.append(start)
        silent = -len(trace) % each + pause
        rows += [trace, np.zeros((silent, len(names)), np.float32)]
        shifted += [Sound(s.onset + start, s.offset + start, s.labels) for s in own]
        at += len(trace) + silent
        total += len(trace) * step
    centres = np.arange(at) * step + column / 2
    return Timeline(np.concatenate(rows), centres, np.array(starts), shifted, names, total)
