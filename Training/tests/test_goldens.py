"""The goldens in Tests/ are what their script writes: small cases computed again."""

import importlib.util
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors")

FOLDER = Path(__file__).resolve().parents[2] / "Tests/AudioMambaTests/Golden"


def script():  # noqa: ANN201
    spec = importlib.util.spec_from_file_location("write_goldens", FOLDER / "write_goldens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_small_cases_are_reproduced(tmp_path: Path) -> None:
    module = script()
    cases = module.cases()
    assert json.loads((FOLDER / "cases.json").read_text()) == cases
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == set(cases)
    module.HERE = tmp_path
    for name, entry in cases.items():
        if entry["config"]["d_model"] <= 64:
            module.write(name, entry)
            stored, again = (safetensors.load_file(f / f"{name}.safetensors") for f in (FOLDER, tmp_path))
            assert stored.keys() == again.keys()
            assert all(torch.allclose(stored[k], again[k], atol=1e-6) for k in stored)
