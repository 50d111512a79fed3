"""evaluate.py: figures, and reading what `aumd tag` prints."""

import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("sklearn", reason="needs scikit-learn")
pytest.importorskip("safetensors", reason="needs safetensors")

import evaluate  # noqa: E402
from aumd_training import metrics  # noqa: E402
from aumd_training import program as programs  # noqa: E402
from aumd_training.corpus import STAMP, Label, read_labels, read_manifest, stamp  # noqa: E402
from aumd_training.inference import clip_logits, clip_scores  # noqa: E402

EMBEDDING = 300  # at least as many as the probe has directions

LABELS = [Label("/m/0", "Dog"), Label("/m/1", "Door")]

PROGRAM = """#!{python}
import json, sys
if sys.argv[1] == "tag":
    for i, file in enumerate(sys.argv[sys.argv.index("ndjson") + 1:]):
        tags = [{{"label": "Door", "mid": "/m/1", "score": 0.75}}, {{"label": "Dog", "mid": "/m/0", "score": 0.25 + i}}]
        print(json.dumps({{"schema": "aumd/1", "type": "clip", "file": file, "duration": 1.0, "tags": tags}}))
else:
    # Twice a column while they are provisional.
    columns = [("provisional", 0.08 * i, (i + 1) / 16) for i in range(10)] + [("confirmed", 0.16 * i, 0.5) for i in range(5)]
    for seq, (status, time, score) in enumerate(columns):
        tags = [{{"label": "Dog", "score": score}}, {{"label": "Door", "score": float(status == "confirmed")}}]
        print(json.dumps({{"type": "scores", "seq": seq, "status": status, "time": time, "tags": tags}}))
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "aumd"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_offline_scores_are_read_by_file_and_label(program: str) -> None:
    files = [Path("a.opus"), Path("b.opus")]
    scores = evaluate.scores_from_binary(program, Path("model"), files, LABELS)
    assert scores.tolist() == [[0.25, 0.75], [1.25, 0.75]]


def test_more_files_than_a_command_line_holds_are_read_in_their_order(program: str) -> None:
    files = [Path(f"{i}.opus") for i in range(450)]
    records = programs.tag(program, Path("model"), files)
    assert [record["file"] for record in records] == [str(file) for file in files]


def test_a_stream_s_columns_are_those_that_the_program_tells_provisional_ones_at_the_end_of_each(program: str) -> None:
    columns = evaluate.columns_from_binary(program, Path("model"), [Path("a.opus")], LABELS)
    provisional, confirmed = (1 / (1 + np.exp(-columns[mode][0])) for mode in ("provisional", "confirmed"))
    assert np.allclose(provisional, [[i / 16, 0] for i in (2, 4, 6, 8, 10)]) and np.allclose(confirmed, [[0.5, 1]] * 5)
    assert all(np.isfinite(found[0]).all() for found in columns.values())


def test_the_mean_odds_of_columns_as_a_logit() -> None:
    logits = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(1))
    odds = logits.sigmoid() / (1 - logits.sigmoid())
    assert torch.allclose(clip_logits(logits).exp(), odds.mean(1))


def test_a_clip_has_the_mean_odds_of_its_columns_and_of_a_stream_s_after_the_first_three() -> None:
    logits = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    for count, first in [(1, 0), (3, 2), (4, 3), (9, 3)]:
        for backward in (True, False):
            odds = logits[:count].exp()[0 if backward else first :].mean(0)
            assert torch.allclose(clip_scores(logits[:count], backward), odds / (1 + odds))


def test_macro_leaves_out_rare_labels() -> None:
    truth = np.array([[1, 1], [1, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    scores = np.array([[0.9, 0], [0.8, 0], [0.3, 0], [0.5, 1], [0.1, 1]], np.float32)
    ap, auc = metrics.macro(scores, truth)
    assert ap == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert auc == pytest.approx(5 / 6)
    assert json.dumps(metrics.per_label(scores, truth)).startswith('{"0"')


def test_bootstrap_samples_are_of_recordings_and_agree_with_the_figure_itself() -> None:
    random = np.random.default_rng(1)
    truth = (random.random((60, 3)) < 0.3).astype(np.float32)
    scores = (truth + random.normal(0, 1, truth.shape)).astype(np.float32)
    alone = [str(i) for i in range(60)]
    drawn = metrics.resampled_ap(scores, truth, alone, count=400)
    low, high = metrics.interval(drawn)
    ap = metrics.macro(scores, truth)[0]
    assert low < ap < high and 0.05 < high - low < 0.5
    assert np.array_equal(drawn, metrics.resampled_ap(scores, truth, alone, count=400))
    # Sixty copies of one recording are one: there is nothing to draw.
    assert metrics.resampled_ap(scores, truth, ["one"] * 60, count=5) == pytest.approx(np.full(5, ap), abs=1e-6)
    pairs = metrics.resampled_ap(np.repeat(scores, 2, 0), np.repeat(truth, 2, 0), [g for g in alone for _ in "ab"], count=400)
    assert np.diff(metrics.interval(pairs))[0] == pytest.approx(high - low, rel=0.2)


class Deaf:
    """In place of YAMNet: it scores nothing, but its embedding is the window's first samples."""

    def __init__(self, folder: Path, labels: list[Label]) -> None:
        self.count = len(labels)

    def hear(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(self.count, 0.5, np.float32), window[:EMBEDDING] * 8


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """300 clips, of which the two labels' differ in their first samples; the cache is what prepare.py would have written."""
    random = np.random.default_rng(1)
    samples = random.integers(-1024, 1024, (300, 15600)).astype(np.int16)
    samples[:, 20:EMBEDDING] = 0
    rows = ["path,source,labels,group,split"]
    for i, split in enumerate(["train"] * 260 + ["test"] * 40):
        label, level = ("Dog", 1024) if i % 2 else ("Door", -1024)
        samples[i, :5] += level
        rows.append(f"{i}.wav,x,{label},g{i},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "labels.csv").write_text("index,mid,display_name\n0,/m/0,Dog\n1,/m/1,Door\n")
    embeddings = (samples[:, :EMBEDDING] / 4096).astype(np.float16)
    np.save(tmp_path / "audio.npy", samples.ravel())
    np.save(tmp_path / "audio_offsets.npy", np.arange(301) * 15600)
    np.save(tmp_path / "teacher_embeddings.npy", np.where(np.arange(300)[:, None] < 260, embeddings, 0))  # prepare.py leaves out test
    np.save(tmp_path / "teacher_scores.npy", np.zeros((300, 2), np.uint8))
    np.save(tmp_path / "teacher_offsets.npy", np.arange(301))
    np.save(tmp_path / "teacher_mean.npy", embeddings[:260].mean(0, np.float32))
    np.save(tmp_path / "teacher_std.npy", embeddings[:260].std(0, np.float32) + 1e-3)
    clips, labels = read_manifest(tmp_path / "manifest.csv"), read_labels(tmp_path / "labels.csv")
    (tmp_path / STAMP).write_text(stamp(clips, labels))
    return tmp_path


def test_a_probe_that_learned_the_training_split_stands_beside_yamnet_as_published(
    corpus: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = corpus / "clips.json"
    command = ["evaluate.py", "MODEL", "--corpus", str(corpus), "--cache", str(corpus), "--splits", "test", "--json", str(file)]
    monkeypatch.setattr(evaluate, "Teacher", Deaf)
    monkeypatch.setattr(sys, "argv", [*command, "--binary", program])
    evaluate.main()
    rows = json.loads(file.read_text())["test"]
    assert list(rows) == ["provisional", "confirmed", "offline", "YAMNet, not rounded", metrics.PROBED]
    assert rows["YAMNet, not rounded"]["auc"] == 0.5
    assert rows[metrics.PROBED]["ap_recordings"] > 0.95 and set(rows[metrics.PROBED]["labels"]) == {"Dog", "Door"}
    # YAMNet alone again, on what is known of a model.
    file.write_text(json.dumps({"validation": {}, "test": {"confirmed": {"ap": 0.75}, "YAMNet, not rounded": {"ap": 0, "more": 1}}}))
    monkeypatch.setattr(sys, "argv", [*command, "--teacher-only"])
    evaluate.main()
    again = json.loads(file.read_text())
    assert again["validation"] == {} and again["test"]["confirmed"] == {"ap": 0.75}
    assert again["test"][metrics.PROBED]["ap"] == rows[metrics.PROBED]["ap"]
    assert again["test"]["YAMNet, not rounded"]["ap"] == rows["YAMNet, not rounded"]["ap"] and again["test"]["YAMNet, not rounded"]["more"] == 1
