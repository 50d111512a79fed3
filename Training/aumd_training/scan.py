"""The selective scan with gradients: a compiled CPU kernel, one for a GPU, and a plain loop that runs anywhere.

Shapes: B batch, L tokens, E inner channels, N states, K convolution width.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor


@functools.cache
def kernel() -> ModuleType:
    """The C++ extension, compiled on first use."""
    from torch.utils.cpp_extension import load

    here = Path(__file__).resolve().parent
    # Without -fopenmp, at::parallel_for is a plain loop.
    flags = ["-O3", "-fopenmp", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-mprefer-vector-width=512", "-Wno-psabi"]
    return load("aumd_scan", [str(here / "scan.cpp")], extra_cflags=flags)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, z, a_f, a_b, b, c, d, edges):  # noqa: ANN001, PLR0913
        none = u.new_empty(0)
        backward_a = none if a_b is None else a_b
        inputs = [x.contiguous() for x in (u, dt, z, a_f, backward_a, b, c, d)]
        out, y, _ = kernel().scan_forward(*inputs, edges, none, -1)
        ctx.save_for_backward(y, *inputs, edges)
        return out

    @staticmethod
    def backward(ctx, dout):  # noqa: ANN001
        y, *inputs, edges = ctx.saved_tensors
        du, ddt, dz, da_f, da_b, db, dc, dd = kernel().scan_backward(dout.contiguous(), y, *inputs, edges)
        return du, ddt, dz, da_f, da_b if da_b.numel() else None, db, dc, dd, None


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):  # noqa: ANN001
        x, weight = x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight, bias)
        return kernel().conv_forward(x, weight, bias, x.new_empty(0))

    @staticmethod
    def backward(ctx, dout):  # noqa: ANN001
        return tuple(kernel().conv_backward(dout.contiguous(), *ctx.saved_tensors))


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """silu of the causal depthwise convolution. x (B, L, E), weight (E, 1, K), bias (E)."""
    if x.is_cuda:
        from . import conv_triton

        return conv_triton.conv_silu(x, weight, bias)
    return _Conv.apply(x.float(), weight[:, 0].T, bias)


def scan_gated(
    u: Tensor, dt: Tensor, z: Tensor, a_f: Tensor, a_b: Tensor | None, b: Tensor, c: Tensor, d: Tensor, edges: Tensor, both: int
) -> Tensor:
    """(y_forward + y_backward) * silu(z), (B, L, E); each direction has its own D u.

    u, dt (before softplus), z (B, L, E); a_f, a_b (E, N) negative; the first `both` sequences have
    the backward direction, none where a_b is None; b, c (B, L, N); d (E); edges (L) uint8, 1 where the backward state starts from zero.
    """
    if u.is_cuda:
        from . import scan_triton

        return scan_triton.scan_gated(u, dt, z, a_f, a_b, b, c, d, edges.to(u.device), both)
    dt, z, b, c = dt.float(), z.float(), b.float(), c.float()
    if a_b is None or both == len(u):
        return _Scan.apply(u, dt, z, a_f, a_b, b, c, d, edges)
    whole = _Scan.apply(u[:both], dt[:both], z[:both], a_f, a_b, b[:both], c[:both], d, edges)
    return torch.cat([whole, _Scan.apply(u[both:], dt[both:], z[both:], a_f, None, b[both:], c[both:], d, edges)])


def plain_scan_gated(
    u: Tensor, dt: Tensor, z: Tensor, a_f: Tensor, a_b: Tensor | None, b: Tensor, c: Tensor, d: Tensor, edges: Tensor, both: int
) -> Tensor:
    """The same, one PyTorch step a token: the kernel's reference."""
    delta = F.softplus(dt)

    def direction(a: Tensor, order: range, starts: Tensor | None) -> Tensor:
        state = u.new_zeros(u.shape[0], u.shape[2], a.shape[1])
        rows: list[Tensor] = [u] * u.shape[1]
        for t in order:
            if starts is not None and starts[t]:
                state = torch.zeros_like(state)
            state = torch.exp(delta[:, t, :, None] * a) * state + (delta[:, t] * u[:, t])[..., None] * b[:, t, None]
            rows[t] = (state * c[:, t, None]).sum(-1)
        return torch.stack(rows, 1) + d * u

    y = direction(a_f, range(u.shape[1]), None)
    if a_b is not None:
        heard = (torch.arange(len(u), device=u.device) < both)[:, None, None]
        y = y + direction(a_b, range(u.shape[1] - 1, -1, -1), edges) * heard
    return y * F.silu(z)
