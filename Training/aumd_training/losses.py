"""What training minimises. B batch, T columns, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .probe import Probe


def linear_softmax(probability: Tensor) -> Tensor:
    """Linear-softmax pooling over columns: sum p^2 / sum p (Wang, Li and Metze 2019). (…, T, C) -> (…, C)."""
    return probability.square().sum(-2) / probability.sum(-2).clamp_min(1e-6)


#: Columns of a sound in which a stream has to tell it early.
ONSET_COLUMNS = 3


def onsets(target: Tensor) -> Tensor:
    """(B, T): 1 in the first columns after any label came on; target (B, T, C)."""
    before = F.pad(target[:, :-1], (0, 0, 1, 0))
    began = (target > before).any(-1).to(target.dtype)
    return F.max_pool1d(F.pad(began, (ONSET_COLUMNS - 1, 0)), ONSET_COLUMNS, 1)


def column_loss(logits: Tensor, target: Tensor, known: Tensor, onset_weight: float | Tensor = 1.0) -> Tensor:
    """Binary cross-entropy a column, over the labels whose state is known; all (B, T, C).

    The first columns of a sound count `onset_weight` times, a number or (B, 1), for all labels, so that scores there stay probabilities.
    """
    loss = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * known).sum(-1)
    return (loss * (1 + (onset_weight - 1) * onsets(target))).mean()


def clip_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The same for the mixture as a whole: on if any column is, unknown if none is but some may be."""
    wanted = target.amax(1)
    certain = torch.maximum(wanted, known.amin(1))
    pooled = linear_softmax(torch.sigmoid(logits)).clamp(1e-6, 1 - 1e-6)
    return (F.binary_cross_entropy(pooled, wanted, reduction="none") * certain).sum(-1).mean()


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Of label probabilities from the wanted ones (Kullback and Leibler), both as logits, summed over labels: (…, C) -> (…)."""
    told, least = (F.binary_cross_entropy_with_logits(x, wanted.sigmoid(), reduction="none") for x in (logits, wanted))
    return (told - least).sum(-1)


def teacher_loss(predicted: Tensor, embedding: Tensor, weight: Tensor) -> Tensor:
    """Squared error to the teacher's standardised embedding, (B, T, 1024), on weighted columns (B, T)."""
    error = (predicted - embedding).square().mean(-1)
    return (error * weight).sum() / weight.sum().clamp_min(1)


def probe_loss(predicted: Tensor, embedding: Tensor, weight: Tensor, probe: Probe) -> Tensor:
    """Divergence of the probe's label probabilities from those it gives the teacher's embedding itself, summed over labels.

    It counts where a label is likely or doubtful; the depth of a logit that says "not at all" is not worth following.
    """
    error = divergence(probe.logits(predicted), probe.logits(embedding))
    return (error * weight).sum() / weight.sum().clamp_min(1)


def follow_loss(logits: Tensor, leading: Tensor) -> Tensor:
    """Divergence of the scores that a stream has so far from those it has once the backward direction has run; both (B, T, C).

    Dual-mode distillation in place (Yu et al. 2021): only `logits` learn from it.
    """
    return divergence(logits, leading.detach()).mean()
