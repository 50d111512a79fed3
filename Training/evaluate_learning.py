#!/usr/bin/env python3
"""How well does `aumd learn` teach sounds that the model never heard?

python3 Training/evaluate_learning.py MODEL --streams STREAMS --new FOLDER --binary aumd [--recordings 3] [--json FILE]

FOLDER holds sound files, below it at any depth, each of a sound of its own, such as those of desktops and games:

    apt-get download colobot-common-sounds frozen-bubble-data lomiri-sounds oxygen-sounds psi-plus-sounds sound-theme-freedesktop
    for package in *.deb; do dpkg -x $package FOLDER; done

Of those of 0.3 to 5 s, 40 are drawn. Each is recorded as a person would, a few times in its room at different levels with quiet noise, and learned
beside seven others. Heard are streams in which each sounds once, over speech, music and noise of the test split, in its room or in another;
and the test split's streams as they are, where none of them is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from aumd_training import program, synthesis
from aumd_training.commands import InputError, ended
from aumd_training.program import Told

RATE = 16000
COUNT, SHORTEST, LONGEST = 40, 0.3, 5.0
#: Sounds that are learned beside each other, in a folder.
TOGETHER = 8
#: Seconds from one sound's beginning to the next one's, and before the first.
PERIOD, LEAD = 9.0, 4.0
#: dB above what else sounds there, and whether in the room in which it was recorded.
SCENES = {"20 dB": (20, True), "10 dB": (10, True), "5 dB": (5, True), "10 dB, another room": (10, False)}
#: Seconds by which an event may begin before its sound, or after its end.
NEAR = 0.5
KINDS = ("speech", "music", "background", "quiet")
SOUNDSCAPES = 20


def sounds(folder: Path) -> dict[str, np.ndarray]:
    """COUNT sounds by name, samples (n) at RATE without silence around them."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".wav", ".ogg", ".oga", ".flac") and path.is_file()]
    found: dict[str, np.ndarray] = {}
    for index in np.random.default_rng(1).permutation(len(files)):
        samples, rate = soundfile.read(files[index], dtype="float32", always_2d=True)
        samples = signal.resample_poly(samples.mean(1), RATE, rate).astype(np.float32)
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=0))
        samples = samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
        if SHORTEST <= len(samples) / RATE <= LONGEST:
            found.setdefault(files[index].stem, samples)
        if len(found) == COUNT:
            return found
    raise InputError(f"{folder} has {len(found)} sounds of {SHORTEST:g} to {LONGEST:g} s, {COUNT} are wanted; unpack more packages.")


def in_room(samples: np.ndarray, room: int) -> np.ndarray:
    """As the room of that number makes it, rms 1."""
    samples = synthesis.reverberate(samples, np.random.default_rng(room))
    return samples / synthesis.rms(samples)


def recordings(samples: np.ndarray, room: int, count: int) -> list[np.ndarray]:
    """The sound, each time at another level, over noise 20 to 35 dB below it, which begins 1 to 2 s before."""
    generator, bank, out = np.random.default_rng([room, 1]), synthesis.noise_bank(), []
    for _ in range(count):
        sound = in_room(samples, room)
        lead, level = int(generator.uniform(1, 2) * RATE), generator.uniform(-35, -20)
        recording = synthesis.noise(bank, lead + len(sound) + RATE, generator) * synthesis.decibels(-generator.uniform(20, 35))
        recording[lead : lead + len(sound)] += sound
        recording *= synthesis.decibels(level)
        out.append(recording / max(1.0, float(np.abs(recording).max())))
    return out


def scene(new: Sequence[np.ndarray], others: np.ndarray, above: float, is_own: bool) -> np.ndarray:
    """Each sound once, PERIOD apart, `above` dB over what sounds at that place in `others`."""
    stream = others[: int((LEAD + PERIOD * len(new)) * RATE)].copy()
    for number, samples in enumerate(new):
        sound, at = in_room(samples, number if is_own else 1000 + number), int((LEAD + PERIOD * number) * RATE)
        place = stream[at : at + len(sound)]
        place += sound[: len(place)] * max(synthesis.rms(place), synthesis.decibels(-60)) * synthesis.decibels(above)
    return stream / max(1.0, float(np.abs(stream).max()))


def found(events: Sequence[Told], names: Sequence[str], new: Sequence[np.ndarray]) -> dict[str, float]:
    """What was heard of the sounds of a scene."""
    recognised, delays, foreign = 0, [], 0
    for number, (name, samples) in enumerate(zip(names, new)):
        onset, first = LEAD + PERIOD * number, number // TOGETHER * TOGETHER
        there = [e for e in events if e.label in names[first : first + TOGETHER] and onset - NEAR <= e.onset <= onset + len(samples) / RATE + NEAR]
        own = [e for e in there if e.label == name]
        recognised += bool(own)
        foreign += len(there) > len(own)
        delays += [own[0].opened_at - onset] if own and own[0].provisional and own[0].opened_as == name else []
    return {
        "recognised": recognised / len(names), "another of its folder too": foreign / len(names),
        "announced": len(delays) / max(1, recognised), "delay": float(np.median(delays)) if delays else float("nan"),
    }


def measure(arguments: argparse.Namespace) -> None:
    """Learns, listens and prints."""
    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    new = sounds(arguments.new)
    names, heldout = list(new), arguments.streams / "test/heldout"
    labels = list(config["id2label"].values()) + names
    report: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        learned, file = work / "sounds", work / "scene.wav"
        learned.mkdir()
        for room, name in enumerate(names):
            files = [work / f"{number}.wav" for number in range(arguments.recordings)]
            for path, recording in zip(files, recordings(new[name], room, arguments.recordings)):
                soundfile.write(path, recording, RATE)
            command = [arguments.binary, "learn", name, *map(str, files), "--model", str(arguments.model)]
            subprocess.run([*command, "--sounds", str(work / f"folder{room // TOGETHER}")], check=True, stdout=subprocess.DEVNULL)
        for path in work.glob("folder*/*"):
            path.rename(learned / path.name)
        os.environ["AUMD_SOUNDS"] = str(learned)

        def told(path: Path) -> list[Told]:
            return [e for e in program.listen(arguments.binary, arguments.model, path, labels).events if e.label in names and not e.retracted]

        others = np.concatenate([soundfile.read(heldout / f"{kind}-near.wav", dtype="float32", frames=RATE * 120)[0] for kind in KINDS[:3]])
        for title, (above, is_own) in SCENES.items():
            soundfile.write(file, scene(list(new.values()), others, above, is_own), RATE)
            report[title] = found(told(file), names, list(new.values()))
            print(title, report[title], flush=True)
        streams = {kind: [heldout / f"{kind}-near.wav"] for kind in KINDS}
        streams["soundscapes"] = sorted((arguments.streams / "test/soundscapes").glob("*.wav"))[:SOUNDSCAPES]
        for kind, paths in streams.items():
            hours = sum(soundfile.info(path).duration for path in paths) / 3600
            counts = np.zeros(len(names))
            for path in paths:
                for event in told(path):
                    counts[names.index(event.label)] += 1
            report[kind] = {"false events an hour and sound": float(counts.mean() / hours), "sounds without any": float(np.mean(counts == 0)), "hours": hours}
            print(kind, report[kind], flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True, help="the folder that make_streams.py wrote")
    parser.add_argument("--new", type=Path, required=True, metavar="FOLDER", help="sound files, each of a sound of its own")
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--recordings", type=int, default=3, metavar="N", help="of each sound that is learned, 3 by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return ended(measure, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
