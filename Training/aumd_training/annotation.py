"""Sounds with an onset and an offset, and the tables that hold them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Sound:
    """One sound. Seconds from the start of its stream; every label that holds for it."""

    onset: float
    offset: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """One label's event, seconds from the start of its stream."""

    onset: float
    offset: float
    label: str


def write_sounds(path: Path, sounds: Iterable[Sound]) -> None:
    """A tab-separated table: onset, offset, labels separated by ';'."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["onset", "offset", "labels"])
        for sound in sounds:
            writer.writerow([f"{sound.onset:.3f}", f"{sound.offset:.3f}", ";".join(sound.labels)])


def read_sounds(path: Path) -> list[Sound]:
    """What `write_sounds` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Sound(float(row["onset"]), float(row["offset"]), tuple(row["labels"].split(";")))
            for row in csv.DictReader(file, delimiter="\t")
        ]


def with_ancestors(labels: Iterable[str], parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The labels and all their ancestors, sorted."""
    labels = set(labels)
    return tuple(sorted(labels.union(*(parents.get(label, ()) for label in labels))))


def events_of(sounds: Iterable[Sound], parents: Mapping[str, Sequence[str]], known: Iterable[str]) -> list[Event]:
    """One event for each sound and each label in `known` that holds for it, ancestors included, merged."""
    known = set(known)
    return merged(
        Event(sound.onset, sound.offset, label)
        for sound in sounds
        for label in with_ancestors(sound.labels, parents)
        if label in known
    )


def merged(events: Iterable[Event], gap: float = 0.0) -> list[Event]:
    """Events of one label that overlap, or leave at most `gap` seconds between them, become one; by onset."""
    last: dict[str, int] = {}
    out: list[Event] = []
    for event in sorted(events, key=lambda e: (e.onset, e.offset, e.label)):
        before = last.get(event.label)
        if before is not None and event.onset <= out[before].offset + gap:
            out[before] = replace(out[before], offset=max(out[before].offset, event.offset))
        else:
            last[event.label] = len(out)
            out.append(event)
    return out
