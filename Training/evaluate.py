#!/usr/bin/env python3
"""Measures a model folder on the corpus: macro average precision and AUC over labels, YAMNet beside it.

python3 Training/evaluate.py MODEL --corpus CORPUS --cache CACHE [--binary aumd] [--json FILE] [--teacher-only] [--per-label]

Scores come from PyTorch in all three modes (provisional, confirmed, offline), or with --binary from the program, which hears the files
themselves: `aumd listen --source`, and offline `aumd tag`. A label counts with at least 3
positives among the clips. YAMNet's scores are as published; beside them stand those of a linear probe on its embedding, which learned
the labels from the training split, as the model did. --teacher-only measures these anew, and leaves what FILE holds of the model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aumd_training import losses, metrics, probe, program
from aumd_training.corpus import GENERATED, AudioCache, Clip, Label, TeacherCache, read_labels, read_manifest, require_stamp, stamp, targets
from aumd_training.inference import MODES, clip_scores, column_logits, load_model
from aumd_training.segments import log_odds
from aumd_training.teacher import Teacher

#: YAMNet's scores of every clip, which our corpus has.
CORPUS_SCORES = "teacher/yamnet_scores.npz"

#: Scores of a clip (C) from the logits of its columns (T, C), and whether the backward direction ran.
POOLINGS: dict[str, Callable[[torch.Tensor, bool], torch.Tensor]] = {
    "mean-odds": clip_scores,
    "linear-softmax": lambda logits, _: losses.linear_softmax(logits.sigmoid()),
    "mean": lambda logits, _: logits.sigmoid().mean(0),
    "max": lambda logits, _: logits.sigmoid().amax(0),
}


def columns_from_torch(folder: Path, cache: Path, members: list[int], mode: str) -> list[np.ndarray]:
    """Column logits (T, C) of each clip in one mode."""
    config, model = load_model(folder)
    found = dict(column_logits(model, AudioCache(cache), members, mode, **config["streaming"], patch_grids=config.get("patch_grids", 1)))
    return [found[clip] for clip in members]


def columns_from_binary(binary: str, folder: Path, files: list[Path], labels: list[Label]) -> dict[str, list[np.ndarray]]:
    """Column logits (T, C) of each clip as `aumd listen` gives them, provisional ones at the end of each column."""
    found: dict[str, list[np.ndarray]] = {"provisional": [], "confirmed": []}
    for file in files:
        heard = program.listen(binary, folder, file, [label.name for label in labels])
        steps = round(program.COLUMN / heard.step)
        for mode, scores in (("provisional", heard.provisional[steps - 1 :: steps]), ("confirmed", heard.confirmed)):
            found[mode].append(log_odds(scores).astype(np.float32))
    return found


def pooled(columns: list[np.ndarray], pooling: str, mode: str) -> np.ndarray:
    """Clip scores (clips, C)."""
    return np.stack([POOLINGS[pooling](torch.from_numpy(logits), mode != "provisional").numpy() for logits in columns])


def scores_from_binary(
    binary: str, folder: Path, files: list[Path], labels: list[Label], weights: str = "float32"
) -> np.ndarray:
    """Clip scores (clips, C) as `aumd tag --mode offline` prints them."""
    index = {label.name: i for i, label in enumerate(labels)}
    out = np.zeros((len(files), len(labels)), np.float32)
    for row, record in zip(out, program.tag(binary, folder, files, "--weights", weights, "--mode", "offline", "--top", "all"), strict=True):
        for tag in record["tags"]:
            row[index[tag["label"]]] = tag["score"]
    return out


def scores_from_corpus(corpus: Path, members: list[int]) -> np.ndarray:
    """YAMNet's scores as the corpus has them, in 8 bits, averaged over each clip, (clips, C)."""
    teacher = np.load(corpus / CORPUS_SCORES)
    scores, offsets = teacher["scores"], teacher["offsets"]
    return np.stack([scores[offsets[clip] : offsets[clip + 1]].mean(0) / 255 for clip in members]).astype(np.float32)


def scores_from_teacher(corpus: Path, cache: Path, members: list[int], clips: list[Clip], labels: list[Label]) -> dict[str, np.ndarray]:
    """YAMNet's scores averaged over each clip's windows, and the probe's on its embedding, (clips, C) each.

    They are not rounded: in 8 bits small ones tie, which costs AUC.
    """
    hear, audio, known = Teacher(corpus / "teacher", labels).hear, AudioCache(cache), TeacherCache(cache)
    fitted, own, probed = probe.of_training(known, clips, labels), [], []
    for clip in members:
        scores, embeddings = zip(*map(hear, TeacherCache.windows(audio.clip(clip).astype(np.float32) / 32768)))
        own.append(np.mean(scores, axis=0))
        probed.append(fitted.logits(probe.clip_mean(known, np.stack(embeddings))).sigmoid().numpy())
    return {"YAMNet, not rounded": np.stack(own).astype(np.float32), metrics.PROBED: np.stack(probed)}


def figures(scores: np.ndarray, truth: np.ndarray, recorded: np.ndarray) -> dict[str, float]:
    """Macro figures over all clips and over recordings only."""
    everything, recordings = metrics.macro(scores, truth), metrics.macro(scores[recorded], truth[recorded])
    values = (everything[0], everything[1], metrics.d_prime(everything[1]), recordings[0], recordings[1])
    return dict(zip(metrics.FIGURES, values))


def intervals(scores: dict[str, np.ndarray], truth: np.ndarray, groups: list[str]) -> dict[str, dict[str, list[float]]]:
    """95 % intervals over recordings: of macro AP, and of how far offline scores are above, where there are any."""
    drawn = {name: metrics.resampled_ap(s, truth, groups) for name, s in scores.items()}
    out = {name: {"ap_recordings_interval": metrics.interval(ap)} for name, ap in drawn.items()}
    if "offline" in drawn:
        for name, ap in drawn.items():
            out[name]["behind_offline_interval"] = metrics.interval(drawn["offline"] - ap)
    return out


def labelled(scores: np.ndarray, truth: np.ndarray, labels: list[Label]) -> dict[str, dict[str, float]]:
    """Average precision by label."""
    return {"labels": {labels[c].name: values[0] for c, values in metrics.per_label(scores, truth).items()}}


def table(results: dict[str, dict[str, float]]) -> str:
    """A Markdown table, one row a scorer."""
    lines = ["| scores | macro AP | macro AUC | d′ | AP, recordings | AUC, recordings |", "|---|---|---|---|---|---|"]
    for name, f in results.items():
        row = " | ".join(f"{f[key]:.3f}" for key in metrics.FIGURES)
        lines.append(f"| {name} | {row} |")
    return "\n".join(lines)


def per_label_table(scores: dict[str, np.ndarray], truth: np.ndarray, labels: list[Label]) -> str:
    """Average precision of each label, one column a scorer."""
    values = {name: metrics.per_label(s, truth) for name, s in scores.items()}
    lines = ["| label | clips | " + " | ".join(scores) + " |", "|---|---|" + "---|" * len(scores)]
    for c in next(iter(values.values())):
        row = " | ".join(f"{values[name][c][0]:.3f}" for name in scores)
        lines.append(f"| {labels[c].name} | {int(truth[:, c].sum())} | {row} |")
    return "\n".join(lines)


def members_of(clips: list[Clip], split: str) -> list[int]:
    return [i for i, clip in enumerate(clips) if clip.split == split]


def scores_of_model(arguments: argparse.Namespace, members: list[int], clips: list[Clip], labels: list[Label]) -> dict[str, np.ndarray]:
    """Clip scores (clips, C) of MODEL by mode, of the program or of PyTorch."""
    if arguments.binary:
        files = [arguments.corpus / clips[i].path for i in members]
        columns = columns_from_binary(arguments.binary, arguments.model, files, labels)
        streamed = {mode: pooled(found, "mean-odds", mode) for mode, found in columns.items()}
        return streamed | {"offline": scores_from_binary(arguments.binary, arguments.model, files, labels)}
    return {
        mode: pooled(columns_from_torch(arguments.model, arguments.cache, members, mode), arguments.pooling, mode)
        for mode in MODES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--binary", help="the aumd program to measure instead of PyTorch")
    parser.add_argument("--splits", nargs="+", default=["validation", "test"])
    parser.add_argument("--pooling", choices=POOLINGS, default="mean-odds", help="of column scores, in PyTorch")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--teacher-only", action="store_true", help="only measure YAMNet; figures of MODEL stay as --json FILE has them")
    parser.add_argument("--per-label", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clips, labels = read_manifest(arguments.corpus / "manifest.csv"), read_labels(arguments.corpus / "labels.csv")
    require_stamp(arguments.cache, stamp(clips, labels))
    kept = json.loads(arguments.json.read_text()) if arguments.teacher_only and arguments.json and arguments.json.exists() else {}
    written = dict(kept)
    for split in arguments.splits:
        members = members_of(clips, split)
        truth = targets([clips[i] for i in members], labels)
        recorded = np.array([clips[i].source not in GENERATED for i in members])
        scores = {} if arguments.teacher_only else scores_of_model(arguments, members, clips, labels)
        if (arguments.corpus / CORPUS_SCORES).exists():
            scores["YAMNet"] = scores_from_corpus(arguments.corpus, members)
        scores |= scores_from_teacher(arguments.corpus, arguments.cache, members, clips, labels)
        spread = intervals({n: s[recorded] for n, s in scores.items()}, truth[recorded], [clips[i].group for i in np.array(members)[recorded]])
        before = kept.get(split, {})
        measured = {name: figures(s, truth, recorded) | spread[name] | labelled(s, truth, labels) for name, s in scores.items()}
        written[split] = before | {name: before.get(name, {}) | row for name, row in measured.items()}
        print(f"{split}: {len(members)} clips, {int(recorded.sum())} of them recordings\n\n{table(measured)}\n")
        if arguments.per_label:
            print(per_label_table(scores, truth, labels) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
