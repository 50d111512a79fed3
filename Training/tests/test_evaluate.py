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
from aumd_training.corpus import Label  # noqa: E402
from aumd_training.inference import clip_logits, clip_scores  # noqa: E402

LABELS = [Label("/m/0", "Dog"), Label("/m/1", "Door")]

PROGRAM = """#!{python}
import json, sys
mode = sys.argv[sys.argv.index("--mode") + 1]
files = sys.argv[sys.argv.index("ndjson") + 1:]
for i, file in enumerate(files):
    if mode == "offline":
        tags = [{{"label": "Door", "mid": "/m/1", "score": 0.75}}, {{"label": "Dog", "mid": "/m/0", "score": 0.25 + i}}]
        print(json.dumps({{"schema": "aumd/1", "type": "clip", "file": file, "duration": 1.0, "tags": tags}}))
    else:
        event = {{"schema": "aumd/1", "type": "event", "id": "1", "label": "Dog", "mid": "/m/0"}}
        print(json.dumps(event | {{"phase": "open", "score": 0.5}}))
        print(json.dumps(event | {{"phase": "close", "score": 0.4, "peak": 0.625}}))
        print(json.dumps(event | {{"label": "Door", "phase": "retract"}}))
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "aumd"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_offline_scores_are_read_by_file_and_label(program: str) -> None:
    files = [Path("a.opus"), Path("b.opus")]
    scores = evaluate.scores_from_binary(program, Path("model"), files, LABELS, "offline")
    assert scores.tolist() == [[0.25, 0.75], [1.25, 0.75]]


def test_stream_score_is_the_highest_of_a_label_s_events(program: str) -> None:
    scores = evaluate.scores_from_binary(program, Path("model"), [Path("a.opus")], LABELS, "stream")
    assert scores.tolist() == [[0.625, 0.0]]


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
