"""Log-mel as the daemon's frontend computes it (Kaldi's filter bank, no dither), in PyTorch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SAMPLE_RATE = 16000
FRAME_LENGTH = 400
HOP_LENGTH = 160
N_FFT = 512
N_MELS = 128
F_MIN, F_MAX = 20.0, 8000.0
PREEMPHASIS = 0.97
LOG_FLOOR = torch.finfo(torch.float32).eps
COLUMN_FRAMES = 16
COLUMN_SAMPLES = COLUMN_FRAMES * HOP_LENGTH

#: Mean and standard deviation of AudioSet's log-mel; inputs are (x - MEAN) / (2 STD).
MEAN, STD = -4.2677393, 4.5689974


def frame_count(samples: int) -> int:
    """Frames that fit whole."""
    return max(0, 1 + (samples - FRAME_LENGTH) // HOP_LENGTH)


def samples_for(columns: int) -> int:
    """Fewest samples that give `columns` whole columns."""
    return (columns * COLUMN_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH


def mel_filters() -> Tensor:
    """Triangles that are linear on the HTK mel scale, over the bins below Nyquist: (N_MELS, N_FFT / 2) float64."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hertz / 700.0)

    edges = torch.linspace(
        1127.0 * math.log1p(F_MIN / 700.0), 1127.0 * math.log1p(F_MAX / 700.0), N_MELS + 2, dtype=torch.float64
    )
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = mel(torch.arange(N_FFT // 2, dtype=torch.float64) * SAMPLE_RATE / N_FFT)
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0)


def analysis_matrix() -> Tensor:
    """DC removal, pre-emphasis, window and DFT of one frame as one matrix, (FRAME_LENGTH, N_FFT) float64.

    All four are linear, and one product is several times faster than the steps. Columns: real parts, then
    imaginary parts, of the bins below Nyquist, which the filters leave out.
    """
    frames = torch.eye(FRAME_LENGTH, dtype=torch.float64)
    frames = frames - frames.mean(-1, keepdim=True)
    previous = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    window = torch.hann_window(FRAME_LENGTH, periodic=False, dtype=torch.float64)
    spectrum = torch.fft.rfft((frames - PREEMPHASIS * previous) * window, n=N_FFT)[:, : N_FFT // 2]
    return torch.cat([spectrum.real, spectrum.imag], dim=1)


class LogMel(torch.nn.Module):
    """Samples in [-1, 1], (…, n) -> log-mel (…, frames, 128), natural logarithm."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("analysis", analysis_matrix().to(dtype), persistent=False)
        self.register_buffer("filters", mel_filters().T.contiguous().to(dtype), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        parts = (samples.unfold(-1, FRAME_LENGTH, HOP_LENGTH) @ self.analysis).square()
        real, imaginary = parts.chunk(2, dim=-1)
        return ((real + imaginary) @ self.filters).clamp_min(LOG_FLOOR).log()
