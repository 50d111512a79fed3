"""Mixtures: what they claim about their columns, from a corpus of tones made here."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")

from aumd_training.corpus import STAMP, Clip, Label, stamp  # noqa: E402
from aumd_training import data  # noqa: E402
from aumd_training.data import Mixtures  # noqa: E402
from aumd_training.features import COLUMN_SAMPLES, samples_for  # noqa: E402
from aumd_training.ontology import ancestors, unsaid  # noqa: E402
from aumd_training.teacher import EMBEDDING  # noqa: E402

NAMES = ["Silence", "Low", "High"]


class Loudness:
    """Stands in for YAMNet: its whole embedding is the window's peak."""

    def __init__(self, folder: Path, labels: list[Label]) -> None:
        pass

    def hear(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(NAMES)), np.full(EMBEDDING, np.abs(window).max())


@pytest.fixture
def mixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mixtures:
    """One clip a label: a second of silence, of a low tone, of a high tone."""
    monkeypatch.setattr(data, "Teacher", Loudness)
    t = np.arange(16000) / 16000
    audio = np.concatenate([0 * t, np.sin(880 * t), np.sin(18000 * t)]) * 16000
    np.save(tmp_path / "audio.npy", audio.astype(np.int16))
    np.save(tmp_path / "audio_offsets.npy", np.arange(4) * 16000)
    np.save(tmp_path / "teacher_embeddings.npy", np.zeros((6, EMBEDDING), np.float16))
    np.save(tmp_path / "teacher_scores.npy", np.zeros((6, 3), np.uint8))
    np.save(tmp_path / "teacher_offsets.npy", np.arange(4) * 2)
    np.save(tmp_path / "teacher_mean.npy", np.zeros(EMBEDDING, np.float32))
    np.save(tmp_path / "teacher_std.npy", np.ones(EMBEDDING, np.float32))
    clips = [Clip(f"{i}.opus", "made", (name,), str(i), "train") for i, name in enumerate(NAMES)]
    labels = [Label(f"/m/{i}", name) for i, name in enumerate(NAMES)]
    (tmp_path / STAMP).write_text(stamp(clips, labels))
    return Mixtures(tmp_path, tmp_path, clips, labels, 20, seed=[3])


@pytest.mark.parametrize("scenes", [0.0, 1.0])
def test_labels_are_on_only_where_their_clip_sounds(mixtures: Mixtures, scenes: float) -> None:
    mixtures.scenes = scenes
    examples = iter(mixtures)
    seen = np.zeros(3)
    for _ in range(150):
        samples, target, known, embedding, weight = next(examples)
        assert samples.shape == (samples_for(20),)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1
        assert target.shape == known.shape == (20, 3)
        assert (known[target > 0] == 1).all()
        assert embedding.shape == (20, EMBEDDING)
        assert weight.shape == (20,)
        seen += target.max(0)
        tones = target[:, 1:].max(1) > 0
        assert not (target[tones, 0] > 0).any()  # a tone is not silence
        assert target[:, 1:].max(1).sum() <= 4 * 11  # at most four clips of at most 1.2 s
    assert (seen > 10).all()


def test_a_scene_has_a_clips_loudest_sound_alone(mixtures: Mixtures) -> None:
    next(iter(mixtures))
    clip = np.zeros(3 * 16000, np.int16)
    clip[:8000], clip[40000:44000] = 1000, 16000  # two seconds apart

    class Audio:
        def clip(self, number: int) -> np.ndarray:
            return clip

    mixtures.audio = Audio()
    for _ in range(50):
        placed = mixtures.place(1, single=True)
        assert (np.abs(placed.samples) > 0.03).sum() < 8000  # a room's tail aside, the quarter of a second at its fastest and slowest
        assert (placed.teacher_row >= 0).sum() <= 3


def test_teacher_hears_the_mixture_itself(mixtures: Mixtures) -> None:
    next(iter(mixtures))
    samples = np.zeros(samples_for(20), np.float32)
    samples[10 * COLUMN_SAMPLES + 100] = 0.01
    embedding, weight = mixtures.hear(samples)
    heard = embedding[:, 0] > 0
    assert embedding.max() == 0.5  # at a level that suits the teacher
    assert heard[10] and heard.sum() <= 8
    assert not weight[:2].any()  # a window's first third: too early to know
    assert weight[2:].mean() > 0.6


def test_ancestors_are_nearest_first_and_inside_the_set() -> None:
    assert ancestors(["Bark", "Dog", "Animal", "Music"]) == {"Bark": ["Dog", "Animal"], "Dog": ["Animal"]}
    assert ancestors(["Bark", "Animal"]) == {"Bark": ["Animal"]}


def test_what_a_clip_s_labels_leave_open_is_unknown(mixtures: Mixtures) -> None:
    mixtures.unsaid = [[], [2], []]
    examples, seen = iter(mixtures), 0
    for _ in range(100):
        _, target, known, _, _ = next(examples)
        low, high = target[:, 1] > 0, target[:, 2] > 0
        assert (known[low & ~high, 2] == 0).all() and (known[high, 2] == 1).all()
        seen += int((low & ~high).sum())
    assert seen > 100


def test_a_label_leaves_open_its_ancestors_and_its_descendants_unless_one_of_them_is_named() -> None:
    names = ["Animal", "Dog", "Bark", "Cat", "Meow", "Music", "Guitar", "Strum"]
    parents = ancestors(names)
    assert unsaid(["Dog", "Animal"], names, parents) == ["Bark"]
    assert unsaid(["Animal"], names, parents) == ["Dog", "Bark", "Cat", "Meow"]
    assert unsaid(["Guitar"], names, parents) == ["Music", "Strum"]
    assert unsaid(["Bark", "Dog", "Animal"], names, parents) == []
