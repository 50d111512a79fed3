"""What of a stream is heard again, and which columns hold some of the sound."""

import numpy as np
import pytest

from aumd_training.program import COLUMN
from evaluate_early import PAST, excerpt, highest


@pytest.mark.parametrize("onset", [0.0, 0.1, 3.3, PAST, 6.05, 17.13, 29.9])
def test_excerpt_begins_with_a_column_and_ends_so_long_after_the_onset(onset: float) -> None:
    stream = np.arange(30 * 16000)
    piece, begin = excerpt(stream, onset, 0.35)
    assert begin / COLUMN == pytest.approx(round(begin / COLUMN)) and begin >= 0
    assert piece[0] == round(begin * 16000)
    assert piece[-1] + 1 == min(len(stream), round((onset + 0.35) * 16000))
    assert onset - PAST - COLUMN <= begin <= max(0, onset - PAST)


@pytest.mark.parametrize("step", [COLUMN, COLUMN / 2])
def test_columns_that_end_before_the_onset_do_not_count(step: float) -> None:
    scores = np.arange(20, 0, -1.0)[:, None] * [1, 2]
    for onset in np.arange(1.6, 1.6 + 20 * step, 0.013):
        first = next((t for t in range(20) if 1.6 + t * step + COLUMN > onset), None)
        assert highest(scores, step, 1.6, onset).tolist() == ([0, 0] if first is None else scores[first].tolist())
