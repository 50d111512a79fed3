#!/usr/bin/env python3
"""Decodes a corpus and runs the teacher (YAMNet) once, so that training reads memory-mapped arrays.

python3 Training/prepare.py CORPUS CACHE

CORPUS holds manifest.csv (path, source, labels, group, split), labels.csv and the clips, mono at
16 kHz. CORPUS/teacher holds yamnet.tflite and yamnet_class_map.csv. Test clips
are decoded, but the teacher does not hear them. CACHE is of use only to this manifest and these labels:
whoever opens it with others is refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from aumd_training.commands import InputError, ended, warn
from aumd_training.corpus import STAMP, AudioCache, Clip, Label, TeacherCache, doubts, read_corpus, stamp
from aumd_training.teacher import EMBEDDING, Teacher

#: Clips that a process takes at a time.
PART = 100


def read(path: Path) -> np.ndarray | str:
    """A clip's samples (n) int16, or what is wrong with it."""
    if not path.is_file():
        return "is missing"
    try:
        samples, rate = soundfile.read(path, dtype="int16")
    except soundfile.LibsndfileError as error:
        return f"cannot be read ({error.error_string.rstrip('.')})"
    if rate != 16000 or samples.ndim != 1:
        return f"has {rate} Hz and {1 if samples.ndim == 1 else samples.shape[1]} channels"
    return samples if len(samples) else "has no samples"


def decode(corpus: Path, cache: Path, paths: list[str]) -> None:
    """Writes audio.npy and audio_offsets.npy."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clips = list(pool.map(read, [corpus / path for path in paths]))
    bad = [f"{path} {found}" for path, found in zip(paths, clips) if isinstance(found, str)]
    if bad:
        raise InputError(f"{len(bad)} of {len(paths)} clips are not mono at 16 kHz, convert them or take them out of the manifest: {'; '.join(bad)}.")
    np.save(cache / "audio_offsets.npy", np.concatenate([[0], np.cumsum([len(c) for c in clips])]))
    np.save(cache / "audio.npy", np.concatenate(clips))


def hear(cache: Path, folder: Path, labels: list[Label], members: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's scores (rows, C) uint8 and embeddings (rows, 1024) float16 of the windows of some clips, in one process."""
    audio, teacher = AudioCache(cache), Teacher(folder, labels)
    windows = (window for i in members for window in TeacherCache.windows(audio.clip(i).astype(np.float32) / 32768))
    heard = [teacher.hear(window) for window in windows]
    return np.stack([np.rint(255 * scores) for scores, _ in heard]).astype(np.uint8), np.stack([e for _, e in heard]).astype(np.float16)


def teach(cache: Path, clips: list[Clip], folder: Path, labels: list[Label]) -> None:
    """Writes the arrays of TeacherCache."""
    audio = AudioCache(cache)
    counts = [TeacherCache.window_count(len(audio.clip(i))) for i in range(len(clips))]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    embeddings = np.lib.format.open_memmap(
        cache / "teacher_embeddings.npy", "w+", np.float16, (int(offsets[-1]), EMBEDDING)
    )
    scores = np.zeros((offsets[-1], len(labels)), np.uint8)
    members = [i for i, clip in enumerate(clips) if clip.split != "test"]
    parts, done = [members[i : i + PART] for i in range(0, len(members), PART)], 0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for part, heard in zip(parts, pool.map(partial(hear, cache, folder, labels), parts)):
            rows = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in part])
            scores[rows], embeddings[rows] = heard
            done += len(part)
            print(f"teacher: {done} of {len(members)} clips", flush=True)
    embeddings.flush()
    train = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i, c in enumerate(clips) if c.split == "train"])
    values = embeddings[train].astype(np.float32)
    np.save(cache / "teacher_mean.npy", values.mean(0))
    np.save(cache / "teacher_std.npy", values.std(0) + 1e-3)
    np.save(cache / "teacher_scores.npy", scores)
    np.save(cache / "teacher_offsets.npy", offsets)


def prepare(arguments: argparse.Namespace) -> None:
    """Writes the cache, its stamp last."""
    corpus, cache = arguments.corpus, arguments.cache
    clips, labels = read_corpus(corpus)
    warn(doubts(clips, labels))
    Teacher(corpus / "teacher", labels)  # what is wrong with it shows before the long part
    cache.mkdir(parents=True, exist_ok=True)
    (cache / STAMP).unlink(missing_ok=True)
    decode(corpus, cache, [clip.path for clip in clips])
    teach(cache, clips, corpus / "teacher", labels)
    (cache / STAMP).write_text(stamp(clips, labels) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("cache", type=Path, metavar="CACHE")
    return ended(prepare, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
