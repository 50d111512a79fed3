"""Figures of merit over events; F1 by sed_eval, PSDS by sed_scores_eval.

Every event counts under its label and each ancestor, and so does every reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .annotation import Event, merged
from .program import Heard, Told
from .timeline import Timeline

#: Seconds; the offset's collar is at least this, or a fifth of the event.
COLLAR = 0.2
#: Seconds after the onset by which a provisional event should have opened.
PROMPT = 0.35
#: How far, in seconds, the onset of a told event may lie from a sound's to be that sound's.
NEAR = 1.0
#: Thresholds of the PSDS, evenly spaced in log odds.
LEVELS = 1 / (1 + np.exp(-np.linspace(-6.0, 7.0, 50)))
#: PSDS of DCASE 2021 task 4: scenario 1 rewards exact times, scenario 2 labels that are not confused. Without the penalty
#: on spread between labels (alpha_st), which brings every system to 0 with a hundred labels of very different difficulty.
PSDS = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 0.0, "max_efpr": 100.0},
    "psds2": {
        "dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 0.0,
        "max_efpr": 100.0,
    },
}


def told_events(told: Told, start: float, names: set[str]) -> list[Event]:
    """An event under its label and its ancestors; `start` seconds are added."""
    if told.retracted or told.offset is None:
        return []
    return [Event(told.onset + start, told.offset + start, label) for label in (told.label, *told.parents) if label in names]


def estimated(runs: Sequence[Heard], starts: np.ndarray, names: set[str]) -> list[Event]:
    """Every event that was closed, on the timeline, ancestors included, without columns' gaps between them."""
    return merged((e for run, start in zip(runs, starts) for told in run.events for e in told_events(told, start, names)), 0.16)


def event_f1(references: Sequence[Event], events: Sequence[Event]) -> dict[str, float]:
    """F1, precision and recall: mean over the labels that have references, and over all events; onsets only, and both ends."""
    import sed_eval

    labels = sorted({event.label for event in references})
    known = set(labels)

    def rows(found: Sequence[Event]) -> list[dict]:
        return [
            {"file": "timeline", "event_label": e.label, "event_onset": e.onset, "event_offset": e.offset}
            for e in found if e.label in known
        ]

    out = {}
    for name, both in (("onset", False), ("onset_offset", True)):
        metric = sed_eval.sound_event.EventBasedMetrics(
            labels, evaluate_onset=True, evaluate_offset=both, t_collar=COLLAR, percentage_of_length=0.2,
            event_matching_type="optimal",
        )
        metric.evaluate(rows(references), rows(events))
        single = [metric.results_class_wise_metrics()[label]["f_measure"] for label in labels]
        for key in ("f_measure", "precision", "recall"):
            values = [0.0 if np.isnan(row[key]) else row[key] for row in single]
            out[f"{name}_{key}"] = float(np.mean(values))
        out[f"{name}_micro_f_measure"] = float(metric.results_overall_metrics()["f_measure"]["f_measure"])
    return out


def psds(line: Timeline, references: Sequence[Event]) -> dict[str, float]:
    """PSDS of the timeline's scores over the labels that have references."""
    import pandas
    from sed_scores_eval import intersection_based

    labels = sorted({event.label for event in references})
    columns = [list(line.names).index(label) for label in labels]
    steps = np.concatenate([[0], LEVELS])
    scores = steps[np.searchsorted(LEVELS, line.scores[:, columns], "right")]
    bounds = np.append(np.searchsorted(line.centres, line.starts), len(scores))
    tables, truth, seconds = {}, {}, {}
    for i, start in enumerate(line.starts):
        name, length = f"{i:03}", (bounds[i + 1] - bounds[i]) * line.step
        table = pandas.DataFrame(scores[bounds[i] : bounds[i + 1]], columns=labels)
        edges = np.round(np.arange(len(table) + 1) * line.step, 6)
        table.insert(0, "onset", edges[:-1])
        table.insert(1, "offset", edges[1:])
        tables[name], seconds[name] = table, length
        truth[name] = [
            (e.onset - start, e.offset - start, e.label) for e in references if start <= e.onset < start + length
        ]
    out = {}
    for name, settings in PSDS.items():
        out[name] = float(intersection_based.psds(tables, truth, seconds, **settings)[0])
    return out


def spread(values: Sequence[float]) -> dict[str, float]:
    """Number, median, and 95th percentile."""
    if not len(values):
        return {"count": 0, "median": float("nan"), "p95": float("nan")}
    return {"count": len(values), "median": float(np.median(values)), "p95": float(np.percentile(values, 95))}


def sound_of(told: Told, reference: Sequence[Event], overlapping: bool = False) -> Event | None:
    """The sound of a closed event's label whose onset is nearest, at most NEAR apart; with `overlapping`, else of those it overlaps."""
    own = [e for e in reference if e.label == told.label]
    found = [e for e in own if abs(e.onset - told.onset) <= NEAR]
    if overlapping and not found:
        found = [e for e in own if e.onset < told.offset and told.onset < e.offset]
    return min(found, key=lambda e: abs(e.onset - told.onset), default=None)


def closed_events(
    runs: Sequence[Heard], references: Sequence[Sequence[Event]], names: set[str], overlapping: bool = False
) -> Iterator[tuple[Told, Event | None]]:
    """Closed events whose label counts, each with its sound by `sound_of`. references: the events of each run, ancestors included."""
    for run, reference in zip(runs, references):
        for told in run.events:
            if not told.retracted and told.offset is not None and told.label in names:
                yield told, sound_of(told, reference, overlapping)


def timing(runs: Sequence[Heard], references: Sequence[Sequence[Event]], names: set[str], overlapping: bool = False) -> dict:
    """Errors and delays in seconds of closed events that have a sound by `sound_of`, and how many are closed.

    references: the events of each run, ancestors included; names: the labels that count. Delays count from the true onset to when the stream had come so
    far as to tell: `provisional` where the event opened so, `confirmed` where the second pass confirmed or opened it. An event may
    have opened under a relative's label; "named" counts those that did not.
    """
    onset, offset, bias, provisional, confirmed, early, named, closed = [], [], [], [], [], [], [], 0
    for told, sound in closed_events(runs, references, names, overlapping):
        closed += 1
        if sound is None:
            continue
        bias.append(told.onset - sound.onset)
        onset.append(abs(bias[-1]))
        offset.append(abs(told.offset - sound.offset))
        early.append(told.provisional)
        named.append(told.provisional and told.opened_as == told.label and told.opened_at - sound.onset <= PROMPT)
        if told.provisional:
            provisional.append(told.opened_at - sound.onset)
        if told.confirmed_at is not None:
            confirmed.append(told.confirmed_at - sound.onset)
    prompt = np.asarray(provisional)
    return {
        "closed": closed, "onset_error": spread(onset), "onset_bias": spread(bias), "offset_error": spread(offset),
        "provisional_delay": spread(provisional), "confirmed_delay": spread(confirmed),
        "shares": {
            "announced": float(np.mean(early)) if early else float("nan"),
            "within_0.35_s": float(np.sum(prompt <= PROMPT) / len(early)) if early else float("nan"),
            "named_within_0.35_s": float(np.mean(named)) if named else float("nan"),
            "announced_within_0.35_s": float(np.mean(prompt <= PROMPT)) if len(prompt) else float("nan"),
        },
    }


def retraction_rate(runs: Sequence[Heard]) -> dict[str, float]:
    """Of the events that opened provisional, the shares taken back as not confirmed and as part of another event."""
    opened = [told for run in runs for told in run.events if told.provisional]
    absorbed = sum(told.retracted and told.reason == "absorbed" for told in opened)
    taken = sum(told.retracted for told in opened)
    count = max(1, len(opened))
    return {"opened": len(opened), "not_confirmed": (taken - absorbed) / count, "absorbed": absorbed / count}


def false_events(
    runs: Sequence[Heard], line: Timeline, allowed: np.ndarray
) -> list[tuple[int, Told]]:
    """(run, event) of closed or retracted events during which neither the label nor a relative sounds."""
    from .eventcalibration import is_false

    index, out = {name: i for i, name in enumerate(line.names)}, []
    for number, (run, start) in enumerate(zip(runs, line.starts)):
        for told in run.events:
            end = told.offset if told.offset is not None else told.onset + line.step
            span = np.array([[told.onset + start, max(end, told.onset) + start]])
            if is_false(span, allowed[:, index[told.label]], line.centres)[0]:
                out.append((number, told))
    return out
