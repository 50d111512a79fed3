#!/usr/bin/env python3
"""Measures a model folder on streams through the aumd program, YAMNet beside it.

python3 Training/evaluate_streams.py MODEL --streams STREAMS --corpus CORPUS --binary aumd [--curve FILE] [--json FILE]

STREAMS is what make_streams.py wrote; figures are of its test split. YAMNet's thresholds come from the
validation split, by the same rule as ours, once for the best F1 and once for the stated rate of false alarms; its
hop, and by how much its scores are moved, are those that are best there. Its PSDS is of a running mean of its scores, whose length and
hop are those with which each of the two is best there. --curve takes what calibrate.py wrote and gives F1 against false alarms on test.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aumd_training import eventcalibration, eventmetrics, program, streamset
from aumd_training.annotation import Event, events_of
from aumd_training.corpus import read_labels
from aumd_training.data import NOISE_LABELS
from aumd_training.timeline import Timeline

#: YAMNet's hops, in columns of 0.16 s.
HOPS = (1, 2, 3)
#: Lengths of the running mean of YAMNet's scores, in columns.
MEANS = (1, 3, 5, 7, 9, 13)
#: Seconds by which YAMNet's scores may be moved: its window is sure of a sound before the sound is in its middle.
SHIFTS = (0.0, 0.1, 0.2, 0.3, 0.4)


def cut(line: Timeline, on: np.ndarray) -> list[Event]:
    """Events of a timeline's scores at thresholds `on` (C), label by label."""
    out = []
    for c, name in enumerate(line.names):
        out += [Event(float(a), float(b), name) for a, b, _ in eventcalibration.cut(line, c, on[c])]
    return out


def moved(line: Timeline, by: float) -> Timeline:
    """The same scores, `by` seconds later."""
    return replace(line, centres=line.centres + by)


def by_stream(false: list[tuple[int, float]], folder: Path, seconds: list[float]) -> dict[str, float]:
    """False alarms an hour: of speech, music, background, quiet, of all, and of all but quiet; without kinds that there are none of. false: (stream, onset)."""
    kinds = [path.stem.split("-")[0] for path in streamset.files(folder)]
    counts, hours = Counter(kinds[i] for i, _ in false), Counter()
    for kind, length in zip(kinds, seconds):
        hours[kind] += length / 3600
    out = {kind: counts[kind] / hours[kind] for kind in hours}
    loud = [kind for kind in hours if kind != "quiet"]
    if loud:
        out["all but quiet"] = sum(counts[k] for k in loud) / sum(hours[k] for k in loud)
    return out | {"all": len(false) / sum(hours.values()), "hours": sum(hours.values())}


def measure_program(arguments: argparse.Namespace, config: dict, names: list[str]) -> tuple[dict, dict[str, Timeline]]:
    """Figures of the program's own events, and its confirmed scores."""
    test, parents = arguments.streams / "test", config["parents"]
    scapes = streamset.heard(arguments.binary, arguments.model, test / "soundscapes", names)
    quiet = streamset.heard(arguments.binary, arguments.model, test / "heldout", names)
    lines = {
        part: replace(streamset.timeline(runs, test / part, names), habituation=config.get("habituation", 0.0))
        for part, runs in (("soundscapes", scapes), ("heldout", quiet))
    }
    line, known = lines["soundscapes"], set(names) - set(NOISE_LABELS)
    references = line.references(parents, NOISE_LABELS)
    out = eventmetrics.event_f1(references, eventmetrics.estimated(scapes, line.starts, known))
    out |= eventmetrics.psds(line, references)
    own = [events_of(sounds, parents, known) for sounds in streamset.sounds(test / "soundscapes")]
    out |= {"timing": eventmetrics.timing(scapes, own, known), "timing_overlapping": eventmetrics.timing(scapes, own, known, overlapping=True)}
    out["retractions"] = eventmetrics.retraction_rate(scapes)
    allowed = lines["heldout"].allowed(parents)
    false = eventmetrics.false_events(quiet, lines["heldout"], allowed)
    seconds = [len(run.confirmed) * program.COLUMN for run in quiet]
    closed = [(i, told) for i, told in false if not told.retracted]
    out["false_per_hour"] = by_stream([(i, t.onset) for i, t in closed], test / "heldout", seconds)
    if not arguments.no_teacher:
        teacher = streamset.teacher_timeline(test / "heldout", arguments.corpus / "teacher", read_labels(arguments.corpus / "labels.csv"))
        allowed |= streamset.heard_by_teacher(teacher, lines["heldout"], parents)
        alone = [(i, t.onset) for i, t in eventmetrics.false_events(quiet, lines["heldout"], allowed) if not t.retracted]
        out["alone_false_per_hour"] = by_stream(alone, test / "heldout", seconds)
    out["provisional_false_per_hour"] = by_stream(
        [(i, t.opened_onset) for i, t in false if t.provisional], test / "heldout", seconds
    )
    out["false_labels"] = dict(Counter(told.label for _, told in closed).most_common(12))
    out["retractions_heldout"] = eventmetrics.retraction_rate(quiet)
    return out, lines


def measure_teacher(arguments: argparse.Namespace, parents: dict, rate: float) -> dict:
    """YAMNet at thresholds, a hop and a shift chosen on the validation split: for the best F1, and for `rate`."""
    labels, folder = read_labels(arguments.corpus / "labels.csv"), arguments.corpus / "teacher"

    def line(split: str, part: str, every: int = 1, over: int = 1) -> Timeline:
        return streamset.teacher_timeline(arguments.streams / split / part, folder, labels, every, over)

    silent = line("validation", "heldout")
    allowed = silent.allowed(parents)

    def best(tried: Iterable[tuple[int, float]]) -> tuple[list[dict], int, float]:
        """The operating points, the hop and the shift with which F1 is best."""
        found = []
        for every, shift in tried:
            scapes = moved(line("validation", "soundscapes", every), shift)
            points = eventcalibration.operating_points(scapes, scapes.references(parents, NOISE_LABELS), silent, allowed, parents)
            found.append((eventcalibration.frontier(points), every, shift))
        return max(found, key=lambda one: one[0][0]["f1"])

    every = best((every, 0.0) for every in HOPS)[1]
    points, _, shift = best((every, shift) for shift in SHIFTS)
    scapes, silent = line("test", "soundscapes", every), line("test", "heldout")
    references, allowed = scapes.references(parents, NOISE_LABELS), silent.allowed(parents)
    lengths = np.diff(np.append(silent.starts, silent.centres[-1])).tolist()
    out = {"hop": every * 0.16, "shift": shift, **best_psds(partial(line, part="soundscapes"), parents)}
    scapes = moved(scapes, shift)
    for name, point in (("best F1", points[0]), (f"at most {rate:g} an hour", eventcalibration.at_rate(points, rate))):
        on = np.array(point["on"])
        false = eventcalibration.false_alarms(silent, allowed, on, parents)
        places = [(int(np.searchsorted(silent.starts, e.onset, "right")) - 1, e.onset) for e in false]
        out[name] = eventmetrics.event_f1(references, cut(scapes, on))
        out[name]["false_per_hour"] = by_stream(places, arguments.streams / "test/heldout", lengths)
    return out


def best_psds(line: Callable[..., Timeline], parents: dict) -> dict:
    """PSDS on test, each at the hop and the length of a running mean with which it is best on validation, and these."""

    def measured(split: str, every: int, over: int) -> dict[str, float]:
        scapes = line(split, every=every, over=over)
        return eventmetrics.psds(scapes, scapes.references(parents, NOISE_LABELS))

    tried = {(every, over): measured("validation", every, over) for every in HOPS for over in MEANS}
    out: dict = {}
    for name in eventmetrics.PSDS:
        every, over = max(tried, key=lambda one: tried[one][name])
        out |= {name: measured("test", every, over)[name], f"{name}_at": {"hop": every * 0.16, "mean_over": over * 0.16}}
    return out


def trade_off(points: list[dict], lines: dict[str, Timeline], parents: dict) -> list[dict[str, float]]:
    """The validation split's operating points, measured on test from confirmed scores."""
    scapes, silent = lines["soundscapes"], lines["heldout"]
    references, allowed, out = scapes.references(parents, NOISE_LABELS), silent.allowed(parents), []
    for point in points:
        on = np.array(point["on"])
        false = eventcalibration.false_alarms(silent, allowed, on, parents)
        out.append({
            "validation_f1": point["f1"], "validation_false_per_hour": point["false_per_hour"],
            "f1": eventcalibration.mean_f1(scapes, references, on),
            "false_per_hour": len(false) / (silent.seconds / 3600),
        })
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--rate", type=float, default=1.0, help="false alarms an hour that YAMNet's thresholds are chosen for")
    parser.add_argument("--curve", type=Path, help="what calibrate.py --curve wrote")
    parser.add_argument("--no-teacher", action="store_true", help="leave YAMNet out")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    names = list(config["id2label"].values())
    own, lines = measure_program(arguments, config, names)
    written = {"aumd": own}
    if arguments.curve:
        points = json.loads(arguments.curve.read_text())["points"]
        written["curve"] = trade_off(points, lines, config["parents"])
    if not arguments.no_teacher:
        written["YAMNet"] = measure_teacher(arguments, config["parents"], arguments.rate)
    text = json.dumps(written, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
