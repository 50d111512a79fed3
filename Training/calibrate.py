#!/usr/bin/env python3
"""Chooses a model folder's thresholds on validation streams: best event F1 at a stated rate of false alarms.

python3 Training/calibrate.py MODEL --streams STREAMS --corpus CORPUS --binary aumd [--rate 10] [--taken-back 0.2] [--curve FILE] [--dry-run]

STREAMS is what make_streams.py wrote. Scores are those that the program confirms. What YAMNet hears too in held-out streams,
though no label names it, is not counted as false. Rewrites `thresholds` in
MODEL/config.json. --curve keeps the operating points that none beats: F1 against false alarms an hour. Thresholds of provisional
scores are as low as they can be for a stated share of events that are taken back.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from aumd_training import eventcalibration, provisional, streamset
from aumd_training.commands import InputError, MissingError, SettingsError, ended, read_json, warn
from aumd_training.corpus import Label, read_labels
from aumd_training.data import NOISE_LABELS

#: False alarms an hour, all labels together, that thresholds are chosen for: in streams where a new clip begins every few
#: seconds. Fewer cost more of the true events than they are worth; --curve has the trade-off.
RATE = 5.0
#: Share of provisional events, soundscapes and held-out streams together, that may be taken back.
TAKEN_BACK = 0.2
#: Shares of which the command tells what they would do.
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def missed(point: dict, rate: float, taken_back: float, share: float) -> list[str]:
    """What was asked for and is not kept, in sentences."""
    out = []
    if point["false_per_hour"] > rate:
        out.append(f"asked for {rate:g} false alarms an hour, got {point['false_per_hour']:.1f}: no thresholds that were tried give fewer")
    if not point["f1"] > 0:
        out.append("the event F1 is 0: no sound of the soundscapes is found at these thresholds")
    if round(taken_back, 2) > share:
        out.append(f"asked for {share:g} of the provisional events taken back, got {taken_back:.2f}")
    return out


def opened(arguments: argparse.Namespace) -> tuple[dict, list[str], list[Label]]:
    """config.json, its labels' names, and the corpus's labels, which have to be the same."""
    if not arguments.rate >= 0 or not 0 <= arguments.taken_back <= 1:
        raise SettingsError(f"--rate {arguments.rate:g} --taken-back {arguments.taken_back:g}: a rate is 0 or above, a share 0 to 1.")
    path, labels = arguments.model / "config.json", read_labels(arguments.corpus / "labels.csv")
    config = read_json(path)
    if not config.keys() >= {"id2label", "parents"}:
        raise InputError(f"{path} is not a model folder's.")
    names = list(config["id2label"].values())
    if names != [label.name for label in labels]:
        raise InputError(f"{arguments.model} has other labels than {arguments.corpus / 'labels.csv'}.")
    for part in ("soundscapes", "heldout"):
        if not streamset.files(arguments.streams / "validation" / part):
            raise MissingError(f"{arguments.streams / 'validation' / part} holds no streams; make_streams.py writes them.")
    return config, names, labels


def calibrate(arguments: argparse.Namespace) -> None:
    """Hears the validation streams, chooses, and writes."""
    config, names, labels = opened(arguments)
    folder = arguments.streams / "validation"
    lines, tracks = {}, []
    for part in ("soundscapes", "heldout"):
        runs = streamset.heard(arguments.binary, arguments.model, folder / part, names)
        tracks.append({
            track: replace(streamset.timeline(runs, folder / part, names, track), habituation=eventcalibration.HABITUATION)
            for track in ("provisional", "confirmed")
        })
        lines[part] = tracks[-1]["confirmed"]
    references = lines["soundscapes"].references(config["parents"], NOISE_LABELS)
    teacher = streamset.teacher_timeline(folder / "heldout", arguments.corpus / "teacher", labels)
    allowed = lines["heldout"].allowed(config["parents"])
    allowed |= streamset.heard_by_teacher(teacher, lines["heldout"], config["parents"])
    points = eventcalibration.operating_points(
        lines["soundscapes"], references, lines["heldout"], allowed, config["parents"]
    )
    point = eventcalibration.at_rate(points, arguments.rate)
    curve = eventcalibration.frontier(points)
    for p in curve:
        print(f"price {p['price']:g}, margin {p['margin']:g}: F1 {p['f1']:.3f}, {p['false_per_hour']:.1f} false alarms an hour")
    print(f"chosen: F1 {point['f1']:.3f} at {point['false_per_hour']:.2f} false alarms an hour on the validation split")
    on = np.array(point["on"])
    trials = provisional.trials(tracks, on)
    for share in SHARES:
        told = provisional.figures(tracks, references, on, trials.choose(share))
        print(f"taken back at most {share:g}: " + ", ".join(f"{name} {value:.3f}" for name, value in told.items()))
    early = trials.choose(arguments.taken_back)
    taken_back = provisional.figures(tracks, references, on, early)["taken_back"]
    warn(missed(point, arguments.rate, taken_back, arguments.taken_back))
    thresholds = {
        name: {"on": round(a, 4), "off": round(eventcalibration.HYSTERESIS * a, 4), "provisional_on": round(b, 4)}
        for name, a, b in zip(names, on.tolist(), early.tolist())
    }
    if arguments.curve:
        arguments.curve.write_text(json.dumps({"rate": arguments.rate, "chosen": point, "points": curve}, indent=1) + "\n")
    if not arguments.dry_run:
        config |= {"habituation": eventcalibration.HABITUATION, "thresholds": thresholds}
        (arguments.model / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--rate", type=float, default=RATE, help=f"false alarms an hour over all labels, {RATE:g} by default")
    parser.add_argument("--curve", type=Path, help="write the curve here, as JSON")
    parser.add_argument(
        "--taken-back", type=float, default=TAKEN_BACK, metavar="SHARE",
        help=f"of provisional events that may be taken back, {TAKEN_BACK:g} by default",
    )
    parser.add_argument("--dry-run", action="store_true", help="leave MODEL as it is")
    return ended(calibrate, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
