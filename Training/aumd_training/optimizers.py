"""The optimizers of a run."""

from __future__ import annotations

from torch.optim import AdamW, Muon, Optimizer

from .model import AudioMamba

#: The layers' matrices, which Muon takes.
PROJECTIONS = ("in_proj.weight", "x_proj.weight", "out_proj.weight")


def optimizers(model: AudioMamba, rate: float, decay: float, muon: bool) -> list[Optimizer]:
    """AdamW, and with `muon` Muon (Jordan 2024) for the layers' projections, its steps as large as AdamW's (Liu et al. 2025).

    Vectors and the logarithms of A do not decay.
    """
    named = dict(model.named_parameters())
    projections = [n for n in named if muon and n.endswith(PROJECTIONS)]
    decayed = [n for n, p in named.items() if n not in projections and p.ndim > 1 and not n.endswith(("A_log", "A_b_log"))]
    kept = [n for n in named if n not in projections and n not in decayed]
    groups = [{"params": [named[n] for n in names], "weight_decay": d} for names, d in ((decayed, decay), (kept, 0.0))]
    made: list[Optimizer] = [AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)]
    if projections:
        made.append(Muon([named[n] for n in projections], lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return made
