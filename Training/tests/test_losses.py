"""What training minimises: which columns and labels count, and how much."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from aumd_training import losses  # noqa: E402


def test_onsets_are_the_first_columns_after_any_label_came_on() -> None:
    target = torch.zeros(2, 12, 3)
    target[0, 2:9, 1] = 1
    target[0, 7:8, 2] = 1  # another label inside
    target[1, 0:1, 0] = 1  # on from the beginning
    told = losses.onsets(target)
    assert torch.equal(told[0], torch.tensor([0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0.0]))
    assert torch.equal(told[1], torch.tensor([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0.0]))


def test_onset_weight_multiplies_the_loss_of_onsets_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 10, 4, generator=generator)
    target = torch.zeros(2, 10, 4)
    target[:, 4:, 2] = 1
    known = (torch.rand(2, 10, 4, generator=generator) < 0.7).float()
    whole = losses.column_loss(logits, target, known)
    onsets = losses.column_loss(logits[:, 4:7], target[:, 4:7], known[:, 4:7]) * 3 / 10
    assert torch.isclose(losses.column_loss(logits, target, known, 5.0), whole + 4 * onsets)


def test_unknown_labels_cost_nothing() -> None:
    logits, target, known = torch.full((1, 3, 2), 9.0), torch.zeros(1, 3, 2), torch.zeros(1, 3, 2)
    assert losses.column_loss(logits, target, known) == 0
    assert losses.clip_loss(logits, target, known) == 0
