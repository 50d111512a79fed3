"""Per-label thresholds for a stated false-alarm rate."""

from __future__ import annotations

import numpy as np

#: A label's `off` threshold, as a share of its `on`.
HYSTERESIS = 0.6
LOWEST, HIGHEST = 0.10, 0.98


def thresholds(
    columns: list[np.ndarray], target: np.ndarray, doubtful: np.ndarray, names: list[str], rate: float
) -> dict[str, dict[str, float]]:
    """The lowest `on` that at most `rate` of the columns without the label reach, within [LOWEST, HIGHEST].

    columns: scores (T, C) of each clip; target, doubtful (clips, C): labelled, and unlabelled though
    the teacher hears it. Both kinds of clip are left out of a label's count.
    """
    out = {}
    for c, name in enumerate(names):
        scores = np.concatenate([s[:, c] for s, on, unsure in zip(columns, target, doubtful) if not (on[c] or unsure[c])])
        on = float(np.clip(np.quantile(scores, 1 - rate), LOWEST, HIGHEST))
        out[name] = {"on": round(on, 3), "off": round(HYSTERESIS * on, 3)}
    return out
