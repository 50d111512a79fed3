"""Scores on two patch grids, the second shifted by half a column, as Sources/AudioMamba blends them.

T columns. Column i of the second grid lies around the beginning of the first's column i; silence comes before a clip.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .features import COLUMN_FRAMES, MEAN, STD

#: Normalised log-mel of nothing: the logarithm's floor.
SILENCE = (math.log(2.0**-23) - MEAN) / (2 * STD)


def shifted(logmel: Tensor) -> Tensor:
    """Normalised log-mel (B, T * 16, 128) as the second grid cuts it, of the same shape."""
    half = COLUMN_FRAMES // 2
    before = logmel.new_full((len(logmel), half, logmel.shape[2]), SILENCE)
    return torch.cat([before, logmel[:, :-half]], 1)


def blended(own: Tensor, other: Tensor) -> Tensor:
    """Logits (B, T, C) of the first grid's columns and of the second's: a mean by how much of a column each overlaps."""
    following = torch.cat([other[:, 1:], other[:, -1:]], 1)
    return own / 2 + (other + following) / 4


def stepped(own: Tensor, other: Tensor) -> Tensor:
    """Causal logits (B, T, C) of both grids: at each half of a column, (B, 2T, C), the mean of the two that ended last."""
    ended = torch.stack([other, own], 2).flatten(1, 2)
    return torch.cat([ended[:, :1], (ended[:, :-1] + ended[:, 1:]) / 2], 1)
