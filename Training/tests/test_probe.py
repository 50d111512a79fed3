"""The probe on the teacher's embedding, and the loss that uses it."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from aumd_training import losses, probe  # noqa: E402


@pytest.fixture
def clips() -> tuple:
    """Embeddings of which two directions tell the two labels."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300, 20, generator=generator)
    return x, torch.stack([x[:, 3] > 0.5, x[:, 7] > 1], 1).float()


def test_probe_finds_the_labels_the_same_way_each_time(clips: tuple) -> None:
    x, truth = clips
    first, second = probe.fit(x, truth), probe.fit(x, truth)
    for logits, on in zip(first.logits(x).T, truth.T.bool()):
        assert (logits[on][:, None] > logits[~on]).float().mean() > 0.9
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)


def test_a_probe_of_few_clips_says_nothing_wild_of_others() -> None:
    generator = torch.Generator().manual_seed(4)
    centres = 3 * torch.randn(2, 200, generator=generator)
    x, others = (centres.repeat(20, 1) + torch.randn(40, 200, generator=generator) for _ in range(2))
    truth = torch.eye(2).repeat(20, 1)
    logits = probe.fit(x, truth).logits(others)
    assert logits.abs().max() < 20 and (logits.argmax(1) == truth.argmax(1)).float().mean() > 0.9


def test_loss_counts_what_tells_labels_and_weighted_columns_only(clips: tuple) -> None:
    fitted = probe.fit(*clips)
    embedding, weight = torch.zeros(1, 4, 20), torch.tensor([[1.0, 1, 0, 0]])

    def loss(direction: int, column: int) -> float:
        wrong = embedding.clone()
        wrong[0, column, direction] = 1
        return losses.probe_loss(wrong, embedding, weight, fitted).item()

    assert loss(3, 0) > 5 * loss(11, 0)
    assert loss(3, 2) == 0 and losses.probe_loss(embedding, embedding, weight, fitted) == 0


def test_loss_hardly_counts_how_deep_a_no_is(clips: tuple) -> None:
    fitted = probe.fit(*clips)
    no = torch.zeros(1, 1, 20)
    no[..., [3, 7]] = -4
    deeper, yes = no * 2, -no
    one = torch.ones(1, 1)
    assert losses.probe_loss(deeper, no, one, fitted) < 0.01 * losses.probe_loss(yes, no, one, fitted)


def test_a_linear_head_is_found_where_there_is_one() -> None:
    generator = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(6, 4, generator=generator), torch.randn(6, generator=generator)
    x = torch.randn(3, 2, 25, 4, generator=generator)  # batches of two mixtures
    values = x @ weight.T + bias
    counts = (torch.rand(3, 2, 25, generator=generator) < 0.8).float()
    values[counts == 0] = 100  # columns that do not count
    found = probe.linear_head(zip(x, values, counts))
    assert torch.allclose(found[0], weight, atol=1e-4) and torch.allclose(found[1], bias, atol=1e-4)


def test_a_folded_head_is_the_two_ways_mixed(clips: tuple) -> None:
    fitted = probe.fit(*clips)
    generator = torch.Generator().manual_seed(3)
    head = torch.randn(2, 6, generator=generator), torch.randn(2, generator=generator)
    teacher = torch.randn(20, 6, generator=generator), torch.randn(20, generator=generator)
    features = torch.randn(50, 6, generator=generator)
    own, through = features @ head[0].T + head[1], fitted.logits(features @ teacher[0].T + teacher[1])
    for share in (0.0, 0.35, 1.0):
        weight, bias = probe.folded(head, teacher, fitted, share)
        assert torch.allclose(features @ weight.T + bias, (1 - share) * own + share * through, atol=1e-4)
