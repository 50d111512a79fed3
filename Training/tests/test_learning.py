"""make_background.py and evaluate_learning.py: what `aumd learn` tells new sounds from, and how well it does."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("safetensors", reason="needs safetensors")
soundfile = pytest.importorskip("soundfile", reason="needs soundfile")

import evaluate_learning  # noqa: E402
import make_background  # noqa: E402
from aumd_training import grids, modelfolder  # noqa: E402
from aumd_training.commands import InputError  # noqa: E402
from aumd_training.corpus import Label  # noqa: E402
from aumd_training.inference import features  # noqa: E402
from aumd_training.model import AudioMamba, ModelConfig  # noqa: E402
from aumd_training.program import Told  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

SIZES = ModelConfig(d_model=48, n_layer=2, d_state=8, num_classes=3)
RATE = evaluate_learning.RATE


@pytest.fixture
def model() -> AudioMamba:
    torch.manual_seed(0)
    return AudioMamba(SIZES).eval()


@pytest.mark.parametrize("patch_grids", [1, 2])
def test_the_head_makes_the_logits_of_the_features(model: AudioMamba, patch_grids: int) -> None:
    logmel = torch.randn(2, 12 * 16, 128, generator=torch.Generator().manual_seed(1))
    provisional, confirmed = features(model, logmel, 4, 2, patch_grids)
    assert provisional.shape == (2, 12 * patch_grids, 48) and confirmed.shape == (2, 12, 48)
    with torch.no_grad():
        own, other = model(logmel, backward=False), model(grids.shifted(logmel), backward=False)
        want = own if patch_grids == 1 else grids.stepped(own, other)
        assert torch.allclose(model.head(provisional), want, atol=1e-5)
        own, other = model.confirmed(logmel, 4, 2), model.confirmed(grids.shifted(logmel), 4, 2, ahead=1)
        assert torch.allclose(model.head(confirmed), own if patch_grids == 1 else grids.blended(own, other), atol=1e-5)


def test_the_background_is_of_every_kind_and_the_same_each_time(
    model: AudioMamba, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_background, "PIECES", 2)
    generator = np.random.default_rng(1)
    for number, kind in enumerate((*make_background.KINDS, "scenes")):
        path = tmp_path / "streams/validation" / ("soundscapes/000.wav" if kind == "scenes" else f"heldout/{kind}-near.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * generator.standard_normal(25 * RATE) * (number + 1) / 5, RATE)
    labels = [Label(f"/m/{i}", f"Label {i}") for i in range(3)]
    tensors = model.state_dict()
    config = modelfolder.describe(
        tensors, labels, name="test", license="x", dual_mode=True, parents={}, training=[], patch_grids=2, streaming={"chunk": 8, "lookahead": 4}
    )
    modelfolder.write(tmp_path / "model", config, tensors, "")
    arguments = [str(tmp_path / "model"), "--streams", str(tmp_path / "streams")]
    monkeypatch.setattr("sys.argv", ["make_background.py", *arguments])
    found = []
    for _ in range(2):
        assert make_background.main() == 0
        found.append(load_file(tmp_path / "model/background.safetensors")["features"])
    # Two pieces of four kinds and the one scene, in two directions.
    assert found[0].shape == (9 * 2 * make_background.DRAWN, 48) and found[0].dtype == torch.float16
    assert torch.equal(*found) and len(found[0].unique(dim=0)) == len(found[0])

    soundfile.write(tmp_path / "streams/validation/heldout/quiet-near.wav", np.zeros(RATE), RATE)
    assert make_background.main() == 65


def test_new_sounds_are_those_of_the_right_length_without_silence_around_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_learning, "COUNT", 2)
    tone = np.sin(np.arange(RATE) * 0.3)
    silence = np.zeros(RATE)
    for name, samples in {"one": tone, "deep/two": np.concatenate([silence, tone, silence]), "short": tone[:2000], "none": silence}.items():
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples * 0.5, RATE)
    found = evaluate_learning.sounds(tmp_path)
    assert sorted(found) == ["one", "two"] and all(abs(len(samples) - RATE) < 100 for samples in found.values())
    monkeypatch.setattr(evaluate_learning, "COUNT", 3)
    with pytest.raises(InputError, match="has 2 sounds of 0.3 to 5 s, 3 are wanted"):
        evaluate_learning.sounds(tmp_path)


def test_a_scene_has_each_sound_as_far_above_what_else_is_there() -> None:
    sound = np.sin(np.arange(RATE) * 0.3).astype(np.float32)
    others = (0.01 * np.random.default_rng(1).standard_normal(60 * RATE)).astype(np.float32)
    scene = evaluate_learning.scene([sound, sound], others, 20, True)
    first = int(evaluate_learning.LEAD * RATE)
    assert len(scene) == int((evaluate_learning.LEAD + 2 * evaluate_learning.PERIOD) * RATE)
    level = 20 * np.log10(np.std(scene[first : first + RATE]) / 0.01)
    assert 17 < level < 21 and np.std(scene[: first - 1]) < 0.011


def test_figures_count_what_was_recognised_and_what_else_of_its_folder_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_learning, "TOGETHER", 2)
    names, new = ["a", "b", "c"], [np.zeros(RATE)] * 3

    def told(label: str, onset: float, opened_as: str | None = None) -> Told:
        return Told(label, (), "confirmed", onset, onset + 0.3, opened_as or label, onset, opened_as != "late")

    at = [evaluate_learning.LEAD + evaluate_learning.PERIOD * number for number in range(3)]
    events = [told("a", at[0] + 0.1), told("b", at[0]), told("c", at[0]), told("c", at[2], "late"), told("b", at[1] + 5)]
    figures = evaluate_learning.found(events, names, new)
    assert figures == pytest.approx({"recognised": 2 / 3, "another of its folder too": 1 / 3, "announced": 1 / 2, "delay": 0.4})
