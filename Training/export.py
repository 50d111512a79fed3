#!/usr/bin/env python3
"""Writes a trained checkpoint as a model folder: averaged weights in F16, config.json, a model card without figures.

python3 Training/export.py --config Training/configs/depth24.json OUTDIR [--average MODEL --share 0.3] [--probe 0.5]

--average mixes in the weights of the model that the run started from: what a run learned new costs it some of what it knew.
--probe is the share of the labels' logits that comes from a linear probe on the teacher's embedding as the features predict it; it
costs nothing to run, as both are linear in the features, and generalises better than a head that saw each label's few clips only.
The weights go into the run's exported.pth in F32 too, for evaluate_robustness.py to compare.
calibrate.py then adds thresholds, and write_card.py the figures. --card names a Markdown file for a model of other clips than aumd's: its
sections "Data and licence" and "Known weaknesses" stand in the model card in place of ours.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from aumd_training import card, modelfolder, ontology, probe
from aumd_training.corpus import TeacherCache, read_labels, read_manifest, stamp

#: Share of the probe. On validation more of it is better for clips (0.35, 0.5, 0.7: macro AP of recordings 0.867, 0.872, 0.879) and
#: less of it for events (best F1 0.503, 0.499, 0.485).
PROBE_SHARE = 0.5


#: Columns that a window pass confirms, and that it waits for: less than 1.5 GMAC a second on two patch grids.
STREAMING = {"chunk": 20, "lookahead": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--config", type=Path, required=True, help="what the run was trained with")
    parser.add_argument("--name", default="aumd")
    parser.add_argument("--license", default="cc-by-nc-4.0", help="of the weights; cc-by-nc-4.0 unless told")
    parser.add_argument("--card", type=Path, metavar="FILE", help="what the card says of data, licence and weaknesses")
    parser.add_argument("--average", type=Path, metavar="MODEL", help="a model folder whose weights are mixed in")
    parser.add_argument("--share", type=float, default=0.3, help="of that model's weights; 0.3 unless told")
    parser.add_argument("--probe", type=float, default=PROBE_SHARE, metavar="SHARE", help=f"of the label logits; {PROBE_SHARE:g} unless told")
    arguments = parser.parse_args()
    settings = json.loads(arguments.config.read_text())["train"]
    run = Path(settings["run"])
    checkpoint = torch.load(run / "checkpoint.pth", map_location="cpu", weights_only=True)
    corpus, averaged = Path(settings["corpus"]), checkpoint["averaged"]
    clips, labels = read_manifest(corpus / "manifest.csv"), read_labels(corpus / "labels.csv")
    weights = {n: t for n, t in averaged.items() if not n.startswith("teacher.")}
    head, teacher = ((averaged[f"{part}.weight"], averaged[f"{part}.bias"]) for part in ("head", "teacher"))
    own = probe.of_training(TeacherCache(Path(settings["cache"]), stamp(clips, labels)), clips, labels)
    weights["head.weight"], weights["head.bias"] = probe.folded(head, teacher, own, arguments.probe)
    if arguments.average:
        other, _, _ = modelfolder.trained(arguments.average)
        weights = {n: torch.lerp(t, other[n], arguments.share) for n, t in weights.items()}
    history = modelfolder.runs(checkpoint)
    history[-1]["probe"] = arguments.probe
    if arguments.average:
        history[-1]["mixed"] = arguments.share
    torch.save({"averaged": weights}, run / "exported.pth")
    tensors = {n: t.half() for n, t in weights.items()}
    config = modelfolder.describe(
        tensors, labels, name=arguments.name, license=arguments.license, dual_mode=True,
        parents=ontology.ancestors([label.name for label in labels]), training=history, patch_grids=2, streaming=STREAMING,
    )
    prose = card.prose(arguments.card.read_text(encoding="utf-8")) if arguments.card else card.PROSE
    parameters = sum(t.numel() for t in tensors.values())
    modelfolder.write(arguments.outdir, config, tensors, card.write(config, parameters, {}, prose))
    print(f"Wrote {arguments.outdir}; now calibrate.py chooses its thresholds")


if __name__ == "__main__":
    main()
