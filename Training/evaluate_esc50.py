#!/usr/bin/env python3
"""ESC-50's fold 5 by a linear probe on the model's embedding, beside the same probe on YAMNet's.

python3 Training/evaluate_esc50.py MODEL --corpus CORPUS --cache CACHE --binary aumd [--json FILE]

Embeddings: the program's, which is the mean over a clip's columns, on each patch grid, of what the head reads (D values), all columns seen at once
(`aumd tag --mode embedding`); YAMNet's (1024 values), mean over its windows. The probe is a logistic regression on standardised features, trained
on folds 1 to 3; its regularisation is the best on fold 4, and it is then trained on folds 1 to 4.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aumd_training import program
from aumd_training.corpus import AudioCache, TeacherCache, read_labels, read_manifest, require_stamp, stamp
from aumd_training.teacher import Teacher

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def teacher_features(teacher: Teacher, audio: AudioCache, members: list[int]) -> np.ndarray:
    """(clips, 1024)."""
    out = []
    for clip in members:
        samples = audio.clip(clip).astype(np.float32) / 32768
        out.append(np.mean([teacher.hear(window)[1] for window in TeacherCache.windows(samples)], axis=0))
    return np.stack(out)


def accuracy(features: np.ndarray, classes: np.ndarray, split: np.ndarray) -> tuple[float, float, float]:
    """Accuracy on folds 4 and 5 of a probe trained on folds 1 to 3, and on fold 5 of one trained on folds 1 to 4."""
    train, validation, test = (np.flatnonzero(split == name) for name in ("train", "validation", "test"))
    most = np.concatenate([train, validation])

    def probe(strength: float, rows: np.ndarray):
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000)).fit(features[rows], classes[rows])

    best = max((probe(c, train).score(features[validation], classes[validation]), -c) for c in STRENGTHS)
    few, many = probe(-best[1], train), probe(-best[1], most)
    return best[0], few.score(features[test], classes[test]), many.score(features[test], classes[test])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--binary", required=True, help="the aumd program")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--no-teacher", action="store_true", help="leave YAMNet out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips, labels = read_manifest(arguments.corpus / "manifest.csv"), read_labels(arguments.corpus / "labels.csv")
    require_stamp(arguments.cache, stamp(clips, labels))
    members = [i for i, clip in enumerate(clips) if clip.source == "esc50"]
    classes = np.array([";".join(clips[i].labels) for i in members])
    split, audio = np.array([clips[i].split for i in members]), AudioCache(arguments.cache)
    heard = program.tag(arguments.binary, arguments.model, [arguments.corpus / clips[i].path for i in members], "--mode", "embedding")
    found = {"aumd": np.array([record["embedding"] for record in heard])}
    if not arguments.no_teacher:
        found["YAMNet"] = teacher_features(Teacher(arguments.corpus / "teacher", labels), audio, members)
    written = {}
    for name, features in found.items():
        fourth, few, many = accuracy(features, classes, split)
        written[name] = {"fold 4": fourth, "fold 5": few, "fold 5, folds 1 to 4": many}
        print(f"{name}: fold 4 {fourth:.3f}; fold 5 {few:.3f} trained on folds 1 to 3, {many:.3f} on folds 1 to 4", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
