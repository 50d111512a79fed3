#!/usr/bin/env python3
"""How much of a sound has to be heard before the model is sure of it, whichever way it runs?

python3 Training/evaluate_early.py MODEL --streams STREAMS --binary aumd [--seconds 0.35 0.5 0.75 1.0]

For every event of the test split's soundscapes that the program confirmed and that has a sound: the stream is cut so many seconds after
the sound's onset and heard anew. Counted are events whose label's score reaches the threshold that confirms it then, by both
directions and by the forward one alone, and beside them those that had a provisional event by then.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from aumd_training import eventmetrics, program, streamset
from aumd_training.annotation import Event, events_of
from aumd_training.data import NOISE_LABELS
from aumd_training.foreground import RATE

#: Seconds of the stream before an onset that are heard again.
PAST = 6.0
TRACKS = {"both directions": "confirmed", "forward": "provisional"}


def excerpt(samples: np.ndarray, onset: float, seconds: float) -> tuple[np.ndarray, float]:
    """samples from PAST before `onset` to `seconds` after it, and the time in seconds at which they begin: that of a column."""
    column = round(program.COLUMN * RATE)
    first = max(0, int((onset - PAST) * RATE)) // column * column
    return samples[first : round((onset + seconds) * RATE)], first / RATE


def highest(scores: np.ndarray, step: float, begin: float, onset: float) -> np.ndarray:
    """The highest score of each label, (C), in columns that hold some of the sound. scores (T, C), `step` seconds apart, from `begin`."""
    ends = begin + np.arange(len(scores)) * step + program.COLUMN
    return scores[ends > onset].max(0, initial=0)


def heard_sounds(
    runs: Sequence[program.Heard], folder: Path, parents: dict, known: set[str]
) -> Iterator[tuple[np.ndarray, program.Told, Event]]:
    """(samples of its stream, event, its sound) of closed events that have one."""
    for path, run, sounds in zip(streamset.files(folder), runs, streamset.sounds(folder)):
        samples = soundfile.read(path, dtype="float32")[0]
        for told, sound in eventmetrics.closed_events([run], [events_of(sounds, parents, known)], known):
            if sound is not None:
                yield samples, told, sound


def measure(binary: str, model: Path, folder: Path, seconds: Sequence[float]) -> dict:
    """Shares of events, by seconds after the onset."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    names, events = list(config["id2label"].values()), 0
    sure = {(kind, after): 0 for kind in (*TRACKS, "provisional event") for after in seconds}
    runs = streamset.heard(binary, model, folder, names)
    with tempfile.NamedTemporaryFile(suffix=".wav") as piece:
        for stream, told, sound in heard_sounds(runs, folder, config["parents"], set(names) - set(NOISE_LABELS)):
            events, label = events + 1, names.index(told.label)
            for after in seconds:
                samples, begin = excerpt(stream, sound.onset, after)
                soundfile.write(piece.name, samples, RATE, "FLOAT")
                anew = program.listen(binary, model, Path(piece.name), names)
                for kind, track in TRACKS.items():
                    step = anew.step if track == "provisional" else program.COLUMN
                    best = highest(getattr(anew, track), step, begin, sound.onset)[label]
                    sure[kind, after] += bool(best >= config["thresholds"][told.label]["on"])
                sure["provisional event", after] += told.provisional and told.opened_at - sound.onset <= after
    shares: dict = {"events": events}
    for (kind, after), count in sure.items():
        shares.setdefault(kind, {})[f"{after:g}"] = count / max(1, events)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.35, 0.5, 0.75, 1.0])
    arguments = parser.parse_args()
    shares = measure(arguments.binary, arguments.model, arguments.streams / "test/soundscapes", arguments.seconds)
    print(json.dumps(shares, indent=1))


if __name__ == "__main__":
    main()
