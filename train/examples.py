"""Training examples: pairs, photos darkened on the fly, and masks of every shape.

A batch is a pure function of (seed, step). There is no random state to save, and a resumed run sees what the
uninterrupted one would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ranlen.arrays import resize
from ranlen.facts import SIDES
from ranlen.masks.regions import RegionMask, ellipse, rectangle, stroke
from ranlen.methods import WORKING_SIZE
from train.chance import generator_of, uniform
from train.data import GAMMA, SIZE, Pairs


def expose(photos: Tensor, generator: torch.Generator) -> Tensor:
    """Photos (N, 3, H, W) in [0, 1] under a gamma that brings their means to where those of real references lie.

    Exposure fusions of SICE have a mean of 0.36, give or take 0.05; photos by hand, 0.44 and 0.11. Taken as they are,
    they teach a network to guess how bright somebody liked a photo, and cost 2 dB on real pairs.
    """
    wanted = (0.36 + 0.04 * torch.randn((len(photos), 1, 1, 1), generator=generator)).clamp(0.25, 0.5)
    gamma = torch.ones_like(wanted)
    for _ in range(4):  # Newton's steps on log(mean), which is nearly linear in gamma
        power = photos.clamp(min=1 / 255) ** gamma
        mean = power.mean((1, 2, 3), keepdim=True)
        slope = (power * photos.clamp(min=1 / 255).log()).mean((1, 2, 3), keepdim=True) / mean
        gamma = (gamma - (mean / wanted).log() / slope).clamp(0.3, 4)
    return photos**gamma


def darken(photos: Tensor, generator: torch.Generator) -> Tensor:
    """Dark versions of well exposed images (N, 3, H, W) in [0, 1], as a camera would have taken them.

    In linear light: up to 1.7 times the contrast in stops, which the dark frames of SICE have against their fusions,
    1 to 4 stops less, a slight cast, shot and read noise; then back through a tone curve that a camera might apply, and
    rounded to 8 bits, which is where deep shadows lose most.
    """

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand((len(photos), channels, 1, 1), generator=generator)

    light = photos ** (GAMMA * draw(1, 1.7)) * 2 ** -draw(0.5, 3.5) * draw(0.93, 1.07, 3)
    noise = draw(0, 1) ** 2 * torch.sqrt(4e-6 + 4e-4 * light) * torch.randn(photos.shape, generator=generator)
    dark = (light + noise).clamp(0, 1) ** (1 / GAMMA)
    dark = torch.lerp(dark, dark * dark * (3 - 2 * dark), draw(0, 0.4))
    return (dark * 255).round() / 255


def random_ellipse(generator: torch.Generator) -> np.ndarray:
    """An ellipse anywhere, turned by any angle; (256, 256) booleans, as all of these."""
    radii = (uniform(0.08, 0.4, generator) * WORKING_SIZE, uniform(0.08, 0.4, generator) * WORKING_SIZE)
    return ellipse(SIZE, random_center(generator), radii, uniform(0, math.pi, generator))


def random_rectangle(generator: torch.Generator) -> np.ndarray:
    """A rectangle anywhere, along the axes."""
    x, y = random_center(generator)
    w, h = (uniform(0.08, 0.4, generator) * WORKING_SIZE for _ in range(2))
    return rectangle(SIZE, (x - w, y - h, x + w, y + h))


def random_stroke(generator: torch.Generator) -> np.ndarray:
    """A crooked stroke of a brush."""
    steps = torch.randn((5, 2), generator=generator).numpy() * WORKING_SIZE * uniform(0.08, 0.25, generator)
    points = np.cumsum(steps, 0) + random_center(generator)
    return stroke(SIZE, points.tolist(), uniform(0.03, 0.12, generator) * WORKING_SIZE)


def random_blob(generator: torch.Generator) -> np.ndarray:
    """A smooth shape: blurred noise above the quantile that leaves 4 to 40 % of the frame."""
    coarse = torch.randn((1, 1, 6, 6), generator=generator)
    field = cv2.resize(coarse[0, 0].numpy(), SIZE, interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    field = field - 1.5 * ((x - uniform(-0.5, 0.5, generator)) ** 2 + (y - uniform(-0.5, 0.5, generator)) ** 2)
    return field >= np.quantile(field, 1 - uniform(0.04, 0.4, generator))


def random_subject(subject_masks: list[np.ndarray], generator: torch.Generator) -> np.ndarray:
    """One of the subject masks, mirrored, moved and enlarged."""
    core = subject_masks[int(torch.randint(len(subject_masks), (), generator=generator))]
    core = core[:, ::-1] if uniform(0, 1, generator) < 0.5 else core
    zoom = uniform(0.8, 1.6, generator)
    shift = [uniform(-0.2, 0.2, generator) * WORKING_SIZE + (1 - zoom) * WORKING_SIZE / 2 for _ in range(2)]
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    return cv2.warpAffine(core.astype(np.uint8), matrix, SIZE, flags=cv2.INTER_NEAREST).astype(bool)


def random_center(generator: torch.Generator) -> tuple[float, float]:
    """A point (x, y) that is not too near the frame."""
    return (uniform(0.15, 0.85, generator) * WORKING_SIZE, uniform(0.15, 0.85, generator) * WORKING_SIZE)


SHAPES = {"ellipse": random_ellipse, "rectangle": random_rectangle, "stroke": random_stroke, "blob": random_blob}


def random_mask(shape: str, subject_masks: list[np.ndarray], generator: torch.Generator) -> RegionMask:
    """A mask of one shape, neither tiny nor nearly everything, with any kind of Area B.

    Args:
        shape: "circle" for the paper's, anywhere in the frame; a key of `SHAPES`; or "subject".
        subject_masks: what "subject" is drawn from.
        generator: of everything random.
    """
    if shape == "circle":
        center = random_center(generator)
        return RegionMask.paper_circle(SIZE, ratio=uniform(1.2, 1.25, generator), center=center)
    while True:
        core = random_subject(subject_masks, generator) if shape == "subject" else SHAPES[shape](generator)
        if 0.005 < core.mean() < 0.8:
            break
    feather_side = SIDES[int(torch.randint(len(SIDES), (), generator=generator))]
    return RegionMask.from_core(core, feather=uniform(0.03, 0.25, generator), feather_side=feather_side)


def training_mask(
    paper: float, subject_masks: list[np.ndarray], generator: torch.Generator, subject: np.ndarray | None = None
) -> RegionMask:
    """The paper's circle with probability `paper`; else the photo's own subject if it has one, else any other shape."""
    shapes = [*SHAPES, *(["subject"] if subject_masks else [])]
    other = shapes[int(torch.randint(len(shapes), (), generator=generator))]
    shape = "circle" if uniform(0, 1, generator) < paper else other
    if shape != "circle" and subject is not None and 0.005 < subject.mean() < 0.8:
        # Section 5.2: the segmentation is A or B, and eroded it is A.
        return RegionMask.from_core(subject, feather=uniform(0.03, 0.25, generator), feather_side="in")
    return random_mask(shape, subject_masks, generator)


def full_mask(count: int) -> RegionMask:
    """Area A everywhere: what a global network is trained and judged with."""
    return RegionMask(torch.ones(count, 2, *SIZE))


def augment(
    low: Tensor, high: Tensor, subject: Tensor | None, jitter: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mirror, crop and re-expose one pair (3, 256, 256) in [0, 1]; the reference keeps its exposure.

    The subject, booleans (1, 256, 256) if there is one, is mirrored and cropped as the pair is.
    """
    mirror = uniform(0, 1, generator) < 0.5
    side = round(uniform(0.6, 1.0, generator) * WORKING_SIZE)
    top, left = (int(torch.randint(WORKING_SIZE - side + 1, (), generator=generator)) for _ in range(2))
    exposure = 2 ** (uniform(-jitter, jitter, generator) / GAMMA)  # in linear light, as a factor on gamma-coded values

    def crop(layers: Tensor) -> Tensor:
        layers = layers.flip(-1) if mirror else layers
        return resize(layers[..., top : top + side, left : left + side], SIZE)

    pair = crop(torch.stack([low, high]))
    subject = None if subject is None else crop(subject[None].float())[0] >= 0.5
    return (pair[0] * exposure).clamp(0, 1), pair[1], subject


@dataclass(frozen=True)
class TrainingSet:
    """Everything batches are drawn from.

    Attributes:
        pairs: real pairs.
        photos: well exposed photos to darken, uint8 (N, 3, 256, 256); may be empty.
        subject_masks: subject shapes for masks.
        photos_per_pair: darkened photos in an epoch for each pair.
        paper_masks: share of the paper's circles among the masks; None for full masks (global).
        jitter: exposure jitter in stops.
        seed: of everything random.
    """

    pairs: Pairs
    photos: Tensor
    subject_masks: list[np.ndarray]
    photos_per_pair: float
    paper_masks: float | None
    jitter: float
    seed: int

    def __len__(self) -> int:
        """Examples in an epoch."""
        return len(self.pairs) + (round(self.photos_per_pair * len(self.pairs)) if len(self.photos) else 0)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, RegionMask]:
        """Dark images, references (size, 3, 256, 256) in [0, 1] and masks of one training step."""
        per_epoch = len(self) // size
        epoch, position = divmod(step, per_epoch)
        order = torch.randperm(len(self), generator=generator_of(self.seed, 0, epoch))
        generator = generator_of(self.seed, 1, step)
        lows, highs, masks = [], [], []
        for index in order[position * size : (position + 1) * size].tolist():
            subject = None
            if index < len(self.pairs):
                low, high = self.pairs.low[index] / 255, self.pairs.high[index] / 255
                if self.pairs.subjects is not None:
                    subject = self.pairs.subjects[index]
            else:
                high = self.photos[int(torch.randint(len(self.photos), (), generator=generator))] / 255
                high = expose(high[None], generator)[0]
                low = darken(high[None], generator)[0]
            low, high, subject = augment(low, high, subject, self.jitter, generator)
            lows.append(low)
            highs.append(high)
            if self.paper_masks is not None:
                own = None if subject is None else subject[0].numpy()
                masks.append(training_mask(self.paper_masks, self.subject_masks, generator, own).tensor)
        mask = RegionMask(torch.from_numpy(np.concatenate(masks))) if masks else full_mask(len(lows))
        return torch.stack(lows), torch.stack(highs), mask
