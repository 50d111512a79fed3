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


def test_each_sequence_may_have_its_own_onset_weight() -> None:
    logits, target, known = torch.ones(2, 10, 4), torch.zeros(2, 10, 4), torch.ones(2, 10, 4)
    target[:, 4:, 2] = 1
    one, other = (losses.column_loss(logits[:1], target[:1], known[:1], weight) for weight in (1.0, 5.0))
    both = losses.column_loss(logits, target, known, torch.tensor([[1.0], [5.0]]))
    assert torch.isclose(both, (one + other) / 2)


def test_the_scores_of_a_stream_follow_those_with_the_backward_direction_and_not_the_reverse() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, leading = (torch.randn(2, 10, 4, generator=generator, requires_grad=True) for _ in range(2))
    told, wanted = logits.sigmoid(), leading.sigmoid()
    divergence = wanted * (wanted / told).log() + (1 - wanted) * ((1 - wanted) / (1 - told)).log()
    loss = losses.follow_loss(logits, leading)
    assert torch.isclose(loss, divergence.sum(-1).mean())
    assert losses.follow_loss(leading, leading) < 1e-6
    loss.backward()
    assert leading.grad is None and logits.grad.abs().min() > 0
