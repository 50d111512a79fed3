#!/usr/bin/env python3
"""Writes a trained checkpoint as a model folder: averaged weights in F16, thresholds, model card.

python3 Training/export.py --config Training/configs/early.json OUTDIR [--figures FILE]

Thresholds come from the validation split: for each label, the confirmed and provisional scores of
all columns of clips without it; see calibration.py. --figures takes what evaluate.py wrote.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from aumd_training import calibration, card, modelfolder, ontology
from aumd_training.corpus import AudioCache, TeacherCache, read_labels, read_manifest, targets
from aumd_training.inference import column_logits, load_model

#: Share of columns without a label that may reach its threshold.
FALSE_ALARM_RATE = 0.0001


def calibrate(folder: Path, corpus: Path, cache: Path) -> dict[str, dict[str, float]]:
    """Thresholds of the model in `folder`."""
    config, model = load_model(folder)
    clips, labels = read_manifest(corpus / "manifest.csv"), read_labels(corpus / "labels.csv")
    audio, teacher = AudioCache(cache), TeacherCache(cache)
    members = [i for i, clip in enumerate(clips) if clip.split == "validation"]
    truth = targets(clips, labels)
    columns, on, doubtful = [], [], []
    for mode in ("provisional", "confirmed"):
        for clip, logits in column_logits(model, audio, members, mode, **config["streaming"]):
            heard = teacher.scores[teacher.offsets[clip] : teacher.offsets[clip + 1]].max(0) > 255 * calibration.TEACHER_HEARS
            columns.append(1 / (1 + np.exp(-logits)))
            on.append(truth[clip] > 0)
            doubtful.append(heard & (truth[clip] == 0))
    names = [label.name for label in labels]
    return calibration.thresholds(columns, np.array(on), np.array(doubtful), names, FALSE_ALARM_RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--config", type=Path, required=True, help="what the run was trained with")
    parser.add_argument("--figures", type=Path, help="measured figures for the model card")
    parser.add_argument("--name", default="aumd-early")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = json.loads(arguments.config.read_text())["train"]
    corpus, cache = Path(settings["corpus"]), Path(settings["cache"])
    checkpoint = torch.load(Path(settings["run"]) / "checkpoint.pth", map_location="cpu", weights_only=True)
    tensors = {n: t.half() for n, t in checkpoint["averaged"].items() if not n.startswith("teacher.")}
    labels = read_labels(corpus / "labels.csv")
    config = modelfolder.describe(
        tensors, labels, name=arguments.name, license="cc-by-nc-4.0", dual_mode=True,
        parents=ontology.ancestors([label.name for label in labels]),
    )
    figures = json.loads(arguments.figures.read_text()) if arguments.figures else None
    parameters = sum(t.numel() for t in tensors.values())
    text = card.write(config, parameters, checkpoint, figures, FALSE_ALARM_RATE)
    modelfolder.write(arguments.outdir, config, tensors, text)
    config["thresholds"] = calibrate(arguments.outdir, corpus, cache)
    modelfolder.write(arguments.outdir, config, tensors, text)
    print(f"Wrote {arguments.outdir}")


if __name__ == "__main__":
    main()
