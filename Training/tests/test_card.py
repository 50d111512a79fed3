"""The model card has every part that was measured, and says so where nothing was."""

import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn")

from aumd_training import card, modelfolder  # noqa: E402
from aumd_training.metrics import PROBED  # noqa: E402

RUNS = [{"n_layer": 2, "steps": 10, "seconds": 3600}, {"n_layer": 3, "steps": 5, "seconds": 5400, "joined": 8}]
CONFIG = {
    "name": "aumd-test", "license": "mit", "variant": "fo-bi", "n_layer": 3, "d_model": 48, "d_state": 8, "num_classes": 2, "training": RUNS,
}
SCORES = {"ap": 0.5, "auc": 0.75, "d_prime": 0.95, "ap_recordings": 0.25, "auc_recordings": 0.5, "labels": {"Dog": 0.7, "Door": 0.3}}


def test_runs_of_a_checkpoint_that_grew() -> None:
    checkpoint = {"sizes": {"n_layer": 3}, "step": 5, "seconds": 5400, "joined": 8, "before": RUNS[:1]}
    assert modelfolder.runs(checkpoint) == RUNS
    configured = {"batch": 192, "scenes": 0.4, "muon": True, "follow_weight": 1, "drop_path": 0.2, "dropout": 0.25, "device": "cuda"}
    told = modelfolder.runs(checkpoint | configured | {"sizes": {"n_layer": 3, "d_model": 48}})
    assert told == [RUNS[0], RUNS[1] | configured | {"d_model": 48}]
    text = card.write(CONFIG | {"training": told}, 1_500_000, {})
    assert "Trained for 60 minutes on two processor cores and 1.5 hours on a GPU." in text
    assert "| 1 | 10 of 16 | 2, 48 | 60 minutes | 1 | 0% |  |" in text
    besides = "Muon for the projections, heard both ways, layers skipped up to 20%, features hidden 25%"
    assert f"| 2 | 5 of 192 | 3, 48 | 1.5 hours, on a GPU | 8 | 40% | {besides} |" in text


def test_unmeasured() -> None:
    text = card.write(CONFIG, 1_500_000, {})
    assert "2.5 hours on two processor cores." in text and "1.50 M parameters" in text and "Not yet measured" in text
    assert "| 2 | 5 of 16 | 3 | 1.5 hours | 8 | 0% |  |" in text
    mixed = CONFIG | {"training": [RUNS[1] | {"mixed": 0.3, "scenes": 0.4, "probe": 0.35}]}
    assert "| 1 | 5 of 16 | 3 | 1.5 hours | 8 | 40% | probe 35%, mixed with 30% |" in card.write(mixed, 1_500_000, {})


def test_measured() -> None:
    text = card.write(CONFIG, 1_500_000, {
        "clips": {"test": {"confirmed": SCORES, "YAMNet": SCORES}},
        "robustness": {"telephone": SCORES}, "esc50": {"aumd": {"fold 4": 0.81, "fold 5": 0.79, "fold 5, folds 1 to 4": 0.8}},
    })
    assert "It is poorest at door and dog." in text
    assert "| test | confirmed | 0.500 | 0.750 | 0.950 | 0.250 | 0.500 |" in text
    assert text.index("| Door | 0.300") < text.index("| Dog | 0.700")
    assert "| telephone | 0.500 | 0.250 |" in text and "| aumd | 81.0 % | 79.0 % | 80.0 % |" in text
    assert "Not yet measured" not in text


def test_yamnet_as_published_and_with_a_probe_that_knows_the_clips() -> None:
    ahead = SCORES | {"ap": 0.625, "labels": {"Dog": 0.7, "Door": 0.9}}
    text = card.write(CONFIG, 1_500_000, {"clips": {"test": {"confirmed": SCORES, "YAMNet": SCORES, "YAMNet, not rounded": SCORES, PROBED: ahead}}})
    assert "as published, not trained on these clips" in text
    assert f"| test | {PROBED} | 0.625 | 0.750 |" in text
    assert "| label | confirmed | YAMNet | the linear probe |" in text and "| Door | 0.300 | 0.300 | 0.900 |" in text
    assert "It is poorest at door and dog, and far behind the linear probe on door." in text


@pytest.mark.parametrize("rows", [
    {"validation": ("provisional", "confirmed", "offline", "YAMNet", "YAMNet, not rounded")},  # --splits validation
    {"test": ("confirmed", "YAMNet, not rounded", PROBED)},  # a corpus without teacher/yamnet_scores.npz
    {"validation": ("offline", "YAMNet, not rounded"), "test": ("offline", "YAMNet, not rounded")},
    {"test": ("confirmed",)}, {"test": (PROBED,)},
])
def test_rows_that_are_not_there_are_not_missed(rows: dict) -> None:
    text = card.write(CONFIG, 1_500_000, {"clips": {split: dict.fromkeys(names, SCORES) for split, names in rows.items()}})
    for split, names in rows.items():
        for name in names:
            assert f"| {split} | {name} | 0.500 |" in text
    names = rows[split]
    own = next((name for name in ("confirmed", "offline") if name in names), None)
    assert ("It is poorest at door and dog." in text) == (own is not None)
    if own:
        yamnet = [" | YAMNet"] * any("YAMNet" in name.split(",") for name in names) + [" | the linear probe"] * (PROBED in names)
        assert f"label on the {split} split" in text and f"| label | {own}{''.join(yamnet)} |" in text
    assert ("after the third" in text) == ("provisional" in names)


def spread(count: int, median: float = float("nan"), p95: float = float("nan")) -> dict:
    return {"count": count, "median": median, "p95": p95}


def streams(near: tuple, wide: tuple, kinds: dict) -> dict:
    """What evaluate_streams.py writes with --no-teacher; errors of events near a sound, and of those that overlap one too."""
    shares = {"announced": 0.9, "within_0.35_s": 0.6, "named_within_0.35_s": 0.5} if near[0] else {}
    timing = {
        "closed": 7, "onset_error": spread(*near), "offset_error": spread(*near), "provisional_delay": spread(near[0], 0.28),
        "confirmed_delay": spread(near[0], 3.58), "shares": shares,
    }
    taken = {"not_confirmed": 0.25, "absorbed": 0.05}
    return {"aumd": {
        "onset_f_measure": 0.5, "psds1": 0.6, "psds2": 0.7, "timing": timing, "timing_overlapping": timing | {
            "onset_error": spread(*wide), "offset_error": spread(*wide)
        },
        "retractions": taken, "retractions_heldout": taken, "false_per_hour": kinds | {"all": 29.0},
    }}


def test_times_say_of_which_events_they_are() -> None:
    found = streams((5, 0.008, 0.46), (6, 0.009, 1.54), {"speech": 0.0, "music": 30.0, "background": 127.0, "quiet": 1.8})
    text = card.write(CONFIG, 1_500_000, {"streams": found})
    of = "of the 5 of 7 events that begin within 1 s of a sound of their label: median 8 ms, 95 % within 0.46 s"
    assert f"| onset error, confirmed | {of}; of the 6 that do or overlap one: median 9 ms, 95 % within 1.54 s |" in text
    assert "| onset to provisional event, of those 5 | median 0.28 s; 90% of them had one, 60% had it within 0.35 s" in text
    assert "held-out speech, music, background and quiet," in text
    assert "| 29: speech 0, music 30, background 127, quiet rooms 1.8 |" in text


def test_yamnet_has_the_psds_of_its_best_running_mean() -> None:
    best = {"psds1_at": {"hop": 0.16, "mean_over": 1.44}, "psds2_at": {"hop": 0.48, "mean_over": 2.08}}
    yamnet = {"shift": 0.3, "psds1": 0.25, "psds2": 0.5, "best F1": {"onset_f_measure": 0.16}} | best
    text = card.write(CONFIG, 1_500_000, {"streams": streams((0,), (0,), {"quiet": 29.0}) | {"YAMNet": yamnet}})
    assert "| 0.600, 0.700 (YAMNet 0.250, 0.500, as means of its scores that are best on validation: " in text
    assert "over 1.4 s every 0.16 s, over 2.1 s every 0.48 s) |" in text


def test_streams_of_another_corpus_may_lack_kinds_and_events() -> None:
    text = card.write(CONFIG, 1_500_000, {"streams": streams((0,), (0,), {"quiet": 29.0})})
    assert "nan" not in text and "held-out quiet," in text and "| 29: quiet rooms 29.0 |" in text
    assert "none of 7 events begins within 1 s of a sound of its label" in text


def test_a_card_of_other_clips_says_nothing_of_ours() -> None:
    config = CONFIG | {"training": [{"n_layer": 2, "steps": 9, "seconds": 50, "device": "cpu"}]}
    text = card.write(config, 1_500_000, {"clips": {"test": {"confirmed": SCORES}}}, {"Data and licence": "My kitchen.\n"})
    assert "Trained for 1 minute on a processor." in text and "| 1 minute |" in text
    for ours in ("ESC-50", "everyday", "AudioSet", "two processor cores", "0.35", "47 %", "were chosen by", "soundfont", "YAMNet, on the same"):
        assert ours not in text, ours
    assert "None are chosen" in text and "Neither training nor `calibrate.py` looks at the test split." in text
    chosen = card.write(config | {"thresholds": {"Dog": {"on": 0.5}}}, 1_500_000, {}, {})
    assert "were chosen by `Training/calibrate.py`" in chosen and "None are chosen" not in chosen and "0.35" not in chosen


def test_the_shipped_card_is_where_ours_is_said() -> None:
    assert set(card.PROSE) == set(card.SECTIONS) and card.PROSE == card.prose(card.SHIPPED.read_text(encoding="utf-8"))
    said = " ".join(card.PROSE["Data and licence"].split()), " ".join(card.PROSE["Known weaknesses"].split())
    assert "The test split holds ESC-50's fold 5" in said[0]
    assert "near copies of takes in training (correlation 0.90 to 1.00 above 300 Hz, aligned)" in said[1] and "a fifth of the provisional events" in said[1]


def test_what_a_card_says_of_data_and_weaknesses_is_kept() -> None:
    text = card.write(CONFIG, 1_500_000, {})
    assert card.prose(text) == card.PROSE and "license: mit" in text and "ESC-50" in text
    own = {"Data and licence": "My kitchen.\n\nMIT.\n"}
    told = card.write(CONFIG, 1_500_000, {}, own)
    assert card.prose(told) == own and "ESC-50" not in told and "Known weaknesses" not in told
    assert card.prose("no sections") == {}


def test_the_trade_off_takes_the_best_point_of_validation_that_keeps_each_rate() -> None:
    curve = [
        {"validation_f1": 0.6, "validation_false_per_hour": 30, "f1": 0.5, "false_per_hour": 41},
        {"validation_f1": 0.4, "validation_false_per_hour": 9, "f1": 0.45, "false_per_hour": 14},
        {"validation_f1": 0.3, "validation_false_per_hour": 8, "f1": 0.46, "false_per_hour": 7},
    ]
    low, high = "0.450, with 14 an hour on test", "0.500, with 41 an hour on test"
    assert card._trade_off(curve) == f"10: {low}; 20: {low}; 40: {high}; 80: {high}"
