#!/usr/bin/env python3
"""Writes a trained checkpoint as a model folder: averaged weights in F16, config.json, a model card without figures.

python3 Training/export.py --config Training/configs/deep.json OUTDIR

calibrate.py then adds thresholds, and write_card.py the figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from aumd_training import card, modelfolder, ontology
from aumd_training.corpus import read_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--config", type=Path, required=True, help="what the run was trained with")
    parser.add_argument("--name", default="aumd")
    arguments = parser.parse_args()
    settings = json.loads(arguments.config.read_text())["train"]
    checkpoint = torch.load(Path(settings["run"]) / "checkpoint.pth", map_location="cpu", weights_only=True)
    tensors = {n: t.half() for n, t in checkpoint["averaged"].items() if not n.startswith("teacher.")}
    labels = read_labels(Path(settings["corpus"]) / "labels.csv")
    config = modelfolder.describe(
        tensors, labels, name=arguments.name, license="cc-by-nc-4.0", dual_mode=True,
        parents=ontology.ancestors([label.name for label in labels]), training=modelfolder.runs(checkpoint),
    )
    parameters = sum(t.numel() for t in tensors.values())
    modelfolder.write(arguments.outdir, config, tensors, card.write(config, parameters, {}))
    print(f"Wrote {arguments.outdir}; now calibrate.py chooses its thresholds")


if __name__ == "__main__":
    main()
