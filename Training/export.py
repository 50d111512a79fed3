#!/usr/bin/env python3
"""Writes a trained checkpoint as a model folder: averaged weights in F16, config.json, a model card without figures.

python3 Training/export.py --config Training/configs/depth24.json OUTDIR [--average MODEL --share 0.3] [--probe 0.5]

--average mixes in the weights of the model that the run started from: what a run learned new costs it some of what it knew.
--probe is the share of the labels' logits that comes from a linear probe on the teacher's embedding as the features predict it; it
costs nothing to run, as both are linear in the features, and generalises better than a head that saw each label's few clips only.
The weights go into the run's exported.pth in F32 too, for evaluate_robustness.py to compare.
calibrate.py then adds thresholds, and write_card.py the figures. --card names a Markdown file for a model of other clips than aumd's: its
sections "Data and licence" and "Known weaknesses" stand in the model card in place of ours. A model of other labels needs it, and --license.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from aumd_training import card, modelfolder, ontology, probe
from aumd_training.commands import InputError, SettingsError, ended, read_json
from aumd_training.corpus import Label, TeacherCache, read_corpus, stamp
from train import read_settings

#: Share of the probe. On validation more of it is better for clips (0.35, 0.5, 0.7: macro AP of recordings 0.867, 0.872, 0.879) and
#: less of it for events (best F1 0.503, 0.499, 0.485).
PROBE_SHARE = 0.5


#: Columns that a window pass confirms, and that it waits for: less than 1.5 GMAC a second on two patch grids.
STREAMING = {"chunk": 20, "lookahead": 8}


#: The model of aumd's own clips, which the card's prose and the licence below are about.
SHIPPED = Path(__file__).resolve().parents[1] / "Sources/aumd/Resources/model/config.json"
LICENSE = "cc-by-nc-4.0"


def prose(arguments: argparse.Namespace, labels: list[Label]) -> dict[str, str]:
    """What the card says of data, licence and weaknesses. Ours is of no other model."""
    own = modelfolder.labels_of(read_json(SHIPPED)) == labels
    if not own and not (arguments.card and arguments.license):
        raise SettingsError("labels.csv is not that of the shipped model, whose data and licence the model card names; give --card and --license.")
    if not arguments.card:
        return card.PROSE
    found = card.prose(arguments.card.read_text(encoding="utf-8"))
    if lacking := [title for title in card.PROSE if title not in found]:
        raise InputError(f'{arguments.card} lacks the sections {" and ".join(f"## {title}" for title in lacking)}.')
    return found


def mixed(weights: dict[str, torch.Tensor], model: Path, labels: list[Label], share: float) -> dict[str, torch.Tensor]:
    """The weights with a share of a model folder's, of the same sizes and labels."""
    other, _, known = modelfolder.trained(model)
    if known != labels or any(n not in other or other[n].shape != t.shape for n, t in weights.items()):
        raise InputError(f"{model} has other sizes or labels than the run; only weights of the same can be mixed.")
    return {n: torch.lerp(t, other[n], share) for n, t in weights.items()}


def export(arguments: argparse.Namespace) -> None:
    """Reads the run, mixes its heads, and writes the folder."""
    for name in ("probe", "share"):
        if not 0 <= getattr(arguments, name) <= 1:
            raise SettingsError(f"--{name} {getattr(arguments, name):g}: a share, 0 to 1.")
    settings, _ = read_settings(arguments.config)
    run = Path(settings.run)
    checkpoint = modelfolder.load_checkpoint(run / "checkpoint.pth")
    averaged, (clips, labels) = checkpoint["averaged"], read_corpus(Path(settings.corpus))
    if checkpoint.get("labels") not in (None, [(label.mid, label.name) for label in labels]):
        raise InputError(f"{run / 'checkpoint.pth'} was trained on other labels than labels.csv has now; train again.")
    sections = prose(arguments, labels)
    weights = {n: t for n, t in averaged.items() if not n.startswith("teacher.")}
    head, teacher = ((averaged[f"{part}.weight"], averaged[f"{part}.bias"]) for part in ("head", "teacher"))
    own = probe.of_training(TeacherCache(Path(settings.cache), stamp(clips, labels)), clips, labels)
    if len(labels) != len(head[0]):
        raise InputError(f"labels.csv has {len(labels)} labels but the checkpoint {len(head[0])} classes; train again.")
    weights["head.weight"], weights["head.bias"] = probe.folded(head, teacher, own, arguments.probe)
    if arguments.average:
        weights = mixed(weights, arguments.average, labels, arguments.share)
    history = modelfolder.runs(checkpoint)
    history[-1]["probe"] = arguments.probe
    if arguments.average:
        history[-1]["mixed"] = arguments.share
    torch.save({"averaged": weights}, run / "exported.pth")
    tensors = {n: t.half() for n, t in weights.items()}
    config = modelfolder.describe(
        tensors, labels, name=arguments.name, license=arguments.license or LICENSE, dual_mode=True,
        parents=ontology.ancestors([label.name for label in labels]), training=history, patch_grids=2, streaming=STREAMING,
    )
    parameters = sum(t.numel() for t in tensors.values())
    modelfolder.write(arguments.outdir, config, tensors, card.write(config, parameters, {}, sections))
    print(f"Wrote {arguments.outdir}; now calibrate.py chooses its thresholds")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--config", type=Path, required=True, help="what the run was trained with")
    parser.add_argument("--name", default="aumd")
    parser.add_argument("--license", help=f"of the weights; {LICENSE} for the shipped labels")
    parser.add_argument("--card", type=Path, metavar="FILE", help="what the card says of data, licence and weaknesses")
    parser.add_argument("--average", type=Path, metavar="MODEL", help="a model folder whose weights are mixed in")
    parser.add_argument("--share", type=float, default=0.3, help="of that model's weights, 0.3 by default")
    parser.add_argument("--probe", type=float, default=PROBE_SHARE, metavar="SHARE", help=f"of the label logits, {PROBE_SHARE:g} by default")
    return ended(export, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
