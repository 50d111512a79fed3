"""Long streams in which most labels must stay silent: speech, music, background, quiet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from . import synthesis
from .annotation import Sound, write_sounds
from .corpus import AudioCache, Clip
from .data import NOISE_LABELS
from .foreground import RATE

#: Steady sounds that go on behind everything else, by their most telling label.
AMBIENCE = (
    "Rain", "Waves, surf", "Wind", "Crackle", "Cricket", "Vacuum cleaner", "Mechanisms", "Engine", "Helicopter",
    "Fixed-wing aircraft, airplane", "Train", "Mains hum", "White noise", "Pink noise",
)
#: Each stream is heard as the clips are, and again from afar: gain of the clips and level of the room's noise, dB.
VERSIONS = {"near": (0.0, -72.0), "far": (-20.0, -62.0)}
QUIET_SECONDS = 900


def kind(clip: Clip) -> str | None:
    """The stream a clip belongs to. Music is recorded or at least composed: renders of single notes are left out."""
    if clip.labels == ("Speech",):
        return "speech"
    if clip.source != "gm_render" and clip.labels == ("Music",):
        return "music"
    if any(label in AMBIENCE for label in clip.labels):
        return "background"
    if "Silence" in clip.labels:
        return "quiet"
    return None


def concatenate(pieces: Sequence[tuple[np.ndarray, tuple[str, ...]]], pause: tuple[float, float], seed: int,
                gain: float, floor: float) -> tuple[np.ndarray, list[Sound]]:
    """Pieces (n) one after the other, `pause` seconds between them, `gain` dB, over room noise of `floor` dBFS.

    The room's noise is a sound of its own, from beginning to end.
    """
    generator, at = np.random.default_rng(seed), RATE
    parts, sounds = [np.zeros(RATE, np.float32)], []
    for samples, labels in pieces:
        samples = samples * np.float32(synthesis.decibels(gain))
        fade = min(160, len(samples) // 2)
        if fade:
            samples[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            samples[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        rest = np.zeros(int(generator.uniform(*pause) * RATE), np.float32)
        sounds.append(Sound(at / RATE, (at + len(samples)) / RATE, labels))
        parts += [samples, rest]
        at += len(samples) + len(rest)
    stream = np.concatenate(parts)
    noise = room_noise(len(stream), generator) * np.float32(synthesis.decibels(floor))
    return np.clip(stream + noise, -1, 1), [Sound(0, at / RATE, NOISE_LABELS), *sounds]


def room_noise(count: int, generator: np.random.Generator) -> np.ndarray:
    """(count) samples of rms 1, one spectrum."""
    bank = synthesis.noise_bank(60, int(generator.integers(1 << 30)))
    row = bank[int(generator.integers(len(bank)))]
    return np.resize(row, count)


def write_streams(
    folder: Path, audio: AudioCache, clips: Sequence[Clip], members: Sequence[int], seed: int
) -> dict[str, float]:
    """folder/<kind>-<version>.wav and .tsv (onset, offset, labels of what sounds). Returns the hours of each kind, 0 where no clip is one."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    chosen: dict[str, list[int]] = {"speech": [], "music": [], "background": [], "quiet": []}
    for clip in generator.permutation(np.asarray(members)):
        name = kind(clips[clip])
        if name is not None:
            chosen[name].append(int(clip))
    hours = dict.fromkeys(chosen, 0.0)
    for name, numbers in chosen.items():
        pieces = [(audio.clip(i).astype(np.float32) / 32768, clips[i].labels) for i in numbers]
        if name == "quiet":
            pieces.append((np.zeros(QUIET_SECONDS * RATE, np.float32), ("Silence",)))
        pause = (0.3, 1.5) if name == "speech" else (0.0, 0.1)
        for version, (gain, floor) in VERSIONS.items():
            samples, sounds = concatenate(pieces, pause, seed, gain, floor)
            soundfile.write(folder / f"{name}-{version}.wav", samples, RATE, "PCM_16")
            write_sounds(folder / f"{name}-{version}.tsv", sounds)
            hours[name] += len(samples) / RATE / 3600 if pieces else 0
    return hours


def lacks(hours: Mapping[str, float]) -> list[str]:
    """What is missing to count false alarms in, a sentence; none where every kind of stream has clips. `hours` as of write_streams."""
    empty, there = ([name for name in hours if (hours[name] > 0) == full] for full in (False, True))
    if not empty:
        return []
    return [f"no clips of {' or '.join(empty)}: false alarms are counted in {sum(hours.values()):.1f} h of {' and '.join(there)} only"]
