"""Random weights that the Swift tests draw too, so that goldens store no weights.

SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014), one stream
a tensor; a stream starts at FNV-1a-64 of the tensor's name XOR the seed.
"""

from __future__ import annotations

import math

import numpy as np

_MASK = (1 << 64) - 1


def fnv1a64(text: str) -> int:
    """FNV-1a hash, 64 bits, of the UTF-8 bytes of `text`."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    return value


def uniform(name: str, seed: int, count: int) -> np.ndarray:
    """`count` values in [0, 1) as float64, multiples of 2^-24."""
    start = fnv1a64(name) ^ seed
    with np.errstate(over="ignore"):
        step = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = np.uint64(start) + step
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def tensor(name: str, shape: tuple[int, ...], seed: int, n_layer: int, d_conv: int) -> np.ndarray:
    """The tensor `name` of a realistic scale, float32, row-major; the rule depends on the name."""
    u = uniform(name, seed, math.prod(shape)).reshape(shape)
    v = 2 * u - 1
    leaf = name.split(".")[-2] if name.endswith((".weight", ".bias")) else name.split(".")[-1]
    fan_in = math.prod(shape[1:])
    if name == "input":
        value = -4.2677393 + 4.5689974 * 1.5 * v
    elif "norm" in leaf:
        value = 1 + 0.1 * v
    elif leaf in ("D", "D_b"):
        value = 1 + 0.1 * v
    elif leaf in ("A_log", "A_b_log"):
        value = np.log(np.arange(shape[1], dtype=np.float64) + 1) + 0.1 * v
    elif leaf in ("pos_embed", "cls_token"):
        value = 0.1 * v
    elif leaf in ("conv1d", "conv1d_b"):
        value = v / math.sqrt(d_conv)
    elif leaf in ("dt_proj", "dt_proj_b"):
        if name.endswith(".weight"):
            value = v / math.sqrt(shape[1])
        else:
            d = np.exp(u * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
            value = d + np.log(-np.expm1(-d))
    elif name.endswith(".bias"):
        value = 0.02 * v
    elif leaf == "out_proj":
        value = v * math.sqrt(3 / fan_in) / math.sqrt(n_layer)
    else:
        value = v * math.sqrt(3 / fan_in)
    return value.astype(np.float32)
