"""A folder that make_streams.py wrote, heard by the program or by YAMNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from .annotation import Sound, read_sounds
from .corpus import Label
from .data import TEACHER_HEARS
from .ontology import related
from .program import COLUMN, Heard, listen
from .teacher import Teacher
from .timeline import MARGIN, Timeline, join

#: Samples between YAMNet's windows in stored scores: as often as aumd on soundscapes, at its own hop elsewhere.
TEACHER_HOPS = {"soundscapes": 2560, "heldout": 7680}
WINDOW = 15600


def files(folder: Path) -> list[Path]:
    """The sound files of a folder, in order."""
    return sorted(folder.glob("*.wav"))


def sounds(folder: Path) -> list[list[Sound]]:
    """What is in each of them."""
    return [read_sounds(path.with_suffix(".tsv")) for path in files(folder)]


def heard(binary: str, model: Path, folder: Path, names: Sequence[str]) -> list[Heard]:
    """Each file as the program hears it."""
    return [listen(binary, model, path, names) for path in files(folder)]


def timeline(runs: Sequence[Heard], folder: Path, names: Sequence[str], track: str = "confirmed") -> Timeline:
    """The scores of one track, "confirmed" or "provisional", on one axis."""
    step = runs[0].step if track == "provisional" else COLUMN
    return join([getattr(run, track) for run in runs], sounds(folder), names, COLUMN, step)


def teacher_timeline(folder: Path, teacher: Path, labels: list[Label], every: int = 1, over: int = 1) -> Timeline:
    """YAMNet's scores, computed once and kept as folder/yamnet.npz: the mean of `over` rows; `every` leaves out rows for a longer hop."""
    stored, hop = folder / "yamnet.npz", TEACHER_HOPS[folder.name]
    if not stored.exists():
        hear = Teacher(teacher, labels).hear
        arrays = {path.stem: teacher_scores(hear, soundfile.read(path, dtype="float32")[0], hop) for path in files(folder)}
        np.savez(stored, **arrays)
    with np.load(stored) as arrays:
        traces = [thinned(averaged(arrays[path.stem].astype(np.float32), over), every) for path in files(folder)]
    return join(traces, sounds(folder), [label.name for label in labels], every * hop / 16000)


def heard_by_teacher(teacher: Timeline, line: Timeline, parents: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Where YAMNet hears each label or a relative of it, on the axis of `line`, (T, C) bool.

    What it hears and no label names is unknown here, as it is in training: there are birds in the rain.
    """
    heard = (teacher.scores > TEACHER_HEARS) @ related(list(teacher.names), parents)
    reach = round(MARGIN / teacher.step)
    near = np.zeros_like(heard)
    for by in range(-reach, reach + 1):
        near[max(0, by) : len(near) + min(0, by)] |= heard[max(0, -by) : len(near) - max(0, by)]
    stream = np.searchsorted(line.starts, line.centres, "right") - 1
    row = (line.centres - line.starts[stream] + teacher.starts[stream]) / teacher.step
    return near[np.clip(row.astype(int), 0, len(near) - 1)]


def averaged(scores: np.ndarray, over: int) -> np.ndarray:
    """The mean of the `over` rows around each, an odd number; at the ends of those that are there. (T, C) -> (T, C)."""
    sums = np.concatenate([np.zeros_like(scores[:1], float), np.cumsum(scores, 0, float)])
    middle = np.arange(len(scores))
    first, end = np.maximum(middle - over // 2, 0), np.minimum(middle + over // 2 + 1, len(scores))
    return ((sums[end] - sums[first]) / (end - first)[:, None]).astype(scores.dtype)


def thinned(scores: np.ndarray, every: int) -> np.ndarray:
    """One row of `every`, (T, C) -> (T / every, C): the middle one, or the mean of the two in the middle."""
    count = len(scores) // every
    groups = scores[: count * every].reshape(count, every, -1)
    return groups[:, (every - 1) // 2 : every // 2 + 1].mean(1)


def teacher_scores(hear: Callable, samples: np.ndarray, hop: int) -> np.ndarray:
    """Scores (T, C) float16; row i is the window around the middle of samples i * hop to (i + 1) * hop."""
    count = len(samples) // hop
    before = WINDOW // 2 - hop // 2
    padded = np.concatenate([np.zeros(before, np.float32), samples, np.zeros(WINDOW, np.float32)])
    return np.stack([hear(padded[i * hop : i * hop + WINDOW])[0] for i in range(count)]).astype(np.float16)
