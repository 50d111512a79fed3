#!/usr/bin/env python3
"""Decodes the corpus and runs the teacher once, so that training reads memory-mapped arrays.

python3 Training/prepare.py CORPUS CACHE
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from aumd_training.corpus import AudioCache, TeacherCache, read_manifest

EMBEDDING_TENSOR = "global_average_pooling2d/Mean"
EMBEDDING = 1024


def decode(corpus: Path, cache: Path, paths: list[str]) -> None:
    """Writes audio.npy and audio_offsets.npy."""

    def read(path: str) -> np.ndarray:
        samples, rate = soundfile.read(corpus / path, dtype="int16")
        if rate != 16000 or samples.ndim != 1:
            raise ValueError(f"{path}: expected mono audio at 16 kHz, found {rate} Hz")
        return samples

    with ThreadPoolExecutor(2) as pool:
        clips = list(pool.map(read, paths))
    np.save(cache / "audio_offsets.npy", np.concatenate([[0], np.cumsum([len(c) for c in clips])]))
    np.save(cache / "audio.npy", np.concatenate(clips))


def teach(corpus: Path, cache: Path, splits: list[str]) -> None:
    """Writes YAMNet's scores and embeddings; test clips get no embedding (their rows stay zero)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        str(corpus / "teacher/yamnet.tflite"), num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    audio_in = interpreter.get_input_details()[0]["index"]
    embedding = embedding_tensor(interpreter)
    published = np.load(corpus / "teacher/yamnet_scores.npz")
    offsets, rows = published["offsets"], len(published["scores"])
    audio = AudioCache(cache)
    out = np.lib.format.open_memmap(cache / "teacher_embeddings.npy", "w+", np.float16, (rows, EMBEDDING))
    for clip, split in enumerate(splits):
        if split == "test":
            continue
        samples = audio.clip(clip).astype(np.float32) / 32768
        for i, row in enumerate(range(offsets[clip], offsets[clip + 1])):
            window = np.zeros(TeacherCache.WINDOW, np.float32)
            piece = samples[i * TeacherCache.HOP :][: TeacherCache.WINDOW]
            window[: len(piece)] = piece
            interpreter.set_tensor(audio_in, window.reshape(interpreter.get_input_details()[0]["shape"]))
            interpreter.invoke()
            out[row] = interpreter.get_tensor(embedding).reshape(-1)
        if clip % 500 == 0:
            print(f"teacher: {clip} of {len(splits)} clips", flush=True)
    out.flush()
    train = np.concatenate([np.arange(offsets[k], offsets[k + 1]) for k, s in enumerate(splits) if s == "train"])
    values = out[train].astype(np.float32)
    np.save(cache / "teacher_mean.npy", values.mean(0))
    np.save(cache / "teacher_std.npy", values.std(0) + 1e-3)
    np.save(cache / "teacher_scores.npy", published["scores"])
    np.save(cache / "teacher_offsets.npy", offsets)
    np.save(cache / "teacher_has_label.npy", published["yamnet_index"] >= 0)


def embedding_tensor(interpreter) -> int:
    """Index of YAMNet's inner tensor of 1024 values: the average over its last feature map."""
    return next(d["index"] for d in interpreter.get_tensor_details() if d["name"].endswith(EMBEDDING_TENSOR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    clips = read_manifest(arguments.corpus / "manifest.csv")
    decode(arguments.corpus, arguments.cache, [clip.path for clip in clips])
    teach(arguments.corpus, arguments.cache, [clip.split for clip in clips])


if __name__ == "__main__":
    main()
