"""The training loop, in the order things happen."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ranlen.arrays import resize
from ranlen.io.files import write_atomically
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.enhancer import Enhancer, Parts
from ranlen.models.layers import RanlenTail
from train.board import Board
from train.checkpoint import check_same, load_checkpoint, save_checkpoint
from train.config import TrainConfig
from train.data import (
    SCENES,
    SIZE,
    DataError,
    Pairs,
    hold_out,
    load_pairs,
    load_photos,
    load_subject_masks,
    read_split,
)
from train.evaluate import mean_scores, score_pairs
from train.examples import TrainingSet
from train.losses import MeteredLoss, RegionLoss, faded
from train.meter import prepare, teach
from train.mixture import Mixture, read_sources, validation_pairs
from train.processes import keep_freed_memory, mean_over_processes, own_share, start_processes, synchronise

Made = TypeVar("Made")


class TrainingError(ValueError):
    """A run that cannot go on; the message says where it stands and what to do."""


def train(config: TrainConfig, *, resume: bool = False) -> dict[str, float]:
    """Train one network as a config says, and leave in its `out` folder the best weights, a log and a checkpoint.

    Under a launcher this is one of several processes that train together, of which the first validates and writes.

    Returns:
        The validation scores of the best epoch.

    Raises:
        ConfigError, DataError, ImageError, CheckpointError, WeightsError, TrainingError: with a message for whoever
            typed the command.
    """
    if not config.data or not config.out:
        raise DataError("a run needs --data FOLDER (low/, high/, split.json) and --out FOLDER")
    out = Path(config.out)
    processes = start_processes(config)
    if processes.is_main_process:
        with disk_errors_told(out):
            out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()

    torch.manual_seed(config.seed)
    network = Enhancer(config.backbone, config.method, metered=config.metered).to(processes.device)
    if isinstance(network.backbone.tail, RanlenTail) and not config.metered:  # a metered light fades of itself
        network.backbone.tail.start_faded()
    if config.start:
        network.start_from(weights.load(config.start))
    if processes.num_processes > 1:
        synchronise(network)
    training, validation = load_data(config)
    steps_per_epoch = len(training) // config.batch
    if steps_per_epoch == 0:
        raise DataError(f"{len(training)} training examples do not fill one batch of {config.batch}")
    total = config.epochs * steps_per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(config, step / total))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    local = (config.alpha, config.beta, config.gamma, config.fade)
    loss = MeteredLoss(*local) if config.metered else RegionLoss(*local, config.smooth_on)
    published = cast("Enhancer", average.module) if config.ema else network
    parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}

    step, best = 0, dict.fromkeys(("psnr_a", "psnr_b", "psnr_c_raw"), -math.inf)
    if resume:
        state = load_checkpoint(out / "last.pt")
        check_same(config, state["config"])
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, best = state["step"], state["best"]
    board = None
    if processes.is_main_process:  # which alone has a board, validates and writes
        with disk_errors_told(out):
            write_atomically(out / "config.json", json.dumps(dataclasses.asdict(config), indent=1).encode())
            keep_log(out, step // steps_per_epoch)
            board = Board(out / "tensorboard", step)
    learner = processes.prepare(Learner(network))  # the network, or around it what averages gradients over processes
    bf16 = processes.device.type == "cuda" and config.precision == "bf16"

    batches = made_ahead(lambda at: training.batch(at, config.batch), range(step, total))
    title = f"{config.backbone}-{config.method}"
    bar = tqdm(total=total, initial=step, desc=title, mininterval=5, disable=board is None)
    while step < total:
        network.train()
        sums: dict[str, float] = defaultdict(float)
        started = time.perf_counter()
        for _ in range(steps_per_epoch - step % steps_per_epoch):
            image, reference, mask = own_share(processes, next(batches))
            mask = RegionMask(network.method.areas(mask.tensor))
            total_loss, values = forward(learner, loss, image, reference, mask, config.loss_size, bf16=bf16)
            optimizer.zero_grad(set_to_none=True)
            total_loss.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip or math.inf)
            if not norm.isfinite():
                processes.wait_for_everyone()  # all see the same gradient, and leave together
                raise TrainingError(
                    f"the loss at step {step} (epoch {step // steps_per_epoch + 1}) is {total_loss.item():g} and its "
                    f"gradient {norm.item():g}; start anew with a lower --lr (it is {config.lr:g}) or --clip"
                )
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            for name, value in {"loss": total_loss.item(), **values}.items():
                sums[name] += value
            bar.update()
            step += 1
        losses = mean_over_processes(processes, {name: value / steps_per_epoch for name, value in sums.items()})
        if board is None:
            continue

        scores = validate(published, validation)
        epoch = step // steps_per_epoch
        with disk_errors_told(out):
            if selection_metric(config.method, scores) > selection_metric(config.method, best):
                best = {"epoch": step / steps_per_epoch, **scores}
                card = {"config": dataclasses.asdict(config), "validation": best}
                weights.save(published, out / "best.safetensors", card)
            log(out, {"epoch": epoch, **losses, **scores, "seconds": time.perf_counter() - started})
            board.show(step, losses, scores, optimizer.param_groups[0]["lr"])
            if epoch % board.EVERY == 0 or step == total:
                board.show_pictures(step, published, validation)
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"step": step, "best": best, "config": dataclasses.asdict(config)}
            save_checkpoint(out / "last.pt", state)  # last: what a killed run wrote after its checkpoint is dropped
        bar.set_postfix(loss=f"{losses['loss']:.4f}", psnr_a=f"{scores['psnr_a']:.2f}", best=f"{best['psnr_a']:.2f}")
    bar.close()
    if board is not None and isinstance(training, Mixture) and config.metered and config.lessons:
        with disk_errors_told(out):
            best = last_lesson(config, training, validation, best, processes.device)
    processes.wait_for_everyone()  # or gloo may lock up: it must not be taken down while it still frees a tensor
    processes.end_training()
    return best


def last_lesson(
    config: TrainConfig, training: Mixture, validation: Pairs, best: dict[str, float], device: torch.device
) -> dict[str, float]:
    """Teach the meter of the best epoch's weights from photos that the run has not seen; returns their new scores."""
    path = Path(config.out) / "best.safetensors"
    network = weights.load(path, device)
    seen = config.epochs * (config.length // config.batch)
    teach(network, prepare(network, training, seen, config.lessons), config.lesson_steps)
    best = {"epoch": best["epoch"], **validate(network.eval(), validation)}
    weights.save(network, path, {"config": dataclasses.asdict(config), "validation": best})
    return best


class Learner(nn.Module):
    """A network called for its parts: what averages gradients over processes only sees calls of a whole module."""

    def __init__(self, network: Enhancer) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, mask: Tensor, detail: Tensor) -> Parts:
        return self.network.in_parts(image, mask, detail)


def made_ahead(make: Callable[[int], Made], steps: range) -> Iterator[Made]:
    """The batch of each step; while one is trained with, a thread makes the next."""
    with ThreadPoolExecutor(1) as thread:
        following = [thread.submit(make, step) for step in steps[:1]]
        for step in steps:
            batch = following.pop().result()
            following += [thread.submit(make, step + 1)] if step + 1 in steps else []
            yield batch


def forward(
    network: nn.Module,
    loss: RegionLoss | MeteredLoss,
    image: Tensor,
    reference: Tensor,
    mask: RegionMask,
    size: int,
    *,
    bf16: bool = False,
) -> tuple[Tensor, dict[str, float]]:
    """One forward pass; the network sees 256 pixels, light and losses are computed at `size` (128: twice as fast).

    With bf16 the network computes in bfloat16 where it may; light and losses are float32 all the same.
    """
    small = (size, size)
    target = resize(faded(image, reference, mask.ramp()), small)  # made at full size, where B is widest
    detail = resize(image, small)
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bf16):
        parts = network(image, mask.tensor, detail)
    said = parts if isinstance(loss, MeteredLoss) else parts.light()
    return loss(said, detail, resize(reference, small), target, mask.resize(small))


def load_data(config: TrainConfig) -> tuple[TrainingSet | Mixture, Pairs]:
    """The training set and the validation pairs, which are whole scenes of the train split."""
    folder = Path(config.data)
    if config.sources:
        sources, noise = read_sources(Path(config.sources), folder)
        mixture = Mixture(sources, noise, config.length, config.method != "global", config.seed)
        return mixture, validation_pairs(Path(config.sources), folder)
    names, held = hold_out(read_split(folder, "train"), config.validation, config.seed)
    if not names:
        raise DataError(
            f"{folder} has {len(held)} photos to train on, all of one scene, and validation holds out whole scenes; "
            f"give more ({SCENES})"
        )
    photos = load_photos(config.photos) if config.photos else torch.empty(0, 3, *SIZE, dtype=torch.uint8)
    subject_masks = load_subject_masks(Path(config.subject_masks)) if config.subject_masks else []
    masks = None if config.method == "global" else config.paper_masks
    training = TrainingSet(
        load_pairs(folder, names),
        photos,
        subject_masks,
        config.photos_per_pair,
        masks,
        config.exposure_jitter,
        config.seed,
    )
    return training, load_pairs(folder, held)


def validate(network: Enhancer, pairs: Pairs) -> dict[str, float]:
    """Mean scores on held-out scenes with the paper's circles in the middle."""
    masks = [RegionMask.paper_circle(SIZE)] * len(pairs)
    if pairs.subjects is not None:
        own = zip(pairs.subjects[:, 0].numpy(), masks, strict=True)
        masks = [
            RegionMask.from_core(core, feather=0.04, feather_side="both") if core.any() else mask for core, mask in own
        ]
    return mean_scores(score_pairs(network, pairs, masks))


def selection_metric(method: str, scores: dict[str, float]) -> float:
    """What the best epoch is the best at: PSNR in A; a local network's fade, or dark C if it has none, counts as much.

    By A alone, a local network that started from a global one would be best before it has learned where to stop.
    """
    if method == "global":
        return scores["psnr_a"]
    return (scores["psnr_a"] + scores["psnr_c_raw" if method == "two_areas" else "psnr_b"]) / 2


def learning_rate(config: TrainConfig, progress: float) -> float:
    """The factor on the learning rate at a progress in [0, 1]: 2 % of warm-up, then constant or half a cosine."""
    warm = min(1.0, (progress + 1e-3) / 0.02)
    return warm * (0.5 * (1 + math.cos(math.pi * min(progress, 1))) if config.schedule == "cosine" else 1.0)


@contextlib.contextmanager
def disk_errors_told(out: Path) -> Iterator[None]:
    """Turn what a disk refuses into a TrainingError; files are replaced whole, so those of before are still sound."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot write to {out}: {error.strerror or error}; its last checkpoint is sound: make room, then --resume"
        ) from None


def keep_log(out: Path, epochs: int) -> None:
    """Keep the lines of a run's first epochs; later ones are of a run before it, or of after its last checkpoint."""
    path = out / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)[:epochs] if path.exists() else []
    write_atomically(path, "".join(lines).encode())


def log(out: Path, row: dict[str, Any]) -> None:
    """Append one line of JSON to the run's log."""
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps({name: round(value, 6) for name, value in row.items()}) + "\n")
