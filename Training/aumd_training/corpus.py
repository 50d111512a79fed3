"""The labelled corpus: manifest, label set, and the caches that training reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Sources without a microphone in them; left out of figures "on recordings only".
GENERATED = frozenset({"gm_render", "synthetic"})


@dataclass(frozen=True)
class Label:
    """One row of labels.csv."""

    mid: str
    name: str


@dataclass(frozen=True)
class Clip:
    """One row of manifest.csv."""

    path: str
    source: str
    labels: tuple[str, ...]
    group: str
    split: str


def read_labels(path: Path) -> list[Label]:
    """Labels in index order from a CSV with the columns index, mid, display_name.

    Raises ValueError where the indices are not 0, 1, 2, …, or a name is missing or there twice: scores would have other names.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["index"]))
    if [int(row["index"]) for row in rows] != list(range(len(rows))):
        raise ValueError("the indices are not 0, 1, 2 and so on")
    labels = [Label(row["mid"], row["display_name"]) for row in rows]
    if not all(label.mid and label.name for label in labels) or len({label.name for label in labels}) < len(labels):
        raise ValueError("an id or a name is missing, or a name is there twice")
    return labels


def read_manifest(path: Path) -> list[Clip]:
    """Every clip, in file order."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Clip(row["path"], row["source"], tuple(row["labels"].split(";")), row["group"], row["split"])
            for row in csv.DictReader(file)
        ]


def targets(clips: list[Clip], labels: list[Label]) -> np.ndarray:
    """Multi-hot labels, (clips, C) float32; names outside the label set are left out."""
    index = {label.name: i for i, label in enumerate(labels)}
    out = np.zeros((len(clips), len(labels)), np.float32)
    for row, clip in zip(out, clips):
        row[[index[name] for name in clip.labels if name in index]] = 1
    return out


class AudioCache:
    """All clips as 16-bit samples in one memory-mapped file, written by prepare.py."""

    def __init__(self, folder: Path) -> None:
        self.samples = np.load(folder / "audio.npy", mmap_mode="r")  # (all samples) int16
        self.offsets = np.load(folder / "audio_offsets.npy")  # (clips + 1) int64

    def clip(self, index: int) -> np.ndarray:
        """Samples of clip `index` of the manifest, int16."""
        return self.samples[self.offsets[index] : self.offsets[index + 1]]


class TeacherCache:
    """YAMNet's scores and embedding, one row a window; window i starts at sample 7800 i of its clip."""

    HOP = 7800
    WINDOW = 15600

    @classmethod
    def window_count(cls, samples: int) -> int:
        """Windows of a clip: one, and one more for each hop that the first does not cover."""
        return 1 + max(0, -(-(samples - cls.WINDOW) // cls.HOP))

    @classmethod
    def windows(cls, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The windows of a clip, the last filled up with zeros. samples (n) float32."""
        for i in range(cls.window_count(len(samples))):
            piece = samples[i * cls.HOP :][: cls.WINDOW]
            yield np.pad(piece, (0, cls.WINDOW - len(piece)))

    def __init__(self, folder: Path) -> None:
        self.embeddings = np.load(folder / "teacher_embeddings.npy", mmap_mode="r")  # (rows, 1024) float16
        self.scores = np.load(folder / "teacher_scores.npy")  # (rows, C) uint8
        self.offsets = np.load(folder / "teacher_offsets.npy")  # (clips + 1) int64
        self.mean = np.load(folder / "teacher_mean.npy")  # (1024) float32, over the training split
        self.std = np.load(folder / "teacher_std.npy")  # (1024) float32
