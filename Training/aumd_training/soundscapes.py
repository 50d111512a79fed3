"""Soundscapes of known events, made by Scaper (Salamon et al., WASPAA 2017)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from . import synthesis
from .annotation import Sound, with_ancestors, write_sounds
from .foreground import RATE, Foreground

SECONDS = 60.0
#: Events begin in stretches of this many seconds, one to four in each.
STRETCH = 10.0
#: Signal-to-noise ratio of events, dB, by loudness (LUFS), as Scaper has it.
SNR = (6.0, 30.0)
#: Loudness of backgrounds, LUFS.
BACKGROUNDS = (-58.0, -52.0, -46.0)
#: Seconds between two events that share a label.
APART = 0.7


def write_backgrounds(folder: Path, count: int, seed: int) -> list[Path]:
    """Room noise between f^0 and f^-2, one file each, `SECONDS` long."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, out = np.random.default_rng(seed), []
    for i in range(count):
        bank = synthesis.noise_bank(int(SECONDS) + 1, seed + 1 + i)
        noise = bank[int(generator.integers(len(bank)))][: int(SECONDS * RATE)]
        path = folder / f"room{i}.wav"
        soundfile.write(path, 0.05 * noise, RATE, "FLOAT")
        out.append(path)
    return out


def write_foregrounds(folder: Path, sounds: Mapping[str, Sequence[Foreground]]) -> list[tuple[Path, Foreground]]:
    """Each sound once, as folder/sound/<clip>.wav; one list entry for each label it stands for."""
    out = []
    (folder / "sound").mkdir(parents=True, exist_ok=True)
    for members in sounds.values():
        for member in members:
            path = folder / "sound" / f"{member.clip}.wav"
            soundfile.write(path, member.samples, RATE, "FLOAT")
            out.append((path, member))
    return out


def schedule(
    sounds: Mapping[str, Sequence[Foreground]], parents: Mapping[str, Sequence[str]], generator: np.random.Generator
) -> list[tuple[float, str, Foreground]]:
    """(onset in seconds, label it was drawn for, sound) of one soundscape. Labels are drawn evenly."""
    names, placed = sorted(sounds), []
    for stretch in np.arange(0, SECONDS, STRETCH):
        for _ in range(int(generator.integers(1, 5))):
            for _ in range(20):
                name = names[generator.integers(len(names))]
                sound = sounds[name][generator.integers(len(sounds[name]))]
                length = len(sound.samples) / RATE
                onset = float(stretch + generator.uniform(0, STRETCH))
                if onset < 0.5 or onset + length > SECONDS - 0.5:
                    continue
                own = set(with_ancestors(sound.labels, parents))
                near = (o for o in placed if o[0] < onset + length + APART and onset < o[0] + len(o[2].samples) / RATE + APART)
                if not any(own & set(with_ancestors(o[2].labels, parents)) for o in near):
                    placed.append((onset, name, sound))
                    break
    return sorted(placed, key=lambda entry: entry[0])


def write_soundscapes(
    folder: Path, sounds: Mapping[str, Sequence[Foreground]], parents: Mapping[str, Sequence[str]], count: int, seed: int,
    first: int = 0,
) -> None:
    """`count` soundscapes, numbered from `first`: folder/<number>.wav with .jams (Scaper's own) and .tsv (onset, offset, all labels)."""
    np.Inf = np.inf  # Scaper 1.6.5 uses the name that NumPy 2 took away
    import scaper

    foreground, background = folder / "sources/foreground", folder / "sources/background"
    files = {id(sound): path for path, sound in write_foregrounds(foreground, sounds)}
    rooms = write_backgrounds(background / "room", 8, seed)
    generator = np.random.default_rng(seed)
    for number in range(first, first + count):
        scape = scaper.Scaper(
            SECONDS, str(foreground), str(background), protected_labels=["sound"], random_state=seed + number
        )
        scape.sr, scape.ref_db, scape.fade_in_len, scape.fade_out_len = RATE, float(generator.choice(BACKGROUNDS)), 0, 0
        scape.add_background(("const", "room"), ("const", str(rooms[number % len(rooms)])), ("const", 0))
        labels = {}
        for onset, _, sound in schedule(sounds, parents, generator):
            path = str(files[id(sound)])
            labels[path] = sound.labels
            scape.add_event(
                ("const", "sound"), ("const", path), ("const", 0), ("const", onset),
                ("const", len(sound.samples) / RATE), ("uniform", *SNR), None, None,
            )
        target = folder / f"{number:03}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scape.generate(f"{target}.wav", f"{target}.jams", fix_clipping=True)
        write_sounds(target.with_suffix(".tsv"), read_jams(target.with_suffix(".jams"), labels))


def read_jams(path: Path, labels: Mapping[str, tuple[str, ...]]) -> list[Sound]:
    """The foreground events of a JAMS file that Scaper wrote; `labels` by source file."""
    annotation = next(a for a in json.loads(path.read_text())["annotations"] if a["namespace"] == "scaper")
    return [
        Sound(row["time"], row["time"] + row["duration"], labels[row["value"]["source_file"]])
        for row in annotation["data"]
        if row["value"]["role"] == "foreground"
    ]
