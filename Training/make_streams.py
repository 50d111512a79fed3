#!/usr/bin/env python3
"""Makes the long sounds that thresholds are chosen on (validation) and streams are measured on (test).

python3 Training/make_streams.py OUTDIR --corpus CORPUS --cache CACHE [--splits validation test]

OUTDIR/<split>/soundscapes: minutes of known events over quiet rooms, by Scaper; a .jams and a .tsv each. The two halves of
the validation split's share no recording, so that thresholds chosen on one can be tried on the other.
OUTDIR/<split>/heldout: speech, music, background and quiet, near and far; a .tsv each says what sounds.
Events of the test split are recordings; those of the validation split include rendered instruments,
which have no recordings to choose a threshold on. The same call makes the same samples.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from aumd_training import foreground, heldout, ontology, soundscapes
from aumd_training.commands import InputError, ended, warn
from aumd_training.corpus import GENERATED, AudioCache, read_corpus, stamp
from aumd_training.data import NOISE_LABELS

SEEDS = {"validation": 100_000, "test": 200_000}
#: Minutes of soundscapes. An hour has nine events of a label, too few of its sounds to choose a threshold by.
SOUNDSCAPES = {"validation": 180, "test": 60}
#: Sounds of one label.
PER_LABEL = 12


def make(arguments: argparse.Namespace) -> None:
    """Writes the streams of each split."""
    clips, labels = read_corpus(arguments.corpus)
    for split in arguments.splits:
        if not any(clip.split == split for clip in clips):
            raise InputError(f"The manifest has no clip of the split {split}; --splits leaves it out.")
    names = [label.name for label in labels]
    parents, audio = ontology.ancestors(names), AudioCache(arguments.cache, stamp(clips, labels))
    for split in arguments.splits:
        members = [i for i, clip in enumerate(clips) if clip.split == split]
        excluded = GENERATED if split == "test" else {"synthetic"}
        events = [i for i in members if clips[i].source not in excluded and not set(clips[i].labels) & set(NOISE_LABELS)]
        seed, folder = SEEDS[split], arguments.outdir / split
        sounds = foreground.collect(audio, clips, events, parents, names, PER_LABEL, np.random.default_rng(seed))
        parts = foreground.halved(sounds, clips) if split == "validation" else (sounds,)
        if not all(parts):
            least = "two recordings" if split == "validation" else "one recording"
            raise InputError(f"The split {split} needs sounds of {least} at least, other than noise, that stand out and have labels of labels.csv.")
        (folder / "soundscapes").mkdir(parents=True, exist_ok=True)
        (folder / "heldout").mkdir(exist_ok=True)
        for part in ("soundscapes", "heldout"):  # what YAMNet heard in streams that were here before
            (folder / part / "yamnet.npz").unlink(missing_ok=True)
        count = SOUNDSCAPES[split] // len(parts)
        for i, part in enumerate(parts):
            soundscapes.write_soundscapes(folder / "soundscapes", part, parents, count, seed + 1000 * i, first=i * count)
        shutil.rmtree(folder / "soundscapes/sources")
        hours = heldout.write_streams(folder / "heldout", audio, clips, members, seed)
        warn(f"{folder}: {sentence}" for sentence in heldout.lacks(hours))
        print(f"{folder}: {len(sounds)} labels, {sum(map(len, sounds.values()))} sounds, {SOUNDSCAPES[split]} soundscapes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, metavar="OUTDIR")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--splits", nargs="+", default=list(SEEDS), choices=SEEDS)
    return ended(make, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
