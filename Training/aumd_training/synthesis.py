"""Sounds and distortions that augmentation makes itself. Samples are float32 in [-1, 1], (n)."""

from __future__ import annotations

import numpy as np

Generator = np.random.Generator


def decibels(value: float) -> float:
    """Amplitude of a level in dB."""
    return float(10.0 ** (value / 20))


def rms(samples: np.ndarray) -> float:
    """Root mean square, never zero."""
    return float(np.sqrt(np.mean(np.square(samples)) + 1e-20))


def noise_bank(seconds: int = 20, seed: int = 0) -> np.ndarray:
    """Noise with spectra from f^0.5 to f^-2, rms 1, (6, n)."""
    generator = np.random.default_rng(seed)
    count = seconds * 16000
    spectrum = np.fft.rfft(generator.standard_normal((6, count)), axis=1)
    frequency = np.maximum(np.arange(spectrum.shape[1]) * 16000 / count, 30.0)
    slopes = np.array([0.0, 0.0, -0.5, -0.5, -1.0, 0.25])  # of the amplitude
    noise = np.fft.irfft(spectrum * frequency ** slopes[:, None], count, axis=1)
    return (noise / np.sqrt(np.mean(noise**2, axis=1, keepdims=True))).astype(np.float32)


def noise(bank: np.ndarray, count: int, generator: Generator) -> np.ndarray:
    """A random piece of the bank, rms about 1; sometimes with hum."""
    row = bank[generator.integers(len(bank))]
    start = generator.integers(len(row) - count)
    out = row[start : start + count].copy()
    if generator.random() < 0.15:
        base, t = generator.choice([50.0, 60.0, 100.0, 120.0]), np.arange(count, dtype=np.float32) / 16000
        for harmonic in range(1, generator.integers(2, 6)):
            out += generator.random() * np.sin(2 * np.pi * base * harmonic * t + generator.random() * 6)
        out /= rms(out)
    return out


def reverberate(samples: np.ndarray, generator: Generator) -> np.ndarray:
    """Adds the tail of a synthetic room: exponentially decaying noise, 0.1 to 0.8 s to -60 dB."""
    seconds = generator.uniform(0.1, 0.8)
    count = int(seconds * 16000)
    tail = generator.standard_normal(count).astype(np.float32) * np.exp(-6.9 * np.arange(count) / count)
    tail *= decibels(generator.uniform(-20, 0)) / np.sqrt(np.sum(tail**2))
    size = 1 << (len(samples) + count).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return samples + wet.astype(np.float32)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Plays `factor` times faster, pitch and all, by linear interpolation."""
    position = np.arange(0, len(samples) - 1, factor)
    index = position.astype(np.int64)
    fraction = (position - index).astype(np.float32)
    return samples[index] * (1 - fraction) + samples[index + 1] * fraction


def quantise(samples: np.ndarray, bits: int) -> np.ndarray:
    """Rounds to `bits` bits without dither."""
    steps = float(1 << (bits - 1))
    return np.rint(samples * steps) / steps
