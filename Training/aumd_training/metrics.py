"""Figures of merit over clips."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

#: Names of the figures of clip scores, in the order of tables.
FIGURES = ("ap", "auc", "d_prime", "ap_recordings", "auc_recordings")
#: Name of the scores that YAMNet's embedding gives once a linear probe has learned our labels from the training split.
PROBED = "YAMNet's embedding, a linear probe trained on the same clips"


def per_label(scores: np.ndarray, target: np.ndarray, least: int = 3) -> dict[int, tuple[float, float]]:
    """(average precision, AUC) of each label with at least `least` positives. scores, target (clips, C)."""
    out = {}
    for c in range(target.shape[1]):
        positives = int(target[:, c].sum())
        if least <= positives < len(target):
            out[c] = (
                float(average_precision_score(target[:, c], scores[:, c])),
                float(roc_auc_score(target[:, c], scores[:, c])),
            )
    return out


def macro(scores: np.ndarray, target: np.ndarray, least: int = 3) -> tuple[float, float]:
    """Mean average precision and mean AUC over labels; NaN where no label has enough positives."""
    values = list(per_label(scores, target, least).values())
    if not values:
        return math.nan, math.nan
    return float(np.mean([v[0] for v in values])), float(np.mean([v[1] for v in values]))


def resampled_ap(
    scores: np.ndarray, target: np.ndarray, groups: Sequence[str], count: int = 1000, least: int = 3, seed: int = 0
) -> np.ndarray:
    """Macro average precision of bootstrap samples of recordings, (count): clips of a group are drawn together.

    Samples are the same for the same groups and seed, so that differences of two scorers are paired. A label that a sample has no clip
    of does not count in it.
    """
    _, group = np.unique(groups, return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(group.max() + 1, np.full(group.max() + 1, 1 / (group.max() + 1)), count)
    weight, values = drawn[:, group].astype(np.float32), []
    for c in range(target.shape[1]):
        if least <= target[:, c].sum() < len(target):
            order = np.argsort(-scores[:, c], kind="stable")
            own, positive = weight[:, order], target[order, c]
            precision = np.cumsum(own * positive, 1) / np.maximum(np.cumsum(own, 1), 1)
            there = (own * positive).sum(1)
            values.append(np.where(there > 0, (precision * own * positive).sum(1) / np.maximum(there, 1), np.nan))
    return np.nanmean(values, 0)


def interval(values: np.ndarray) -> list[float]:
    """Where 95 % of the values lie."""
    return [float(v) for v in np.quantile(values, [0.025, 0.975])]


def d_prime(auc: float) -> float:
    """Sensitivity index of an AUC, as AudioSet's papers give it: sqrt(2) times the inverse normal distribution of AUC."""
    return float(np.sqrt(2) * norm.ppf(auc))
