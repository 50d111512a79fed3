"""The labelled corpus: manifest, label set, and the caches that training reads."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .commands import InputError, nearest

#: What manifest.csv has to say of every clip, but for its source and labels, which may be empty.
COLUMNS = ("path", "source", "labels", "group", "split")
SPLITS = ("train", "validation", "test")
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

    Raises InputError for any other table, and where the indices are not 0, 1, 2, …, or a name is missing or there twice: scores would
    have other names.
    """
    try:
        return _labels(path)
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is not a labels file with the columns index, mid, display_name ({error}).") from error


def _labels(path: Path) -> list[Label]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["index"]))
    if [int(row["index"]) for row in rows] != list(range(len(rows))):
        raise ValueError("the indices are not 0, 1, 2 and so on")
    labels = [Label((row["mid"] or "").strip(), (row["display_name"] or "").strip()) for row in rows]
    if not all(label.mid and label.name for label in labels) or len({label.name for label in labels}) < len(labels):
        raise ValueError("an id or a name is missing, or a name is there twice")
    return labels


def read_manifest(path: Path) -> list[Clip]:
    """Every clip, in file order.

    Raises InputError where a column or a value is missing, there is no such split, or a group is in two of them.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [(name or "").strip() for name in reader.fieldnames or ()]
            lacking = [column for column in COLUMNS if column not in reader.fieldnames]
            if lacking:
                raise InputError(f"{path} lacks the columns {', '.join(lacking)}; its first line names them, separated by commas.")
            rows = [(reader.line_num, {column: (row[column] or "").strip() for column in COLUMNS}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a table in UTF-8: {error}.") from error
    if not rows:
        raise InputError(f"{path} names no clip.")
    split_of: dict[str, str] = {}
    for line, row in rows:
        if empty := [column for column in ("path", "group", "split") if not row[column]]:
            raise InputError(f"{path}, line {line}: {' and '.join(empty)} must not be empty.")
        if row["split"] not in SPLITS:
            raise InputError(f"{path}, line {line}: the split {row['split']} is none of {', '.join(SPLITS)}.")
        if split_of.setdefault(row["group"], row["split"]) != row["split"]:
            both = f"{split_of[row['group']]} and {row['split']}"
            raise InputError(f"{path}, line {line}: the group {row['group']} is in two splits, {both}; a recording belongs to one.")
    return [
        Clip(row["path"], row["source"], tuple(name.strip() for name in row["labels"].split(";") if name.strip()), row["group"], row["split"])
        for _, row in rows
    ]


def read_corpus(folder: Path) -> tuple[list[Clip], list[Label]]:
    """manifest.csv and labels.csv of a corpus to train on. Raises InputError where they do not go together."""
    clips, path = read_manifest(folder / "manifest.csv"), folder / "labels.csv"
    labels = read_labels(path)
    if not labels:
        raise InputError(f"{path} names no label.")
    if not any(clip.split == "train" for clip in clips):
        raise InputError(f"{folder / 'manifest.csv'} has no clip of the split train.")
    names = {label.name for label in labels}
    spelt = {name.casefold(): name for name in names}
    for clip in clips:
        for name in clip.labels:
            if name not in names and name.casefold() in spelt:
                raise InputError(f"{clip.path} has the label {name}; {path} spells it {spelt[name.casefold()]}.")
    return clips, labels


def doubts(clips: Sequence[Clip], labels: Sequence[Label]) -> list[str]:
    """What may be meant and may be a mistake, in sentences: labels outside the set, and labels that nothing teaches."""
    names, out = [label.name for label in labels], []
    outside = Counter(name for clip in clips for name in clip.labels if name not in set(names))
    if outside:
        listed = "; ".join(f"{count} x {name}{nearest(name, names)}" for name, count in outside.most_common())
        out.append(f"labels.csv lacks these labels of clips, which are left out: {listed}")
    taught = {name for clip in clips if clip.split == "train" for name in clip.labels}
    if untaught := [name for name in names if name not in taught]:
        out.append(f"these labels have no clip of the split train: {'; '.join(untaught)}")
    return out


def targets(clips: list[Clip], labels: list[Label]) -> np.ndarray:
    """Multi-hot labels, (clips, C) float32; names outside the label set are left out."""
    index = {label.name: i for i, label in enumerate(labels)}
    out = np.zeros((len(clips), len(labels)), np.float32)
    for row, clip in zip(out, clips):
        row[[index[name] for name in clip.labels if name in index]] = 1
    return out


#: Written last by prepare.py: what the cache was made of.
STAMP = "made_of.txt"


def stamp(clips: Sequence[Clip], labels: Sequence[Label]) -> str:
    """What the rows and columns of a cache stand for: clips in order with their splits, since the teacher hears no test clip, and labels."""
    made_of = [[(clip.path, clip.split) for clip in clips], [label.mid for label in labels]]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def require_stamp(folder: Path, made_of: str) -> None:
    """Refuses a cache whose numbers stand for other clips or labels, or that is not whole."""
    if not (folder / STAMP).is_file():
        raise InputError(f"{folder} is no cache, or prepare.py did not finish it; run prepare.py again.")
    if (folder / STAMP).read_text().strip() != made_of:
        raise InputError(f"{folder} was made of another manifest or labels; run prepare.py again.")


class AudioCache:
    """All clips as 16-bit samples in one memory-mapped file, written by prepare.py.

    `made_of`: the stamp of the corpus at hand; None leaves the cache unchecked, as prepare.py does while it writes one.
    """

    def __init__(self, folder: Path, made_of: str | None = None) -> None:
        if made_of is not None:
            require_stamp(folder, made_of)
        self.samples = np.load(folder / "audio.npy", mmap_mode="r")  # (all samples) int16
        self.offsets = np.load(folder / "audio_offsets.npy")  # (clips + 1) int64

    def clip(self, index: int) -> np.ndarray:
        """Samples of clip `index` of the manifest, int16."""
        return self.samples[self.offsets[index] : self.offsets[index + 1]]


class TeacherCache:
    """YAMNet's scores and embedding, one row a window; window i starts at sample 7800 i of its clip. `made_of`: as of AudioCache."""

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

    def __init__(self, folder: Path, made_of: str | None = None) -> None:
        if made_of is not None:
            require_stamp(folder, made_of)
        self.embeddings = np.load(folder / "teacher_embeddings.npy", mmap_mode="r")  # (rows, 1024) float16
        self.scores = np.load(folder / "teacher_scores.npy")  # (rows, C) uint8
        self.offsets = np.load(folder / "teacher_offsets.npy")  # (clips + 1) int64
        self.mean = np.load(folder / "teacher_mean.npy")  # (1024) float32, over the training split
        self.std = np.load(folder / "teacher_std.npy")  # (1024) float32
