"""Scores of whole clips from a model in PyTorch, in each of the stream's modes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from . import grids
from .corpus import AudioCache
from .features import COLUMN_FRAMES, MEAN, STD, LogMel, samples_for
from .model import AudioMamba, ModelConfig

MODES = ("provisional", "confirmed", "offline")
#: Columns at the beginning of a clip that its scores leave out, but for its last one, without the backward direction.
WARM_UP = 3


def clip_logits(logits: torch.Tensor) -> torch.Tensor:
    """Mean odds of columns, as a logit: log (sum exp l / T). (…, T, C) -> (…, C)."""
    return torch.logsumexp(logits, -2) - math.log(logits.shape[-2])


def clip_scores(logits: torch.Tensor, backward: bool = True) -> torch.Tensor:
    """The mean odds of a clip's columns, as a probability: (T, C) -> (C). `backward`: whether they know what follows."""
    return clip_logits(logits[0 if backward else min(WARM_UP, len(logits) - 1) :]).sigmoid()


def normalised(samples: torch.Tensor, log_mel: LogMel) -> torch.Tensor:
    """Samples (B, n) -> (B, T * 16, 128), whole columns only; clips below one column are padded with zeros."""
    short = samples_for(1) - samples.shape[-1]
    logmel = log_mel(torch.nn.functional.pad(samples, (0, max(0, short))))
    columns = logmel.shape[1] // COLUMN_FRAMES
    return (logmel[:, : columns * COLUMN_FRAMES] - MEAN) / (2 * STD)


@torch.no_grad()
def column_logits(
    model: AudioMamba, audio: AudioCache, clips: Sequence[int], mode: str, chunk: int = 8, lookahead: int = 16,
    patch_grids: int = 1,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (clip, logits (T, C)); clips of one length run together. "confirmed" needs a model on the CPU.

    On two patch grids provisional logits are those at the end of each column of the first.
    """
    def heard(logmel: torch.Tensor, grid: int) -> torch.Tensor:
        if mode == "confirmed":
            return model.confirmed(logmel, chunk, lookahead, ahead=grid)
        return model(logmel, backward=mode == "offline")

    device = next(model.parameters()).device
    log_mel = LogMel()
    by_length: dict[int, list[int]] = {}
    for clip in clips:
        by_length.setdefault(len(audio.clip(clip)), []).append(clip)
    model.eval()
    for members in by_length.values():
        for start in range(0, len(members), 16):
            batch = members[start : start + 16]
            samples = torch.from_numpy(np.stack([audio.clip(c) for c in batch]).astype(np.float32) / 32768)
            logmel = normalised(samples, log_mel).to(device)
            logits = heard(logmel, 0)
            if patch_grids > 1:
                other = heard(grids.shifted(logmel), 1)
                logits = grids.stepped(logits, other)[:, 1::2] if mode == "provisional" else grids.blended(logits, other)
            yield from zip(batch, logits.cpu().numpy())


@torch.no_grad()
def features(model: AudioMamba, logmel: torch.Tensor, chunk: int, lookahead: int, patch_grids: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """What the head reads of normalised log-mel (B, T * 16, 128): provisional (B, T * patch_grids, D), and confirmed (B, T, D)."""
    head, model.head = model.head, torch.nn.Identity()
    heard = [logmel, grids.shifted(logmel)][:patch_grids]
    provisional = [model(part, backward=False) for part in heard]
    confirmed = [model.confirmed(part, chunk, lookahead, ahead=grid) for grid, part in enumerate(heard)]
    model.head = head
    if patch_grids == 1:
        return provisional[0], confirmed[0]
    return grids.stepped(*provisional), grids.blended(*confirmed)


def load_model(folder: Path) -> tuple[dict[str, object], AudioMamba]:
    """config.json and the model of a folder that export.py wrote, weights widened to float32."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = ("d_model", "n_layer", "d_state", "d_conv", "expand", "num_classes", "norm_eps")
    model = AudioMamba(ModelConfig(**{name: config[name] for name in names}))
    model.load_state_dict({name: t.float() for name, t in load_file(folder / "model.safetensors").items()})
    return config, model.eval()
