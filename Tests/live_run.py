#!/usr/bin/env python3
"""Listens for minutes, at real pace and through libasound, to a scene of known sounds, and says what that cost.

python3 Tests/live_run.py .build/release/aumd CORPUS [--minutes 10]

The scene: clips of the corpus' test split, each begun 0.3 to 2 s after a second boundary over a quiet room, played by
the scripted capture device of Tests/CaptureTests. Printed: samples lost, late window passes, CPU of each thread,
resident memory through the run, the time from start to the first score, and the delay from a sound's onset to its
provisional and its confirmed record.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
SLOT = 8  # seconds from one sound to the next
PLUGIN = Path(__file__).parent / "CaptureTests/ScriptedPCM/pcm_scripted.c"


def make_scene(corpus: Path, minutes: float, path: Path) -> list[tuple[float, set[str]]]:
    """Writes S16 samples; returns (onset in s, labels) of each sound."""
    random = np.random.default_rng(1)
    with open(corpus / "manifest.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row["source"] == "esc50"]
    scene = random.normal(0, 0.0005, int(minutes * 60 * RATE)).astype(np.float32)
    sounds = []
    for slot in range(int(minutes * 60 / SLOT) - 1):
        row = rows[random.integers(len(rows))]
        clip, _ = soundfile.read(corpus / row["path"], dtype="float32")
        loud = np.abs(clip) > 0.1 * np.abs(clip).max()
        clip = clip[int(np.argmax(loud)):][: 4 * RATE]
        start = int((slot * SLOT + 1 + random.uniform(0.3, 2)) * RATE)
        scene[start : start + len(clip)] += 0.5 * clip / np.abs(clip).max()
        sounds.append((start / RATE, set(row["labels"].split(";"))))
    (np.clip(scene, -1, 1) * 32767).astype("<i2").tofile(path)
    return sounds


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def threads(pid: int) -> dict[str, float]:
    """CPU seconds of each thread of a process, by name (proc(5))."""
    used: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, fields = re.match(r"\d+ \((.*)\) (.*)", (task / "stat").read_text()).groups()
        ticks = fields.split()[11:13]
        used[name] = used.get(name, 0) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return used


def resident(pid: int, kind: str) -> float:
    """Resident memory in MiB: "VmRSS" all of it, "RssAnon" what is the process' own and no file's."""
    return int(re.search(rf"{kind}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sounds = make_scene(options.corpus, options.minutes, folder / "scene.raw")
        library = folder / "libasound_module_pcm_scripted.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-DPIC", "-O2", PLUGIN, "-o", library, "-lasound", "-lm"], check=True)
        (folder / "asound.conf").write_text(
            f'</usr/share/alsa/alsa.conf>\npcm_type.scripted {{ lib "{library}" }}\n'
            f'pcm.mic {{ type scripted infile "{folder}/scene.raw" }}\n')
        measure(options, sounds, dict(os.environ, ALSA_CONFIG_PATH=str(folder / "asound.conf")))


def measure(options: argparse.Namespace, sounds: list[tuple[float, set[str]]], environment: dict[str, str]) -> None:
    command = [options.program, "listen", "--device", "mic", "--scores", "--format", "ndjson"]
    begun = time.time()
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    records: list[tuple[float, dict]] = []
    reader = threading.Thread(target=lambda: records.extend((time.time(), json.loads(line)) for line in program.stdout))
    reader.start()
    memory = []
    end = time.time() + 60 * options.minutes
    while time.time() < end:
        time.sleep(min(30, max(0, end - time.time())))
        memory.append(round(resident(program.pid, "RssAnon"), 1))
        whole = resident(program.pid, "VmRSS")
        used = threads(program.pid)
    program.send_signal(signal.SIGINT)
    program.wait()
    reader.join()

    status = [record for _, record in records if record["type"] == "status"][-1]
    gaps = [record for _, record in records if record["type"] == "gap"]
    print(f"{options.minutes} min, {len(sounds)} sounds, exit status {program.returncode}")
    print(f"lost samples {sum(gap['samples'] for gap in gaps)}, xruns {status['xruns']}, records dropped {status['dropped']}, samples "
          f"overwritten {status['lost_samples']}, late window passes {status['late_windows']}, columns never confirmed {status['unconfirmed_columns']}, "
          f"latest wake-up of the capture thread {status['worst_wake_up_ms']} ms after a full period")
    scene = options.minutes * 60 * RATE * 2 / 2**20
    print(f"memory of its own every 30 s, MiB: {memory}; resident with program and libraries at the end {whole:.1f}; "
          f"the scripted device's scene is {scene:.1f} of both")
    for name, cpu in sorted(used.items(), key=lambda entry: -entry[1]):
        print(f"CPU of {name}: {100 * cpu / (60 * options.minutes):.2f} % of a core")

    arrival, first = next((arrival, record) for arrival, record in records if record["type"] == "scores")
    print(f"start of the program to its first score: {arrival - begun:.2f} s")
    start = seconds(first["time"])
    delays: dict[str, list[float]] = {"provisional": [], "confirmed": []}
    told: list[float] = []
    for onset, labels in sounds:
        ids = set()
        for arrival, record in records:
            if record["type"] != "event" or record["phase"] not in ("open", "update"):
                continue
            told_onset = seconds(record["onset"]) - start
            if not (labels & {record["label"], *record["parents"]}) or not onset - 0.5 < told_onset < onset + 3:
                continue
            if record["id"] not in ids and record["phase"] == "open" and not ids and record["status"] == "provisional":
                delays["provisional"].append(arrival - start - onset)
                told.append(told_onset - onset)
            if record["status"] == "confirmed" and not any(i == "confirmed" for i in ids):
                delays["confirmed"].append(arrival - start - onset)
                ids.add("confirmed")
            ids.add(record["id"])
    for kind, values in delays.items():
        if values:
            print(f"onset to {kind} record: {len(values)} sounds, median {statistics.median(values):.2f} s, "
                  f"fastest {min(values):.2f} s, 90 % within {np.quantile(values, 0.9):.2f} s")
    if told:
        print(f"told onset minus true onset, provisional: median {statistics.median(told):+.2f} s")


if __name__ == "__main__":
    main()
