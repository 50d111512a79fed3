"""Single sounds cut from clips, so that their onset and offset are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .corpus import AudioCache, Clip
from .ontology import leaves

RATE = 16000
FRAME = 160
#: A frame sounds above this level below the clip's loudest frame, in dB.
RANGE = 30.0
#: And above the clip's noise floor by this, in dB.
ABOVE_FLOOR = 10.0
#: Pauses up to this long, in seconds, belong to the sound.
PAUSE = 0.5
SHORTEST, LONGEST = 0.1, 4.0
FADE_IN, FADE_OUT = 80, 320


@dataclass(frozen=True)
class Foreground:
    """A sound of a clip."""

    clip: int
    labels: tuple[str, ...]
    samples: np.ndarray  # (n) float32


def sounding_part(samples: np.ndarray) -> tuple[int, int] | None:
    """First sample and end of the part with the most energy that pauses bound; None where it is too short.

    samples (n) float32 in [-1, 1]. Parts longer than LONGEST are cut there.
    """
    count = len(samples) // FRAME
    if count == 0:
        return None
    level = 10 * np.log10(np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(1) + 1e-12)
    heard = level[level > -110]
    if not len(heard) or level.max() < -60:
        return None
    floor = np.percentile(heard, 5)
    # A steady sound is its own floor.
    limit = level.max() - RANGE if level.max() - floor < 2 * ABOVE_FLOOR else max(level.max() - RANGE, floor + ABOVE_FLOOR)
    active = np.flatnonzero(level >= limit)
    parts = np.split(active, np.flatnonzero(np.diff(active) > PAUSE * RATE / FRAME) + 1)
    best = max(parts, key=lambda part: np.sum(10 ** (level[part] / 10)))
    start = int(best[0]) * FRAME
    end = min((int(best[-1]) + 1) * FRAME, start + int(LONGEST * RATE))
    return (start, end) if end - start >= SHORTEST * RATE else None


def faded(samples: np.ndarray) -> np.ndarray:
    """A copy with a short fade at both ends; samples (n), longer than both."""
    out = samples.copy()
    out[:FADE_IN] *= np.linspace(0, 1, FADE_IN, dtype=np.float32)
    out[-FADE_OUT:] *= np.linspace(1, 0, FADE_OUT, dtype=np.float32)
    return out


def cut(samples: np.ndarray) -> np.ndarray | None:
    """The sounding part with short fades, peak 0.5; None where there is none."""
    part = sounding_part(samples)
    if part is None:
        return None
    sound = faded(samples[part[0] : part[1]])
    return sound * np.float32(0.5 / max(float(np.abs(sound).max()), 1e-4))


def halved(sounds: Mapping[str, Sequence[Foreground]], clips: Sequence[Clip]) -> tuple[dict[str, list[Foreground]], ...]:
    """The sounds in two parts of which none has a recording of the other's.

    Recordings (Clip.group) go, one after the other, to where their labels have fewer.
    """
    wanted: dict[str, list[str]] = {}
    for name, members in sounds.items():
        for member in members:
            wanted.setdefault(clips[member.clip].group, []).append(name)
    halves: tuple[dict[str, list[Foreground]], ...] = ({}, {})
    counts: tuple[dict[str, int], ...] = ({}, {})
    place = {}
    for group, names in wanted.items():
        had = [sum(count.get(name, 0) for name in names) for count in counts]
        place[group] = int(had[1] < had[0])
        for name in names:
            counts[place[group]][name] = counts[place[group]].get(name, 0) + 1
    for name, members in sounds.items():
        for member in members:
            halves[place[clips[member.clip].group]].setdefault(name, []).append(member)
    return halves


def collect(
    audio: AudioCache, clips: Sequence[Clip], members: Sequence[int], parents: Mapping[str, Sequence[str]],
    names: Sequence[str], limit: int, generator: np.random.Generator,
) -> dict[str, list[Foreground]]:
    """At most `limit` sounds for each label that is the most specific of its clip, among `members`.

    Clips with a label outside `names` are left out: what they add is not known to the figures.
    """
    known = set(names)
    out: dict[str, list[Foreground]] = {}
    for clip in generator.permutation(np.asarray(members)):
        labels = clips[clip].labels
        if not known.issuperset(labels):
            continue
        wanting = [label for label in leaves(labels, parents) if len(out.get(label, ())) < limit]
        if not wanting:
            continue
        samples = cut(audio.clip(clip).astype(np.float32) / 32768)
        if samples is not None:
            for label in wanting:
                out.setdefault(label, []).append(Foreground(int(clip), labels, samples))
    return out
