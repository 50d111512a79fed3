"""Manifest and labels: what is refused, and what is only doubted."""

from pathlib import Path

import pytest

from aumd_training.commands import InputError
from aumd_training.corpus import Clip, doubts, read_corpus, read_manifest


def test_spaces_and_a_byte_order_mark_are_no_part_of_a_value(corpus) -> None:  # noqa: ANN001
    corpus.rows[0] = [" train0.wav ", " made", " Low ; High ", "g ", " train "]
    folder, wanted = corpus.write(), Clip("train0.wav", "made", ("Low", "High"), "g", "train")
    for encoding in ("utf-8", "utf-8-sig"):
        for name in ("manifest.csv", "labels.csv"):
            (folder / name).write_text((folder / name).read_text(encoding="utf-8-sig"), encoding=encoding)
        clips, labels = read_corpus(folder)
        assert clips[0] == wanted and [label.name for label in labels] == ["Low", "High"]


@pytest.mark.parametrize(("row", "sentence"), [
    (["a.wav", "made", "Low", "a", "valid"], "line 20: the split valid is none of train, validation, test"),
    (["a.wav", "made", "Low", "a", ""], "line 20: split must not be empty"),
    (["", "made", "Low", "", "test"], "line 20: path and group must not be empty"),
    (["a.wav", "made", "Low"], "line 20: group and split must not be empty"),
    (["a.wav", "made", "Low", "train3", "test"], "the group train3 is in two splits, train and test"),
    (["a.wav", "made", "low", "a", "train"], "a.wav has the label low; "),
])
def test_a_row_that_cannot_be_is_refused_in_one_sentence(corpus, row: list[str], sentence: str) -> None:  # noqa: ANN001
    corpus.rows.append(row)
    with pytest.raises(InputError) as refused:
        read_corpus(corpus.write())
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(("text", "sentence"), [
    ("path,source,labels,group\na.wav,made,Low,a\n", "lacks the columns split"),
    ("path;source;labels;group;split\n", "lacks the columns path, source, labels, group, split"),
    ("path,source,labels,group,split\n", "names no clip"),
    ("", "lacks the columns"),
])
def test_a_manifest_without_columns_or_clips_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_manifest(tmp_path / "manifest.csv")


def test_tables_in_another_encoding_or_without_columns_are_refused(corpus) -> None:  # noqa: ANN001
    folder = corpus.write()
    (folder / "labels.csv").write_text("index,mid\n0,/m/low\n")
    with pytest.raises(InputError, match="not a labels file with the columns index, mid, display_name"):
        read_corpus(folder)
    (folder / "manifest.csv").write_bytes("path,source,labels,group,split\nü.wav,,,a,train\n".encode("latin-1"))
    with pytest.raises(InputError, match="not a table in UTF-8"):
        read_corpus(folder)


def test_a_corpus_without_clips_to_train_on_is_refused(corpus) -> None:  # noqa: ANN001
    corpus.rows = corpus.rows[6:]
    with pytest.raises(InputError, match="no clip of the split train"):
        read_corpus(corpus.write())


def test_labels_outside_the_set_and_labels_that_nothing_teaches_are_named_once(corpus) -> None:  # noqa: ANN001
    corpus.labels += "2,/m/dog,Dog\n"
    corpus.rows += [[f"{name}{i}.wav", "made", name, f"{name}{i}", "validation"] for name in ("Dogs", "Dogs", "Cat", "Dog") for i in range(2)]
    outside, untaught = doubts(*read_corpus(corpus.write()))
    assert outside.endswith("left out: 4 x Dogs (nearest: Dog); 2 x Cat") and untaught.endswith("split train: Dog")
