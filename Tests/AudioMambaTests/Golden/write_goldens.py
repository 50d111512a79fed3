#!/usr/bin/env python3
"""Writes the engine's goldens: logits of the fp64 reference for weights both sides can draw.

Run from anywhere: python3 Tests/AudioMambaTests/Golden/write_goldens.py [CASE…]
Each case gives <case>.safetensors (F32 `logits`; for dual-mode models also `forward`, the backward
direction absent, a row for each step) beside this file; cases.json lists every case's config, seed and frames. Weights
and input are drawn by Training/aumd_training/splitmix.py. A clip is cut or zero-padded to
`clip_frames` where that is set; else its whole columns count.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "Training"))

from aumd_training import reference, splitmix  # noqa: E402


def case(variant: str, d: int, layers: int, frames: int, *, n: int = 16, k: int = 4, r: int | None = None,
         order: str = "time-major", position: str = "frequency", pooling: str = "column",
         clip: int | None = None, classes: int = 7, seed: int = 1, grids: int = 1, patch: tuple[int, int] = (16, 16),
         mels: int = 128, expand: int = 2, eps: float = 1e-5) -> dict:
    """One entry of cases.json. `clip` is the model's own clip length in frames, `grids` how many patch grids there are, `patch` the
    mel bins and frames of a patch."""
    return {
        "seed": seed,
        "frames": frames,
        "config": {
            "model_type": "audio-mamba", "name": "golden", "license": "mit", "variant": variant,
            "d_model": d, "n_layer": layers, "d_state": n, "d_conv": k, "expand": expand,
            "dt_rank": r or -(-d // 16), "norm_eps": eps, "num_classes": classes, "token_order": order,
            "position": position, "pooling": pooling, "dual_mode": pooling == "column" and order == "time-major",
            "patch_mel": patch[0], "patch_frames": patch[1], "clip_frames": clip,
            "normalization": {"mean": -4.2677393, "std": 4.5689974},
        } | ({"patch_grids": grids} if grids > 1 else {}) | ({"frontend": {"n_mels": mels}} if mels != 128 else {}),
    }


def cases() -> dict[str, dict]:
    """Every case by name."""
    published = dict(order="frequency-major", position="absolute", pooling="cls-middle", clip=1024, classes=16)
    absolute = dict(position="absolute", clip=80)
    out = {}
    for variant in ("fo-fo", "fo-bi", "bi-bi"):
        for size, d in (("tiny", 192), ("small", 384), ("base", 768)):
            out[f"{variant}-{size}"] = case(variant, d, 24, 1024, seed=2024, **published)
        out[f"{variant}-column-5"] = case(variant, 40, 3, 80, n=8, k=3, r=5, seed=11)
        out[f"{variant}-column-13"] = case(variant, 64, 2, 208, seed=12)
        out[f"{variant}-column-whole"] = case(variant, 40, 3, 93, n=8, k=3, r=5, seed=13)
        out[f"{variant}-cls-end"] = case(variant, 40, 3, 80, n=8, k=3, r=5, pooling="cls-end", order="frequency-major",
                                         seed=14, **absolute)
        out[f"{variant}-cls-start"] = case(variant, 64, 2, 80, pooling="cls-start", seed=15, **absolute)
        out[f"{variant}-absolute-time-major"] = case(variant, 40, 2, 80, n=8, k=3, r=5, pooling="cls-middle", seed=16,
                                                     **absolute)
    for variant in ("fo-bi", "bi-bi"):
        out[f"{variant}-two-grids"] = case(variant, 40, 3, 213, n=8, k=3, r=5, seed=21, grids=2)
    out["fo-bi-two-grids-1"] = case("fo-bi", 64, 2, 16, seed=22, grids=2)
    out["fo-bi-padded"] = case("fo-bi", 40, 2, 50, pooling="cls-middle", order="frequency-major", seed=17, **absolute)
    out["fo-bi-cut"] = case("fo-bi", 40, 2, 100, pooling="cls-middle", order="frequency-major", seed=18, **absolute)
    out["fo-bi-column-absolute"] = case("fo-bi", 40, 2, 80, seed=19, **absolute)
    out["fo-bi-column-frequency-major"] = case("fo-bi", 40, 2, 80, order="frequency-major", seed=23, **absolute)
    out["fo-bi-cls-frequency"] = case("fo-bi", 40, 2, 80, pooling="cls-middle", clip=80, seed=24)
    out["fo-bi-column-1"] = case("fo-bi", 64, 2, 16, seed=20)
    out["bi-bi-other-patches"] = case("bi-bi", 40, 2, 42, n=8, k=3, r=5, seed=25, patch=(8, 4), mels=40, expand=3, eps=1e-3)
    out["fo-bi-other-patches-two-grids"] = case("fo-bi", 24, 2, 63, n=8, k=2, r=3, seed=26, grids=2, patch=(10, 6), mels=30,
                                                expand=1, eps=1e-2)
    return out


def write(name: str, entry: dict) -> None:
    """Runs the reference and writes the case's file."""
    config, seed = entry["config"], entry["seed"]
    bands, _, frames = reference.patch_grid(config)
    tokens = (config["clip_frames"] or entry["frames"]) // frames * bands
    weights = {
        key: torch.from_numpy(splitmix.tensor(key, shape, seed, config["n_layer"], config["d_conv"])).double()
        for key, shape in reference.tensor_shapes(config, tokens).items()
    }
    logmel = torch.from_numpy(splitmix.tensor("input", (entry["frames"], config.get("frontend", {}).get("n_mels", 128)), seed, 1, 1)).double()
    tensors = {"logits": reference.logits(logmel, weights, config).float().contiguous()}
    if config["dual_mode"] and config["variant"] != "fo-fo":
        tensors["forward"] = reference.logits(logmel, weights, config, backward=False).float().contiguous()
    save_file(tensors, HERE / f"{name}.safetensors")
    print(f"{name}: logits {tuple(tensors['logits'].shape)}, |max| {tensors['logits'].abs().max():.3f}", flush=True)


def main() -> None:
    wanted = cases()
    (HERE / "cases.json").write_text(json.dumps(wanted, indent=1) + "\n")
    for name in sys.argv[1:] or wanted:
        write(name, wanted[name])


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
