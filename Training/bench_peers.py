#!/usr/bin/env python3
"""aumd beside its peers on one thread: the same Audio Mamba in eager PyTorch, and AST's encoder of the same width.

python3 Training/bench_peers.py .build/release/aumd [--shapes tiny,small,base] [--tokens 512,4096]
                                                            [--weights float32] [--runs 3]

Every length is measured in turn by all three, so that a busy machine slows all alike; the table gives medians of the
runs, and ratios are to be read before times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aumd_training.reference import rms_norm, tensor_shapes
from aumd_training.splitmix import tensor

WIDTHS = {"tiny": 192, "small": 384, "base": 768}
HEAD_WIDTH = 64  # of one attention head, in every size of AST


def config(shape: str) -> dict[str, object]:
    """A Fo-Bi model of 24 layers, as `aumd bench --shape` makes it."""
    d = WIDTHS[shape]
    return {
        "variant": "fo-bi", "d_model": d, "n_layer": 24, "d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": d // 16,
        "num_classes": 527, "position": "frequency", "pooling": "column", "token_order": "time-major", "norm_eps": 1e-5,
    }


def scan(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Selective scan in eager PyTorch: decays and inputs of all tokens at once, then one step a token.

    u, dt (L, E); a (E, N); b, c (L, N) -> (L, E).
    """
    decay = torch.exp(dt[:, :, None] * a)
    inputs = (dt * u)[:, :, None] * b[:, None]
    state, rows = torch.zeros_like(a), []
    for t in range(len(u)):
        state = decay[t] * state + inputs[t]
        rows.append(state @ c[t])
    return torch.stack(rows)


def audio_mamba(h: Tensor, w: dict[str, Tensor], sizes: dict[str, object]) -> Tensor:
    """All blocks of a Fo-Bi model, both directions; h (L, D)."""
    n, r = int(sizes["d_state"]), int(sizes["dt_rank"])
    for i in range(int(sizes["n_layer"])):
        p = f"layers.{i}.mixer."
        x, z = F.linear(rms_norm(h, w[f"layers.{i}.norm.weight"], 1e-5), w[p + "in_proj.weight"]).chunk(2, dim=-1)
        convolved = F.conv1d(x.T[None], w[p + "conv1d.weight"], w[p + "conv1d.bias"], padding=3, groups=x.shape[1])
        u = F.silu(convolved[0, :, : len(x)].T)
        dt, b, c = F.linear(u, w[p + "x_proj.weight"]).split([r, n, n], dim=-1)
        dt = F.softplus(F.linear(dt, w[p + "dt_proj.weight"], w[p + "dt_proj.bias"]))
        y = scan(u, dt, -w[p + "A_log"].exp(), b, c)
        y = y + scan(u.flip(0), dt.flip(0), -w[p + "A_b_log"].exp(), b.flip(0), c.flip(0)).flip(0)
        h = h + F.linear((y + 2 * w[p + "D"] * u) * F.silu(z), w[p + "out_proj.weight"])
    return h


def spectrogram_transformer(width: int) -> nn.Module:
    """AST's encoder (Gong, Chung and Glass 2021): 12 pre-norm layers, GELU, four times the width inside."""
    layer = nn.TransformerEncoderLayer(
        width, width // HEAD_WIDTH, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).eval()


def milliseconds(body: Callable[[], object]) -> float:
    start = time.perf_counter()
    body()
    return 1000 * (time.perf_counter() - start)


def aumd(program: str, shape: str, weights: str, stage: str, tokens: int, runs: int) -> float:
    """Milliseconds of one stage, in the words of `aumd bench --only`, as the program says; median of `runs`."""
    sizes = ["--shape", shape, "--weights", weights, "--tokens", str(tokens), "--only", stage]
    command = [program, "bench", *sizes, "--runs", str(runs), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report["stages"][0]["milliseconds"]


@torch.inference_mode()
def compare(program: str, shape: str, tokens: int, weights: str, runs: int) -> dict[str, float]:
    """Median milliseconds of each for `tokens` tokens, after one run that does not count."""
    sizes = config(shape)
    w = {n: torch.from_numpy(tensor(n, s, 1, 24, 4)) for n, s in tensor_shapes(sizes, tokens).items()}
    transformer, h = spectrogram_transformer(WIDTHS[shape]), torch.randn(tokens, WIDTHS[shape])
    peers = {
        "Audio Mamba, PyTorch": lambda: audio_mamba(h, w, sizes),
        "AST, PyTorch": lambda: transformer(h[None]),
    }
    times: dict[str, list[float]] = {name: [] for name in ("aumd", *peers)}
    for run in range(runs + 1):
        for name, body in peers.items():
            times[name].append(milliseconds(body))
        times["aumd"].append(aumd(program, shape, weights, "offline", tokens, 3))
        if run == 0:
            for values in times.values():
                values.clear()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--shapes", default="tiny,small,base")
    parser.add_argument("--tokens", default="512,4096")
    parser.add_argument("--weights", default="float32", help="how aumd keeps its weights: float32, bfloat16, int8")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("shape  tokens      aumd ms  PyTorch AuM ms  times       AST ms  times")
    for shape in arguments.shapes.split(","):
        for tokens in map(int, arguments.tokens.split(",")):
            t = compare(arguments.program, shape, tokens, arguments.weights, arguments.runs)
            mamba, ast = t["Audio Mamba, PyTorch"], t["AST, PyTorch"]
            print(
                f"{shape:6} {tokens:6} {t['aumd']:12.1f} {mamba:15.1f} {mamba / t['aumd']:6.1f} {ast:12.1f}"
                f" {ast / t['aumd']:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
