"""convert.py on checkpoints with the published tensor names, made here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors")

from aumd_training import reference, splitmix  # noqa: E402
from aumd_training.corpus import read_labels  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "convert.py"
GOLDEN = Path(__file__).resolve().parents[2] / "Tests/aumdTests/Golden"
COLUMNS = 5


def published(variant: str) -> dict:
    """A small state dict: D = 48, 2 layers, 80 frames, 3 classes."""
    config = {
        "variant": variant, "d_model": 48, "n_layer": 2, "d_state": 8, "d_conv": 4, "expand": 2, "dt_rank": 3,
        "num_classes": 3, "position": "absolute", "pooling": "cls-middle",
    }
    shapes = reference.tensor_shapes(config, 8 * COLUMNS)
    return {name: torch.from_numpy(splitmix.tensor(name, shape, 7, 2, 4)) for name, shape in shapes.items()}


def convert(tmp_path: Path, state: object, labels: int = 3, *options: str) -> subprocess.CompletedProcess:
    torch.save(state, tmp_path / "checkpoint.pth")
    rows = ["index,mid,display_name", *(f'{i},/m/{i},"Label {i}, or so"' for i in range(labels))]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    command = [sys.executable, SCRIPT, tmp_path / "checkpoint.pth", tmp_path / "out", "--labels", tmp_path / "labels.csv"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def test_the_golden_folder_is_what_its_script_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, GOLDEN / "write_converted.py", tmp_path], check=True)
    for file in ("converted/config.json", "converted/model.safetensors", "sound.wav"):
        assert (tmp_path / file).read_bytes() == (GOLDEN / file).read_bytes(), file
    stored, again = (json.loads((folder / "scores.json").read_text()) for folder in (GOLDEN, tmp_path))
    assert again == pytest.approx(stored, abs=1e-9)


@pytest.mark.parametrize("variant", ["fo-fo", "fo-bi", "bi-bi"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_everything_is_read_off_the_tensors(tmp_path: Path, variant: str, prefix: str) -> None:
    state = published(variant)
    result = convert(tmp_path, {prefix + name: tensor for name, tensor in state.items()})
    assert result.returncode == 0, result.stderr
    config = json.loads((tmp_path / "out/config.json").read_text())
    wanted = {
        "variant": variant, "d_model": 48, "n_layer": 2, "d_state": 8, "d_conv": 4, "expand": 2, "dt_rank": 3,
        "num_classes": 3, "token_order": "frequency-major", "position": "absolute", "pooling": "cls-middle",
        "dual_mode": False, "clip_frames": 80, "normalization": {"mean": -4.2677393, "std": 4.5689974},
    }
    assert {key: config[key] for key in wanted} == wanted
    assert config["id2label"] == {str(i): f"Label {i}, or so" for i in range(3)}
    assert config["mids"] == ["/m/0", "/m/1", "/m/2"]
    written = safetensors.load_file(tmp_path / "out/model.safetensors")
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], state[name]) for name in state)
    assert (tmp_path / "out/README.md").exists()


def test_options_are_written(tmp_path: Path) -> None:
    result = convert(tmp_path, published("fo-bi"), 3, "--mean", "-5", "--std", "4", "--token-order", "time-major")
    assert result.returncode == 0, result.stderr
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["token_order"] == "time-major"
    assert config["normalization"] == {"mean": -5.0, "std": 4.0}


def without(state: dict, name: str) -> dict:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: without(s, "layers.1.mixer.A_b_log"), "no tensor layers.1.mixer.A_b_log"),
        (lambda s: without(s, "patch_embed.proj.weight"), "no tensor patch_embed.proj.weight"),
        (lambda s: s | {"norm_f.weight": torch.ones(47)}, "norm_f.weight has the shape (47,), expected (48,)"),
        (lambda s: s | {"layers.0.mixer.D": torch.full((96,), float("nan"))}, "layers.0.mixer.D holds values"),
        (lambda s: s | {"head_dist.weight": torch.ones(1)}, "head_dist.weight is not part of"),
        (lambda s: s | {"pos_embed.pos_embed": torch.ones(1, 40, 48)}, "pos_embed.pos_embed has 40 rows"),
        (lambda s: {"model": s}, "does not hold a state dict"),
        (lambda s: [1, 2], "does not hold a state dict"),
        (lambda s: {0: torch.ones(1)}, "does not hold a state dict"),
        (lambda s: s | {"norm_f.weight": torch.ones(48).to(torch.float8_e5m2)}, "norm_f.weight has the type"),
        (lambda s: s | {"layers.²": torch.ones(1)}, "layers.² is not part of"),
        (lambda s: s | {"layers.0.mixer.dt_proj.weight": torch.ones(96, 0)}, "R = 0"),
    ],
)
def test_bad_checkpoints_are_refused_in_one_sentence(tmp_path: Path, change, sentence: str) -> None:  # noqa: ANN001
    result = convert(tmp_path, change(published("fo-bi")))
    assert result.returncode == 65
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--std", "0"), ("--std=-1",), ("--mean", "nan"), ("--std", "inf")])
def test_a_normalisation_that_cannot_be_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = convert(tmp_path, published("fo-bi"), 3, *options)
    assert result.returncode == 65
    assert "give numbers, and a std above 0" in result.stderr


def test_shared_tensors_and_doubles_are_written_as_what_they_are(tmp_path: Path) -> None:
    state = published("fo-bi")
    state |= {"layers.0.mixer.A_b_log": state["layers.0.mixer.A_log"], "norm_f.weight": state["norm_f.weight"].double()}
    result = convert(tmp_path, state)
    assert result.returncode == 0, result.stderr
    written = safetensors.load_file(tmp_path / "out/model.safetensors")
    assert torch.equal(written["layers.0.mixer.A_b_log"], written["layers.0.mixer.A_log"])
    assert written["norm_f.weight"].dtype == torch.float32


def test_all_users_may_read_what_it_writes(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert convert(tmp_path, published("fo-bi")).returncode == 0
    finally:
        os.umask(before)
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("indices", [(1, 2, 3), (0, 0, 2), (0, 1, 9)])
def test_labels_have_their_own_indices(tmp_path: Path, indices: tuple[int, ...]) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("index,mid,display_name\n" + "".join(f"{index},/m/{i},label {i}\n" for i, index in enumerate(indices)))
    with pytest.raises(ValueError, match="not 0, 1, 2"):
        read_labels(file)


def test_labels_must_match_the_head(tmp_path: Path) -> None:
    result = convert(tmp_path, published("fo-bi"), 4)
    assert result.returncode == 65
    assert "4 labels but the checkpoint has 3 classes" in result.stderr


def test_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("not a checkpoint")
    command = [sys.executable, SCRIPT, tmp_path / "text.pth", tmp_path / "out", "--labels", tmp_path / "none.csv"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 65
    assert "is not a PyTorch checkpoint" in result.stderr
    torch.save(published("fo-bi"), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for size in (0, len(whole) // 2, len(whole) - 10):
        (tmp_path / "text.pth").write_bytes(whole[:size])
        assert subprocess.run(command, capture_output=True, check=False).returncode == 65
    missing = subprocess.run([*command[:2], tmp_path / "gone.pth", *command[3:]], capture_output=True, text=True, check=False)
    assert missing.returncode == 66


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):  # noqa: ANN204
            return (open, (str(marker), "w"))

    result = convert(tmp_path, {"weights": Payload()})
    assert result.returncode == 65
    assert not marker.exists()
