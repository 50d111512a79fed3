"""The causal depthwise convolution and its silu with gradients for a GPU, in Triton: one pass over memory each way.

Shapes: B batch, L tokens, E inner channels, K width. Inputs of any type, arithmetic in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .scan_triton import load_float32

ROWS, BLOCK = 32, 64


@triton.jit
def _sums(x, weight, bias, base, t, e, channel, L, E, K: tl.constexpr):
    """bias + sum_k weight_k x_{t - K + 1 + k}, (ROWS, BLOCK), before the silu."""
    out = load_float32(bias, e, channel)[None, :] + tl.zeros([t.shape[0], e.shape[0]], dtype=tl.float32)
    for k in tl.static_range(K):
        source = t - (K - 1) + k
        there = ((source >= 0) & (source < L))[:, None] & channel[None, :]
        tap = load_float32(weight, e * K + k, channel)
        out += tap[None, :] * load_float32(x, (base + source)[:, None] * E + e[None, :], there)
    return out


@triton.jit
def _forward(x, weight, bias, out, L, E, K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    base = tl.program_id(0).to(tl.int64) * L
    t, e = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    channel = e < E
    sums = _sums(x, weight, bias, base, t, e, channel, L, E, K)
    tl.store(out + (base + t)[:, None] * E + e[None, :], sums * tl.sigmoid(sums), mask=(t < L)[:, None] & channel[None, :])


@triton.jit
def _backward(
    x, weight, bias, dout, dx, dweight, dbias, L, E, K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    base = tl.program_id(0).to(tl.int64) * L
    t, e = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    channel = e < E
    part = (tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)) * E + e
    grad = tl.zeros([ROWS, BLOCK], dtype=tl.float32)
    for j in tl.static_range(K):  # x_t is in the sums of the tokens t … t + K - 1
        later = t + j
        there = (later < L)[:, None] & channel[None, :]
        sums = _sums(x, weight, bias, base, later, e, channel, L, E, K)
        gate = tl.sigmoid(sums)
        upstream = load_float32(dout, (base + later)[:, None] * E + e[None, :], there)
        dsums = upstream * gate * (1 + sums * (1 - gate))
        tap = load_float32(weight, e * K + (K - 1 - j), channel)
        grad += tap[None, :] * dsums
        if j == 0:
            tl.store(dbias + part, tl.sum(dsums, axis=0), mask=channel)
            for k in tl.static_range(K):
                source = t - (K - 1) + k
                heard = ((source >= 0) & (source < L))[:, None] & channel[None, :]
                earlier = load_float32(x, (base + source)[:, None] * E + e[None, :], heard)
                tl.store(dweight + part * K + k, tl.sum(dsums * earlier, axis=0), mask=channel)
    tl.store(dx + (base + t)[:, None] * E + e[None, :], grad, mask=(t < L)[:, None] & channel[None, :])


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):  # noqa: ANN001
        x, weight, bias = x.contiguous(), weight[:, 0].contiguous(), bias.contiguous()
        (size, length, channels), out = x.shape, torch.empty_like(x)
        grid = (size, triton.cdiv(length, ROWS), triton.cdiv(channels, BLOCK))
        _forward[grid](x, weight, bias, out, length, channels, weight.shape[1], ROWS, BLOCK)
        ctx.save_for_backward(x, weight, bias)
        return out

    @staticmethod
    def backward(ctx, dout):  # noqa: ANN001
        x, weight, bias = ctx.saved_tensors
        (size, length, channels), width = x.shape, weight.shape[1]
        rows = triton.cdiv(length, ROWS)
        dx = torch.empty_like(x)
        dweight = x.new_empty(size * rows, channels, width, dtype=torch.float32)
        dbias = x.new_empty(size * rows, channels, dtype=torch.float32)
        grid = (size, rows, triton.cdiv(channels, BLOCK))
        _backward[grid](x, weight, bias, dout.contiguous(), dx, dweight, dbias, length, channels, width, ROWS, BLOCK)
        return dx, dweight.sum(0)[:, None], dbias.sum(0)


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """silu of the causal depthwise convolution, (B, L, E) in the type of x. x (B, L, E), weight (E, 1, K) and bias (E) float32."""
    return _Conv.apply(x, weight, bias)
