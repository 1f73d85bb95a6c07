"""The click network: python -m train.click --segments DIR --images DIR --out RUN [--subjects DIR].

A user is simulated: a first click somewhere inside, then clicks in the middle of the largest error. As in `train.data`,
a batch is a pure function of (seed, step), so that a resumed run sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ranlen import images
from ranlen.images import Photo
from ranlen.segment import Prompts, click
from ranlen.segment.click import GROUPS, MULTIPLE, ClickNet, ClickSegmenter, Seen, as_logits, brighten
from ranlen.weights import WeightsError
from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.data import DataError, find_image, scene
from train.loop import keep_freed_memory, log

KEPT = 256  # long side of the photos in memory
SLOTS = 6  # for clicks of a kind
SHARE = (0.03, 0.6)  # of the frame that a target may fill
SCORED = (1, 3, 5)  # clicks
# These BSDS photos are the GrabCut test set of many papers: never trained on.
GRABCUT = [
    *("106024", "124084", "153077", "153093", "181079", "189080", "208001", "209070", "21077", "227092"),
    *("24077", "271008", "304074", "326038", "37073", "376043", "388016", "65019", "69020", "86016"),
]


@dataclass(frozen=True)
class ClickConfig:
    """One run.

    Attributes:
        segments: a folder of label maps NAME_k.png, k numbering the people who drew them.
        images: the folder of their photos NAME.jpg.
        subjects: a folder with image/ and mask/, or "".
        without: scenes of `subjects` to leave out, since they are scored on.
        out: folder of the run.
        start: a .safetensors file to start from, or "".
        epochs: validations; a resumed run may have more of them than it began with.
        steps: in an epoch.
        size: long side of a training image; the short one is about three quarters of it.
        batch: images in a step.
        targets: in each image, with clicks of their own.
        lr: peak learning rate; 3 % warm-up, then half a cosine.
        flat: share of the steps at the peak before it falls.
        ema: decay of the averaged weights.
        subject_share: of the images in a batch, where there are any.
        validation: share of the photos that choose the best epoch.
        seed: of everything random.
        threads: of the CPU; 0 leaves it to torch.
    """

    segments: str = ""
    images: str = ""
    subjects: str = ""
    without: tuple[str, ...] = ()
    out: str = ""
    start: str = ""
    epochs: int = 40
    steps: int = 100
    size: int = 160
    batch: int = 16
    targets: int = 3
    lr: float = 2e-3
    flat: float = 0.0
    ema: float = 0.99
    subject_share: float = 0.25
    validation: float = 0.08
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True)
class Example:
    """A photo (h, w, 3) uint8 and what people drew on it, label maps (h, w) uint8; `single`: only label 1 counts."""

    pixels: np.ndarray
    maps: list[np.ndarray]
    single: bool = False


@dataclass
class Batch:
    """Images (N, 3, H, W), and M targets at half their size with prompts: `index` says in which image each is."""

    image: Tensor
    index: Tensor
    target: Tensor
    border: Tensor  # -1 where nobody drew any
    inside: Tensor
    outside: Tensor
    box: Tensor
    before: Tensor
    rng: np.random.Generator = field(repr=False)


def train(config: ClickConfig, *, resume: bool = False) -> dict[str, float]:
    """Train a click network; leaves best.safetensors, last.pt, log.jsonl in `out` and returns the best scores.

    Raises:
        DataError, CheckpointError, WeightsError: with a message for whoever typed the command.
    """
    if not (config.segments and config.images and config.out):
        raise DataError("a run needs --segments FOLDER, --images FOLDER and --out FOLDER")
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    network = click.load(config.start).network if config.start else ClickNet()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    regions, held, subjects = load_data(config)

    total = config.epochs * config.steps
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(config, step / total))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    step, best = 0, {"score": -1.0}
    if resume:
        state = load_checkpoint(out / "last.pt")
        for name in ("steps", "seed"):
            if (was := state["config"].get(name)) != getattr(config, name):
                raise CheckpointError(f"the run in {config.out} has {name} = {was}; resume it with that, or start anew")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, best = state["step"], state["best"]

    bar = tqdm(total=total, initial=step, desc="click", mininterval=5)
    while step < total:
        sums: dict[str, float] = defaultdict(float)
        started = time.perf_counter()
        network.train()
        for _ in range(config.steps - step % config.steps):
            batch = make_batch(config, regions, subjects, step)
            loss, values = losses(network, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0, error_if_nonfinite=True)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            for name, value in values.items():
                sums[name] += value / config.steps
            bar.update()
            step += 1
        scores = validate(cast("ClickNet", average.module), held)
        settings = dataclasses.asdict(config)
        if scores["score"] > best["score"]:
            best = {"epoch": step / config.steps, **scores}
            public = {
                name: value for name, value in settings.items() if name not in ("segments", "images", "subjects", "out")
            }
            click.save(
                cast("ClickNet", average.module), out / "best.safetensors", {"config": public, "validation": best}
            )
        state = {name: part.state_dict() for name, part in parts.items()}
        save_checkpoint(out / "last.pt", {**state, "step": step, "best": best, "config": settings})
        log(out, {"epoch": step // config.steps, **sums, **scores, "seconds": time.perf_counter() - started})
        bar.set_postfix(loss=f"{sums['loss']:.3f}", score=f"{scores['score']:.3f}", best=f"{best['score']:.3f}")
    bar.close()
    return best


def learning_rate(config: ClickConfig, progress: float) -> float:
    """The factor on the learning rate at a progress in [0, 1]."""
    warm = min(1.0, (progress + 1e-3) / 0.03)
    fall = max(0.0, min(progress, 1.0) - config.flat) / max(1 - config.flat, 1e-6)
    return warm * 0.5 * (1 + float(np.cos(np.pi * fall)))


def losses(network: ClickNet, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The loss of one step: of the last answer, of the borders, and of how like the clicks each place is."""
    seen = network.see(batch.image)
    edges = network.edges(seen.quarter)
    drawn = (batch.border >= 0).float()
    border = bce(edges, batch.border.clamp(min=0), weight=drawn, pos_weight=torch.tensor(4.0))
    mine = seen.pick(batch.index)
    converse(network, mine, batch, int(batch.rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))))
    maps, likeness = network.hints(mine, batch.inside, batch.outside, batch.box, batch.before)
    logits = network.head(mine, maps, likeness)
    answer = bce(logits, batch.target)
    dice = soft_dice(logits, batch.target)
    # Places on the subject are to look like the click, others not: it teaches the features directly.
    small = torch.nn.functional.avg_pool2d(batch.target, 2)
    clicked = ~batch.inside.isnan().any(2).all(1)
    like = bce(6 * likeness[clicked, :GROUPS].mean(1, keepdim=True) - 2, small[clicked])
    loss = answer + dice + 0.3 * border + 0.3 * like
    return loss, {
        "loss": loss.item(),
        "bce": answer.item(),
        "dice": dice.item(),
        "border": border.item(),
        "like": like.item(),
    }


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the overlap of answer and target, 0 to 1, whatever the size of the subject."""
    p = torch.sigmoid(logits)
    both = (p * target).sum((1, 2, 3))
    return (1 - (2 * both + 1) / ((p * p).sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)).mean()


@torch.no_grad()
def converse(network: ClickNet, seen: Seen, batch: Batch, rounds: int) -> None:
    """Answer and be corrected some times; the prompts in `batch` grow by the corrections and the answer so far."""
    network.eval()  # these answers are not to count in the norms
    still = Seen(*(getattr(seen, item.name).detach() for item in dataclasses.fields(seen)))
    for _ in range(rounds):
        logits = network.answer(still, batch.inside, batch.outside, batch.box, batch.before)
        for i, (answer, truth) in enumerate(zip(logits[:, 0].numpy() > 0, batch.target[:, 0].numpy() > 0, strict=True)):
            found = largest_error(answer, truth, batch.rng)
            if found is not None:
                slots = batch.inside[i] if found[2] else batch.outside[i]
                free = int((~slots[:, 0].isnan()).sum())
                if free < SLOTS:
                    slots[free] = torch.tensor(found[:2]) / 2
            keep = batch.rng.random() < 0.85
            batch.before[i, 0] = torch.from_numpy(as_logits(answer.astype(np.float32))) if keep else 0.0
    network.train()


def largest_error(
    answer: np.ndarray, truth: np.ndarray, rng: np.random.Generator | None = None
) -> tuple[float, float, bool] | None:
    """(x, y, is it subject) near the middle of the widest error, or none where there is none."""
    missing, extra = depth(truth & ~answer), depth(answer & ~truth)
    deep = missing if missing.max() >= extra.max() else extra
    if deep.max() <= 0:
        return None
    rows, columns = np.nonzero(deep >= (0.7 if rng is not None else 1.0) * deep.max())
    i = int(rng.integers(len(rows))) if rng is not None else 0
    return float(columns[i]) + 0.5, float(rows[i]) + 0.5, deep is missing


def depth(inside: np.ndarray) -> np.ndarray:
    """Distance of each True pixel to the nearest False one or to the frame."""
    framed = np.pad(inside.astype(np.uint8), 1)
    return cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_3)[1:-1, 1:-1]


def make_batch(config: ClickConfig, regions: Sequence[Example], subjects: Sequence[Example], step: int) -> Batch:
    """The batch of a step: pictures, targets in them, and first prompts."""
    rng = np.random.default_rng((config.seed, step))
    short = max(1, round(0.75 * config.size / MULTIPLE)) * MULTIPLE
    size = (short, config.size) if rng.random() < 0.75 else (config.size, short)
    half = (size[0] // 2, size[1] // 2)
    pictures: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    borders: list[np.ndarray] = []
    index: list[int] = []
    while len(pictures) < config.batch:
        subject = bool(subjects) and rng.random() < config.subject_share
        source = subjects if subject else regions
        example = source[int(rng.integers(len(source)))]
        pixels, labels = crop(example, size, rng)
        if subject and rng.random() < 0.5:
            pixels, labels = paste(pixels, labels, crop(regions[int(rng.integers(len(regions)))], size, rng)[0], rng)
        small = cv2.resize(labels, half[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        found = [small == 1] * config.targets if example.single else pick_targets(small, config.targets, rng)
        if not found or not 0.01 < found[0].mean() < 0.8:
            continue
        targets += found
        index += [len(pictures)] * len(found)
        border = border_map(labels, (size[0] // 4, size[1] // 4))
        borders.append(np.full_like(border, -1) if example.single else border)  # nobody drew what is behind a subject
        pictures.append(brighten(relight(pixels, rng)))
    prompts = [first_prompts(target, rng) for target in targets]
    inside, outside, box = (torch.from_numpy(np.stack(column)) for column in zip(*prompts, strict=True))
    return Batch(
        image=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),  # is channels_last as it lies
        index=torch.tensor(index),
        target=torch.from_numpy(np.stack(targets)).float()[:, None],
        border=torch.from_numpy(np.stack(borders))[:, None],
        inside=inside,
        outside=outside,
        box=box,
        before=torch.zeros(len(targets), 1, *half),
        rng=rng,
    )


def crop(example: Example, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A piece of the photo and of one person's map, in the given size, perhaps mirrored."""
    height, width = example.pixels.shape[:2]
    labels = example.maps[int(rng.integers(len(example.maps)))]
    zoom = rng.uniform(0.5, 1.0) if rng.random() < 0.7 else 1.0
    aspect = size[1] / size[0] * np.exp(rng.uniform(-0.25, 0.25))
    h = min(height, width / aspect) * zoom
    w = min(h * aspect, width)
    top, left = rng.uniform(0, height - h), rng.uniform(0, width - w)
    box = np.s_[int(top) : int(np.ceil(top + h)), int(left) : int(np.ceil(left + w))]
    pixels = cv2.resize(example.pixels[box], size[::-1], interpolation=cv2.INTER_LINEAR)
    labels = cv2.resize(labels[box], size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return (pixels[:, ::-1], labels[:, ::-1]) if rng.random() < 0.5 else (pixels, labels)


def paste(
    pixels: np.ndarray, labels: np.ndarray, behind: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The subject on another photo, moved a little, with a soft edge."""
    height, width = labels.shape
    scale = rng.uniform(0.7, 1.2)
    shift = rng.uniform(-0.15, 0.15, 2) * (width, height)
    matrix = np.array([[scale, 0, shift[0] + (1 - scale) * width / 2], [0, scale, shift[1] + (1 - scale) * height / 2]])
    moved = cv2.warpAffine(np.ascontiguousarray(pixels), matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(
        (labels == 1).astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=0
    )
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None]
    return (soft * moved + (1 - soft) * behind).astype(np.uint8), mask


def pick_targets(labels: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Subjects made of regions: single ones, and some neighbours together, with little contact with the frame."""
    areas = np.bincount(labels.ravel(), minlength=256) / labels.size
    rim = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    contact = np.bincount(rim, minlength=256) / len(rim)
    pairs = np.concatenate(
        [
            np.stack([labels[:, 1:].ravel(), labels[:, :-1].ravel()]),
            np.stack([labels[1:].ravel(), labels[:-1].ravel()]),
        ],
        axis=1,
    ).astype(np.int64)
    pairs = pairs[:, pairs[0] != pairs[1]]
    shared = np.bincount(np.concatenate([pairs[0] * 256 + pairs[1], pairs[1] * 256 + pairs[0]]), minlength=65536)
    shared = shared.reshape(256, 256)
    weight = np.sqrt(areas) * (1 - contact).clip(0) ** 2 * (areas > 0.004)
    found: list[np.ndarray] = []
    if weight.sum() == 0:
        return found
    for _ in range(6 * count):
        members = [int(rng.choice(256, p=weight / weight.sum()))]
        for _ in range(int(rng.choice(4, p=(0.5, 0.2, 0.15, 0.15)))):
            beside = shared[members].sum(0) * (1 - 2 * contact).clip(0.02) ** 2
            beside[members] = 0
            if beside.sum() > 0:
                members.append(int(rng.choice(256, p=beside / beside.sum())))
        if SHARE[0] < areas[members].sum() < SHARE[1] and rng.random() > 1.5 * contact[members].sum():
            found.append(np.isin(labels, members))
        if len(found) == count:
            return found
    return found * count if len(found) == 1 else found


def border_map(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where regions meet, (h, w) float32 in [0, 1]."""
    edge = np.zeros(labels.shape, np.float32)
    edge[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edge[1:] = np.maximum(edge[1:], labels[1:] != labels[:-1])
    rows, columns = labels.shape[0] // size[0], labels.shape[1] // size[1]
    return edge.reshape(size[0], rows, size[1], columns).max(axis=(1, 3))


def relight(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other colours, and every second time a dark photo, with its noise; (H, W, 3) float32, about [0, 1]."""
    light = pixels.astype(np.float32) / 255
    light *= rng.uniform(0.85, 1.0, 3).astype(np.float32)
    grey = light.mean(axis=2, keepdims=True)
    light = grey + (light - grey) * np.float32(rng.uniform(0.4, 1.3) if rng.random() > 0.07 else 0)
    contrast = np.float32(rng.uniform(0.8, 1.2))
    light = ((light - 0.45) * contrast + 0.45).clip(0, 1)
    if rng.random() < 0.5:
        light = np.float32(rng.uniform(0.1, 0.6)) * cv2.pow(light, float(rng.uniform(1.6, 2.4)))
        spread = np.sqrt(rng.uniform(0, 0.006) ** 2 + rng.uniform(0, 2e-4) * light)
        light = light + spread * rng.standard_normal(light.shape, np.float32)
    return light.clip(0, 1)


def first_prompts(target: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inside points and outside points (SLOTS, 2), NaN where there are none, and a box map (1, h, w), at a quarter."""
    inside, outside = np.full((2, SLOTS, 2), np.nan, np.float32)
    box = np.zeros((1, target.shape[0] // 2, target.shape[1] // 2), np.float32)
    boxed = rng.random() < 0.12
    if boxed:
        rows, columns = (np.nonzero(target.any(axis))[0] for axis in (1, 0))
        slack = rng.normal(0, 0.03, 4) * (target.shape + target.shape)
        top, left = max(0, rows[0] + slack[0]), max(0, columns[0] + slack[1])
        bottom, right = rows[-1] + 1 + slack[2], columns[-1] + 1 + slack[3]
        box[:, int(top / 2) : int(np.ceil(bottom / 2)), int(left / 2) : int(np.ceil(right / 2))] = 1
    if not boxed or rng.random() < 0.5:
        depths = depth(target)
        several = 1 if rng.random() < 0.85 else int(rng.integers(2, 4))
        for i in range(several):
            rows, columns = np.nonzero(depths >= (0.5 if rng.random() < 0.8 else 0.15) * depths.max())
            chosen = int(rng.integers(len(rows)))
            inside[i] = (columns[chosen] + rng.random(), rows[chosen] + rng.random())
        if rng.random() < 0.1:
            rows, columns = np.nonzero(depth(~target) > 2)
            if len(rows):
                chosen = int(rng.integers(len(rows)))
                outside[0] = (columns[chosen] + 0.5, rows[chosen] + 0.5)
    return inside / 2, outside / 2, box


def load_data(config: ClickConfig) -> tuple[list[Example], list[Example], list[Example]]:
    """Photos with regions to train on and to validate on, and subjects to train on."""
    maps: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(Path(config.segments).glob("*_*.png")):
        if scene(path.stem) not in GRABCUT:
            maps[scene(path.stem)].append(path)
    if len(maps) < 2:
        raise DataError(f"{config.segments} has no label maps NAME_k.png of two photos or more")
    names = sorted(maps)
    order = np.random.default_rng(config.seed).permutation(len(names))
    held = {names[i] for i in order[: max(1, round(config.validation * len(names)))]}
    examples = {
        name: read_example(find_image(Path(config.images), name), paths)
        for name, paths in tqdm(maps.items(), "reading", leave=False)
    }
    subjects = []
    if config.subjects:
        for path in sorted((Path(config.subjects) / "mask").glob("*.png")):
            if scene(path.stem) not in config.without:
                picture = find_image(Path(config.subjects) / "image", path.stem)
                subjects.append(read_example(picture, [path], single=True))
    return (
        [examples[name] for name in names if name not in held],
        [examples[name] for name in names if name in held],
        subjects,
    )


def read_example(picture: Path, maps: list[Path], *, single: bool = False) -> Example:
    """A photo and its label maps, at most 256 pixels long."""
    pixels = images.preview(images.read(picture), KEPT)
    size = pixels.shape[1::-1]
    labels = [cv2.resize(images.read(path).pixels[..., 0], size, interpolation=cv2.INTER_NEAREST) for path in maps]
    return Example(pixels, [(label > 127).astype(np.uint8) for label in labels] if single else labels, single)


def validate(network: ClickNet, held: Sequence[Example]) -> dict[str, float]:
    """Mean IoU on photos held out, by clicks, in good light and in the dark by turns; `score` is their mean."""
    segmenter = ClickSegmenter(network)
    found: dict[str, list[float]] = defaultdict(list)
    for number, example in enumerate(held):
        rng = np.random.default_rng(number)
        pixels = example.pixels
        if number % 2:
            light = 0.3 * (pixels / 255) ** 2.2
            pixels = ((light + rng.normal(0, 0.004, light.shape)).clip(0, 1) * 255).round().astype(np.uint8)
        prepared = segmenter.prepare(Photo(pixels))
        for labels in example.maps[:2]:
            for truth in pick_targets(labels, 1, rng):
                for count, iou in score(segmenter, prepared, truth, rng).items():
                    found[f"iou_{count}"].append(iou)
    scores = {name: float(np.mean(values)) for name, values in found.items()}
    return {"score": float(np.mean(list(scores.values()))), **scores}


def score(segmenter: ClickSegmenter, prepared: click.Prepared, truth: np.ndarray, rng: np.random.Generator) -> dict:
    """IoU after 1, 3 and 5 clicks of a simulated user."""
    depths = depth(truth)
    rows, columns = np.nonzero(depths >= 0.5 * depths.max())
    chosen = int(rng.integers(len(rows)))
    prompts, scores = Prompts(inside=((columns[chosen] + 0.5, rows[chosen] + 0.5),)), {}
    for count in range(1, max(SCORED) + 1):
        mask = segmenter.segment(prepared, prompts)
        if count in SCORED:
            scores[count] = float((mask & truth).sum() / (mask | truth).sum())
        found = largest_error(mask, truth)
        if found is not None:
            point = found[:2]
            inside, outside = (*prompts.inside, point), (*prompts.outside, point)
            prompts = (
                Prompts(inside, prompts.outside, mask=mask) if found[2] else Prompts(prompts.inside, outside, mask=mask)
            )
    return scores


def main(arguments: Sequence[str]) -> int:
    """Train and print the best scores; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.click", description="Train the click network.")
    for item in dataclasses.fields(ClickConfig):
        if item.name == "without":
            parser.add_argument("--without", default=(), type=lambda text: tuple(text.split(",")), metavar="SCENE,...")
        else:
            parser.add_argument(f"--{item.name.replace('_', '-')}", default=item.default, type=type(item.default))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    options = vars(parser.parse_args(arguments))
    resume = options.pop("resume")
    try:
        best = train(ClickConfig(**options), resume=resume)
    except (DataError, CheckpointError, WeightsError, images.ImageError) as error:
        print(f"train.click: {error}", file=sys.stderr)
        return 2
    print("best epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in best.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
