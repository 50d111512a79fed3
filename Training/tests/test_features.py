"""Log-mel against the frontend's golden, which torchaudio's Kaldi filter bank wrote."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors")

from aumd_training.features import LogMel, frame_count, samples_for  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "Tests/FrontendTests/Golden/fbank.safetensors"


def test_log_mel_matches_kaldi_on_real_audio() -> None:
    tensors = safetensors.load_file(GOLDEN)
    names = [name.removesuffix(".samples") for name in tensors if name.endswith(".samples")]
    assert len(names) == 6
    for name in names:
        got = LogMel(torch.float64)(tensors[f"{name}.samples"].double() / 32768)
        assert (got - tensors[f"{name}.logmel"]).abs().max() < 2e-4
        single = LogMel()(tensors[f"{name}.samples"].float() / 32768)
        audible = tensors[f"{name}.logmel"] > -10
        assert (single - tensors[f"{name}.logmel"]).abs()[audible].max() < 3e-4


@pytest.mark.parametrize("columns", [1, 2, 30])
def test_samples_for_columns_is_the_least(columns: int) -> None:
    assert frame_count(samples_for(columns)) == 16 * columns
    assert frame_count(samples_for(columns) - 1) < 16 * columns
