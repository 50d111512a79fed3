"""Thresholds from streams, and what is measured over events."""

from dataclasses import replace

import numpy as np
import pytest

from aumd_training import eventcalibration as ec
from aumd_training import provisional
from aumd_training.annotation import Event, Sound
from aumd_training.program import COLUMN, LATENCY, Heard, Told
from aumd_training.timeline import join

NAMES = ["Dog", "Speech"]


def trace(*bursts: tuple[int, float], length: int = 400) -> np.ndarray:
    """Scores (length, 2) of "Dog": five columns at each place."""
    out = np.full((length, 2), 0.01, np.float32)
    for at, score in bursts:
        out[at : at + 5, 0] = score
    return out


@pytest.fixture
def lines() -> tuple:
    """Dogs score 0.9 on two soundscapes; speech makes the label 0.5 in the first half and 0.7 in the second."""
    scapes = join(
        [trace((50, 0.9), (150, 0.4)), trace((250, 0.9))], [[Sound(8, 8.8, ("Dog",))], [Sound(40, 40.8, ("Dog",))]], NAMES, COLUMN
    )
    heldout = join([trace((60, 0.5), (300, 0.7))], [[Sound(0, 64, ("Speech",))]], NAMES, COLUMN)
    return scapes, scapes.references({}), heldout, heldout.allowed({})


def test_onsets_are_matched_once() -> None:
    assert ec.matches(np.array([0.0, 0.1, 5.0]), np.array([0.05, 0.3, 9.0])) == 2


def test_price_buys_silence(lines: tuple) -> None:
    points = ec.operating_points(*lines, {})
    curve = ec.frontier(points)
    assert curve[0]["f1"] == 1
    quiet = ec.at_rate(points, 0.0)
    assert quiet["false_per_hour"] == 0 and 0.7 < quiet["on"][0] < 0.9


def test_labels_with_few_references_follow_the_others() -> None:
    f1 = np.array([[0.2, 0.6, 0.3], [0.5, 0.4, 0.0], [np.nan] * 3])
    shrunk = ec.shrunk(f1)
    assert shrunk[2] == pytest.approx(np.nanmean(f1, 0))  # none: what the others do
    assert shrunk[1] == pytest.approx([0.425, 0.45, 0.075])


def test_a_label_without_references_is_told_where_it_is_surer_than_most() -> None:
    f1, grid = np.full((5, len(ec.GRID)), np.nan), ec.GRID
    for c, best in enumerate((10, 20, 30, 35)):
        f1[c] = 1 - np.abs(np.arange(len(grid)) - best) / len(grid)
    on = ec.choose(f1, np.zeros_like(f1), price=0.0, margin=0.0)
    assert on[4] == pytest.approx(np.quantile(on[:4], ec.CAREFUL)) and on[4] > np.median(on[:4])


def test_halves_share_nothing(lines: tuple) -> None:
    scapes, references, _, _ = lines
    (first, early), (second, late) = ec.halves(scapes, references)
    assert (early, late) == (references[:1], references[1:])
    assert (first.scores * second.scores == 0).all() and np.array_equal(first.scores + second.scores, scapes.scores)


def test_rate_counts_the_half_that_was_not_heard(lines: tuple) -> None:
    scapes, references, heldout, allowed = lines
    first, second = ec.false_curves(heldout, allowed)
    at_six = np.searchsorted(ec.GRID, 0.6)
    assert first[0, at_six] == 0 and second[0, at_six] > 0
    on = ec.choose(ec.f1_curves(scapes, references), first, price=1.0, margin=0.0)
    assert on[0] > 0.5


def test_an_ancestor_s_false_alarm_is_not_counted_twice() -> None:
    scores = np.zeros((400, 2), np.float32)
    scores[100:105] = 0.9
    line = join([scores], [[]], ["Dog", "Animal"], COLUMN)
    found = ec.false_alarms(line, line.allowed({}), np.array([0.5, 0.5]), {"Dog": ["Animal"]})
    assert [event.label for event in found] == ["Dog"]


def told(label: str, onset: float, offset: float, **more: object) -> Told:
    return Told(label, (), "confirmed", onset, onset + 0.3, label, onset, True, offset=offset, confirmed_at=onset + 3, **more)


def test_figures_of_events() -> None:
    eventmetrics = pytest.importorskip("aumd_training.eventmetrics")
    empty = np.zeros((400, 2), np.float32)
    run = Heard(empty, empty, [told("Dog", 8.1, 9.0), told("Dog", 30.0, 31.0), told("Speech", 12.0, 13.0), told("Speech", 5.0, 6.0, retracted=True, reason="not confirmed")])
    reference = [Event(8.0, 9.2, "Dog"), Event(20.0, 21.0, "Dog")]
    times = eventmetrics.timing([run], [reference], {"Dog"})
    assert times["onset_error"]["median"] == pytest.approx(0.1) and times["offset_error"]["median"] == pytest.approx(0.2)
    assert times["provisional_delay"]["median"] == pytest.approx(0.4) and times["confirmed_delay"]["median"] == pytest.approx(3.1)
    assert eventmetrics.timing([run], [reference], {"Dog", "Speech"})["closed"] == 3
    assert times["closed"] == 2 and times["onset_error"]["count"] == 1
    # A sound that began 3 s before the event is its own only where those that overlap count.
    long = [*reference, Event(27.0, 40.0, "Dog")]
    assert eventmetrics.timing([run], [long], {"Dog"})["onset_error"] == times["onset_error"]
    wide = eventmetrics.timing([run], [long], {"Dog"}, overlapping=True)
    assert wide["onset_error"]["count"] == 2 and wide["onset_error"]["median"] == pytest.approx(1.55)
    assert eventmetrics.sound_of(run.events[0], [Event(5.0, 30.0, "Dog"), reference[0]], overlapping=True) == reference[0]
    assert eventmetrics.retraction_rate([run]) == {"opened": 4, "not_confirmed": pytest.approx(1 / 4), "absorbed": 0}
    line = join([empty], [[Sound(8, 9.2, ("Dog",))]], NAMES, COLUMN)
    false = eventmetrics.false_events([run], line, line.allowed({}))
    assert [(t.label, t.onset) for _, t in false] == [("Dog", 30.0), ("Speech", 12.0), ("Speech", 5.0)]


def test_f1_by_sed_eval() -> None:
    pytest.importorskip("sed_eval", reason="needs sed_eval")
    from aumd_training import eventmetrics

    references = [Event(1.0, 2.0, "Dog"), Event(5.0, 6.0, "Dog"), Event(3.0, 4.0, "Speech")]
    found = eventmetrics.event_f1(references, [Event(1.1, 3.0, "Dog"), Event(3.1, 4.1, "Speech"), Event(8.0, 9.0, "Dog")])
    assert found["onset_f_measure"] == pytest.approx(0.75)
    assert found["onset_offset_f_measure"] == pytest.approx(0.5)


def both_tracks(provisional: np.ndarray, confirmed: np.ndarray) -> dict:
    return {name: join([scores], [[]], NAMES, COLUMN) for name, scores in (("provisional", provisional), ("confirmed", confirmed))}


def test_provisional_thresholds_are_as_low_as_what_is_taken_back_allows() -> None:
    """Provisional scores of 0.3 and of 0.98 are confirmed, lower ones are not; those of the other label never are."""
    sure, unsure = [(at, 0.9) for at in range(20, 380, 40)], [(at, 0.1) for at in range(40, 380, 40)]
    early = trace(*((at, 0.3 if at % 80 == 20 else 0.98) for at, _ in sure), *unsure)
    early[100:105, 1] = early[200:205, 1] = early[300:305, 1] = 0.9
    trials = provisional.trials([both_tracks(early, trace(*sure))], np.array([0.8, 0.5]))
    for share in (0.25, 0.4):
        dog, speech = trials.choose(share)
        assert 0.1 < dog <= 0.3
        assert speech > 0.8  # the most careful that is tried
    assert trials.choose(0.99)[0] < 0.1


def test_what_provisional_thresholds_do() -> None:
    """Of two sounds one is told at once, one never; of two events one is taken back."""
    streams = [both_tracks(trace((50, 0.9), (300, 0.9)), trace((50, 0.9), (150, 0.9)))]
    references = [Event(at * COLUMN, (at + 5) * COLUMN, "Dog") for at in (50, 150)]
    told = provisional.figures(streams, references, np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    assert (told["announced"], told["within_0.35_s"], told["taken_back"]) == (0.5, 0.5, 0.5)
    assert told["delay_median"] == pytest.approx(COLUMN + LATENCY)


def test_a_label_that_opens_next_to_nothing_has_no_provisional_threshold_near_0() -> None:
    trials = provisional.trials([both_tracks(trace(), trace())], np.array([0.8, 0.5]))
    assert trials.choose(0.2) == pytest.approx([ec.GRID[0]] * 2)


def test_what_hovers_needs_more_to_open_and_what_belongs_to_an_event_does_not_hover() -> None:
    column, on, off = 0.16, 0.5, 0.1
    odds = lambda score: np.log(score / (1 - score))  # noqa: E731
    hovering, event = np.full(200, 0.3, np.float32), np.full(200, 0.05, np.float32)
    event[:100] = 0.9
    line = join([hovering[:, None], event[:, None]], [[], []], ["a"], column)
    assert np.array_equal(line.reaching(0, on, off), line.scores[:, 0])
    harder = replace(line, habituation=2.5).reaching(0, on, off)
    first, second = (int(np.searchsorted(line.centres, start)) for start in line.starts)
    # Excess is limited to 2, a mean over 10 s, 1 s (6 columns) late.
    assert odds(harder[first + 5]) == pytest.approx(odds(0.3), rel=1e-5)
    assert odds(harder[first + 199]) == pytest.approx(odds(0.3) - 5 * (1 - np.exp(-194 * column / 10)), rel=1e-5)
    # The next stream begins anew; the event's columns count for nothing, nor those before it is 1 s past.
    assert odds(harder[second + 105]) == pytest.approx(odds(0.05), rel=1e-5)
    excess = odds(0.05) - odds(0.02)
    assert odds(harder[second + 199]) == pytest.approx(odds(0.05) - 2.5 * excess * (1 - np.exp(-94 * column / 10)), rel=1e-4)
