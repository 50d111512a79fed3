#!/usr/bin/env python3
"""Adds to a model folder what other sounds are like, so that `aumd learn` can tell a new one from them: background.safetensors.

python3 Training/make_background.py MODEL --streams STREAMS

Its one tensor, `features` (n, D) in F16, holds what the model's head reads, of columns drawn from the streams of the validation split
(make_streams.py): soundscapes, and held-out speech, music, background noise and quiet rooms, as many of each; one half in both directions, as
confirmed, the other in the forward direction alone. Once for each model, as it reads its weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save

from aumd_training import streamset
from aumd_training.commands import InputError, MissingError, ended
from aumd_training.features import SAMPLE_RATE, LogMel
from aumd_training.inference import features, load_model, normalised

KINDS = ("background", "music", "quiet", "speech")
#: Pieces of each kind, and seconds of one, of which the first are left out: the state has heard too little there.
PIECES, SECONDS, FIRST = 24, 20, 5
#: Columns that are drawn of each piece and direction. Six times as many teach hardly more (NOTES.md).
DRAWN = 16
SEED = 1


def pieces(streams: Path) -> Iterator[np.ndarray]:
    """Samples (PIECES, SECONDS * rate) of each kind, spread over its stream; of the soundscapes one of each."""
    count = SECONDS * SAMPLE_RATE
    for kind in KINDS:
        path = streams / "validation/heldout" / f"{kind}-near.wav"
        samples = soundfile.read(path, dtype="float32")[0]
        if len(samples) < count:
            raise InputError(f"{path} is shorter than {SECONDS} s; make longer streams.")
        yield np.stack([samples[start : start + count] for start in np.linspace(0, len(samples) - count, PIECES).astype(int)])
    scenes = streamset.files(streams / "validation/soundscapes")[:PIECES]
    if not scenes:
        raise MissingError(f"{streams / 'validation/soundscapes'} holds no streams; run make_streams.py.")
    yield np.stack([soundfile.read(path, dtype="float32", frames=count)[0] for path in scenes])


def drawn(vectors: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """DRAWN of each piece's vectors (B, T, D) after the first seconds: (B * DRAWN, D)."""
    first = vectors.shape[1] * FIRST // SECONDS
    return torch.cat([piece[first + generator.choice(len(piece) - first, DRAWN, replace=False)] for piece in vectors])


def make(arguments: argparse.Namespace) -> None:
    """Hears the pieces and writes the file."""
    config, model = load_model(arguments.model)
    log_mel, generator, found = LogMel(), np.random.default_rng(SEED), []
    for batch in pieces(arguments.streams):
        for piece in batch:
            logmel = normalised(torch.from_numpy(piece[None]), log_mel)
            for vectors in features(model, logmel, **config["streaming"], patch_grids=config.get("patch_grids", 1)):
                found.append(drawn(vectors, generator))
    # As modelfolder.write does: everybody may read it.
    (arguments.model / "background.safetensors").write_bytes(save({"features": torch.cat(found).half()}))
    print(f"Wrote {arguments.model / 'background.safetensors'}: {sum(map(len, found))} vectors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--streams", type=Path, required=True, help="the folder that make_streams.py wrote")
    return ended(make, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
