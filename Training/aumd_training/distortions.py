"""What rooms, telephones and cheap converters do to a clip. Samples are float32 in [-1, 1], (n), at 16 kHz."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import signal

from . import synthesis

RATE = 16000
TALKERS = 6


def quieter(samples: np.ndarray) -> np.ndarray:
    """30 dB down."""
    return samples * np.float32(synthesis.decibels(-30))


def narrowband(samples: np.ndarray) -> np.ndarray:
    """Sampled at 8 kHz and back: nothing above 4 kHz."""
    return signal.resample_poly(signal.resample_poly(samples, 1, 2), 2, 1)[: len(samples)].astype(np.float32)


def telephone(samples: np.ndarray) -> np.ndarray:
    """Band-pass from 300 to 3400 Hz, 24 dB an octave."""
    filters = signal.butter(4, [300, 3400], "bandpass", fs=RATE, output="sos")
    return signal.sosfilt(filters, samples).astype(np.float32)


def babble(speech: Sequence[np.ndarray], seconds: int, seed: int) -> np.ndarray:
    """TALKERS voices at once from clips of speech at one level, rms 1, (seconds * RATE)."""
    generator, count = np.random.default_rng(seed), seconds * RATE
    out = np.zeros(count, np.float32)
    for _ in range(TALKERS):
        parts, total = [], 0
        while total < count:
            clip = speech[generator.integers(len(speech))]
            parts.append(clip / max(synthesis.rms(clip), 1e-4))
            total += len(clip)
        out += np.concatenate(parts)[:count]
    return out / synthesis.rms(out)


def with_babble(noise: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Adds a random piece of `noise` (rms 1) at 0 dB to a clip's rms."""
    generator = np.random.default_rng(seed)

    def add(samples: np.ndarray) -> np.ndarray:
        start = generator.integers(len(noise) - len(samples))
        mixed = samples + synthesis.rms(samples) * noise[start : start + len(samples)]
        return mixed / max(1.0, float(np.abs(mixed).max()))

    return add
