"""The gated selective scan with gradients for a GPU, in Triton.

h_t = exp(delta_t a) h_{t-1} + delta_t u_t b_t,  y_t = sum_n h_t c_t + D u_t  (Gu and Dao 2023, Algorithm 2).

A program takes a block of channels of one sequence, CHUNK tokens at a time: inside a chunk the recurrence is an associative scan
(Blelloch 1990), between chunks the states go on in registers. The gradient of the states is such a scan too, from the last token on;
the states themselves are kept for it, 4 L E N bytes a sequence and direction. Sums over the batch and over blocks of channels are
left to PyTorch, so that they come out the same each time.

Shapes: B batch, L tokens, E inner channels, N states (a power of two). Inputs of any type, arithmetic in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

#: Of seven shapes the fastest on an H200, for 128 sequences of 240 tokens and for 16 of 1920; E = 384, N = 8.
CHUNK, BLOCK, WARPS = 8, 8, 1


@triton.jit
def _chain(decay, value, next_decay, next_value):
    """Two steps h -> decay h + value as one."""
    return decay * next_decay, value * next_decay + next_value


@triton.jit
def _decay(step, rate, edge):
    """exp(delta a), (CHUNK, BLOCK, N); 0 where a token's state starts from zero."""
    return tl.where((edge != 0)[:, None, None], 0.0, tl.exp(step[:, :, None] * rate[None, :, :]))


@triton.jit
def load_float32(pointer, at, mask):
    """Values of any type in float32, 0 outside the mask."""
    return tl.load(pointer + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _forward(
    u, delta, a, b, c, d, edges, y, history, L, E, CHUNKS,
    N: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr, REVERSE: tl.constexpr,
):
    sequence = tl.program_id(0).to(tl.int64)
    e, n, row = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, N), tl.arange(0, CHUNK)
    channel = e < E
    of_state = e[:, None] * N + n[None, :]
    rate = load_float32(a, of_state, channel[:, None])
    skip = load_float32(d, e, channel)
    state = tl.zeros([BLOCK, N], dtype=tl.float32)
    for chunk in range(CHUNKS):
        i = chunk * CHUNK + row
        token = i < L
        t = sequence * L + (L - 1 - i if REVERSE else i)
        inside = token[:, None] & channel[None, :]
        at, states = t[:, None] * E + e[None, :], t[:, None] * N + n[None, :]
        x, step = load_float32(u, at, inside), load_float32(delta, at, inside)
        decay = _decay(step, rate, tl.load(edges + (t - sequence * L), mask=token, other=0))
        value = (step * x)[:, :, None] * load_float32(b, states, token[:, None])[:, None, :]
        decays, values = tl.associative_scan((decay, value), 0, _chain)
        h = decays * state[None, :, :] + values
        state = tl.sum(tl.where(row[:, None, None] == CHUNK - 1, h, 0.0), axis=0)
        tl.store(history + t[:, None, None] * E * N + of_state[None, :, :], h, mask=inside[:, :, None])
        sums = tl.sum(h * load_float32(c, states, token[:, None])[:, None, :], axis=2) + skip[None, :] * x
        if REVERSE:
            sums += load_float32(y, at, inside)
        tl.store(y + at, sums, mask=inside)


@triton.jit
def _backward(
    u, delta, a, b, c, d, edges, history, dy, du, ddelta, da, db, dc, dd, L, E, CHUNKS, BLOCKS,
    N: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr, REVERSE: tl.constexpr,
):
    sequence, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    e, n, row = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, N), tl.arange(0, CHUNK)
    channel = e < E
    of_state = e[:, None] * N + n[None, :]
    rate = load_float32(a, of_state, channel[:, None])
    skip = load_float32(d, e, channel)
    drate, dskip = tl.zeros([BLOCK, N], dtype=tl.float32), tl.zeros([BLOCK], dtype=tl.float32)
    dlater = tl.zeros([BLOCK, N], dtype=tl.float32)
    for chunk in range(CHUNKS):
        i = L - 1 - (chunk * CHUNK + row)  # from the last token on, so that the gradient is a scan of its own
        token = i >= 0
        place = L - 1 - i if REVERSE else i
        after = place - 1 if REVERSE else place + 1
        t = sequence * L + place
        inside, followed = token[:, None] & channel[None, :], token & (i + 1 < L)
        at, states = t[:, None] * E + e[None, :], t[:, None] * N + n[None, :]
        x, step, grad = load_float32(u, at, inside), load_float32(delta, at, inside), load_float32(dy, at, inside)
        next_step = load_float32(delta, (sequence * L + after)[:, None] * E + e[None, :], followed[:, None] & channel[None, :])
        next_decay = _decay(next_step, rate, tl.load(edges + after, mask=followed, other=0))
        b_row, c_row = load_float32(b, states, token[:, None]), load_float32(c, states, token[:, None])
        decays, values = tl.associative_scan((next_decay, grad[:, :, None] * c_row[:, None, :]), 0, _chain)
        dh = decays * dlater[None, :, :] + values
        dlater = tl.sum(tl.where(row[:, None, None] == CHUNK - 1, dh, 0.0), axis=0)

        h = load_float32(history, t[:, None, None] * E * N + of_state[None, :, :], inside[:, :, None])
        value = (step * x)[:, :, None] * b_row[:, None, :]
        through = dh * (h - value)  # h - value: what came from the token before
        dvalue = tl.sum(dh * b_row[:, None, :], axis=2)
        dx = step * dvalue + skip[None, :] * grad
        dstep = dvalue * x + tl.sum(through * rate[None, :, :], axis=2)
        db_row = tl.sum(dh * (step * x)[:, :, None], axis=1)
        dc_row = tl.sum(h * grad[:, :, None], axis=1)
        drate += tl.sum(through * step[:, :, None], axis=0)
        dskip += tl.sum(grad * x, axis=0)
        part = ((sequence * BLOCKS + block) * L + place)[:, None] * N + n[None, :]
        if REVERSE:
            dx += load_float32(du, at, inside)
            dstep += load_float32(ddelta, at, inside)
            db_row += load_float32(db, part, token[:, None])
            dc_row += load_float32(dc, part, token[:, None])
        tl.store(du + at, dx, mask=inside)
        tl.store(ddelta + at, dstep, mask=inside)
        tl.store(db + part, db_row, mask=token[:, None])
        tl.store(dc + part, dc_row, mask=token[:, None])
    tl.store(da + sequence * E * N + of_state, drate, mask=channel[:, None])
    tl.store(dd + sequence * E + e, dskip, mask=channel)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, a_f, a_b, b, c, d, edges, both):  # noqa: ANN001, PLR0913
        u, delta, b, c, d = (x.contiguous() for x in (u, delta, b, c, d))
        rates = [a.contiguous() for a in (a_f, a_b) if a is not None]
        (size, length, channels), states, none = u.shape, a_f.shape[1], torch.zeros_like(edges)
        heard = (size, both)[: len(rates)]
        y, history = torch.empty_like(u), [u.new_empty(s, length, channels, states, dtype=torch.float32) for s in heard]
        for i, rate in enumerate(rates):
            _forward[(heard[i], triton.cdiv(channels, BLOCK))](
                u, delta, rate, b, c, d, edges if i else none, y, history[i], length, channels, triton.cdiv(length, CHUNK),
                states, CHUNK, BLOCK, bool(i), num_warps=WARPS,
            )
        ctx.save_for_backward(u, delta, b, c, d, edges, none, *rates, *history)
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001
        u, delta, b, c, d, edges, none, *rest = ctx.saved_tensors
        rates, history = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        (size, length, channels), states = u.shape, b.shape[2]
        blocks = triton.cdiv(channels, BLOCK)
        dy, du, ddelta = dy.contiguous(), torch.empty_like(u), torch.empty_like(delta)
        db, dc = (u.new_empty(size, blocks, length, states, dtype=torch.float32) for _ in range(2))
        da = [u.new_empty(len(h), channels, states, dtype=torch.float32) for h in history]
        dd = [u.new_empty(len(h), channels, dtype=torch.float32) for h in history]
        for i, rate in enumerate(rates):
            _backward[(len(history[i]), blocks)](
                u, delta, rate, b, c, d, edges if i else none, history[i], dy, du, ddelta, da[i], db, dc, dd[i],
                length, channels, triton.cdiv(length, CHUNK), blocks, states, CHUNK, BLOCK, bool(i), num_warps=WARPS,
            )
        da = [part.sum(0) for part in da]
        db, dc = db.sum(1).to(b.dtype), dc.sum(1).to(c.dtype)
        return du, ddelta, da[0], da[1] if len(da) > 1 else None, db, dc, sum(part.sum(0) for part in dd), None, None


def scan_gated(
    u: Tensor, dt: Tensor, z: Tensor, a_f: Tensor, a_b: Tensor | None, b: Tensor, c: Tensor, d: Tensor, edges: Tensor, both: int
) -> Tensor:
    """(y_forward + y_backward) * silu(z), (B, L, E), in the type of u; each direction has its own D u.

    u, dt (before softplus), z (B, L, E); a_f, a_b (E, N) negative float32; the first `both` sequences
    have the backward direction, none where a_b is None; b, c (B, L, N); d (E) float32; edges (L) uint8, on the device, 1 where the backward state starts from zero.
    """
    return _Scan.apply(u, F.softplus(dt.float()), a_f, a_b, b, c, d, edges, both) * F.silu(z)
