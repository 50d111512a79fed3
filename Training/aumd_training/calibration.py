"""Per-label thresholds for a stated false-alarm rate."""

from __future__ import annotations

import numpy as np

from . import ontology

#: A label's `off` threshold, as a share of its `on`.
HYSTERESIS = 0.6
LOWEST, HIGHEST = 0.10, 0.98
#: An unlabelled class that the teacher hears above this score may be there.
TEACHER_HEARS = 0.25
#: Columns in an hour.
COLUMNS_PER_HOUR = 22500


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


def operating_point(
    columns: list[np.ndarray], target: np.ndarray, doubtful: np.ndarray, config: dict
) -> dict[str, float]:
    """What the thresholds of `config` do: arguments as above.

    recall: mean over labels of the share of their clips in which a column reaches `on`. false_per_hour:
    runs of columns that begin at `on` and last to `off`, of labels that a clip lacks (doubtful ones left
    out) and that are not ancestors or descendants of what it has, an hour of audio, over all labels.
    """
    names = [config["id2label"][str(c)] for c in range(target.shape[1])]
    on = np.array([config["thresholds"][name]["on"] for name in names])
    off = np.array([config["thresholds"][name]["off"] for name in names])
    related = ontology.related(names, config["parents"])
    reached = np.array([(scores >= on).any(0) for scores in columns])
    counted = [c for c in range(len(names)) if target[:, c].sum() >= 3]
    recall = float(np.mean([reached[target[:, c], c].mean() for c in counted]))
    alarms, length = 0, 0
    for scores, has, unsure in zip(columns, target, doubtful):
        absent = ~(related[has].any(0) | unsure)
        length += len(scores)
        active = np.zeros(len(names), bool)
        for row in scores:
            opened = ~active & (row >= on)
            alarms += int((opened & absent).sum())
            active = (active & (row >= off)) | opened
    hours = length / COLUMNS_PER_HOUR
    return {"recall": recall, "false_per_hour": alarms / hours}
