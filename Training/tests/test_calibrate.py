"""make_streams.py and calibrate.py: which split they read, what they warn of, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
soundfile = pytest.importorskip("soundfile", reason="needs soundfile")

import calibrate  # noqa: E402
from aumd_training import streamset  # noqa: E402
from aumd_training.annotation import Sound, read_sounds, write_sounds  # noqa: E402
from aumd_training.program import COLUMN, Heard  # noqa: E402
from conftest import cached  # noqa: E402

NAMES = ["Low", "High"]


@pytest.fixture
def asked(corpus, tmp_path: Path) -> list:  # noqa: ANN001
    """The arguments of calibrate.py for a model of Low and High, and streams of 16 s. The test split's are damaged."""
    corpus.write()
    model = {"id2label": {"0": "Low", "1": "High"}, "mids": ["/m/low", "/m/high"], "parents": {}}
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(model))
    for split in ("validation", "test"):
        for part, count in (("soundscapes", 4), ("heldout", 2)):
            folder = tmp_path / "streams" / split / part
            folder.mkdir(parents=True)
            for i in range(count):
                soundfile.write(folder / f"{i}.wav", np.zeros(16 * 16000), 16000)
                sounds = [Sound(2 + i, 4 + i, ("Low",)), Sound(9, 11, ("High",))] if part == "soundscapes" else []
                write_sounds(folder / f"{i}.tsv", sounds)
                if split == "test":
                    (folder / f"{i}.wav").write_bytes(b"")
    return [tmp_path / "model", "--streams", tmp_path / "streams", "--corpus", corpus.folder, "--binary", "aumd"]


def heard(binary: str, model: Path, file: Path, names: list[str]) -> Heard:
    """As aumd would hear it that makes no mistake."""
    assert "test" not in file.parts
    scores = np.full((100, 2), 0.01, np.float32)
    for sound in read_sounds(file.with_suffix(".tsv")):
        scores[round(sound.onset / COLUMN) : round(sound.offset / COLUMN), names.index(sound.labels[0])] = 0.9
    return Heard(scores, scores)


def test_thresholds_are_chosen_on_validation_alone(asked: list, command, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(streamset, "listen", heard)
    assert command("calibrate", *asked, "--dry-run") == (0, "")
    assert "thresholds" not in json.loads((asked[0] / "config.json").read_text())
    assert command("calibrate", *asked, "--curve", asked[0] / "curve.json") == (0, "")
    thresholds = json.loads((asked[0] / "config.json").read_text())["thresholds"]
    assert list(thresholds) == NAMES
    assert all(0 < t["off"] < t["on"] < 0.9 and 0.04 < t["provisional_on"] < 0.9 for t in thresholds.values())
    assert json.loads((asked[0] / "curve.json").read_text())["chosen"]["f1"] > 0.8
    assert not list((asked[2] / "test").rglob("*.npz")) and list((asked[2] / "validation").rglob("*.npz"))


def test_what_was_asked_for_and_is_not_kept_is_a_warning() -> None:
    point = {"false_per_hour": 15.91, "f1": 0.5}
    assert calibrate.missed(point, 20, 0.2, 0.2) == []
    assert calibrate.missed(point, 10, 0.2, 0.2) == ["asked for 10 false alarms an hour, got 15.9: no thresholds that were tried give fewer"]
    assert len(calibrate.missed(point | {"f1": 0.0}, 10, 0.4, 0.2)) == 3


@pytest.mark.parametrize(("option", "value", "status", "sentence"), [
    (0, "gone", 66, "gone/config.json: No such file"), (2, "gone", 66, "gone/validation/soundscapes holds no streams"),
    (4, "gone", 66, "gone/labels.csv: No such file"), (6, "/gone/aumd", 66, "/gone/aumd: No such file"),
])
def test_what_is_missing_is_named(asked: list, command, option: int, value: str, status: int, sentence: str) -> None:  # noqa: ANN001
    asked[option] = Path(value)
    got, said = command("calibrate", *asked)
    assert got == status and sentence in said and said.count("\n") == 1


def test_what_does_not_go_together_is_refused(asked: list, command) -> None:  # noqa: ANN001
    config = asked[0] / "config.json"
    assert command("calibrate", *asked, "--taken-back", "2")[0] == command("calibrate", *asked, "--rate", "nan")[0] == 78
    for text, status, sentence in (
        ("{", 78, "is not JSON"), ("{}", 65, "is not a model folder's"), ('{"id2label": {"0": "High"}, "parents": {}}', 65, "has other labels than"),
    ):
        config.write_text(text)
        got, said = command("calibrate", *asked)
        assert got == status and sentence in said and said.count("\n") == 1


@pytest.mark.parametrize(("binary", "sentence"), [("true", "wrote no scores"), ("false", "failed with exit status 1"), ("echo", "did not write the records")])
def test_a_program_that_is_not_aumd_is_refused(asked: list, command, binary: str, sentence: str) -> None:  # noqa: ANN001
    with pytest.raises(SystemExit, match=sentence):
        command("calibrate", *asked[:6], binary)


def test_streams_need_clips_of_their_split_that_stand_out(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    whole = corpus.rows
    for rows, sentence in (
        (whole[:6], "no clip of the split validation; --splits leaves it out"), (whole[:12], "no clip of the split test"),
        (whole[:7], "The split validation needs sounds of two recordings"),
    ):
        corpus.rows = rows
        cached(corpus.write(), tmp_path / "cache")
        splits = ["--splits", "validation"] if len(rows) == 7 else []
        status, said = command("make_streams", tmp_path / "out", "--corpus", corpus.folder, "--cache", tmp_path / "cache", *splits)
        assert status == 65 and sentence in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    (tmp_path / "cache/made_of.txt").write_text("0")
    status, said = command("make_streams", tmp_path / "out", "--corpus", corpus.folder, "--cache", tmp_path / "cache", *splits)
    assert status == 65 and "made of another manifest" in said
