#!/usr/bin/env python3
"""Trains a streaming Audio Mamba; resumes by itself if the run's folder holds a checkpoint.

python3 Training/train.py --config Training/configs/early.json
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from aumd_training import losses, metrics, modelfolder, probe, teacher
from aumd_training.commands import SettingsError, configured, ended, read_json, warn
from aumd_training.corpus import AudioCache, Clip, Label, TeacherCache, doubts, read_corpus, stamp, targets
from aumd_training.data import Mixtures, colour
from aumd_training.features import MEAN, STD, LogMel, samples_for
from aumd_training.inference import clip_scores, column_logits
from aumd_training.model import AudioMamba, ModelConfig, grow, relabelled
from aumd_training.optimizers import optimizers
from aumd_training.teacher import EMBEDDING

#: Mixtures from which the teacher's head is fitted where there is none yet.
FIT_MIXTURES = 960
#: Share of the batches in which the backward direction is cut at right edges.
EDGES = 0.35
#: Settings that are shares.
SHARES = ("ema", "scenes", "provisional", "drop_path", "dropout")


@dataclass
class TrainConfig:
    """A run. The learning rate follows the wall clock, so that a busy machine shortens a run, not its annealing."""

    corpus: str
    cache: str
    run: str
    minutes: float
    start: str = ""  # a run's checkpoint or a model folder to start from, of as many layers or fewer
    columns: int = 30
    batch: int = 16
    joined: list[int] = field(default_factory=lambda: [1])  # how many mixtures follow each other as one stream, drawn evenly
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    ema: float = 0.999
    teacher_weight: float = 4.0
    probe_weight: float = 1.0
    clip_weight: float = 1.0
    scenes: float = 0.0  # share of the mixtures that are single sounds in a room's noise
    provisional: float = 0.4  # share of the batches in which the backward direction is absent
    follow_weight: float = 0.0  # above 0 each mixture is heard both with and without it, and the scores without follow those with
    onset_weight: float = 1.0  # of a sound's first columns where the backward direction is absent
    muon: bool = False  # the layers' projections by Muon, at the same root mean square of a step
    drop_path: float = 0.0  # chance that a batch skips the last layer; the first never, between them linear
    dropout: float = 0.0  # share of the features that the labels' head does not see
    validate_minutes: float = 12
    save_minutes: float = 4
    workers: int = 1
    threads: int = 2
    seed: int = 1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, (int, float)) and not 0 <= value < math.inf or name in SHARES and value > 1:
                raise SettingsError(f"{name} is {value}: {'a share, 0 to 1' if name in SHARES else 'no number below 0'}.")
        for name in ("minutes", "batch", "learning_rate", "threads"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}: it has to be above 0.")
        if not self.joined or any(n < 1 or self.batch % n for n in self.joined):
            raise SettingsError(f"joined is {self.joined}: each number has to divide the batch, {self.batch}.")
        if samples_for(self.columns) < TeacherCache.WINDOW:
            raise SettingsError(f"columns is {self.columns}: a mixture has to last as long as the teacher's window, 6 columns.")


def read_settings(path: Path) -> tuple[TrainConfig, dict]:
    """A configuration's section "train", and its section "model" as it stands."""
    settings = read_json(path)
    return configured(TrainConfig, settings.get("train"), f'{path}: the section "train"'), settings.get("model", {})


class Trainer:
    """One run and everything a checkpoint holds."""

    def __init__(self, config: TrainConfig, sizes: ModelConfig, clips: list[Clip], labels: list[Label]) -> None:
        self.config, self.sizes, self.clips, self.labels = config, sizes, clips, labels
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.cache, self.run, self.made_of = Path(config.cache), Path(config.run), stamp(clips, labels)
        embeddings = TeacherCache(self.cache, self.made_of)
        teacher.require(Path(config.corpus) / "teacher")
        torch.manual_seed(config.seed)
        self.model = AudioMamba(sizes, EMBEDDING).to(self.device)
        self.before: list[dict] = []  # the runs that this one grew from
        starts = config.start and not (self.run / "checkpoint.pth").exists()
        if starts:
            weights, self.before, known = modelfolder.trained(Path(config.start))
            grow(self.model, relabelled(weights, known, labels))
        self.averaged = AudioMamba(sizes, EMBEDDING).to(self.device)
        self.averaged.load_state_dict(self.model.state_dict())
        self.optimizers = optimizers(self.model, config.learning_rate, config.weight_decay, config.muon)
        self.step, self.seconds = 0, 0.0
        self.log_mel = LogMel().to(self.device)
        self.random = torch.Generator().manual_seed(config.seed)
        self.probe = probe.of_training(embeddings, clips, labels).to(self.device)
        if starts and "teacher.weight" not in weights:
            self.fit_teacher()

    def batches(self) -> Iterator[list[torch.Tensor]]:
        """Endless batches of mixtures."""
        config = self.config
        mixtures = Mixtures(
            self.cache, Path(config.corpus) / "teacher", self.clips, self.labels, config.columns,
            [config.seed, sum(run["steps"] for run in self.before), self.step], config.scenes,
        )
        pinned = self.device.type == "cuda"
        ahead = 6 if config.workers else None
        return iter(DataLoader(mixtures, config.batch, num_workers=config.workers, prefetch_factor=ahead, pin_memory=pinned))

    @torch.no_grad()
    def fit_teacher(self) -> None:
        """The teacher's head as the features have it: a model folder holds no weights for it."""
        print(f"Fitting the teacher's head to {FIT_MIXTURES} mixtures; minutes count from after it.", flush=True)
        rows = (
            (self.model.features(self.normalised(samples.to(self.device))), embedding.to(self.device), weight.to(self.device))
            for samples, _, _, embedding, weight in islice(self.batches(), -(-FIT_MIXTURES // self.config.batch))
        )
        weight, bias = probe.linear_head(rows)
        for model in (self.model, self.averaged):
            model.teacher.weight.copy_(weight)
            model.teacher.bias.copy_(bias)

    def normalised(self, samples: torch.Tensor, joined: int = 1) -> torch.Tensor:
        """Normalised log-mel (B / joined, joined * T * 16, 128) of mixtures (B, n), heard through random microphones."""
        logmel = self.log_mel(samples)
        logmel = logmel.reshape(len(logmel) // joined, -1, logmel.shape[-1])
        return (colour(logmel, self.random) - MEAN) / (2 * STD)

    def save(self) -> None:
        """Writes the checkpoint in one rename."""
        state = {
            "model": self.model.state_dict(), "averaged": self.averaged.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers], "step": self.step, "seconds": self.seconds,
            "sizes": asdict(self.sizes), "before": self.before, "joined": max(self.config.joined), "device": self.device.type,
            "labels": [(label.mid, label.name) for label in self.labels],
        }
        state |= {name: getattr(self.config, name) for name in modelfolder.TOLD}
        self.run.mkdir(parents=True, exist_ok=True)
        torch.save(state, self.run / "checkpoint.new")
        (self.run / "checkpoint.new").replace(self.run / "checkpoint.pth")

    def resume(self) -> None:
        """Loads the run's checkpoint, if there is one."""
        path = self.run / "checkpoint.pth"
        if path.exists():
            state = modelfolder.load_checkpoint(path, self.device)
            kept, own = state["sizes"] | {"muon": state.get("muon", False)}, asdict(self.sizes) | {"muon": self.config.muon}
            other = [f"{name} {kept.get(name)}, here {own[name]}" for name in own if kept.get(name, own[name]) != own[name]]
            if state.get("labels") not in (None, [(label.mid, label.name) for label in self.labels]):
                other.append("other labels")
            if other:
                raise SettingsError(f"{path} is of a run with {'; '.join(other)}: give this one a run folder of its own.")
            self.model.load_state_dict(state["model"])
            self.averaged.load_state_dict(state["averaged"])
            for optimizer, moments in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(moments)
            self.step, self.seconds, self.before = state["step"], state["seconds"], state.get("before", [])
            self.random.manual_seed(self.config.seed + self.step)
            torch.manual_seed(self.config.seed + self.step)

    def rate(self) -> float:
        """Linear warm-up in steps, then half a cosine over the wall-clock budget."""
        progress = min(1.0, self.seconds / (60 * self.config.minutes))
        warm = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        return self.config.learning_rate * warm * max(0.01, 0.5 + 0.5 * math.cos(math.pi * progress))

    def draw_mode(self, columns: int) -> tuple[bool, torch.Tensor | None]:
        """Dual mode: backward direction absent, unless each mixture is also heard so; cut at random right edges; or full."""
        draw, provisional = torch.rand((), generator=self.random).item(), self.config.provisional
        if self.config.follow_weight:
            draw = provisional + (1 - provisional) * draw
        if draw < provisional:
            return False, None
        if draw < provisional + EDGES:
            edges, at = torch.zeros(columns, dtype=torch.uint8), 0
            while True:
                at += int(torch.randint(8, 26, (), generator=self.random))
                if at >= columns:
                    return True, edges
                edges[at - 1] = 1
        return True, None

    def train_step(self, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """One update; returns the losses, on the device, so that nothing waits for it."""
        samples, *annotation = (x.to(self.device, non_blocking=True) for x in batch)
        joined = self.config.joined[int(torch.randint(len(self.config.joined), (), generator=self.random))]
        backward, edges = self.draw_mode(joined * self.config.columns)
        self.model.train()
        logmel, onset_weight = self.normalised(samples, joined), torch.ones(len(samples), 1, device=self.device)
        both = len(logmel) if backward else 0
        if self.config.follow_weight:
            logmel, onset_weight, *annotation = (torch.cat([x, x]) for x in (logmel, onset_weight, *annotation))
        onset_weight[both * joined :] = self.config.onset_weight
        target, known, embedding, weight = annotation
        with torch.autocast(self.device.type, torch.bfloat16):  # matrix products only; the scan and the residual stay float32
            features = self.model.features(logmel, both, edges, self.config.drop_path)
        features = features.float().reshape(len(target), self.config.columns, -1)
        logits = self.model.head(torch.nn.functional.dropout(features, self.config.dropout))
        predicted, embedding = self.model.teacher(features), embedding.float()
        parts = {
            "column": losses.column_loss(logits, target, known, onset_weight),
            "clip": self.config.clip_weight * losses.clip_loss(logits, target, known),
            "teacher": self.config.teacher_weight * losses.teacher_loss(predicted, embedding, weight),
            "probe": self.config.probe_weight * losses.probe_loss(predicted, embedding, weight, self.probe),
        }
        if self.config.follow_weight:
            leading = self.model.head(features[: len(samples)])
            parts["follow"] = self.config.follow_weight * losses.follow_loss(logits[len(samples) :], leading)
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.model.parameters()), 1 - decay)
        self.step += 1
        return {name: part.detach() for name, part in parts.items()}

    def validate(self) -> dict[str, float | None]:
        """Macro average precision of the averaged weights on the validation split, with and without backward; None where no label
        has enough clips."""
        audio = AudioCache(self.cache, self.made_of)
        members = [i for i, clip in enumerate(self.clips) if clip.split == "validation"]
        truth = targets(self.clips, self.labels)[members]
        out = {}
        for mode in ("provisional", "offline"):
            scores = np.zeros_like(truth)
            place = {clip: i for i, clip in enumerate(members)}
            for clip, logits in column_logits(self.averaged, audio, members, mode):
                scores[place[clip]] = clip_scores(torch.from_numpy(logits), mode != "provisional").numpy()
            found = metrics.macro(scores, truth)[0]
            out[mode] = None if math.isnan(found) else found
        return out

    def train(self) -> None:
        """Runs until the wall-clock budget is spent."""
        config, loader = self.config, self.batches()
        total: dict[str, torch.Tensor] = {}
        count, clock, saved, validated, told = 0, time.monotonic(), time.monotonic(), time.monotonic(), time.monotonic()
        while self.seconds < 60 * config.minutes:
            for name, value in self.train_step(next(loader)).items():
                total[name] = total.get(name, 0) + value
            count += 1
            now = time.monotonic()
            self.seconds, clock = self.seconds + now - clock, now
            if now - told > 30:
                parts = "  ".join(f"{name} {value / count:.3f}" for name, value in total.items())
                pace = count / (now - told)
                print(f"{self.seconds / 60:6.1f} min  step {self.step}  {parts}  {pace * config.batch:.0f} clips/s", flush=True)
                total, count, told = {}, 0, now
            if now - saved > 60 * config.save_minutes:
                self.save()
                saved = now
            if now - validated > 60 * config.validate_minutes:
                self.report()
                validated = time.monotonic()
        self.save()
        self.report()

    def report(self) -> None:
        """Prints and keeps the validation figures, where the corpus has such a split."""
        if not any(clip.split == "validation" for clip in self.clips):
            return
        figures = {"minutes": round(self.seconds / 60, 1), "step": self.step} | self.validate()
        print(f"validation {figures}", flush=True)
        with (self.run / "validation.ndjson").open("a") as file:
            file.write(json.dumps(figures) + "\n")


def train(arguments: argparse.Namespace) -> None:
    """Reads the configuration, and trains or goes on."""
    config, model = read_settings(arguments.config)
    if arguments.minutes is not None:
        config = replace(config, minutes=arguments.minutes)
    clips, labels = read_corpus(Path(config.corpus))
    warn(doubts(clips, labels))
    where = f'{arguments.config}: the section "model"'
    sizes = configured(ModelConfig, {"num_classes": len(labels)} | model if isinstance(model, dict) else model, where)
    if sizes.num_classes != len(labels):
        raise SettingsError(f"{where} has num_classes = {sizes.num_classes}, but labels.csv has {len(labels)}; leave num_classes out.")
    torch.set_num_threads(config.threads)
    trainer = Trainer(config, sizes, clips, labels)
    trainer.resume()
    count = sum(p.numel() for n, p in trainer.model.named_parameters() if not n.startswith("teacher"))
    print(f"{count / 1e6:.2f} M parameters, {trainer.device}, from step {trainer.step}", flush=True)
    trainer.train()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="wall-clock budget, instead of the configuration's")
    return ended(train, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
