"""What training minimises. B batch, T columns, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .probe import Probe


def clip_scores(probability: Tensor) -> Tensor:
    """Linear-softmax pooling over columns: sum p^2 / sum p. (…, T, C) -> (…, C)."""
    return probability.square().sum(-2) / probability.sum(-2).clamp_min(1e-6)


def column_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy a column, over the labels whose state is known; all (B, T, C)."""
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * known).sum(-1).mean()


def clip_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The same for the mixture as a whole: on if any column is, unknown if none is but some may be."""
    wanted = target.amax(1)
    certain = torch.maximum(wanted, known.amin(1))
    pooled = clip_scores(torch.sigmoid(logits)).clamp(1e-6, 1 - 1e-6)
    return (F.binary_cross_entropy(pooled, wanted, reduction="none") * certain).sum(-1).mean()


def teacher_loss(predicted: Tensor, embedding: Tensor, weight: Tensor) -> Tensor:
    """Squared error to the teacher's standardised embedding, (B, T, 1024), on weighted columns (B, T)."""
    error = (predicted - embedding).square().mean(-1)
    return (error * weight).sum() / weight.sum().clamp_min(1)


def probe_loss(predicted: Tensor, embedding: Tensor, weight: Tensor, probe: Probe) -> Tensor:
    """Squared error in the probe's logits, each in units of its spread: the embedding's directions that tell labels."""
    error = (F.linear(predicted - embedding, probe.weight) / probe.spread).square().mean(-1)
    return (error * weight).sum() / weight.sum().clamp_min(1)
