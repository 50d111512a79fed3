"""The alarms that evaluate_alarms.py makes, and what it counts."""

import numpy as np
import pytest

import evaluate_alarms as alarms
from aumd_training.program import Told
from aumd_training.synthesis import rms

SMOKE, MONOXIDE = alarms.ALARMS


def told(label: str, onset: float, offset: float, at: float) -> Told:
    return Told(label, ("Alarm",), "confirmed", onset, at, label, onset, True, offset=offset, confirmed_at=at + 3)


@pytest.mark.parametrize(("label", "period", "sounding"), [(SMOKE, 4.0, 1.5), (MONOXIDE, 5.7, 0.4)])
def test_a_signal_sounds_in_the_groups_that_the_standard_says(label, period, sounding):
    generator = np.random.default_rng(3)
    samples = alarms.signal(alarms.ALARMS[label], 4, generator)
    tempo = len(samples) / alarms.RATE / (4 * period)
    assert 0.92 <= tempo <= 1.08
    # In frames of 10 ms; a room makes pulses longer, and never shorter.
    frames = np.sqrt(np.mean(samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
    loud = frames > 0.5 * frames.max()
    assert sounding * tempo * 0.9 <= loud.sum() / 100 / 4 <= sounding * tempo * 1.6
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) / 100
    groups = 1 + int((np.diff(starts) > period / 3).sum())
    assert groups == 4


def test_a_scene_has_its_alarms_where_it_says():
    others = np.random.default_rng(0).standard_normal(alarms.RATE * 90).astype(np.float32) * 0.001
    stream, spans = alarms.scene(alarms.ALARMS[SMOKE], others, 20, seed=1)
    assert len(spans) == alarms.COUNT
    for begin, end in spans:
        at = int(begin * alarms.RATE)
        assert rms(stream[at : at + 4000]) > 5 * rms(stream[at - 8000 : at])
        assert end <= len(stream) / alarms.RATE


def test_an_alarm_is_recognised_by_an_event_of_its_label_that_overlaps_it():
    spans = [(10.0, 30.0), (60.0, 80.0), (110.0, 130.0)]
    events = [told(SMOKE, 10.1, 28, 18), told(MONOXIDE, 61, 79, 70), told(SMOKE, 114.0, 128, 122), told(SMOKE, 90, 95, 98)]
    found = alarms.figures(events, SMOKE, spans)
    assert found["recognised"] == pytest.approx(2 / 3)
    assert (found["events"], found["false"]) == (4, 2)
    assert found["delay"] == pytest.approx(10) and found["confirmed"] == pytest.approx(13)
    assert found["from the first group"] == 0.5
