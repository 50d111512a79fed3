"""The model card of a checkpoint that export.py ships."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .eventmetrics import NEAR
from .metrics import FIGURES, PROBED

#: What is measured, by the name under which write_card.py takes it: what each command wrote with --json.
PARTS = ("clips", "streams", "robustness", "esc50")

#: Rows of clip scores that a label's own figures are given of, where they were measured, and their short names; the first is the model's.
OWN_ROWS = ("confirmed", "offline")
YAMNET_ROWS = {"YAMNet": "YAMNet", "YAMNet, not rounded": "YAMNet", PROBED: "the linear probe"}

#: Rates of calibrate.py for which the card has the event F1.
RATES = (5, 10, 20, 40, 80)

#: Sections of a card that no figure gives. A card that is written anew keeps what it has there, since whoever trains on other clips
#: knows better.
SECTIONS = ("Data and licence", "Known weaknesses")
SHIPPED = Path(__file__).resolve().parents[2] / "Sources/aumd/Resources/model/README.md"

_HEADER = """---
license: {license}
library_name: aumd
pipeline_tag: audio-classification
tags: [audio-tagging, sound-event-detection, audio-mamba, streaming]
---

# {name}: sounds, while they happen

Trained for {hours}. Expect it to miss faint and far sounds, and to be wrong on some.

A streaming Audio Mamba (Erol et al., arXiv 2406.03344): {variant}, {n_layer} layers, D = {d_model}, N = {d_state},
{parameters:.2f} M parameters, {num_classes} labels, one score vector every 160 ms, every 80 ms while it
is provisional: a mean over two patch grids, half a column apart. It is trained *dual-mode*: the
same weights run with the backward direction absent (provisional scores), from a right edge (confirmed scores) and over
a whole clip (offline). Weights are stored as F16. `config.json` says everything a program needs.
"""

_TRAINING = """## Training

Mixtures of one to four clips at random times and levels, made while training: speed and pitch, synthetic rooms, microphone
responses, lost bands, hiss and hum, 8-bit samples, peaks from -50 to 0 dBFS, and noise or silence alone; or scenes, of the
clips' loudest sounds only, the first 4 to 34 dB above a room's noise, much as the soundscapes below are made of other clips. So
figures of events are of a kind of sound that training knows. Targets a column: the labels of the clips that stand out there;
labels that cannot be known there do not count. Losses: binary cross-entropy a column and a clip, the squared error to
YAMNet's embedding, and the divergence of the label probabilities that a linear probe on that embedding gives. Each batch runs
with the backward direction absent, cut at random right edges, or full. AdamW, learning rate annealed by a half cosine; the weights
are an exponential average. The probe's logits, as the predicted embedding has them, are a share of the shipped head's: both are
linear in the encoder's output.

A run after the first began with the weights of the one before; steps are of so many mixtures of 4.8 s. *Heard both ways*: each mixture with and
without the backward direction, the scores without following those with. *Layers skipped*: the last one in so many of the batches,
earlier ones less. *Features hidden* from the head. *Probe*: its share of the logits. *Mixed* with so much of the weights before.

{runs}

`Training/README.md` has the commands.
"""

_THRESHOLDS = """## Thresholds

`on`, `off` and `provisional_on` in `config.json` were chosen by `Training/calibrate.py` on streams of the validation split:
for each label the `on` that is best for events at a stated number of false alarms an hour (5 unless another is asked for; what YAMNet
hears too is not counted: there are birds in the rain), measured on sounds that the choice had not heard: halves of the streams that
share no recording. A label whose scores hover, as steady noise makes them, needs more than its `on`: `habituation` times the mean
of its log odds above a score of 0.02, at most 2, over the last ten seconds outside its events. And the `provisional_on` that is lowest while no more than a fifth of the label's provisional events is taken back
there (what is held against it is the score that is expected one column later, where scores are rising). Labels without events there,
such as Noise, have an `on` higher than most.
"""

_NO_THRESHOLDS = """## Thresholds

None are chosen: `config.json` has no `thresholds`, so the program takes its defaults for every label. `Training/calibrate.py` chooses them.
"""


def duration(seconds: float) -> str:
    """Hours and minutes in words."""
    minutes = max(1, round(seconds / 60))
    if minutes == 1:
        return "1 minute"
    return f"{minutes} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def _hours(runs: Sequence[Mapping]) -> str:
    """How long on what; runs that do not say so were on two processor cores."""
    spent = {"two processor cores": 0.0, "a processor": 0.0, "a GPU": 0.0}
    for run in runs:
        spent[{"cpu": "a processor", "cuda": "a GPU"}.get(run.get("device"), "two processor cores")] += float(run["seconds"])
    return " and ".join(f"{duration(seconds)} on {what}" for what, seconds in spent.items() if seconds)


def _runs(runs: Sequence[Mapping]) -> list[str]:
    """The runs behind a checkpoint as modelfolder.runs has them, a row each."""
    lines = ["| run | steps | layers, D | took | in streams of up to | scenes | besides |", "|---|---|---|---|---|---|---|"]
    for number, run in enumerate(runs, 1):
        # D of a run that does not say it is that of the next one that does.
        width = next((later["d_model"] for later in runs[number - 1 :] if "d_model" in later), None)
        size = f"{run['n_layer']}, {width}" if width else f"{run['n_layer']}"
        took = f"{duration(run['seconds'])}{', on a GPU' if run.get('device') == 'cuda' else ''}"
        besides = [told for told in (
            run.get("muon") and "Muon for the projections",
            run.get("follow_weight") and "heard both ways",
            run.get("drop_path") and f"layers skipped up to {run['drop_path']:.0%}",
            run.get("dropout") and f"features hidden {run['dropout']:.0%}",
            run.get("probe") and f"probe {run['probe']:.0%}",
            run.get("mixed") and f"mixed with {run['mixed']:.0%}",
        ) if told]
        lines.append(
            f"| {number} | {run['steps']} of {run.get('batch', 16)} | {size} | {took} | {run.get('joined', 1)} "
            f"| {run.get('scenes', 0):.0%} | {', '.join(besides)} |"
        )
    return lines


def _clips(figures: Mapping) -> list[str]:
    there = {name for parts in figures.values() for name in parts}
    lines = ["### Clips\n", "Macro average precision over labels with at least 3 clips. Clip scores are the mean odds of columns"]
    lines[-1] += ", provisional ones after the third." if "provisional" in there else "."
    if "YAMNet, not rounded" in there:
        lines.append("YAMNet, on the same clips and labels, as published, not trained on these clips: its scores, averaged over each clip.")
    if "YAMNet" in there:
        lines.append("Those that come with the corpus are in 8 bits, which costs AUC; those not rounded are of the corpus' compressed clips.")
    if PROBED in there:
        lines.append("The fair comparison is what its embedding gives once a linear probe has learned the labels from the training split, as the")
        lines.append("model did.")
    lines += [
        "\n| split | scores | macro AP | macro AUC | d′ | AP, recordings only | AUC, recordings only |",
        "|---|---|---|---|---|---|---|",
    ]
    for split, parts in figures.items():
        for name, f in parts.items():
            row = " | ".join(f"{f[key]:.3f}" for key in FIGURES)
            lines.append(f"| {split} | {name} | {row} |")
    lines += ["", *(_behind(split, parts) for split, parts in figures.items() if "behind_offline_interval" in parts.get("provisional", {}))]
    split = "test" if "test" in figures else next(iter(figures))
    own = next((name for name in OWN_ROWS if name in figures[split]), None)
    if own is None:
        return lines
    named: dict[str, str] = {}  # short name -> row; of YAMNet's own, the first that is there
    for name, short in YAMNET_ROWS.items():
        if name in figures[split]:
            named.setdefault(short, name)
    values = {short: figures[split][name]["labels"] for short, name in {own: own, **named}.items()}
    ranked = sorted(values[own], key=values[own].get)
    lines += [f"\n<details><summary>Average precision of each label on the {split} split, the poorest first</summary>\n"]
    lines += [f"| label | {' | '.join(values)} |", "|---|" + "---|" * len(values)]
    lines += [f"| {label} | {' | '.join(f'{v[label]:.3f}' for v in values.values())} |" for label in ranked]
    return lines + ["\n</details>", "", _poorest(values.pop(own), values)]


def _behind(split: str, parts: Mapping[str, Mapping]) -> str:
    """How certain the figures of a split are, and how far scores that know less are behind."""
    told = []
    for name in ("provisional", "confirmed"):
        low, high = parts[name]["behind_offline_interval"]
        gap = parts["offline"]["ap_recordings"] - parts[name]["ap_recordings"]
        told.append(f"{name} scores are {100 * gap:.1f} points behind offline ones ({100 * low:.1f} to {100 * high:.1f})")
    low, high = parts["confirmed"]["ap_recordings_interval"]
    return f"On {split}'s recordings {', '.join(told)}; confirmed AP lies between {low:.3f} and {high:.3f} (95 %, bootstrap over recordings).  "


def _trade_off(curve: Sequence[Mapping[str, float]]) -> str:
    """Event F1 and false alarms an hour on the test split, at thresholds that keep a rate on validation."""
    told = []
    for rate in RATES:
        kept = [point for point in curve if point["validation_false_per_hour"] <= rate]
        if kept:
            best = max(kept, key=lambda point: point["validation_f1"])
            told.append(f"{rate:g}: {best['f1']:.3f}, with {best['false_per_hour']:.0f} an hour on test")
    return "; ".join(told)


def _streams(figures: Mapping) -> list[str]:
    own = figures["aumd"]
    lines = [
        "### Streams\n",
        f"Soundscapes of known events and held-out {_listed(_kinds(own['false_per_hour']))}, of the test split, through the program;",
        "`Training/README.md` says how they are made and counted. A new clip begins every few seconds in the held-out streams.\n",
        "| | |", "|---|---|",
        f"| event F1, onset within 200 ms, mean over labels | {own['onset_f_measure']:.3f} |",
    ]
    if trade_off := _trade_off(figures.get("curve", [])):
        lines.append(f"| the same from scores alone, by the false alarms an hour that `calibrate.py --rate` was asked for on validation | {trade_off} |")
    if "YAMNet" in figures:
        teacher = figures["YAMNet"]
        lines.append(
            f"| YAMNet, thresholds chosen for F1 alone, at its best hop, its scores moved by the {teacher['shift']:g} s that are best "
            f"| {teacher['best F1']['onset_f_measure']:.3f} |"
        )
    yamnet = ""
    if "YAMNet" in figures:
        at = [figures["YAMNet"][f"{name}_at"] for name in ("psds1", "psds2")]
        means = ", ".join(f"over {one['mean_over']:.2g} s every {one['hop']:.2g} s" for one in at)
        yamnet = f" (YAMNet {figures['YAMNet']['psds1']:.3f}, {figures['YAMNet']['psds2']:.3f}, as means of its scores that are best on validation: {means})"
    return lines + [
        f"| PSDS 1, PSDS 2, spread over labels not punished (alpha_st 0) | {own['psds1']:.3f}, {own['psds2']:.3f}{yamnet} |",
        *_timing(own["timing"], own["timing_overlapping"]),
        f"| provisional events taken back as not confirmed, and as part of another event | soundscapes {_taken_back(own['retractions'])}; "
        f"held-out streams {_taken_back(own['retractions_heldout'])} |",
        f"| false alarms an hour, all labels | {_by_kind(own['false_per_hour'])} |",
        *([f"| those that YAMNet does not hear too | {_by_kind(own['alone_false_per_hour'])} |"] if "alone_false_per_hour" in own else []),
    ]


def _timing(near: Mapping[str, Mapping], wide: Mapping[str, Mapping]) -> list[str]:
    """Errors and delays, and of which events: those that begin near a sound of their label; with `wide`, or overlap one."""
    closed, count, more = near["closed"], near["onset_error"]["count"], wide["onset_error"]["count"]
    if not count:
        return [f"| onset and offset error, delays | none of {closed} events begins within {NEAR:g} s of a sound of its label |"]
    lines = [
        f"| {end} error, confirmed | of the {count} of {closed} events that begin within {NEAR:g} s of a sound of their label: {_errors(near[key])}; "
        f"of the {more} that do or overlap one: {_errors(wide[key])} |"
        for end, key in (("onset", "onset_error"), ("offset", "offset_error"))
    ]
    shares, first = near["shares"], near["provisional_delay"]
    announced = "none of them had one" if not first["count"] else (
        f"median {first['median']:.2f} s; {shares['announced']:.0%} of them had one, {shares['within_0.35_s']:.0%} had it within 0.35 s, "
        f"{shares['named_within_0.35_s']:.0%} within 0.35 s and under the label that was confirmed"
    )
    lines.append(f"| onset to provisional event, of those {count} | {announced} |")
    if near["confirmed_delay"]["count"]:
        lines.append(f"| onset to confirmed event, of those {count} | median {near['confirmed_delay']['median']:.2f} s |")
    return lines


def _errors(spread: Mapping[str, float]) -> str:
    return f"median {1000 * spread['median']:.0f} ms, 95 % within {spread['p95']:.2f} s"


def _kinds(false: Mapping[str, float]) -> list[str]:
    """The kinds of held-out streams that there were."""
    return [kind for kind in ("speech", "music", "background", "quiet") if kind in false]


def _by_kind(false: Mapping[str, float]) -> str:
    parts = [f"quiet rooms {false[kind]:.1f}" if kind == "quiet" else f"{kind} {false[kind]:.0f}" for kind in _kinds(false)]
    return f"{false['all']:.0f}: {', '.join(parts)}"


def _taken_back(shares: Mapping[str, float]) -> str:
    return f"{shares['not_confirmed']:.0%} and {shares['absorbed']:.0%}"


def _listed(names: Sequence[str]) -> str:
    """In lower case, the label's first name, with an "and"."""
    short = [name.split(",")[0].lower() for name in names]
    return " and ".join([", ".join(short[:-1]), short[-1]] if len(short) > 1 else short)


def _poorest(own: Mapping[str, float], others: Mapping[str, Mapping[str, float]]) -> str:
    """Where the model does worst, and where it is furthest behind each of the others."""
    parts = [f"It is poorest at {_listed(sorted(own, key=own.get)[:6])}"]
    for name, other in others.items():
        behind = sorted((label for label in own if other[label] - own[label] > 0.2), key=lambda label: own[label] - other[label])
        if behind:
            parts.append(f"far behind {name} on {_listed(behind[:6])}")
    return ", and ".join(parts) + "."


def _robustness(figures: Mapping) -> list[str]:
    lines = [
        "### Distorted clips\n",
        "Test split, through the program, offline. It fills up a clip's last column, which the figures of clips above leave out.\n", "| clips | macro AP | AP, recordings only |", "|---|---|---|",
    ]
    return lines + [f"| {name} | {f['ap']:.3f} | {f['ap_recordings']:.3f} |" for name, f in figures.items()]


def _esc50(figures: Mapping) -> list[str]:
    lines = [
        "### ESC-50\n",
        "A linear probe on each clip's embedding, through the program (`aumd tag --mode embedding`), or YAMNet's, trained on folds 1 to 3, its",
        "penalty the best of six on fold 4; the model was trained without folds 4 and 5, but fold 4 is validation, by which it was chosen.",
        "Fold 5 is what nothing looked at; as published figures have it, the probe learns from the four other folds.\n",
        "| embedding | fold 4 | fold 5 | fold 5, probe trained on folds 1 to 4 |", "|---|---|---|---|",
    ]
    folds = ("fold 4", "fold 5", "fold 5, folds 1 to 4")
    return lines + [f"| {name} | {' | '.join(f'{100 * f[fold]:.1f} %' for fold in folds)} |" for name, f in figures.items()]


def _measured(figures: Mapping[str, Mapping]) -> str:
    writers = {"clips": _clips, "streams": _streams, "robustness": _robustness, "esc50": _esc50}
    parts = ["\n".join(writers[name](figures[name])) for name in PARTS if name in figures]
    if not parts:
        return "## Measured\n\nNot yet measured.\n"
    end = "Neither training nor `calibrate.py` looks at the test split."
    return "\n\n".join(["## Measured", *parts, end]) + "\n"


def prose(text: str) -> dict[str, str]:
    """What a card has in SECTIONS; of those that it lacks, nothing."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return {title: body.strip() + "\n" for title, body in zip(parts[::2], parts[1::2], strict=True) if title in SECTIONS}


#: What the card of the model that aumd ships has there.
PROSE = prose(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.exists() else {}


def write(config: Mapping[str, object], parameters: int, figures: Mapping[str, Mapping], prose: Mapping[str, str] = PROSE) -> str:
    """The card as Markdown, of config.json's content; `figures` holds what was measured, by part."""
    head = _HEADER.format(**config | {"parameters": parameters / 1e6, "hours": _hours(config["training"])})
    training = _TRAINING.format(runs="\n".join(_runs(config["training"])))
    thresholds = _THRESHOLDS if config.get("thresholds") else _NO_THRESHOLDS
    data, weaknesses = (f"## {title}\n\n{prose[title]}" if title in prose else "" for title in SECTIONS)
    return "\n".join(part for part in (head, data, training, _measured(figures), thresholds, weaknesses) if part)
