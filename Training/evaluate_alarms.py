#!/usr/bin/env python3
"""How well does aumd hear alarms by their temporal pattern?

python3 Training/evaluate_alarms.py MODEL --streams STREAMS --cache CACHE --binary aumd [--json FILE]

There is no recording of one in the corpus, so they are made by the standards: smoke alarms (temporal three) and carbon monoxide alarms
(temporal four), of the pitches that they have, up to 8 % fast or slow, in synthetic rooms, over speech, music and noise of the test split. Other
beeps, of clocks, ovens, lorries and telephones, are not to be taken for them; nor is anything in the streams of both splits and in the clips of
the corpus, one after another. What the model hears does not matter: any model folder will do, the sooner the smaller it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from aumd_training import program, synthesis
from aumd_training.commands import ended
from aumd_training.corpus import AudioCache
from aumd_training.program import Told

RATE = 16000
#: Seconds that a pulse and a rest last, of one group after another.
Groups = Sequence[tuple[float, float]]
ALARMS: dict[str, Groups] = {
    "Smoke detector, smoke alarm": [(0.5, 0.5), (0.5, 0.5), (0.5, 1.5)],
    "Carbon monoxide detector, CO detector": [(0.1, 0.1)] * 3 + [(0.1, 5.0)],
}
OTHERS: dict[str, Groups] = {
    "a beep a second, as of lorries": [(0.5, 0.5)],
    "a quick alarm clock": [(0.06, 0.06)] * 3 + [(0.06, 0.6)],
    "a slow alarm clock": [(0.1, 0.1)] * 3 + [(0.1, 0.4)],
    "four short beeps every 2 s": [(0.1, 0.1)] * 3 + [(0.1, 1.3)],
    "four short beeps every 3 s": [(0.1, 0.1)] * 3 + [(0.1, 2.3)],
    "three short beeps": [(0.1, 0.1)] * 2 + [(0.1, 5.0)],
    "five short beeps": [(0.1, 0.1)] * 4 + [(0.1, 5.0)],
    "one long beep": [(0.7, 5.0)],
    "two beeps": [(0.5, 0.5), (0.5, 1.5)],
    "four beeps": [(0.5, 0.5)] * 3 + [(0.5, 1.5)],
    "five beeps, as of ovens": [(0.5, 0.5)] * 4 + [(0.5, 3.0)],
    "three long beeps": [(1.0, 1.0)] * 2 + [(1.0, 3.0)],
    "three quick beeps": [(0.25, 0.25)] * 2 + [(0.25, 1.0)],
    "three beeps, a long pause": [(0.5, 0.5)] * 2 + [(0.5, 4.0)],
    "a tone of 2.5 s": [(2.5, 1.5)],
    "a telephone, British": [(0.4, 0.2), (0.4, 2.0)],
    "a telephone, American": [(2.0, 4.0)],
    "a siren, on and off": [(1.0, 1.0)],
    "a chirp of a low battery": [(0.1, 30.0)],
}
#: dB of the pulses above what else sounds there.
LEVELS = (20, 10, 0, -10)
KINDS = ("speech", "music", "background")
#: Alarms in a scene, groups of each, and seconds of the others before and after each.
COUNT, GROUPS, AROUND = 12, 5, 15.0
#: Seconds between clips, at most: many are of one length, and would make a pattern of their own.
PAUSE = 3.0


def tone(seconds: float, hertz: float, is_square: bool) -> np.ndarray:
    """A pulse that rises and falls in 5 ms, (n)."""
    t = np.arange(int(seconds * RATE)) / RATE
    overtones = [(h, 1 / h) for h in range(1, 16, 2)] if is_square else [(1, 1.0), (2, 0.3)]
    wave = sum(a * np.sin(2 * np.pi * hertz * h * t) for h, a in overtones if hertz * h < RATE / 2)
    return wave * np.minimum(1, np.minimum(t, t[::-1]) / 0.005)


def signal(groups: Groups, repeats: int, generator: np.random.Generator) -> np.ndarray:
    """The groups so many times, by a device and in a room of its own, rms of the pulses about 1, (n)."""
    is_square = generator.random() < 0.25
    hertz = 520 * generator.uniform(0.95, 1.05) if is_square else generator.uniform(2400, 3600)
    tempo = generator.uniform(0.92, 1.08)
    parts = []
    for on, off in [*groups] * repeats:
        parts += [tone(on * tempo, hertz, is_square), np.zeros(int(off * tempo * RATE))]
    samples = synthesis.reverberate(np.concatenate(parts).astype(np.float32), generator)
    return samples / synthesis.rms(samples[np.abs(samples) > 0.02 * np.abs(samples).max()])


def scene(groups: Groups, others: np.ndarray, above: float, seed: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """COUNT alarms in the other sounds, `above` dB over them; and when each begins and has ended, in seconds."""
    generator, parts, spans, at = np.random.default_rng(seed), [], [], 0
    for _ in range(COUNT):
        alarm = signal(groups, GROUPS, generator)
        room = int(AROUND * RATE)
        begin = generator.integers(len(others) - len(alarm) - 2 * room)
        part = others[begin : begin + len(alarm) + 2 * room].copy()
        part[room : room + len(alarm)] += alarm * max(synthesis.rms(part), synthesis.decibels(-60)) * synthesis.decibels(above)
        parts.append(part)
        spans.append(((at + room) / RATE, (at + room + len(alarm)) / RATE))
        at += len(part)
    stream = np.concatenate(parts)
    return stream / max(1.0, float(np.abs(stream).max())), spans


def told(binary: str, model: Path, file: Path, window: bool = True) -> list[Told]:
    """The alarms that aumd tells of in a file."""
    os.environ["AUMD_WINDOW"] = "true" if window else "false"
    events: dict[str, Told] = {}
    for record in program.tag(binary, model, [file], "--mode", "stream"):
        program.follow(events, record, 0.0, record["time"])
    return [event for event in events.values() if event.label in ALARMS]


def figures(events: Sequence[Told], label: str, spans: Sequence[tuple[float, float]]) -> dict[str, float]:
    """What was heard of the alarms of a scene."""

    def overlaps(event: Told, begin: float, end: float) -> bool:
        return event.label == label and event.onset < end and (event.offset is None or event.offset > begin)

    first = [next((e for e in events if overlaps(e, *span)), None) for span in spans]
    heard = [(e, begin) for e, (begin, _) in zip(first, spans) if e is not None]
    right = sum(any(overlaps(e, *span) for span in spans) for e in events)
    errors = [abs(e.onset - begin) for e, begin in heard]
    return {
        "recognised": len(heard) / len(spans), "events": len(events), "false": len(events) - right,
        "delay": float(np.median([e.opened_at - begin for e, begin in heard])) if heard else float("nan"),
        "confirmed": float(np.median([(e.confirmed_at or np.nan) - begin for e, begin in heard])) if heard else float("nan"),
        "onset error": float(np.median(errors)) if heard else float("nan"),
        "from the first group": float(np.mean(np.array(errors) < 1)) if heard else float("nan"),
    }


def measure(arguments: argparse.Namespace) -> None:
    """Listens and prints."""
    report: dict[str, dict[str, float]] = {}

    def say(title: str, found: dict[str, float]) -> None:
        report[title] = found
        print(title, {key: round(value, 3) for key, value in found.items()}, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scene.wav"
        sounds = {kind: soundfile.read(arguments.streams / f"test/heldout/{kind}-near.wav", dtype="float32")[0] for kind in KINDS}
        for label, groups in ALARMS.items():
            for kind, others in sounds.items():
                for above in LEVELS:
                    stream, spans = scene(groups, others, above, seed=len(report))
                    soundfile.write(file, stream, RATE)
                    say(f"{label}, {above} dB over {kind}", figures(told(arguments.binary, arguments.model, file), label, spans))
        for name, groups in OTHERS.items():
            generator = np.random.default_rng(1)
            repeats = max(2, int(40 / sum(on + off for on, off in groups)))
            quiet = synthesis.noise_bank()[0] * synthesis.decibels(-60)
            parts = [signal(groups, repeats, generator) * synthesis.decibels(-20) for _ in range(COUNT)]
            stream = np.concatenate([np.concatenate([part, np.zeros(10 * RATE)]) for part in parts])
            soundfile.write(file, stream + np.resize(quiet, len(stream)), RATE)
            say(name, {"false": len(told(arguments.binary, arguments.model, file, window=False)), "hours": len(stream) / RATE / 3600})
        paths = sorted(arguments.streams.glob("*/*/*.wav"))
        count = sum(len(told(arguments.binary, arguments.model, path, window=False)) for path in paths)
        say("streams", {"false": count, "hours": sum(soundfile.info(path).duration for path in paths) / 3600})
        clips, generator = AudioCache(arguments.cache), np.random.default_rng(1)
        with soundfile.SoundFile(file, "w", RATE, 1, "PCM_16", format="RF64") as stream:
            for index in range(len(clips.offsets) - 1):
                stream.write(clips.clip(index))
                stream.write(np.zeros(int(generator.uniform(0, PAUSE) * RATE), np.int16))
        say("clips", {"false": len(told(arguments.binary, arguments.model, file, window=False)), "hours": clips.offsets[-1] / RATE / 3600})
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True, help="the folder that make_streams.py wrote")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that prepare.py wrote")
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return ended(measure, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
