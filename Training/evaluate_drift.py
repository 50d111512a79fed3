#!/usr/bin/env python3
"""Does a stream of ten hours drift? One clip is heard at its beginning and at its end.

python3 Training/evaluate_drift.py MODEL --streams STREAMS --binary aumd [--hours 10]

The stream: the clip; a minute of speech and the same clip again; hours of the held-out streams of the test split, over and
over; the same minute and the same clip once more. Scores after the same minute are compared: what is left is
drift. Scores after nothing and after ten hours are compared too: the state of a recurrent model holds history.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from aumd_training.program import COLUMN

COLUMN_SAMPLES = 2560
#: Columns of the clip and of the minute before it.
CLIP, MINUTE = 63, 375


def pieces(streams: Path, hours: float) -> Iterator[np.ndarray]:
    """16-bit samples of the stream, every piece whole columns long."""

    def read(path: Path) -> np.ndarray:
        samples = soundfile.read(path, dtype="int16")[0]
        return samples[: len(samples) // COLUMN_SAMPLES * COLUMN_SAMPLES]

    heldout = sorted((streams / "test/heldout").glob("*.wav"))
    clip = read(next(iter(sorted((streams / "test/soundscapes").glob("*.wav")))))[: CLIP * COLUMN_SAMPLES]
    minute = read(streams / "test/heldout/speech-near.wav")[: MINUTE * COLUMN_SAMPLES]
    yield from (clip, minute, clip)
    left = int(hours * 3600 / COLUMN) * COLUMN_SAMPLES
    while left > 0:
        for path in heldout:
            piece = read(path)[:left]
            left -= len(piece)
            yield piece
    yield from (minute, clip)


def scores_at(binary: str, model: Path, streams: Path, hours: float, wanted: set[int]) -> dict[str, dict[int, dict]]:
    """By track and column: label -> score, of the wanted columns."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    count, steps = config["num_classes"], {"provisional": config.get("patch_grids", 1), "confirmed": 1}
    found: dict[str, dict[int, dict]] = {"provisional": {}, "confirmed": {}}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as settings:
        settings.write(f"output:\n  scores: {count}\n")
        settings.flush()
        command = [binary, "listen", "--model", str(model), "--config", settings.name, "--source", "-", "--format", "ndjson"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:

            def feed() -> None:
                for piece in pieces(streams, hours):
                    process.stdin.write(piece.tobytes())
                process.stdin.close()

            threading.Thread(target=feed, daemon=True).start()
            rows = {"provisional": 0, "confirmed": 0}
            for line in process.stdout:
                if b'"type":"scores"' not in line[:40]:
                    continue
                track = "provisional" if b'"status":"provisional"' in line[:200] else "confirmed"
                column, between = divmod(rows[track], steps[track])
                if not between and column in wanted:
                    found[track][column] = {tag["label"]: tag["score"] for tag in json.loads(line)["tags"]}
                rows[track] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--hours", type=float, default=10.0)
    arguments = parser.parse_args()
    second = CLIP + MINUTE
    last = second + CLIP + int(arguments.hours * 3600 / COLUMN) + MINUTE
    wanted = {first + i for first in (0, second, last) for i in range(CLIP)}
    found = scores_at(arguments.binary, arguments.model, arguments.streams, arguments.hours, wanted)
    print(f"the clip at 0 s, {second * COLUMN:.0f} s and {last * COLUMN / 3600:.2f} h; differences of its {CLIP} columns' scores")
    for track, scores in found.items():
        rows = {first: [scores[first + i] for i in range(CLIP - 25)] for first in (0, second, last)}
        for name, first in (("same minute before", second), ("nothing before", 0)):
            gaps = np.array([[abs(a[k] - b[k]) for k in a] for a, b in zip(rows[first], rows[last])])
            late = gaps[len(gaps) // 2 :]
            print(f"{track}, {name}: largest {gaps.max():.2g}, mean {gaps.mean():.2g}, largest in the second half {late.max():.2g}")


if __name__ == "__main__":
    main()
