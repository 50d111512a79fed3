"""The streaming Audio Mamba that is trained: Fo-Bi, time-major, column pooling, dual-mode.

Parameters carry the published tensor names, so `state_dict()` is what the daemon reads, but for
`teacher.*`. Symbols: B batch, T columns, L = 8 T tokens, D = d_model, E = expand * D, N = d_state,
R = dt_rank, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .commands import InputError, SettingsError
from .corpus import Label
from .features import COLUMN_FRAMES, N_MELS
from .scan import conv_silu, kernel, scan_gated

BANDS = 8
#: Channels that the scan takes at a time, and the numbers of states it is compiled for.
LANES, STATES = 16, (4, 8, 16)
#: Bias of a label that nothing has been learned of yet.
NEW_BIAS = -4.0


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a model."""

    d_model: int = 192
    n_layer: int = 8
    d_state: int = 8
    d_conv: int = 4
    expand: int = 2
    num_classes: int = 112
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if min(self.d_model, self.n_layer, self.d_conv, self.expand, self.num_classes) < 1:
            raise SettingsError(f"{self}: every size is at least 1.")
        if self.d_inner % LANES or self.d_state not in STATES:
            raise SettingsError(
                f"E = expand * d_model = {self.d_inner} and N = d_state = {self.d_state} cannot be run: "
                f"E is a multiple of {LANES}, N one of {', '.join(map(str, STATES))}."
            )

    @property
    def dt_rank(self) -> int:
        return -(-self.d_model // 16)

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model


class RMSNorm(nn.Module):
    """h (…, D)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, h: Tensor) -> Tensor:
        return F.rms_norm(h, self.weight.shape, self.weight, self.eps)


@dataclass
class LayerState:
    """What one layer carries from token to token: scan (B, E / 16, N, 16), convolution tail (B, K - 1, E)."""

    scan: Tensor
    tail: Tensor


class Mixer(nn.Module):
    """The selective state space mixer, both directions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, e, n, r, k = config.d_model, config.d_inner, config.d_state, config.dt_rank, config.d_conv
        self.sizes = [r, n, n]
        self.in_proj = nn.Linear(d, 2 * e, bias=False)
        self.conv1d = nn.Conv1d(e, e, k, groups=e)
        self.x_proj = nn.Linear(e, r + 2 * n, bias=False)
        self.dt_proj = nn.Linear(r, e)
        self.out_proj = nn.Linear(e, d, bias=False)
        states = torch.arange(1, n + 1, dtype=torch.float32).log().repeat(e, 1)
        self.A_log, self.A_b_log = nn.Parameter(states.clone()), nn.Parameter(states.clone())
        self.D = nn.Parameter(torch.ones(e))
        with torch.no_grad():
            nn.init.uniform_(self.dt_proj.weight, -(r**-0.5), r**-0.5)
            dt = torch.exp(torch.rand(e) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
            self.out_proj.weight.div_(math.sqrt(config.n_layer))

    def forward(self, h: Tensor, both: int, edges: Tensor) -> Tensor:
        """h (B, L, D), the first `both` heard in both directions; edges (L) uint8, see scan.scan_gated."""
        gate_row = self.in_proj.weight.shape[0] // 2
        x, z = F.linear(h, self.in_proj.weight[:gate_row]), F.linear(h, self.in_proj.weight[gate_row:])
        u = conv_silu(x, self.conv1d.weight, self.conv1d.bias)
        dt, b, c = self.x_proj(u).split(self.sizes, dim=-1)
        a_b = -torch.exp(self.A_b_log) if both else None
        y = scan_gated(u, self.dt_proj(dt), z, -torch.exp(self.A_log), a_b, b, c, self.D, edges, both)
        return self.out_proj(y)

    @torch.no_grad()
    def window(self, h: Tensor, state: LayerState | None, keep: int) -> tuple[Tensor, LayerState]:
        """A window pass, CPU only: forward from `state`, backward from zero at the right edge.

        h (B, L, D). Returns the output and the state after token `keep`.
        """
        x, z = self.in_proj(h).chunk(2, dim=-1)
        x, none, k = x.contiguous(), h.new_empty(0), self.conv1d.weight.shape[-1]
        tail = x.new_zeros(len(x), k - 1, x.shape[-1]) if state is None else state.tail
        u = kernel().conv_forward(x, self.conv1d.weight[:, 0].T.contiguous(), self.conv1d.bias, tail)
        dt, b, c = (part.contiguous() for part in self.x_proj(u).split(self.sizes, dim=-1))
        edges = torch.zeros(x.shape[1], dtype=torch.uint8)
        a, a_b = -torch.exp(self.A_log), -torch.exp(self.A_b_log)
        scan = none if state is None else state.scan
        y, _, kept = kernel().scan_forward(
            u, self.dt_proj(dt), z.contiguous(), a, a_b, b, c, self.D, edges, scan, keep
        )
        return self.out_proj(y), LayerState(kept, torch.cat([tail, x[:, : keep + 1]], 1)[:, -(k - 1) :].contiguous())


class Layer(nn.Module):
    """Pre-norm block with its residual."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.mixer = Mixer(config)

    def forward(self, h: Tensor, both: int, edges: Tensor) -> Tensor:
        return h + self.mixer(self.norm(h), both, edges)


class PatchEmbed(nn.Module):
    """Patches of 16 mel x 16 frames. (B, T * 16, 128) -> (B, T, 8, D)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, d_model, 16, 16)

    def forward(self, logmel: Tensor) -> Tensor:
        patches = logmel.unflatten(1, (-1, COLUMN_FRAMES)).unflatten(3, (BANDS, N_MELS // BANDS))
        return F.linear(patches.permute(0, 1, 3, 4, 2).flatten(3), self.proj.weight.flatten(1), self.proj.bias)


class PositionEmbed(nn.Module):
    """One learned row a frequency band, none for time."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, BANDS, d_model) * 0.02)


class AudioMamba(nn.Module):
    """Normalised log-mel (B, T * 16, 128) -> logits a column, (B, T, C)."""

    def __init__(self, config: ModelConfig, teacher_size: int = 0) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config.d_model)
        self.pos_embed = PositionEmbed(config.d_model)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layer))
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.num_classes)
        self.teacher = nn.Linear(config.d_model, teacher_size) if teacher_size else None
        nn.init.constant_(self.head.bias, NEW_BIAS)

    def embed(self, logmel: Tensor) -> Tensor:
        """Tokens in time-major order, (B, L, D)."""
        return (self.patch_embed(logmel) + self.pos_embed.pos_embed[:, None]).flatten(1, 2)

    def columns(self, h: Tensor) -> Tensor:
        """Mean of a column's 8 output tokens, (B, T, D)."""
        return self.norm_f(h).unflatten(1, (-1, BANDS)).mean(2)

    def features(
        self, logmel: Tensor, both: int | None = None, edges: Tensor | None = None, drop_path: float = 0.0
    ) -> Tensor:
        """(B, T, D). The first `both` sequences are heard in both directions (None: all), the others without the backward one.

        `edges` (T) uint8: 1 where the backward direction starts from zero, besides the end.

        `drop_path`: stochastic depth (Huang et al. 2016), with which chance the whole batch skips the last layer; the first never.
        """
        h, both = self.embed(logmel), len(logmel) if both is None else both
        token_edges = torch.zeros(h.shape[1], dtype=torch.uint8)
        if edges is not None:
            token_edges[BANDS - 1 :: BANDS] = edges
        token_edges = token_edges.to(h.device)
        for i, layer in enumerate(self.layers):
            dropped = drop_path * i / max(1, len(self.layers) - 1)
            if dropped == 0:
                h = layer(h, both, token_edges)
            elif torch.rand(()).item() >= dropped:
                h = torch.lerp(h, layer(h, both, token_edges), 1 / (1 - dropped))
        return self.columns(h)

    def forward(self, logmel: Tensor, backward: bool = True) -> Tensor:
        return self.head(self.features(logmel, None if backward else 0))

    @torch.no_grad()
    def confirmed(self, logmel: Tensor, chunk: int, lookahead: int, ahead: int = 0) -> Tensor:
        """Logits (B, T, C) as a stream confirms them: windows of `chunk` + `lookahead` columns.

        `ahead`: by how many more the first window confirms, as the second patch grid's does by one.
        """
        total, out = logmel.shape[1] // COLUMN_FRAMES, []
        states: list[LayerState | None] = [None] * len(self.layers)
        first, last = 0, 0
        while first < total:
            last = min(last + chunk + (lookahead if last == 0 else 0), total)
            count = chunk + (ahead if first == 0 else 0) if last < total else last - first
            h = self.embed(logmel[:, first * COLUMN_FRAMES : last * COLUMN_FRAMES])
            for i, layer in enumerate(self.layers):
                y, states[i] = layer.mixer.window(layer.norm(h), states[i], count * BANDS - 1)
                h = h + y
            out.append(self.head(self.columns(h))[:, :count])
            first += count
        return torch.cat(out, 1)


def widened(name: str, old: Tensor, new: Tensor, states: int) -> Tensor:
    """A trained tensor inside a wider one that is freshly initialised.

    What was there reads nothing new, and what is new writes nothing into the residual, so that the function is the same at first.
    """
    if name.endswith("pos_embed"):
        old, new = old.movedim(-1, 0), new.movedim(-1, 0)
    rows = torch.arange(len(old))
    if name.endswith("in_proj.weight"):  # x, then z
        rows = torch.where(rows < len(old) // 2, rows, rows + (len(new) - len(old)) // 2)
    if name.endswith("x_proj.weight"):  # the rank of delta, then B and C
        rows = torch.where(rows < len(old) - 2 * states, rows, rows + len(new) - len(old))
    residual = name.startswith(("patch_embed", "pos_embed")) or name.endswith("out_proj.weight")
    out = torch.zeros_like(new) if residual else new.clone()
    if old.ndim == 1:
        # The mean square of a wider residual is smaller by as much as it holds zeros.
        out[rows] = old * math.sqrt(len(old) / len(new)) if "norm" in name else old
    else:
        out[rows] = 0
        out[rows, : old.shape[1]] = old
    return out.movedim(0, -1) if name.endswith("pos_embed") else out


@torch.no_grad()
def grow(model: AudioMamba, trained: dict[str, Tensor]) -> None:
    """Loads the weights of a trained model with as many layers and channels or fewer; layers it lacks begin as the identity.

    The trained ones are spread evenly, so that the function is the trained one at first. The teacher's head may be missing.
    """
    count = 1 + max(int(name.split(".")[1]) for name in trained if name.startswith("layers."))
    place = [(i + 1) * len(model.layers) // count - 1 for i in range(count)]
    own, moved = model.state_dict(), {}
    for name, tensor in trained.items():
        if name.startswith("layers."):
            _, i, rest = name.split(".", 2)
            name = f"layers.{place[int(i)]}.{rest}"
        new = own.get(name, tensor)
        fixed = name.endswith(("A_log", "A_b_log", "conv1d.weight"))  # states and taps do not grow
        if tensor.ndim != new.ndim or any(a > b for a, b in zip(tensor.shape, new.shape)) or (fixed and tensor.shape[-1] != new.shape[-1]):
            raise InputError(f"the start's {name} has the shape {tuple(tensor.shape)}, which does not fit in {tuple(new.shape)}.")
        moved[name] = widened(name, tensor.to(new.device), new, model.config.d_state)
    missing, unexpected = model.load_state_dict(moved, strict=False)
    if unexpected or not all(name.startswith(("layers.", "teacher.")) for name in missing):
        raise InputError(f"the start checkpoint is of another shape: {(list(missing) + list(unexpected))[0]}.")
    for i in set(range(len(model.layers))) - set(place):
        model.layers[i].mixer.out_proj.weight.zero_()


def relabelled(weights: dict[str, Tensor], before: Sequence[Label] | None, labels: Sequence[Label]) -> dict[str, Tensor]:
    """The weights with the head's rows in the order of `labels`, found by id or by name; a label that was not there begins anew."""
    head, bias = weights["head.weight"], weights["head.bias"]
    if before is None:
        if len(head) != len(labels):
            raise InputError(f"The start has {len(head)} classes and says not which, labels.csv has {len(labels)}; start from another.")
        return weights
    row = {label.name: i for i, label in enumerate(before)} | {label.mid: i for i, label in enumerate(before) if label.mid}
    found = [row.get(label.mid, row.get(label.name, -1)) for label in labels]
    known = torch.tensor([i >= 0 for i in found])
    rows = torch.tensor(found).clamp_min(0)
    new = {"head.weight": head[rows] * known[:, None], "head.bias": torch.where(known, bias[rows], torch.tensor(NEW_BIAS))}
    return weights | new
