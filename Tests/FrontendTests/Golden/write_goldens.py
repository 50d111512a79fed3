#!/usr/bin/env python3
"""Writes fbank.safetensors: log-mel of real clips as torchaudio's Kaldi filter bank computes it.

python3 Tests/FrontendTests/Golden/write_goldens.py CORPUS
For each clip: I16 `<name>.samples` (n) and F32 `<name>.logmel` (frames, 128), samples divided by
32768. It runs in float64: in float32 torchaudio itself is up to 1.2e-3 away from that, in bands near
the floor that lie beside loud ones. Needs torchaudio: its Python module compliance/kaldi.py is enough, the package need not import.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile
import torch
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent

#: name: (path in the corpus, first sample, samples)
CLIPS = {
    "speech": ("audio/speech_commands/house_d7d733d2_nohash_0.opus", 0, 16000),
    "rooster_zeros": ("audio/esc50/01_rooster_33.opus", None, 20000),
    "chainsaw_loud": ("audio/esc50/41_chainsaw_28.opus", 16000, 16000),
    "tabla": ("audio/sonic_pi/tabla_tun3.opus", 0, 19211),
    "birds_quiet": ("audio/blanket/birds_040.opus", 32000, 18007),
    "marimba": ("audio/gm_render/marimba_xylophone_003.opus", 8000, 20007),
}


def kaldi() -> ModuleType:
    """torchaudio.compliance.kaldi, loaded by itself where the package's own libraries do not load."""
    try:
        import torchaudio.compliance.kaldi as module

        return module
    except (ImportError, OSError):
        pass
    package = next(Path(p) / "torchaudio" for p in sys.path if (Path(p) / "torchaudio/compliance/kaldi.py").exists())
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    spec = importlib.util.spec_from_file_location("kaldi", package / "compliance/kaldi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def excerpt(samples: np.ndarray, start: int | None, count: int) -> np.ndarray:
    """I16 samples; with no start, centred on the first exact zeros that follow sound."""
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    if start is None:
        run = np.convolve(pcm == 0, np.ones(800), "valid") == 800
        loud = np.convolve(np.abs(pcm) > 1000, np.ones(4000), "same") > 0
        start = int(np.argmax(run & loud[: len(run)])) - count // 2
    return pcm[max(0, start) : max(0, start) + count]


def main(corpus: Path) -> None:
    fbank = kaldi().fbank
    tensors = {}
    for name, (path, start, count) in CLIPS.items():
        samples, rate = soundfile.read(corpus / path, dtype="float32")
        assert rate == 16000
        pcm = excerpt(samples, start, count)
        logmel = fbank(
            torch.from_numpy(pcm.astype(np.float64) / 32768)[None], htk_compat=True, sample_frequency=16000,
            use_energy=False, window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10, snip_edges=True,
        )
        tensors[f"{name}.samples"], tensors[f"{name}.logmel"] = pcm, logmel.float().numpy()
        print(f"{name}: {len(pcm)} samples, {np.mean(pcm == 0):.0%} zeros, peak {np.abs(pcm.astype(int)).max()}, {len(logmel)} frames")
    save_file(tensors, HERE / "fbank.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
