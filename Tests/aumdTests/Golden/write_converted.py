#!/usr/bin/env python3
"""Writes what convert.py makes of a small checkpoint with the published tensor names, and what the fp64 reference hears with it.

Run from anywhere: python3 Tests/aumdTests/Golden/write_converted.py [FOLDER]
FOLDER (beside this file unless told) gets converted/, the model folder; sound.wav, two seconds; and scores.json, the sigmoid of
each label's logit for that sound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
TRAINING = HERE.parents[2] / "Training"
sys.path.insert(0, str(TRAINING))

from aumd_training import features, reference, splitmix  # noqa: E402

CONFIG = {
    "variant": "bi-bi", "d_model": 16, "n_layer": 2, "d_state": 4, "d_conv": 4, "expand": 2, "dt_rank": 1, "num_classes": 3,
    "position": "absolute", "pooling": "cls-middle", "token_order": "frequency-major", "norm_eps": 1e-5, "clip_frames": 1024,
    "normalization": {"mean": features.MEAN, "std": features.STD},
}
LABELS = "index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/05tny_,Bark\n2,/m/04rlf,Music\n"
SEED = 31


def sound() -> np.ndarray:
    """A rising tone with clicks, (32000) int16."""
    t = np.arange(2 * features.SAMPLE_RATE) / features.SAMPLE_RATE
    tone = 8000 * np.sin(2 * np.pi * (200 + 900 * t) * t)
    return np.round(tone + 12000 * (np.arange(len(t)) % 4000 < 40)).astype(np.int16)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    shapes = reference.tensor_shapes(CONFIG, CONFIG["clip_frames"] // 2)
    state = {name: torch.from_numpy(splitmix.tensor(name, shape, SEED, 2, 4)) for name, shape in shapes.items()}
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, labels = Path(scratch) / "checkpoint.pth", Path(scratch) / "labels.csv"
        torch.save({"module." + name: tensor for name, tensor in state.items()}, checkpoint)
        labels.write_text(LABELS)
        command = [sys.executable, TRAINING / "convert.py", checkpoint, folder / "converted", "--labels", labels]
        subprocess.run(command, check=True, capture_output=True)
    samples = sound()
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(features.SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    logmel = features.LogMel(torch.float64)(torch.from_numpy(samples / 32768))
    logits = reference.logits(logmel, {name: tensor.double() for name, tensor in state.items()}, CONFIG)
    names = [line.split(",")[2] for line in LABELS.splitlines()[1:]]
    scores = dict(zip(names, torch.sigmoid(logits).tolist(), strict=True))
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
