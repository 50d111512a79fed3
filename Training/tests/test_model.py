"""The training model against the plain fp64 reference, and the stream's modes against each other."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from aumd_training import features, grids, modelfolder, reference  # noqa: E402
from aumd_training.corpus import Label  # noqa: E402
from aumd_training.model import AudioMamba, ModelConfig, grow, relabelled  # noqa: E402
from aumd_training.optimizers import optimizers  # noqa: E402

SIZES = ModelConfig(d_model=48, n_layer=3, d_state=8, num_classes=5)
REFERENCE = {
    "variant": "fo-bi", "d_model": 48, "n_layer": 3, "d_state": 8, "d_conv": 4, "expand": 2, "dt_rank": 3,
    "norm_eps": 1e-5, "num_classes": 5, "token_order": "time-major", "position": "frequency", "pooling": "column",
    "normalization": {"mean": features.MEAN, "std": features.STD},
}


@pytest.fixture
def model() -> AudioMamba:
    torch.manual_seed(0)
    model = AudioMamba(SIZES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def logmel(columns: int) -> torch.Tensor:
    return torch.randn(1, columns * 16, 128, generator=torch.Generator().manual_seed(columns))


@pytest.mark.parametrize("backward", [False, True])
def test_model_matches_reference(model: AudioMamba, backward: bool) -> None:
    x = logmel(9)
    weights = {name: tensor.double() for name, tensor in model.state_dict().items()}
    unnormalised = x[0].double() * (2 * features.STD) + features.MEAN
    want = reference.logits(unnormalised, weights, REFERENCE, backward)
    with torch.no_grad():
        got = model(x, backward)[0]
    assert (got.double() - want).abs().max() < 1e-4


def test_tensor_names_are_the_published_ones(model: AudioMamba) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == reference.tensor_shapes(REFERENCE, 0)


def test_one_window_over_a_clip_is_offline(model: AudioMamba) -> None:
    x = logmel(11)
    with torch.no_grad():
        assert torch.allclose(model.confirmed(x, 8, 16), model(x), atol=1e-5)


def windowed(x: torch.Tensor, weights: dict[str, torch.Tensor], chunk: int, lookahead: int) -> torch.Tensor:
    """A stream's windows as the reference has them: before its own tokens each layer hears all that it was given for columns
    confirmed before. They are of the past, so that the backward direction does not come to them."""
    total, out = len(x) // 16, []
    heard = [x.new_zeros(0, SIZES.d_model)] * SIZES.n_layer
    for first in range(0, total - lookahead, chunk):
        last = first + chunk + lookahead
        count = chunk if last < total else total - first
        h, _ = reference.embed(x[first * 16 : last * 16], weights, REFERENCE)
        for i in range(SIZES.n_layer):
            u = reference.rms_norm(h, weights[f"layers.{i}.norm.weight"], SIZES.norm_eps)
            h = h + reference.mixer(torch.cat([heard[i], u]), weights, f"layers.{i}.mixer.", REFERENCE, True)[-len(u) :]
            heard[i] = torch.cat([heard[i], u[: count * 8]])
        columns = reference.rms_norm(h, weights["norm_f.weight"], SIZES.norm_eps).reshape(-1, 8, SIZES.d_model).mean(1)
        out.append((columns @ weights["head.weight"].T + weights["head.bias"])[:count])
    return torch.cat(out)


@pytest.mark.parametrize(("columns", "chunk", "lookahead"), [(20, 4, 6), (20, 1, 2), (19, 5, 0)])
def test_windows_continue_the_forward_state(model: AudioMamba, columns: int, chunk: int, lookahead: int) -> None:
    x = logmel(columns)
    weights = {name: tensor.double() for name, tensor in model.state_dict().items()}
    want = windowed(x[0].double(), weights, chunk, lookahead)
    got = model.confirmed(x, chunk, lookahead)[0]
    assert got.shape == want.shape == (columns, 5)
    assert (got.double() - want).abs().max() < 1e-4


def test_forward_only_is_causal(model: AudioMamba) -> None:
    """Without the backward direction, later columns change nothing."""
    x = logmel(15)
    with torch.no_grad():
        whole, cut = model(x, backward=False), model(x[:, : 7 * 16], backward=False)
    assert torch.allclose(whole[:, :7], cut, atol=1e-5)


def test_sequences_with_and_without_the_backward_direction_share_a_batch(model: AudioMamba) -> None:
    x, edges = torch.cat([logmel(12), logmel(12).flip(1), logmel(12)]), torch.zeros(12, dtype=torch.uint8)
    edges[4] = 1
    with torch.no_grad():
        got = model.features(x, 2, edges)
        assert torch.allclose(got[:2], model.features(x[:2], 2, edges), atol=1e-5)
        assert torch.allclose(got[2:], model.features(x[2:], 0), atol=1e-5)


def test_an_edge_is_a_cut(model: AudioMamba) -> None:
    """Columns left of a right edge see what they would see in a clip that ends there."""
    x, edges = logmel(12), torch.zeros(12, dtype=torch.uint8)
    edges[4] = 1
    with torch.no_grad():
        assert torch.allclose(model.features(x, edges=edges)[:, :5], model.features(x[:, : 5 * 16])[:, :5], atol=1e-5)


@pytest.mark.parametrize(("layers", "width"), [(3, 48), (4, 48), (7, 48), (3, 80), (5, 64)])
def test_a_grown_model_is_the_trained_one_at_first(model: AudioMamba, layers: int, width: int) -> None:
    grown = AudioMamba(ModelConfig(d_model=width, n_layer=layers, d_state=8, num_classes=5))
    grow(grown, model.state_dict())
    x = logmel(6)
    with torch.no_grad():
        assert torch.allclose(grown.eval()(x), model(x), atol=1e-6)
        assert torch.allclose(grown(x, backward=False), model(x, backward=False), atol=1e-6)


def test_what_a_wider_model_adds_learns(model: AudioMamba) -> None:
    """After two steps every new part of every projection has moved: nothing in it is stuck at zero."""
    wider = AudioMamba(ModelConfig(d_model=64, n_layer=3, d_state=8, num_classes=5))
    grow(wider, model.state_dict())
    before = {name: tensor.clone() for name, tensor in wider.state_dict().items()}
    optimizer = torch.optim.AdamW(wider.parameters(), lr=1e-3, weight_decay=0)
    for _ in range(3):
        wider(logmel(6)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, tensor in wider.state_dict().items():
        if name.endswith(("in_proj.weight", "out_proj.weight", "x_proj.weight", "head.weight")):
            assert (tensor != before[name]).float().mean() > 0.99, name


def test_stochastic_depth_skips_the_last_layer_or_lets_it_count_for_both_cases(model: AudioMamba) -> None:
    """Of two layers the first is never skipped, so that a batch is one of two functions."""
    two = AudioMamba(ModelConfig(d_model=48, n_layer=2, d_state=8, num_classes=5)).eval()
    x, none = logmel(6), torch.zeros(6 * 8, dtype=torch.uint8)
    with torch.no_grad():
        first = two.layers[0](two.embed(x), True, none)
        skipped, doubled = (two.columns(h) for h in (first, first + 2 * two.layers[1].mixer(two.layers[1].norm(first), True, none)))
        drawn = [two.features(x, drop_path=0.5) for _ in range(60)]
        skips = sum(torch.allclose(d, skipped, atol=1e-5) for d in drawn)
        assert skips + sum(torch.allclose(d, doubled, atol=1e-5) for d in drawn) == 60
        assert 10 < skips < 50
        assert torch.allclose(two.features(x, drop_path=1.0), skipped, atol=1e-5)


@pytest.mark.parametrize("muon", [False, True])
def test_every_parameter_has_one_optimizer_and_only_matrices_decay(model: AudioMamba, muon: bool) -> None:
    made = optimizers(model, 1e-3, 0.05, muon)
    names = {id(p): n for n, p in model.named_parameters()}
    given = [(names[id(p)], group["weight_decay"], type(o).__name__) for o in made for group in o.param_groups for p in group["params"]]
    assert sorted(n for n, _, _ in given) == sorted(names.values())
    for name, decay, kind in given:
        matrix = dict(model.named_parameters())[name].ndim > 1 and "A_" not in name
        assert decay == (0.05 if matrix else 0), name
        assert kind == ("Muon" if muon and "proj.weight" in name and name.startswith("layers") and "dt_proj" not in name else "AdamW"), name


def test_only_a_smaller_model_of_the_same_kind_grows(model: AudioMamba) -> None:
    for sizes in ({"d_model": 32}, {"d_state": 16}, {"d_conv": 5}, {"num_classes": 4}):
        with pytest.raises(ValueError, match="does not fit"):
            grow(AudioMamba(replace(SIZES, n_layer=4, **sizes)), model.state_dict())
    with pytest.raises(ValueError, match="another shape"):
        grow(AudioMamba(SIZES), model.state_dict() | {"extra": torch.zeros(1)})


def test_training_goes_on_from_what_a_folder_or_a_checkpoint_holds(model: AudioMamba, tmp_path: Path) -> None:
    """A folder has the weights in F16 and no teacher's head; both tell the runs so far."""
    runs = [{"n_layer": 2, "steps": 5, "seconds": 7.0}, {"n_layer": 3, "steps": 9, "seconds": 8.0, "joined": 4}]
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    modelfolder.write(tmp_path, {"training": runs}, half, "")
    state = {"averaged": model.state_dict(), "sizes": {"n_layer": 3}, "step": 9, "seconds": 8.0, "joined": 4, "before": runs[:1]}
    torch.save(state, tmp_path / "checkpoint.pth")
    for start, tolerance in ((tmp_path, 1e-2), (tmp_path / "checkpoint.pth", 1e-7)):
        weights, before, _ = modelfolder.trained(start)
        again = AudioMamba(SIZES, teacher_size=6)
        grow(again, weights)
        assert before == runs
        with torch.no_grad():
            assert torch.allclose(again.eval()(logmel(6)), model(logmel(6)), atol=tolerance)


def test_a_label_keeps_its_own_weights_wherever_it_stands(model: AudioMamba) -> None:
    """Rows of the head are found by id, then by name; labels that the start does not know begin anew."""
    before = [Label(f"/m/{name}", name) for name in "abcde"]
    labels = [Label("/m/new", "new"), Label("/m/d", "renamed"), Label("", "a")]
    own = AudioMamba(replace(SIZES, d_model=64, num_classes=3)).eval()
    grow(own, relabelled(model.state_dict(), before, labels))
    with torch.no_grad():
        was, now = model(logmel(6)), own(logmel(6))
    assert torch.allclose(now[..., 1:], was[..., [3, 0]], atol=1e-5) and torch.allclose(now[..., 0], torch.tensor(-4.0))
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in relabelled(model.state_dict(), before, before).items())
    weights = model.state_dict()
    assert relabelled(weights, None, before) is weights
    with pytest.raises(ValueError, match="has 5 classes and says not which, labels.csv has 3"):
        relabelled(model.state_dict(), None, labels)


def test_the_labels_of_a_start_are_what_its_config_or_its_checkpoint_says(model: AudioMamba, tmp_path: Path) -> None:
    labels = [Label("/m/a", "a"), Label("/m/b", "b")]
    modelfolder.write(tmp_path, {"training": [], "id2label": {"0": "a", "1": "b"}, "mids": ["/m/a", "/m/b"]}, model.state_dict(), "")
    state = {"averaged": model.state_dict(), "sizes": {"n_layer": 3}, "step": 9, "seconds": 8.0}
    for name, more in (("new", {"labels": [("/m/a", "a"), ("/m/b", "b")]}), ("old", {})):
        torch.save(state | more, tmp_path / name)
    assert [modelfolder.trained(tmp_path / name)[2] for name in ("", "new", "old")] == [labels, labels, None]
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "old").write_bytes(b"PK")
    for name, sentence in (("", "no model folder of export.py"), ("old", "not a PyTorch checkpoint")):
        with pytest.raises(modelfolder.CheckpointError, match=sentence):
            modelfolder.trained(tmp_path / name)


@pytest.mark.parametrize(("sizes", "sentence"), [({"d_model": 36}, "E = .*72"), ({"d_state": 32}, "N one of 4, 8, 16"), ({"n_layer": 0}, "at least 1")])
def test_sizes_that_the_scan_cannot_run_are_refused(sizes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(SIZES, **sizes)


@pytest.mark.parametrize("backward", [False, True])
def test_two_patch_grids_match_the_reference(model: AudioMamba, backward: bool) -> None:
    x = logmel(9)
    weights = {name: tensor.double() for name, tensor in model.state_dict().items()}
    unnormalised = x[0].double() * (2 * features.STD) + features.MEAN
    want = reference.logits(unnormalised, weights, REFERENCE | {"patch_grids": 2}, backward)
    with torch.no_grad():
        got = (grids.blended if backward else grids.stepped)(model(x, backward), model(grids.shifted(x), backward))[0]
    assert (got.double() - want).abs().max() < 1e-4


def test_the_second_grid_s_windows_end_where_the_first_s_do(model: AudioMamba) -> None:
    """Windows of 4 + 6 columns; the second grid's first one confirms five columns, of the same ten."""
    x = logmel(20)
    with torch.no_grad():
        confirmed = model.confirmed(x, 4, 6, ahead=1)
        assert torch.allclose(confirmed[:, :5], model(x[:, : 10 * 16])[:, :5], atol=1e-5)
        assert torch.allclose(confirmed[:, 13:], model(x)[:, 13:], atol=1e-5)
