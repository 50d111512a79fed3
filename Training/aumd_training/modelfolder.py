"""Model folders: config.json, model.safetensors and README.md, as the daemon reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from . import features
from .commands import InputError
from .corpus import Label

FRONTEND = {
    "sample_rate": features.SAMPLE_RATE, "frame_length": features.FRAME_LENGTH, "hop_length": features.HOP_LENGTH,
    "n_fft": features.N_FFT, "n_mels": features.N_MELS, "f_min": 20, "f_max": 8000,
    "preemphasis": features.PREEMPHASIS,
}


class CheckpointError(InputError):
    """What is wrong with a checkpoint or its labels, where, and what to do, in one sentence."""


#: Types that the daemon reads.
STORED = (torch.float16, torch.bfloat16, torch.float32)

#: What train.py was configured with that a run's history and its model card tell, by the names of TrainConfig.
TOLD = ("batch", "scenes", "muon", "drop_path", "dropout", "follow_weight")


def runs(checkpoint: Mapping) -> list[dict]:
    """The runs behind a checkpoint, first to last: layers, steps, seconds; where known, its width, what it ran on, the longest
    stream in mixtures, and TOLD."""
    own = {"n_layer": checkpoint["sizes"]["n_layer"], "steps": checkpoint["step"], "seconds": checkpoint["seconds"]}
    own |= {"d_model": checkpoint["sizes"]["d_model"]} if "d_model" in checkpoint["sizes"] else {}
    own |= {name: checkpoint[name] for name in ("device", "joined", *TOLD) if name in checkpoint}
    return [*checkpoint.get("before", []), own]


def load_tensors(path: Path, device: torch.device | str = "cpu") -> object:
    """What a file of torch.save holds, as far as that is tensors and plain values."""
    with path.open("rb"):  # What the system has against it is not the checkpoint's fault.
        pass
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # Whatever unpickling a damaged file comes to: it has no closed set.
        raise CheckpointError(f"{path} is not a PyTorch checkpoint of plain tensors, or is cut short; save its state dict.") from error


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict:
    """What train.py saved."""
    checkpoint = load_tensors(path, device)
    if not isinstance(checkpoint, dict) or not {"averaged", "sizes", "step", "seconds"} <= checkpoint.keys():
        raise CheckpointError(f"{path} is no checkpoint of train.py.")
    return checkpoint


def trained(start: Path) -> tuple[dict[str, Tensor], list[dict], list[Label] | None]:
    """Weights to go on from, the runs behind them, and their labels where known, of a run's checkpoint or of a model folder."""
    if start.is_dir():
        try:
            config = json.loads((start / "config.json").read_text(encoding="utf-8"))
            weights = {name: t.float() for name, t in load_file(start / "model.safetensors").items()}
            return weights, config["training"], labels_of(config)
        except (ValueError, KeyError, SafetensorError) as error:
            raise CheckpointError(f"{start} is no model folder of export.py ({error}).") from error
    checkpoint = load_checkpoint(start)
    labels = [Label(mid, name) for mid, name in checkpoint["labels"]] if "labels" in checkpoint else None
    return checkpoint["averaged"], runs(checkpoint), labels


def labels_of(config: Mapping) -> list[Label] | None:
    """The labels of a config.json, which need not have ids; None where it has no names either."""
    names = config.get("id2label", {})
    mids = config.get("mids") or [""] * len(names)
    return [Label(mid, names[str(i)]) for i, mid in enumerate(mids)] or None


def layer_shapes(tensors: dict[str, Tensor], variant: str, layer: int) -> dict[str, tuple[int, ...]]:
    """Expected names and shapes of one layer, from the sizes of the first."""
    d, e, n, r, k = sizes(tensors)
    prefix = f"layers.{layer}.mixer."
    shapes = {
        f"layers.{layer}.norm.weight": (d,),
        prefix + "in_proj.weight": (2 * e, d),
        prefix + "out_proj.weight": (d, e),
        prefix + "A_log": (e, n),
    }
    if variant != "fo-fo":
        shapes[prefix + "A_b_log"] = (e, n)
    for own in ("", "_b") if variant == "bi-bi" else ("",):
        shapes |= {
            f"{prefix}conv1d{own}.weight": (e, 1, k),
            f"{prefix}conv1d{own}.bias": (e,),
            f"{prefix}x_proj{own}.weight": (r + 2 * n, e),
            f"{prefix}dt_proj{own}.weight": (e, r),
            f"{prefix}dt_proj{own}.bias": (e,),
            f"{prefix}D{own}": (e,),
        }
    return shapes


def require(tensors: dict[str, Tensor], name: str, dimensions: int) -> Tensor:
    """The tensor `name`, which must have `dimensions` axes."""
    if name not in tensors:
        raise CheckpointError(f"The checkpoint has no tensor {name}; only Audio Mamba state dicts can be converted.")
    if tensors[name].ndim != dimensions:
        shape = tuple(tensors[name].shape)
        raise CheckpointError(f"Tensor {name} has the shape {shape}, expected {dimensions} axes.")
    return tensors[name]


def sizes(tensors: dict[str, Tensor]) -> tuple[int, int, int, int, int]:
    """D, E, N, R, K, read off the patch embedding and the first layer."""
    d = require(tensors, "patch_embed.proj.weight", 4).shape[0]
    e, n = require(tensors, "layers.0.mixer.A_log", 2).shape
    r = require(tensors, "layers.0.mixer.dt_proj.weight", 2).shape[1]
    k = require(tensors, "layers.0.mixer.conv1d.weight", 3).shape[2]
    if min(d, e, n, r, k) < 1 or n > 256 or k > 64:
        raise CheckpointError(f"D = {d}, E = {e}, N = {n}, R = {r}, K = {k} cannot be run: at least 1, N up to 256, K up to 64.")
    return d, e, n, r, k


def variant_of(tensors: dict[str, Tensor]) -> str:
    """fo-fo, fo-bi or bi-bi, by what the first layer's backward direction has of its own."""
    if "layers.0.mixer.A_b_log" not in tensors:
        return "fo-fo"
    return "bi-bi" if "layers.0.mixer.conv1d_b.weight" in tensors else "fo-bi"


def check(tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> None:
    """Every expected tensor is there, of the right shape, finite; and nothing else is."""
    for name, shape in expected.items():
        found = tuple(require(tensors, name, len(shape)).shape)
        if found != shape:
            raise CheckpointError(f"Tensor {name} has the shape {found}, expected {shape}.")
        if tensors[name].dtype not in STORED or tensors[name].layout != torch.strided:
            raise CheckpointError(
                f"Tensor {name} has the type {tensors[name].dtype}, {tensors[name].layout}, expected dense float16, bfloat16 or float32."
            )
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"Tensor {name} holds values that are not finite; the checkpoint is damaged.")
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise CheckpointError(f"Tensor {unknown[0]} is not part of an Audio Mamba; remove it or convert another file.")


def describe(tensors: dict[str, Tensor], labels: list[Label], **settings: object) -> dict[str, object]:
    """config.json of checked tensors. `settings` has what tensors do not tell, in config.json's words."""
    d, e, n, r, k = sizes(tensors)
    layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("layers."))
    classes = require(tensors, "head.weight", 2).shape[0]
    if len(labels) != classes:
        raise CheckpointError(
            f"The labels file has {len(labels)} labels but the checkpoint has {classes} classes; pass its own labels."
        )
    config: dict[str, object] = {
        "model_type": "audio-mamba", "name": "audio-mamba", "license": "unknown", "variant": variant_of(tensors),
        "d_model": d, "n_layer": layers, "d_state": n, "d_conv": k, "expand": e // d, "dt_rank": r, "norm_eps": 1e-5,
        "num_classes": classes, "token_order": "time-major", "position": "frequency", "pooling": "column",
        "dual_mode": False, "patch_mel": 16, "patch_frames": 16, "clip_frames": None, "frontend": FRONTEND,
        "normalization": {"mean": features.MEAN, "std": features.STD}, "streaming": {"chunk": 8, "lookahead": 16},
        "id2label": {str(i): label.name for i, label in enumerate(labels)}, "mids": [label.mid for label in labels],
        "parents": {},
    }
    return config | settings


def write(folder: Path, config: dict[str, object], tensors: dict[str, Tensor], card: str) -> None:
    """Writes the three files, the weights in the type they come in."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not by save_file: that writes a file which only its owner may read, and a service runs as another user.
    copies = {name: t.contiguous().clone() for name, t in tensors.items()}
    (folder / "model.safetensors").write_bytes(save(copies, {"format": "pt"}))
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
