"""Figures of merit over clips."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

#: Names of the figures of clip scores, in the order of tables.
FIGURES = ("ap", "auc", "d_prime", "ap_recordings", "auc_recordings")


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
    """Mean average precision and mean AUC over labels."""
    values = list(per_label(scores, target, least).values())
    return float(np.mean([v[0] for v in values])), float(np.mean([v[1] for v in values]))


def d_prime(auc: float) -> float:
    """Sensitivity index of an AUC, as AudioSet's papers give it: sqrt(2) times the inverse normal distribution of AUC."""
    return float(np.sqrt(2) * norm.ppf(auc))
