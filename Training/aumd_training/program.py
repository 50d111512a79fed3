"""What the aumd program says of files: tags or an embedding; every column's scores, and events as they are told."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

#: Seconds of a column.
COLUMN = 0.16
#: Seconds after a column's end until its last frame is whole.
LATENCY = 0.015


@dataclass
class Told:
    """The life of one event. Times in seconds of the stream; `at` is when the stream had come so far as to tell it."""

    label: str
    parents: tuple[str, ...]
    status: str
    onset: float
    opened_at: float
    opened_as: str
    opened_onset: float
    provisional: bool
    offset: float | None = None
    confirmed_at: float | None = None
    ended_at: float | None = None
    retracted: bool = False
    reason: str | None = None


@dataclass
class Heard:
    """A file as aumd hears it."""

    provisional: np.ndarray  # (steps, C) float32
    confirmed: np.ndarray  # (T, C) float32
    events: list[Told] = field(default_factory=list)
    step: float = COLUMN  # seconds from one provisional column to the next: where they overlap, less than a column


def tag(binary: str, model: Path, files: Sequence[Path], *options: str) -> list[dict]:
    """The record of each file, in order, as `aumd tag` prints it with these options."""
    records = []
    for batch in (files[i : i + 200] for i in range(0, len(files), 200)):
        command = [binary, "tag", "--model", str(model), *options, "--format", "ndjson", *map(str, batch)]
        records += map(json.loads, subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    return records


def listen(binary: str, model: Path, file: Path, names: Sequence[str]) -> Heard:
    """Lets `aumd listen` hear a sound file as fast as it can. `names`: the model's labels (C)."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as settings:
        settings.write(f"output:\n  scores: {len(names)}\n")
        settings.flush()
        command = [binary, "listen", "--model", str(model), "--config", settings.name, "--source", str(file), "--format", "ndjson"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                heard = read(process.stdout, names)
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"{' '.join(command)} did not write the records of a model with these labels.") from error
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed with exit status {process.returncode}.")
    if not len(heard.confirmed) or not len(heard.provisional):
        raise SystemExit(f"{' '.join(command)} wrote no scores.")
    return heard


def read(lines: Iterator[str], names: Sequence[str]) -> Heard:
    """The records of one run, in order. A record is told when the last provisional column before it was complete."""
    index = {name: i for i, name in enumerate(names)}
    rows: dict[str, list[np.ndarray]] = {"provisional": [], "confirmed": []}
    events: dict[str, Told] = {}
    times: list[float] = []  # of provisional columns, their beginnings
    start, expected = None, 0
    for line in lines:
        record = json.loads(line)
        if record["seq"] != expected:
            raise SystemExit(f"Record {record['seq']} follows {expected - 1}: the reader was too slow.")
        expected += 1
        if record["type"] == "scores":
            if start is None:
                start = seconds(record["time"])
            row = np.zeros(len(names), np.float32)
            for tag in record["tags"]:
                row[index[tag["label"]]] = tag["score"] or 0
            rows[record["status"]].append(row)
            if record["status"] == "provisional":
                times.append(seconds(record["time"]) - start)
        elif record["type"] == "event":
            now = (times[-1] + COLUMN if times else 0.0) + LATENCY
            follow(events, record, start or 0.0, now)
    empty = np.zeros((0, len(names)), np.float32)
    traces = {status: np.stack(found) if found else empty for status, found in rows.items()}
    step = round(times[1] - times[0], 3) if len(times) > 1 else COLUMN
    return Heard(traces["provisional"], traces["confirmed"], list(events.values()), step)


def follow(events: dict[str, Told], record: dict, start: float, now: float) -> None:
    """Brings the event that an event record speaks of up to date; `start` and `now` in seconds."""
    onset = seconds(record["onset"]) - start
    event = events.get(record["id"])
    if event is None:
        event = events[record["id"]] = Told(
            record["label"], tuple(record["parents"]), record["status"], onset, now, record["label"], onset,
            record["status"] == "provisional",
        )
    event.label, event.parents, event.status, event.onset = record["label"], tuple(record["parents"]), record["status"], onset
    event.offset = None if record["offset"] is None else seconds(record["offset"]) - start
    event.reason = record.get("reason", event.reason)
    if event.status == "confirmed" and event.confirmed_at is None:
        event.confirmed_at = now
    if record["phase"] in ("close", "retract"):
        event.ended_at, event.retracted = now, record["phase"] == "retract"


def seconds(time: str | float) -> float:
    """RFC 3339, or seconds already."""
    return float(time) if isinstance(time, (int, float)) else datetime.fromisoformat(time).timestamp()
