"""The model card of a checkpoint that export.py ships."""

from __future__ import annotations

from collections.abc import Mapping

#: What evaluate.py writes: by split, then "clips" (scorer, figure) and "thresholds" (figure).
Figures = Mapping[str, Mapping[str, Mapping]]

_HEADER = """---
license: cc-by-nc-4.0
library_name: aumd
pipeline_tag: audio-classification
tags: [audio-tagging, sound-event-detection, audio-mamba, streaming]
---

# {name}: an early checkpoint

**This is an early checkpoint**, trained for {hours} on two processor cores so that aumd works the minute it is
installed. It is not the final default model. It hears clear, common sounds; expect it to miss many and to be wrong on
some. The figures below say how far it has come.

A streaming Audio Mamba (Erol et al., arXiv 2406.03344): {variant}, {n_layer} layers, D = {d_model}, N = {d_state},
{parameters:.2f} M parameters, {num_classes} AudioSet labels, one score vector every 160 ms. It is trained *dual-mode*: the
same weights run with the backward direction absent (provisional scores), from a right edge (confirmed scores) and over
a whole clip (offline). Weights are stored as F16. `config.json` says everything a program needs.
"""

_DATA = """## Data and licence

Trained on 6735 clips of a corpus of 9451 clips (11.4 h) with AudioSet labels: ESC-50 (K. J. Piczak, CC BY-NC 3.0; folds 1
to 3 only), Speech Commands (CC BY 4.0), Donate-a-Cry (ODbL), Picovoice benchmarks (Apache-2.0), Asterisk prompts and music
(CC BY-SA 3.0), music and effects of free games and programs (GPL, CC BY-SA, CC BY, CC0), General MIDI renders with
FluidR3_GM.sf2 and generated noise (CC0). ESC-50 makes the corpus non-commercial, so **the weights are CC BY-NC 4.0**; the
code of aumd is not affected. A second target was the embedding of YAMNet (TensorFlow Model Garden, Apache-2.0).

## Training

Mixtures of one to four clips at random times and levels, made while training: speed and pitch, synthetic rooms, microphone
responses, lost bands, hiss and hum, 8-bit samples, peaks from -50 to 0 dBFS, and noise or silence alone. Targets a column:
the labels of the clips that stand out there; labels that cannot be known there do not count. Losses: binary cross-entropy a
column and a clip, and the squared error to YAMNet's embedding. Each batch runs with the backward direction absent, cut at
random right edges, or full. {steps} steps of 16 mixtures of 4.8 s ({mixtures:.0f} thousand), AdamW, learning rate annealed by a
half cosine; the weights are an exponential average. `Training/README.md` has the commands.
"""

_THRESHOLDS = """## Thresholds

`on` in `config.json` is, for each label, the lowest score that at most {rate:.2%} of the columns without that label reach on
the validation split (provisional and confirmed scores together, clips where YAMNet hears the label left out), kept within
0.10 and 0.98; `off` is 0.6 `on`. They were not chosen on the test split.
"""

_WEAKNESSES = """## Known weaknesses

- Behind YAMNet on recorded sounds as a whole: it has seen about 24 recordings of most of its labels. On the test split it is
  poorest, and far behind YAMNet, on fireworks, breaking glass, train, siren, typing, engine, pigs and airplanes; it is poor at
  creaks, wind, footsteps, clock ticks, doors and breathing too.
- Labels that rest on General MIDI or generated clips (most single instruments, white and pink noise, mains hum, silence,
  tubular bells) have flattering figures; expect less from real instruments. The same soundfont is in all splits.
- Steady broadband noise near -60 to -45 dBFS may be called Silence and Noise at once; a faint 50 Hz hum at -50 dBFS is Silence.
- It was trained on 4.8 s at a time. In a long stream, what went before colours the provisional scores of what follows.
- Short sounds in noise and far sounds are often missed. Sounds outside its labels are taken for the nearest label it knows.
- Mechanisms, Clicking, and Burst, pop stand for a washing machine, mouse clicks and an opening can only.
- Onsets are known to the 160 ms column at best; the labels of the corpus hold for clips, not moments.
"""


def duration(seconds: float) -> str:
    """Hours and minutes in words."""
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def _figures(figures: Figures, labels: int) -> str:
    lines = [
        "## Measured\n",
        "Macro average precision over labels with at least 3 clips; clip scores pool column scores p as sum p² / sum p.",
        "YAMNet: its published scores averaged over each clip, on the same clips and labels.\n",
        "| split | scores | macro AP | macro AUC | AP, recordings only | AUC, recordings only |",
        "|---|---|---|---|---|---|",
    ]
    for split, parts in figures.items():
        for name, f in parts["clips"].items():
            row = " | ".join(f"{f[key]:.3f}" for key in ("ap", "auc", "ap_recordings", "auc_recordings"))
            lines.append(f"| {split} | {name} | {row} |")
    lines.append("")
    for split, parts in figures.items():
        recall, false = parts["thresholds"]["recall"], parts["thresholds"]["false_per_hour"]
        lines.append(
            f"At the thresholds, confirmed scores, {split} clips: {recall:.0%} of the clips of a label reach its `on` (mean over "
            f"labels); {false:.0f} false openings an hour over all {labels} labels together, in a corpus where every few seconds "
            "bring a new sound."
        )
    lines.append("\nThe test split holds ESC-50's fold 5 and other clips that neither training nor any choice looked at.\n")
    return "\n".join(lines)


def write(
    config: Mapping[str, object], parameters: int, checkpoint: Mapping[str, object],
    figures: Figures | None, rate: float,
) -> str:
    """The card as Markdown. `figures` is what evaluate.py wrote, by split and scorer."""
    steps = int(checkpoint["step"])
    head = _HEADER.format(**config | {"parameters": parameters / 1e6, "hours": duration(float(checkpoint["seconds"]))})
    data = _DATA.format(steps=steps, mixtures=steps * 16 / 1000)
    measured = _figures(figures, int(config["num_classes"])) if figures else "## Measured\n\nNot yet measured.\n"
    return "\n".join([head, measured, data, _THRESHOLDS.format(rate=rate), _WEAKNESSES])
