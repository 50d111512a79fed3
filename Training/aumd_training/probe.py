"""A linear probe on the teacher's embedding: what of it tells our labels.

The embedding has 1024 values, and a small model cannot follow them all. The probe says which
directions among them matter, and what a mixture's embedding alone would say of each label. It looks along the
embedding's principal directions only: the others tell the labels of the clips it is fitted to, but hardly those of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .corpus import Clip, Label, TeacherCache, targets

#: Principal directions. Of 128, 256, 512 and 1024, 256 and 512 are best for clips of the validation split (macro AP 0.83; 0.81 with all).
DIRECTIONS = 256
#: But no more than one for so many clips: 72 clips span 71 directions, and along the others any other clip's logits are in the thousands.
CLIPS_A_DIRECTION = 4
STEPS = 400
LEARNING_RATE = 3e-3
#: Chosen on the validation split, of 0.3, 1 and 3.
WEIGHT_DECAY = 0.3


@dataclass
class Probe:
    """Logits of labels from the teacher's standardised embedding."""

    weight: Tensor  # (C, 1024)
    bias: Tensor  # (C)

    def logits(self, embedding: Tensor) -> Tensor:
        """(…, 1024) -> (…, C)."""
        return F.linear(embedding, self.weight, self.bias)

    def to(self, device: torch.device) -> Probe:
        """The same on a device."""
        return Probe(self.weight.to(device), self.bias.to(device))


def clip_means(cache: TeacherCache, clips: list[int]) -> Tensor:
    """The mean standardised embedding of each clip, (clips, 1024)."""
    return torch.stack([clip_mean(cache, cache.embeddings[cache.offsets[clip] : cache.offsets[clip + 1]]) for clip in clips])


def clip_mean(cache: TeacherCache, embedding: np.ndarray) -> Tensor:
    """The mean over a clip's windows of its embedding (windows, 1024), standardised as the training split's is: (1024)."""
    standardised = (torch.from_numpy(embedding.astype(np.float32)) - torch.from_numpy(cache.mean)) / torch.from_numpy(cache.std)
    return standardised.clamp(-5, 5).mean(0)


def of_training(cache: TeacherCache, clips: Sequence[Clip], labels: Sequence[Label]) -> Probe:
    """The probe of the training split."""
    members = [i for i, clip in enumerate(clips) if clip.split == "train"]
    return fit(clip_means(cache, members), torch.from_numpy(targets(clips, labels)[members]))


def folded(head: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], probe: Probe, share: float) -> tuple[Tensor, Tensor]:
    """Weight (C, D) and bias (C) of a head whose logits come to `share` from the probe on the predicted embedding.

    head (C, D), (C) and teacher (1024, D), (1024): weight and bias. Both ways are linear in the features, so one head does.
    """
    through = probe.weight @ teacher[0], probe.logits(teacher[1])
    return torch.lerp(head[0], through[0], share), torch.lerp(head[1], through[1], share)


def linear_head(rows: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Weight (M, D) and bias (M) of weighted least squares from features (…, D) to values (…, M); weights (…)."""
    normal, right = None, None
    for features, values, weight in rows:
        x = torch.cat([features, torch.ones_like(features[..., :1])], -1).flatten(0, -2).double()
        weighted = x * weight.flatten()[:, None]
        new = weighted.T @ x, weighted.T @ values.flatten(0, -2).double()
        normal, right = new if normal is None else (normal + new[0], right + new[1])
    ridge = torch.eye(len(normal), dtype=normal.dtype, device=normal.device) * 1e-6 * normal.diagonal().mean()
    solution = torch.linalg.solve(normal + ridge, right).float()
    return solution[:-1].T.contiguous(), solution[-1]


def fit(x: Tensor, truth: Tensor) -> Probe:
    """Logistic regression of labels (clips, C) on embeddings x (clips, M). The same input gives the same probe."""
    _, vectors = torch.linalg.eigh(x.T @ x)
    directions = vectors[:, -min(DIRECTIONS, max(1, len(x) // CLIPS_A_DIRECTION)) :]
    projected = x @ directions
    centre, scale = projected.mean(0), projected.std(0) + 1e-3
    scaled = (projected - centre) / scale
    weight = torch.zeros(truth.shape[1], scaled.shape[1], requires_grad=True)
    bias = torch.full((truth.shape[1],), -4.0, requires_grad=True)
    optimizer = torch.optim.AdamW([weight, bias], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(F.linear(scaled, weight, bias), truth, reduction="none")
        loss.sum(-1).mean().backward()
        optimizer.step()
    with torch.no_grad():
        unscaled = weight / scale
        return Probe(unscaled @ directions.T, bias - unscaled @ centre)
