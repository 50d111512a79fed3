#!/usr/bin/env python3
"""Clip average precision through the aumd program when clips are distorted, and with weights kept in other types.

python3 Training/evaluate_robustness.py MODEL --corpus CORPUS --cache CACHE --binary aumd [--checkpoint FILE] [--json FILE]

Scores are those of `aumd tag --mode offline` on the test split, and `--weights` is what it is told. --checkpoint is the
exported.pth that export.py leaves in the run's folder, whose weights are F32: the shipped ones are the same in F16.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from aumd_training import distortions, synthesis
from aumd_training.corpus import GENERATED, AudioCache, Label, read_labels, read_manifest, require_stamp, stamp, targets
from evaluate import figures, scores_from_binary


def conditions(speech: list[np.ndarray]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is done to each clip."""
    return {
        "clean": lambda x: x,
        "30 dB down": distortions.quieter,
        "8 bits": lambda x: synthesis.quantise(x, 8),
        "8 kHz sampling": distortions.narrowband,
        "telephone": distortions.telephone,
        "babble, 0 dB": distortions.with_babble(distortions.babble(speech, 120, 1), 2),
    }


def score(
    binary: str, model: Path, clips: list[np.ndarray], labels: list[Label], change: Callable[[np.ndarray], np.ndarray],
    weights: str,
) -> np.ndarray:
    """Clip scores (clips, C) after a change."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.wav" for i in range(len(clips))]
        for path, samples in zip(files, clips):
            soundfile.write(path, np.clip(change(samples), -1, 1 - 2**-15), 16000, "PCM_16")
        return scores_from_binary(binary, model, files, labels, weights)


def widened(model: Path, checkpoint: Path, folder: Path) -> Path:
    """A copy of the model folder with the checkpoint's F32 weights."""
    import torch
    from safetensors.torch import save_file

    tensors = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    tensors = {n: t.float().contiguous() for n, t in tensors.items() if not n.startswith("teacher.")}
    out = folder / "f32"
    shutil.copytree(model, out)
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--checkpoint", type=Path, help="the run's exported.pth, to compare F32 weights")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    clips, labels = read_manifest(arguments.corpus / "manifest.csv"), read_labels(arguments.corpus / "labels.csv")
    require_stamp(arguments.cache, stamp(clips, labels))
    members = [i for i, clip in enumerate(clips) if clip.split == "test"]
    truth, audio = targets([clips[i] for i in members], labels), AudioCache(arguments.cache)
    recorded = np.array([clips[i].source not in GENERATED for i in members])
    samples = [audio.clip(i).astype(np.float32) / 32768 for i in members]
    speech = [x for x, i in zip(samples, members) if clips[i].labels == ("Speech",)]
    written: dict[str, dict[str, float]] = {}

    def measure(
        name: str, model: Path, change: Callable[[np.ndarray], np.ndarray] = lambda x: x, weights: str = "float32"
    ) -> None:
        scores = score(arguments.binary, model, samples, labels, change, weights)
        # Babble is speech in every clip.
        known = truth * (np.array([label.name for label in labels]) != "Speech") if name.startswith("babble") else truth
        written[name] = figures(scores, known, recorded)
        print(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in written[name].items()), flush=True)

    for name, change in conditions(speech).items():
        measure(name, arguments.model, change)
    for weights in ("bfloat16", "int8"):
        measure(f"clean, --weights {weights}", arguments.model, weights=weights)
    if arguments.checkpoint:
        with tempfile.TemporaryDirectory() as folder:
            measure("clean, F32 weights in the folder", widened(arguments.model, arguments.checkpoint, Path(folder)))
    if arguments.json:
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
