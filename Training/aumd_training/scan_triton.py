"""One direction of the selective scan with gradients for a GPU, in Triton.

h_t = exp(delta_t a) h_{t-1} + delta_t u_t b_t,  y_t = sum_n h_t c_t  (Gu and Dao 2023, Algorithm 2).

A program walks all tokens for one block of channels of one sequence, its states in registers. Gradients
need every state: the backward kernel makes them again and keeps them in global memory while it runs.
Sums over the batch and over blocks of channels are left to PyTorch, so that they come out the same each time.

Shapes: B batch, L tokens, E inner channels, N states (a power of two).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 32


@triton.jit
def _step(state, delta, u, b, edge, a):
    """The state after a token, from that before it; `edge` starts from zero."""
    state = tl.where(edge != 0, 0.0, state)
    return tl.exp(delta[:, None] * a) * state + (delta * u)[:, None] * b[None, :]


@triton.jit
def _forward(u, delta, a, b, c, edges, y, L, E, N: tl.constexpr, BLOCK: tl.constexpr, REVERSE: tl.constexpr):
    sequence = tl.program_id(0).to(tl.int64)
    e = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, N)
    inside = e < E
    rate = tl.load(a + e[:, None] * N + n[None, :], mask=inside[:, None], other=0.0)
    state = tl.zeros([BLOCK, N], dtype=tl.float32)
    for i in range(L):
        t = L - 1 - i if REVERSE else i
        row = sequence * L + t
        at, states = row * E + e, row * N + n
        state = _step(
            state, tl.load(delta + at, mask=inside, other=0.0), tl.load(u + at, mask=inside, other=0.0),
            tl.load(b + states), tl.load(edges + t), rate,
        )
        tl.store(y + at, tl.sum(state * tl.load(c + states)[None, :], axis=1), mask=inside)


@triton.jit
def _backward(
    u, delta, a, b, c, edges, dy, history, du, ddelta, da, db, dc, L, E, BLOCKS,
    N: tl.constexpr, BLOCK: tl.constexpr, REVERSE: tl.constexpr,
):
    sequence, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    e = block * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, N)
    inside = e < E
    both = inside[:, None]
    rate = tl.load(a + e[:, None] * N + n[None, :], mask=both, other=0.0)
    state = tl.zeros([BLOCK, N], dtype=tl.float32)
    for i in range(L):
        t = L - 1 - i if REVERSE else i
        row = sequence * L + t
        at = row * E + e
        tl.store(history + at[:, None] * N + n[None, :], state, mask=both)  # before the token
        state = _step(
            state, tl.load(delta + at, mask=inside, other=0.0), tl.load(u + at, mask=inside, other=0.0),
            tl.load(b + row * N + n), tl.load(edges + t), rate,
        )
    tl.debug_barrier()
    dstate = tl.zeros([BLOCK, N], dtype=tl.float32)
    drate = tl.zeros([BLOCK, N], dtype=tl.float32)
    for i in range(L):
        t = i if REVERSE else L - 1 - i
        row = sequence * L + t
        at, states = row * E + e, row * N + n
        step, x = tl.load(delta + at, mask=inside, other=0.0), tl.load(u + at, mask=inside, other=0.0)
        b_row, c_row, edge = tl.load(b + states), tl.load(c + states), tl.load(edges + t)
        grad = tl.load(dy + at, mask=inside, other=0.0)
        before = tl.load(history + at[:, None] * N + n[None, :], mask=both, other=0.0)
        before = tl.where(edge != 0, 0.0, before)
        decay = tl.exp(step[:, None] * rate)
        after = decay * before + (step * x)[:, None] * b_row[None, :]
        dstate += grad[:, None] * c_row[None, :]
        decayed = dstate * decay * before
        tl.store(du + at, step * tl.sum(dstate * b_row[None, :], axis=1), mask=inside)
        slope = tl.sum(dstate * b_row[None, :], axis=1) * x + tl.sum(decayed * rate, axis=1)
        tl.store(ddelta + at, slope, mask=inside)
        drate += decayed * step[:, None]
        part = ((sequence * BLOCKS + block) * L + t) * N + n
        tl.store(db + part, tl.sum(dstate * (step * x)[:, None], axis=0))
        tl.store(dc + part, tl.sum(after * grad[:, None], axis=0))
        dstate = tl.where(edge != 0, 0.0, dstate * decay)
    tl.store(da + (sequence * E + e)[:, None] * N + n[None, :], drate, mask=both)


class _Direction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, a, b, c, edges, reverse):  # noqa: ANN001, PLR0913
        u, delta, a, b, c = (x.contiguous() for x in (u, delta, a, b, c))
        y = torch.empty_like(u)
        size, length, channels = u.shape
        blocks = triton.cdiv(channels, BLOCK)
        _forward[(size, blocks)](u, delta, a, b, c, edges, y, length, channels, a.shape[1], BLOCK, reverse)
        ctx.save_for_backward(u, delta, a, b, c, edges)
        ctx.reverse = reverse
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001
        u, delta, a, b, c, edges = ctx.saved_tensors
        (size, length, channels), states = u.shape, a.shape[1]
        blocks = triton.cdiv(channels, BLOCK)
        history = u.new_empty(size, length, channels, states)
        du, ddelta, da = torch.empty_like(u), torch.empty_like(u), u.new_empty(size, channels, states)
        db, dc = u.new_empty(size, blocks, length, states), u.new_empty(size, blocks, length, states)
        _backward[(size, blocks)](
            u, delta, a, b, c, edges, dy.contiguous(), history, du, ddelta, da, db, dc,
            length, channels, blocks, states, BLOCK, ctx.reverse,
        )
        return du, ddelta, da.sum(0), db.sum(1), dc.sum(1), None, None


def direction(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, edges: Tensor, reverse: bool) -> Tensor:
    """y (B, L, E) of one direction, without the skip D u. All float32.

    u, delta (B, L, E); a (E, N) negative; b, c (B, L, N); edges (L) uint8, 1 where the state starts from zero.
    """
    return _Direction.apply(u, delta, a, b, c, edges, reverse)
