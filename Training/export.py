#!/usr/bin/env python3
"""Writes a trained checkpoint as a model folder: averaged weights in F16, config.json, a model card without figures.

python3 Training/export.py --config Training/configs/streams.json OUTDIR [--average MODEL --share 0.3]

--average mixes in the weights of the model that the run started from: what a run learned new costs it some of what it knew.
The weights go into the run's exported.pth in F32 too, for evaluate_robustness.py to compare.
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
    parser.add_argument("--average", type=Path, metavar="MODEL", help="a model folder whose weights are mixed in")
    parser.add_argument("--share", type=float, default=0.3, help="of that model's weights; 0.3 unless told")
    arguments = parser.parse_args()
    settings = json.loads(arguments.config.read_text())["train"]
    run = Path(settings["run"])
    checkpoint = torch.load(run / "checkpoint.pth", map_location="cpu", weights_only=True)
    weights = {n: t for n, t in checkpoint["averaged"].items() if not n.startswith("teacher.")}
    if arguments.average:
        other, _ = modelfolder.trained(arguments.average)
        weights = {n: torch.lerp(t, other[n], arguments.share) for n, t in weights.items()}
    history = modelfolder.runs(checkpoint)
    if arguments.average:
        history[-1]["mixed"] = arguments.share
    torch.save({"averaged": weights}, run / "exported.pth")
    tensors = {n: t.half() for n, t in weights.items()}
    labels = read_labels(Path(settings["corpus"]) / "labels.csv")
    config = modelfolder.describe(
        tensors, labels, name=arguments.name, license="cc-by-nc-4.0", dual_mode=True,
        parents=ontology.ancestors([label.name for label in labels]), training=history,
    )
    parameters = sum(t.numel() for t in tensors.values())
    modelfolder.write(arguments.outdir, config, tensors, card.write(config, parameters, {}))
    print(f"Wrote {arguments.outdir}; now calibrate.py chooses its thresholds")


if __name__ == "__main__":
    main()
