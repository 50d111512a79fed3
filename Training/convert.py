#!/usr/bin/env python3
"""Turns a published Audio Mamba checkpoint (a PyTorch state dict) into a model folder of aumd.

python3 Training/convert.py CHECKPOINT.pth OUTDIR --labels class_labels.csv

The variant and all sizes are read off the tensors. The labels file has the columns index, mid and
display_name, one row a class.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

from aumd_training import features
from aumd_training.commands import EX_DATAERR, EX_NOINPUT, InputError
from aumd_training.corpus import read_labels
from aumd_training.modelfolder import CheckpointError, check, describe, layer_shapes, load_tensors, require, sizes, variant_of, write

BANDS = 8
EX_CANTCREAT = 73

CARD = """---
license: other
library_name: aumd
pipeline_tag: audio-classification
---

# {name}

An Audio Mamba checkpoint ({variant}, {layers} layers, D = {d_model}, {classes} classes), converted for aumd from
`{source}`. Weights are unchanged. Its licence is that of the original: see where you got it.

It takes clips of {clip_frames} frames ({seconds:.2f} s), tokens {token_order}, class token in the middle. It was not
trained to run with its backward direction absent, so every score comes from a whole window and is a confirmed one.
"""


def load_state(path: Path) -> dict[str, Tensor]:
    """The state dict, without the prefix that data-parallel training leaves."""
    state = load_tensors(path)
    if not isinstance(state, dict) or not state or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in state.items()):
        raise CheckpointError(f"{path} does not hold a state dict (names and tensors); save the model's state dict.")
    # The daemon reads no float64: what goes beyond float32 is no weight.
    return {name.removeprefix("module."): t.float() if t.dtype == torch.float64 else t for name, t in state.items()}


def expected_shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Every tensor of a published checkpoint, from its sizes."""
    d, e, *_ = sizes(tensors)
    if tensors["patch_embed.proj.weight"].shape[1:] != (1, 16, 16):
        shape = tuple(tensors["patch_embed.proj.weight"].shape)
        raise CheckpointError(f"Tensor patch_embed.proj.weight has the shape {shape}, expected ({d}, 1, 16, 16).")
    if e % d:
        raise CheckpointError(f"Tensor layers.0.mixer.A_log has {e} rows, expected a multiple of D = {d}.")
    rows = require(tensors, "pos_embed.pos_embed", 3).shape[1]
    if rows < 1 + BANDS or (rows - 1) % BANDS:
        raise CheckpointError(
            f"Tensor pos_embed.pos_embed has {rows} rows, expected one for the class token and {BANDS} for each column."
        )
    classes = require(tensors, "head.weight", 2).shape[0]
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (d, 1, 16, 16), "patch_embed.proj.bias": (d,), "pos_embed.pos_embed": (1, rows, d),
        "cls_token": (1, 1, d), "norm_f.weight": (d,), "head.weight": (classes, d), "head.bias": (classes,),
    }
    names = (name.split(".")[1] for name in tensors if name.startswith("layers."))
    for layer in range(1 + max(int(index) for index in names if index.isdecimal())):
        shapes |= layer_shapes(tensors, variant_of(tensors), layer)
    return shapes


def convert(arguments: argparse.Namespace) -> None:
    """Reads, checks and writes."""
    if not math.isfinite(arguments.mean) or not 0 < arguments.std < math.inf:
        raise CheckpointError(f"--mean {arguments.mean} --std {arguments.std}: give numbers, and a std above 0.")
    tensors = load_state(arguments.checkpoint)
    check(tensors, expected_shapes(tensors))
    labels = read_labels(arguments.labels)
    clip_frames = (tensors["pos_embed.pos_embed"].shape[1] - 1) // BANDS * features.COLUMN_FRAMES
    name = arguments.outdir.resolve().name
    config = describe(
        tensors, labels, name=name, token_order=arguments.token_order, position="absolute", pooling="cls-middle",
        clip_frames=clip_frames, normalization={"mean": arguments.mean, "std": arguments.std},
    )
    card = CARD.format(
        name=name, variant=config["variant"], layers=config["n_layer"], d_model=config["d_model"],
        classes=config["num_classes"], source=arguments.checkpoint.name, clip_frames=clip_frames,
        seconds=clip_frames / 100, token_order=arguments.token_order,
    )
    write(arguments.outdir, config, tensors, card)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT.pth")
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--labels", type=Path, required=True, help="CSV with the columns index, mid, display_name")
    parser.add_argument("--mean", type=float, default=features.MEAN, help="of the training set's log-mel")
    parser.add_argument("--std", type=float, default=features.STD, help="of the training set's log-mel")
    parser.add_argument("--token-order", choices=("frequency-major", "time-major"), default="frequency-major")
    arguments = parser.parse_args()
    try:
        convert(arguments)
    except InputError as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return EX_DATAERR
    except OSError as error:
        print(f"convert.py: {error.filename}: {error.strerror}; check the path and its permissions.", file=sys.stderr)
        return EX_NOINPUT if error.filename in (str(arguments.checkpoint), str(arguments.labels)) else EX_CANTCREAT
    print(f"Wrote {arguments.outdir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
