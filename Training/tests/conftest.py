"""Puts Training/ on the path, so that tests import its modules and scripts, and lets Triton run without a GPU; a small corpus."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import torch
except ImportError:  # the tests that need it skip themselves
    pass
else:
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, by whichever test comes first


class Corpus:
    """A small corpus: six one-second tones a split of "Low" and "High", one recording each, and a teacher that stands in for YAMNet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels = "index,mid,display_name\n0,/m/low,Low\n1,/m/high,High\n"
        self.rows = [
            [f"{split}{i}.wav", "made", ("Low", "High")[i % 2], f"{split}{i}", split] for split in ("train", "validation", "test") for i in range(6)
        ]
        (folder / "teacher").mkdir()
        (folder / "teacher/yamnet.tflite").write_bytes(b"stub")
        (folder / "teacher/yamnet_class_map.csv").write_text("index,mid,display_name\n0,/m/low,Low\n1,/m/high,High\n")
        for i, row in enumerate(self.rows):
            self.sound(row[0], np.sin(np.arange(16000 + 4000 * (i % 3)) * (0.2 if row[2] == "Low" else 2.5)) * 0.3)

    def sound(self, name: str, samples: np.ndarray, rate: int = 16000) -> None:
        import soundfile

        soundfile.write(self.folder / name, samples, rate)

    def write(self) -> Path:
        """The tables as `rows` and `labels` have them now."""
        table = "\n".join(",".join(row) for row in [["path", "source", "labels", "group", "split"], *self.rows])
        (self.folder / "manifest.csv").write_text(table + "\n", encoding="utf-8")
        (self.folder / "labels.csv").write_text(self.labels, encoding="utf-8")
        return self.folder


def cached(corpus: Path, cache: Path) -> None:
    """A cache as prepare.py leaves it, a second of a tone a clip, without the teacher hearing anything."""
    from aumd_training.corpus import STAMP, read_corpus, stamp

    clips, labels = read_corpus(corpus)
    cache.mkdir(exist_ok=True)
    np.save(cache / "audio_offsets.npy", np.arange(len(clips) + 1) * 16000)
    np.save(cache / "audio.npy", np.tile(8000 * np.sin(np.arange(16000) * 0.3), len(clips)).astype(np.int16))
    np.save(cache / "teacher_offsets.npy", np.arange(len(clips) + 1))
    np.save(cache / "teacher_embeddings.npy", np.random.default_rng(1).normal(size=(len(clips), 1024)).astype(np.float16))
    np.save(cache / "teacher_scores.npy", np.zeros((len(clips), len(labels)), np.uint8))
    np.save(cache / "teacher_mean.npy", np.zeros(1024, np.float32))
    np.save(cache / "teacher_std.npy", np.ones(1024, np.float32))
    (cache / STAMP).write_text(stamp(clips, labels))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent / "stubs"))
    for name in [n for n in sys.modules if n.startswith("ai_edge_litert")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "corpus").mkdir()
    return Corpus(tmp_path / "corpus")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Runs a script of Training/ in this process: its exit status, and what it wrote to stderr."""

    def run(name: str, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        capsys.readouterr()
        status = importlib.import_module(name).main()
        return status, capsys.readouterr().err

    return run
