"""The training loop, in the order things happen."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ranlen import weights
from ranlen.enhancer import Enhancer
from ranlen.losses import RegionLoss, faded
from ranlen.regions import RegionMask, resize
from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.config import TrainConfig
from train.data import (
    SIZE,
    DataError,
    Pairs,
    TrainingSet,
    hold_out,
    load_pairs,
    load_photos,
    load_silhouettes,
    read_split,
)
from train.evaluate import mean_scores, score_pairs


def train(config: TrainConfig, *, resume: bool = False) -> dict[str, float]:
    """Train one network as a config says, and leave in its `out` folder the best weights, a log and a checkpoint.

    Returns:
        The validation scores of the best epoch.

    Raises:
        ConfigError, DataError, CheckpointError: with a message for whoever typed the command.
    """
    if not config.data or not config.out:
        raise DataError("a run needs --data FOLDER (low/, high/, split.json) and --out FOLDER")
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=1))
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()

    torch.manual_seed(config.seed)
    network = Enhancer(config.backbone, config.method).to(device)
    if config.start:
        network.start_from(weights.load(config.start))
    training, validation = load_data(config)
    steps_per_epoch = len(training) // config.batch
    if steps_per_epoch == 0:
        raise DataError(f"{len(training)} training examples do not fill one batch of {config.batch}")
    total = config.epochs * steps_per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(config, step / total))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    loss = RegionLoss(config.alpha, config.beta, config.gamma, config.fade)
    published = cast("Enhancer", average.module) if config.ema else network
    parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}

    step, best = 0, {"psnr_a": -math.inf, "psnr_b": -math.inf}
    if resume:
        state = load_checkpoint(out / "last.pt")
        check_same(config, state["config"])
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, best = state["step"], state["best"]

    bar = tqdm(total=total, initial=step, desc=f"{config.backbone}-{config.method}", mininterval=5)
    while step < total:
        network.train()
        sums: dict[str, float] = defaultdict(float)
        started = time.perf_counter()
        for _ in range(steps_per_epoch - step % steps_per_epoch):
            image, reference, mask = training.batch(step, config.batch)
            total_loss, values = forward(
                network, loss, image.to(device), reference.to(device), mask.to(device), config.loss_size
            )
            optimizer.zero_grad(set_to_none=True)
            total_loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip, error_if_nonfinite=True)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            for name, value in {"loss": total_loss.item(), **values}.items():
                sums[name] += value
            bar.update()
            step += 1

        scores = validate(published, validation)
        if merit(config.method, scores) > merit(config.method, best):
            best = {"epoch": step / steps_per_epoch, **scores}
            card = {"config": dataclasses.asdict(config), "validation": best}
            weights.save(published, out / "best.safetensors", card)
        state = {name: part.state_dict() for name, part in parts.items()}
        save_checkpoint(out / "last.pt", {**state, "step": step, "best": best, "config": dataclasses.asdict(config)})
        losses = {name: value / steps_per_epoch for name, value in sums.items()}
        log(out, {"epoch": step // steps_per_epoch, **losses, **scores, "seconds": time.perf_counter() - started})
        bar.set_postfix(loss=f"{losses['loss']:.4f}", psnr_a=f"{scores['psnr_a']:.2f}", best=f"{best['psnr_a']:.2f}")
    bar.close()
    return best


def forward(
    network: Enhancer, loss: RegionLoss, image: Tensor, reference: Tensor, mask: RegionMask, size: int
) -> tuple[Tensor, dict[str, float]]:
    """One forward pass; the network sees 256 pixels, light and losses are computed at `size` (128: twice as fast)."""
    small = (size, size)
    target = resize(faded(image, reference, mask.ramp()), small)  # made at full size, where B is widest
    detail = resize(image, small)
    field = network(image, mask.tensor, detail)
    return loss(field, detail, resize(reference, small), target, mask.resize(small))


def load_data(config: TrainConfig) -> tuple[TrainingSet, Pairs]:
    """The training set and the validation pairs, which are whole scenes of the train split."""
    folder = Path(config.data)
    names, held = hold_out(read_split(folder, "train"), config.validation, config.seed)
    photos = load_photos(config.photos) if config.photos else torch.empty(0, 3, *SIZE, dtype=torch.uint8)
    silhouettes = load_silhouettes(Path(config.silhouettes)) if config.silhouettes else []
    masks = None if config.method == "global" else config.paper_masks
    training = TrainingSet(
        load_pairs(folder, names),
        photos,
        silhouettes,
        config.photos_per_pair,
        masks,
        config.exposure_jitter,
        config.seed,
    )
    return training, load_pairs(folder, held)


def validate(network: Enhancer, pairs: Pairs) -> dict[str, float]:
    """Mean scores on held-out scenes with the paper's circles in the middle."""
    mask = RegionMask.paper_circle(SIZE)
    return mean_scores(score_pairs(network, pairs, [mask] * len(pairs)))


def merit(method: str, scores: dict[str, float]) -> float:
    """What the best epoch is the best at: PSNR in A; a local network's fade counts as much as its light."""
    return scores["psnr_a"] if method == "global" else (scores["psnr_a"] + scores["psnr_b"]) / 2


def learning_rate(config: TrainConfig, progress: float) -> float:
    """The factor on the learning rate at a progress in [0, 1]: 2 % of warm-up, then constant or half a cosine."""
    warm = min(1.0, (progress + 1e-3) / 0.02)
    return warm * (0.5 * (1 + math.cos(math.pi * min(progress, 1))) if config.schedule == "cosine" else 1.0)


def check_same(config: TrainConfig, saved: dict[str, Any]) -> None:
    """Refuse to resume a run under other settings than it began with; where it runs may change."""
    free = ("data", "photos", "silhouettes", "out", "threads", "device")
    for name, value in dataclasses.asdict(config).items():
        if name not in free and saved.get(name) != value:
            was = saved.get(name)
            raise CheckpointError(f"the run in {config.out} has {name} = {was!r}; resume it with that, or start anew")


def choose_device(name: str) -> torch.device:
    """auto: the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("--device cuda: this machine has no usable GPU; use --device cpu")
    return torch.device(name)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: returning and refetching it costs a training step a quarter of its time."""
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(mmap_max, 0)
            libc.mallopt(trim_threshold, 2**31 - 1)


def log(out: Path, row: dict[str, Any]) -> None:
    """Append one line of JSON to the run's log."""
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps({name: round(value, 6) for name, value in row.items()}) + "\n")
