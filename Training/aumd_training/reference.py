"""The model's equations, written plainly in float64: what every faster version is checked against.

Symbols: D = d_model, E = expand * D, N = d_state, R = dt_rank, K = d_conv, L = tokens in the
sequence, C = classes. Nothing here is fast: one Python step a token.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Config = Mapping[str, object]
Weights = Mapping[str, Tensor]


def patch_grid(config: Config) -> tuple[int, int, int]:
    """Bands of a column, mel bins of a patch, frames of a patch; the published model's where the config has none."""
    mel, frames = int(config.get("patch_mel", 16)), int(config.get("patch_frames", 16))
    return int(config.get("frontend", {}).get("n_mels", 128)) // mel, mel, frames


def tensor_shapes(config: Config, tokens: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint; `tokens` counts the patches of a clip (absolute positions)."""
    d, n, k, r = (int(config[key]) for key in ("d_model", "d_state", "d_conv", "dt_rank"))
    e, c = int(config["expand"]) * d, int(config["num_classes"])
    bands, mel, frames = patch_grid(config)
    has_class_token = config["pooling"] != "column"
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (d, 1, mel, frames),
        "patch_embed.proj.bias": (d,),
    }
    rows = bands if config["position"] == "frequency" else tokens
    shapes["pos_embed.pos_embed"] = (1, rows + int(has_class_token), d)
    if has_class_token:
        shapes["cls_token"] = (1, 1, d)
    for i in range(int(config["n_layer"])):
        p = f"layers.{i}.mixer."
        shapes[f"layers.{i}.norm.weight"] = (d,)
        shapes |= {p + "in_proj.weight": (2 * e, d), p + "out_proj.weight": (d, e)}
        for suffix in ("", "_b") if config["variant"] == "bi-bi" else ("",):
            shapes |= {
                p + f"conv1d{suffix}.weight": (e, 1, k),
                p + f"conv1d{suffix}.bias": (e,),
                p + f"x_proj{suffix}.weight": (r + 2 * n, e),
                p + f"dt_proj{suffix}.weight": (e, r),
                p + f"dt_proj{suffix}.bias": (e,),
                p + f"D{suffix}": (e,),
            }
        shapes[p + "A_log"] = (e, n)
        if config["variant"] != "fo-fo":
            shapes[p + "A_b_log"] = (e, n)
    return shapes | {"norm_f.weight": (d,), "head.weight": (c, d), "head.bias": (c,)}


def rms_norm(h: Tensor, weight: Tensor, eps: float) -> Tensor:
    """h (…, D)."""
    return h / torch.sqrt(h.pow(2).mean(-1, keepdim=True) + eps) * weight


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise, zeros to the left. x (L, E), weight (E, 1, K), bias (E)."""
    width = weight.shape[-1]
    padded = torch.cat([x.new_zeros(width - 1, x.shape[1]), x])
    return bias + sum(padded[j : j + len(x)] * weight[:, 0, j] for j in range(width))


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """One step a token from a zero state. x, dt (L, E); a (E, N); b, c (L, N) -> (L, E)."""
    state = x.new_zeros(a.shape)
    rows = []
    for t in range(len(x)):
        state = torch.exp(dt[t, :, None] * a) * state + (dt[t] * x[t])[:, None] * b[t]
        rows.append(state @ c[t])
    return torch.stack(rows)


def mixer(u: Tensor, w: Weights, prefix: str, config: Config, backward: bool) -> Tensor:
    """u (L, D) -> (L, D). `backward` False leaves out the direction that runs back in time."""
    n, r = int(config["d_state"]), int(config["dt_rank"])
    x, z = (u @ w[prefix + "in_proj.weight"].T).chunk(2, dim=-1)

    def direction(x: Tensor, own: str, a_log: str, reversed_scan: bool) -> Tensor:
        conv = F.silu(causal_conv(x, w[f"{prefix}conv1d{own}.weight"], w[f"{prefix}conv1d{own}.bias"]))
        dt, b, c = (conv @ w[f"{prefix}x_proj{own}.weight"].T).split([r, n, n], dim=-1)
        dt = F.softplus(dt @ w[f"{prefix}dt_proj{own}.weight"].T + w[f"{prefix}dt_proj{own}.bias"])
        inputs = (conv, dt, -torch.exp(w[prefix + a_log]), b, c)
        if reversed_scan:
            inputs = (conv.flip(0), dt.flip(0), inputs[2], b.flip(0), c.flip(0))
        y = selective_scan(*inputs)
        return (y.flip(0) if reversed_scan else y) + w[f"{prefix}D{own}"] * conv

    y = direction(x, "", "A_log", False)
    scale = 1.0
    if config["variant"] == "bi-bi":
        scale = 0.5
        if backward:
            y = y + direction(x.flip(0), "_b", "A_b_log", False).flip(0)
    elif config["variant"] == "fo-bi" and backward:
        y = y + direction(x, "", "A_b_log", True)
    return (scale * y * F.silu(z)) @ w[prefix + "out_proj.weight"].T


def embed(logmel: Tensor, w: Weights, config: Config) -> tuple[Tensor, int | None]:
    """Normalised log-mel (frames, mel) -> tokens (L, D) in sequence order, class token's index.

    Rows of an absolute position embedding count patches frequency-major in either token order,
    as in the published code, which adds positions before it transposes. The class token's row comes first.
    """
    d = int(config["d_model"])
    bands, mel, frames = patch_grid(config)
    columns = len(logmel) // frames
    patches = logmel[: columns * frames].reshape(columns, frames, bands, mel).permute(2, 0, 3, 1)  # band, column, mel, frame
    grid = patches.reshape(bands, columns, mel * frames) @ w["patch_embed.proj.weight"].reshape(d, mel * frames).T
    grid = grid + w["patch_embed.proj.bias"]
    has_class_token = config["pooling"] != "column"
    position = w["pos_embed.pos_embed"][0, int(has_class_token) :]
    grid = grid + (position[:, None] if config["position"] == "frequency" else position.reshape(bands, columns, d))
    if config["token_order"] == "time-major":
        grid = grid.transpose(0, 1)
    tokens = grid.reshape(bands * columns, d)
    if not has_class_token:
        return tokens, None
    index = {"cls-start": 0, "cls-middle": len(tokens) // 2, "cls-end": len(tokens)}[str(config["pooling"])]
    class_token = w["cls_token"][0] + w["pos_embed.pos_embed"][0, :1]
    return torch.cat([tokens[:index], class_token, tokens[index:]]), index


def logits(logmel: Tensor, w: Weights, config: Config, backward: bool = True) -> Tensor:
    """Unnormalised log-mel (frames, mel) -> (C), or (columns, C) with column pooling.

    On two patch grids the second's column i is around the beginning of the first's column i, and silence comes before the clip.
    A column has the mean of what overlaps it, by how much of it overlaps. Without the backward direction there is a row for each
    half of a column, (2 columns, C): the mean of the two columns that ended last, one of each grid.
    """
    own = on_one_grid(logmel, w, config, backward)
    if config.get("patch_grids", 1) == 1:
        return own
    patch_frames = patch_grid(config)[2]
    silence = torch.full((patch_frames // 2, logmel.shape[1]), 2.0**-23, dtype=logmel.dtype).log()
    other = on_one_grid(torch.cat([silence, logmel])[: len(own) * patch_frames], w, config, backward)
    if not backward:
        ended = torch.stack([other, own], 1).flatten(0, 1)
        return torch.cat([ended[:1], (ended[:-1] + ended[1:]) / 2])
    following = torch.cat([other[1:], other[-1:]])
    return own / 2 + (other + following) / 4


def on_one_grid(logmel: Tensor, w: Weights, config: Config, backward: bool) -> Tensor:
    """The same on the first patch grid alone."""
    clip_frames = config.get("clip_frames")
    if clip_frames is not None:
        frames = int(clip_frames)
        logmel = F.pad(logmel[:frames], (0, 0, 0, max(0, frames - len(logmel))))
    stats = config["normalization"]
    h, class_index = embed((logmel - stats["mean"]) / (2 * stats["std"]), w, config)
    eps = float(config["norm_eps"])
    for i in range(int(config["n_layer"])):
        u = rms_norm(h, w[f"layers.{i}.norm.weight"], eps)
        h = h + mixer(u, w, f"layers.{i}.mixer.", config, backward)
    h = rms_norm(h, w["norm_f.weight"], eps)
    bands = patch_grid(config)[0]
    if class_index is not None:
        pooled = h[class_index]
    elif config["token_order"] == "time-major":
        pooled = h.reshape(-1, bands, h.shape[-1]).mean(1)
    else:
        pooled = h.reshape(bands, -1, h.shape[-1]).mean(0)
    return pooled @ w["head.weight"].T + w["head.bias"]
