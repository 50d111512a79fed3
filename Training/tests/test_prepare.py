"""prepare.py: what the cache holds, whom it serves, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from aumd_training.commands import InputError
from aumd_training.corpus import STAMP, AudioCache, TeacherCache, read_corpus, stamp


def test_the_cache_has_each_clip_and_statistics_of_the_training_split_alone(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    assert command("prepare", corpus.write(), tmp_path / "cache") == (0, "")
    clips, labels = read_corpus(corpus.folder)
    audio, teacher = (cache(tmp_path / "cache", stamp(clips, labels)) for cache in (AudioCache, TeacherCache))
    assert [len(audio.clip(i)) for i in range(18)] == [16000, 20000, 24000] * 6
    rows = [slice(*teacher.offsets[i : i + 2]) for i in range(18)]
    for i, clip in enumerate(clips):
        assert rows[i].stop - rows[i].start == TeacherCache.window_count(len(audio.clip(i)))
        if clip.split == "test":  # the teacher does not hear it
            assert not teacher.embeddings[rows[i]].any() and not teacher.scores[rows[i]].any()
        else:
            assert teacher.scores[rows[i]].argmax(1).tolist() == [i % 2] * (rows[i].stop - rows[i].start)
    train = np.concatenate([teacher.embeddings[rows[i]] for i, clip in enumerate(clips) if clip.split == "train"]).astype(np.float32)
    assert np.allclose(teacher.mean, train.mean(0)) and np.allclose(teacher.std, train.std(0) + 1e-3)


def test_a_cache_serves_no_other_manifest_or_labels(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    cache = tmp_path / "cache"
    assert command("prepare", corpus.write(), cache)[0] == 0

    def refused(sentence: str) -> None:
        made_of = stamp(*read_corpus(corpus.write()))
        for kind in (AudioCache, TeacherCache):
            with pytest.raises(InputError, match=sentence):
                kind(cache, made_of)

    corpus.rows[0][2] = "High"  # a clip's labels are not in the cache
    AudioCache(cache, stamp(*read_corpus(corpus.write())))
    rows, labels = [list(row) for row in corpus.rows], corpus.labels
    corpus.rows = rows[1:] + rows[:1]
    refused("made of another manifest or labels; run prepare.py again")
    corpus.rows = [*rows[:17], [*rows[17][:4], "train"]]  # which the teacher did not hear
    refused("made of another manifest")
    corpus.rows, corpus.labels = rows, labels.replace("/m/low", "/m/other")
    refused("made of another manifest")
    corpus.labels = labels
    corpus.sound("train0.wav", np.zeros(0))
    assert command("prepare", corpus.write(), cache)[0] == 65
    refused("did not finish")
    assert not (cache / STAMP).exists()


def test_all_clips_that_cannot_be_used_are_named(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    corpus.sound("train0.wav", np.zeros(0))
    corpus.sound("train1.wav", np.zeros((16000, 2)))
    corpus.sound("test0.wav", np.zeros(44100), 44100)
    (corpus.folder / "test1.wav").write_bytes(b"")
    (corpus.folder / "test2.wav").unlink()
    status, said = command("prepare", corpus.write(), tmp_path / "cache")
    assert status == 65 and said.count("\n") == 1
    for found in (
        "prepare.py: 5 of 18 clips", "train0.wav has no samples", "train1.wav has 16000 Hz and 2 channels",
        "test0.wav has 44100 Hz and 1 channels", "test1.wav cannot be read", "test2.wav is missing",
    ):
        assert found in said


@pytest.mark.parametrize(("missing", "sentence"), [
    ("manifest.csv", "manifest.csv: No such file"), ("labels.csv", "labels.csv: No such file"), ("teacher/yamnet.tflite", "README.md says"),
    ("teacher", "README.md says"),
])
def test_what_is_missing_is_named(corpus, command, tmp_path: Path, missing: str, sentence: str) -> None:  # noqa: ANN001
    path = corpus.write() / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, said = command("prepare", corpus.folder, tmp_path / "cache")
    assert status == 66 and sentence in said and said.count("\n") == 1


def test_a_teacher_that_is_none_is_refused(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    (corpus.folder / "teacher/yamnet.tflite").write_bytes(b"half")
    status, said = command("prepare", corpus.write(), tmp_path / "cache")
    assert status == 65 and "is not YAMNet" in said


def test_doubtful_labels_are_a_warning(corpus, command, tmp_path: Path) -> None:  # noqa: ANN001
    corpus.rows[2][2] = "Lo"
    status, said = command("prepare", corpus.write(), tmp_path / "cache")
    assert status == 0 and said == "warning: labels.csv lacks these labels of clips, which are left out: 1 x Lo (nearest: Low)\n"
