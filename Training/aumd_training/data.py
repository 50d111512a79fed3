"""Unlimited training mixtures: clips at random times and levels, noise, rooms, silence.

Every mixture says, column by column, which labels are known to be on, known to be off, or unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from . import synthesis
from .corpus import AudioCache, Clip, Label, TeacherCache, require_stamp, stamp, targets
from .features import COLUMN_SAMPLES, samples_for
from .foreground import faded, sounding_part
from .ontology import ancestors, unsaid
from .teacher import EMBEDDING, Teacher

#: A column of a clip counts as sounding above this share of the clip's loudest column (-30 dB).
SOUNDING = 1e-3
#: A label is known to be on where its clip stands above this share of everything else (-14 dB).
AUDIBLE = 0.04
#: The teacher hears an unlabelled class above this score: unknown, not off.
TEACHER_HEARS = 0.25
#: Share of the mixtures that the teacher hears as a whole; in the others its target is the dominant clip, heard clean.
HEARD = 0.75
#: How far a scene's first sound, in its loudest column, stands above the room's noise, in dB, and the noise's rms, in dBFS.
SCENE_SNR = (4.0, 34.0)
SCENE_NOISE = (-66.0, -42.0)
#: Levels of a mixture's other clips, in their loudest columns, against the first, in dB.
OTHERS = (-18.0, 8.0)
#: Share of the clips that are played faster or slower, and by how much at most, in natural logarithms: a third of an octave.
RESPEED, SPEED = 0.6, 0.24
#: Bands of mel that are blanked in each mixture, each at most 14 wide.
MASKS = 2
#: Labels that noise makes true or doubtful.
NOISE_LABELS = ("Silence", "Noise", "White noise", "Pink noise", "Mains hum")


@dataclass
class Placed:
    """A clip inside a mixture."""

    clip: int
    samples: np.ndarray  # (n) float32, mixture time
    teacher_row: np.ndarray  # (T) int64, row of TeacherCache, -1 where the clip is not there


class Mixtures(IterableDataset):
    """Endless examples (samples (n), target (T, C), known (T, C), embedding (T, 1024) float16, its weight (T)).

    The embedding is the teacher's, standardised over the training split. A share `scenes` of the mixtures is single sounds in a
    room's noise, as a microphone mostly hears them. `seed`: as many numbers as tell this stretch of training from all others, or a
    run that goes on from another's weights would hear that one's mixtures again.
    """

    def __init__(
        self, cache: Path, teacher: Path, clips: list[Clip], labels: list[Label], columns: int, seed: Sequence[int],
        scenes: float = 0.0,
    ) -> None:
        self.cache, self.columns, self.count, self.seed, self.scenes = cache, columns, samples_for(columns), seed, scenes
        self.teacher_folder, self.label_set = teacher, labels
        self.labels, self.made_of = targets(clips, labels), stamp(clips, labels)  # (clips, C)
        require_stamp(cache, self.made_of)
        names = [label.name for label in labels]
        parents, index = ancestors(names), {name: i for i, name in enumerate(names)}
        self.unsaid = [[index[name] for name in unsaid(clip.labels, names, parents)] for clip in clips]
        self.noise_labels = [names.index(name) for name in NOISE_LABELS if name in names]
        self.silence = names.index("Silence") if "Silence" in names else None
        self.train = np.array([i for i, clip in enumerate(clips) if clip.split == "train"])
        self.train = self.train[self.labels[self.train].sum(1) > 0]
        self.by_label = [self.train[self.labels[self.train, c] > 0] for c in range(len(labels))]
        self.by_label = [members for members in self.by_label if len(members)]

    def __iter__(self):
        worker = get_worker_info()
        self.random = np.random.default_rng([*self.seed, worker.id if worker else 0])
        self.audio, self.teacher = AudioCache(self.cache, self.made_of), TeacherCache(self.cache, self.made_of)
        self.live_teacher = Teacher(self.teacher_folder, self.label_set)
        self.bank = synthesis.noise_bank()
        while True:
            yield self.example()

    def draw_clip(self) -> int:
        """A clip of a label drawn evenly, or now and then any clip."""
        pool = self.train if self.random.random() < 0.25 else self.by_label[self.random.integers(len(self.by_label))]
        return int(self.random.choice(pool))

    def is_quiet(self, clip: int) -> bool:
        """Clips of silence keep their level and are mixed with nothing."""
        return self.silence is not None and self.labels[clip, self.silence] > 0

    def place(self, clip: int, single: bool = False) -> Placed:
        """Cuts, distorts and places one clip at a random time; its loudest column has rms 0.1 (silence: as found).

        `single`: only the clip's loudest sound, where it has one that pauses bound.
        """
        r = self.random
        source = self.audio.clip(clip).astype(np.float32) / 32768
        part = sounding_part(source) if single and not self.is_quiet(clip) else None
        first = part[0] if part else 0
        if part:
            source = faded(source[part[0] : part[1]])
        speed = float(np.exp(r.uniform(-SPEED, SPEED))) if r.random() < RESPEED else 1.0
        if speed != 1.0:
            source = synthesis.change_speed(source, speed)
        blocks = max(1, len(source) // COLUMN_SAMPLES)
        energy = np.square(source[: blocks * COLUMN_SAMPLES].reshape(blocks, -1)).mean(1)
        anchor = r.choice(np.flatnonzero(energy >= SOUNDING * energy.max())) * COLUMN_SAMPLES
        at = int(r.integers(0, self.count))  # the anchor's time in the mixture
        if len(source) > self.count // 2 and r.random() < 0.7:  # long clips fill the mixture
            at = int(np.clip(at, self.count - (len(source) - anchor), anchor)) if len(source) >= self.count else at
        start = at - anchor
        samples = np.zeros(self.count, np.float32)
        low, high = max(0, start), min(self.count, start + len(source))
        samples[low:high] = source[low - start : high - start]
        if not self.is_quiet(clip):
            if r.random() < 0.2:
                samples = synthesis.reverberate(samples, r)
            samples *= 0.1 / max(np.sqrt(energy.max()), 1e-4)
        centre = (np.arange(self.columns) * COLUMN_SAMPLES + COLUMN_SAMPLES // 2 - start) * speed
        present = (centre >= 0) & (centre < len(source) * speed)
        row, end = self.teacher.offsets[clip : clip + 2]
        window = np.clip(np.rint((first + centre) / TeacherCache.HOP - 1), 0, end - row - 1).astype(np.int64) + row
        return Placed(clip, samples, np.where(present, window, -1))

    def example(self) -> tuple[np.ndarray, ...]:
        """One mixture."""
        r = self.random
        placed: list[Placed] = []
        scene = r.random() < self.scenes
        if r.random() > 0.06:
            placed.append(self.place(self.draw_clip(), scene))
            wanted = r.choice([1, 2, 3, 4], p=[0.45, 0.33, 0.15, 0.07])
            while len(placed) < wanted and not self.is_quiet(placed[0].clip):
                extra = self.draw_clip()
                if not self.is_quiet(extra):
                    placed.append(self.place(extra, scene))
                    placed[-1].samples *= synthesis.decibels(r.uniform(*OTHERS))
        quiet = not placed or self.is_quiet(placed[0].clip)
        mixture = sum((p.samples for p in placed), np.zeros(self.count, np.float32))
        gain, noise_rms = self.levels(float(np.abs(mixture).max()), bool(placed), quiet, scene)
        for p in placed:
            p.samples *= gain
        noise = synthesis.noise(self.bank, self.count, r) * noise_rms if noise_rms else np.zeros(self.count, np.float32)
        mixture = mixture * gain + noise
        if r.random() < 0.15:
            mixture = synthesis.quantise(mixture, 8 if np.abs(mixture).max() > 0.1 else 16)
        mixture = np.clip(mixture, -1, 1).astype(np.float32)
        target, known, rows, weight = self.annotate(placed, noise, noise_rms, quiet)
        embedding = self.teacher.embeddings[np.maximum(rows, 0)].astype(np.float32)
        if not quiet and r.random() < HEARD:
            embedding, weight = self.hear(mixture)
        embedding = np.clip((embedding - self.teacher.mean) / self.teacher.std, -5, 5)
        return mixture, target, known, embedding.astype(np.float16), weight

    def levels(self, peak: float, sounds: bool, quiet: bool, scene: bool) -> tuple[float, float]:
        """Gain of the clips, whose sum has `peak`, and rms of the noise (0: none)."""
        r, noise_rms = self.random, 0.0
        if quiet:
            noise_rms = 0.0 if sounds and r.random() < 0.6 else synthesis.decibels(r.uniform(-100, -30))
            return synthesis.decibels(r.uniform(-12, 0)), noise_rms
        highest = synthesis.decibels(-0.5) / (peak + 1e-9)
        if scene:
            noise_rms = synthesis.decibels(r.uniform(*SCENE_NOISE))
            return min(highest, noise_rms / 0.1 * synthesis.decibels(r.uniform(*SCENE_SNR))), noise_rms
        gain = highest * synthesis.decibels(r.uniform(-13.5, 0) if r.random() < 0.5 else r.uniform(-49.5, 0))
        if r.random() < 0.4:
            noise_rms = synthesis.decibels(r.uniform(-90, -50))
        if r.random() < 0.3:
            noise_rms = max(noise_rms, 0.1 * gain * synthesis.decibels(-r.uniform(0, 30)))
        return gain, noise_rms

    def hear(self, mixture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's embedding of the mixture itself, at a level that suits it: (T, 1024), weight (T).

        A column takes the window it lies in, but for the first third, where a stream has not heard enough of it.
        """
        level = 0.5 / max(float(np.abs(mixture).max()), 1e-6)
        embedding, weight = np.zeros((self.columns, EMBEDDING), np.float32), np.zeros(self.columns, np.float32)
        centre = np.arange(self.columns) * COLUMN_SAMPLES + COLUMN_SAMPLES // 2
        windows = -(-self.count // TeacherCache.WINDOW)
        for start in np.linspace(0, self.count - TeacherCache.WINDOW, windows).astype(np.int64):
            _, heard = self.live_teacher.hear(mixture[start : start + TeacherCache.WINDOW] * level)
            inside = (centre >= start + TeacherCache.WINDOW // 3) & (centre < start + TeacherCache.WINDOW)
            embedding[inside], weight[inside] = heard, 1
        return embedding, weight

    def annotate(self, placed: list[Placed], noise: np.ndarray, noise_rms: float, quiet: bool) -> tuple[np.ndarray, ...]:
        """Targets (T, C), known (T, C), teacher rows (T), weight (T) of a mixture."""

        def column_energy(samples: np.ndarray) -> np.ndarray:
            whole = samples[: self.columns * COLUMN_SAMPLES].reshape(self.columns, -1)
            return np.square(whole).mean(1) + 1e-14

        target = np.zeros((self.columns, self.labels.shape[1]), np.float32)
        known = np.ones_like(target)
        energies = [column_energy(p.samples) for p in placed]
        everything = sum(energies, column_energy(noise))
        rows, weight = np.full(self.columns, -1, np.int64), np.zeros(self.columns, np.float32)
        best = np.zeros(self.columns)
        for p, energy in zip(placed, energies):
            on = self.labels[p.clip] > 0
            there = p.teacher_row >= 0
            sounding = there & (energy >= SOUNDING * energy.max()) if not quiet else there
            audible = sounding & (energy >= AUDIBLE * (everything - energy)) if not quiet else there
            target[np.ix_(audible, on)] = 1
            known[np.ix_(there & ~audible, on)] = 0
            # A column of which the clip has less than half, or its echo alone.
            known[np.ix_(~there & (energy >= SOUNDING * energy.max()) & (energy >= AUDIBLE * (everything - energy)), on)] = 0
            known[np.ix_(there, self.unsaid[p.clip])] = 0
            heard = self.teacher.scores[np.maximum(p.teacher_row, 0)] > 255 * TEACHER_HEARS
            known[heard & ~on & there[:, None]] = 0
            dominant = sounding & (energy > 2 * (everything - energy)) & (energy > best)
            rows[dominant], best[dominant], weight[dominant] = p.teacher_row[dominant], energy[dominant], 1
        if self.silence is not None and not quiet:
            known[target.sum(1) == 0, self.silence] = 0
        if noise_rms > synthesis.decibels(-66):
            known[:, self.noise_labels] = 0
        elif not placed and self.silence is not None:
            target[:, self.silence] = 1
        known[target > 0] = 1
        return target, known, rows, weight


def colour(logmel: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random microphones and masks on log-mel (B, frames, 128): smooth responses, lost bands, masked bands."""
    batch, _, bands = logmel.shape

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator).to(logmel.device, non_blocking=True)

    curve = (uniform(batch, 1, 7) - 0.5) * 4.0 * uniform(batch, 1, 1)  # natural log of power: up to +-9 dB
    curve = torch.nn.functional.interpolate(curve, bands, mode="linear", align_corners=True)
    band = torch.arange(bands, device=logmel.device)
    cutoff = torch.where(uniform(batch, 1, 1) < 0.08, 60 + 50 * uniform(batch, 1, 1), 999.0)
    low_cut = torch.where(uniform(batch, 1, 1) < 0.08, 25 * uniform(batch, 1, 1), -1.0)
    curve = curve - 9.0 * ((band > cutoff) | (band < low_cut))
    logmel = torch.clamp_min(logmel + curve, -15.9424)
    for _ in range(MASKS):
        start, width = uniform(batch, 1, 1) * bands, uniform(batch, 1, 1) * 20 - 6
        logmel = torch.where((band >= start) & (band < start + width), logmel.mean(2, keepdim=True), logmel)
    return logmel
