"""Sets to judge by: real pairs, and good photos of which a part was darkened; each photo with its areas.

What a folder holds says what is made of it: low/ and high/ are pairs, image/ and mask/ are subjects, NAME.npz are true
linear light. What is made is a matter of the photo's name and a seed alone, so a set is the same wherever it is made
and whatever else is in it; and made here, apart from what training learns from, so that nobody is examined with their
own textbook.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.masks.regions import RegionMask
from train.chance import generator_of, uniform
from train.data import (
    GAMMA,
    SIZE,
    SUFFIXES,
    DataError,
    Pairs,
    find_image,
    load_pairs,
    read_core,
    read_small,
    scene,
)
from train.examples import random_blob, random_mask
from train.sources import read_splits

PARTS = {"test": 0, "validation": 1}  # of ten that the scenes of a folder fall into by their names
SHOT = (2e-5, 6e-4)  # of noise, variance = a signal + b: a, from a usual camera at ISO 800 to a noisy one at 12,800
READ = 0.01  # b / a


@dataclass(frozen=True)
class EvaluationSet:
    """Photos to judge by.

    Attributes:
        name: of the set.
        split: what part of its folder.
        pairs: dark photos and references.
        masks: by kind of mask, one for each pair.
    """

    name: str
    split: str
    pairs: Pairs
    masks: dict[str, list[RegionMask]]


def tenth(name: str) -> int:
    """Which tenth of its folder a name falls into, 0 to 9: the same for all frames of its scene."""
    return zlib.crc32(scene(name).encode()) % 10


def members(folder: Path, split: str) -> list[str]:
    """The names in a folder that belong to a split.

    Args:
        folder: with split.json, with image/ and mask/, or with NAME.npz.
        split: "test": what split.json says, or a tenth of the scenes where it names none; "validation": another tenth
            of the scenes, never of the test's; "all"; or another list of split.json.

    Raises:
        DataError: nothing of that split.
    """
    splits = read_splits(folder)
    everything = sorted({*splits.get("train", []), *splits.get("test", [])} or stems(folder))
    tested = set(splits.get("test", []))
    if split == "all" or splits.get(split):
        names = everything if split == "all" else splits[split]
    elif split in PARTS:
        names = [name for name in everything if tenth(name) == PARTS[split] and name not in tested]
    else:
        raise DataError(f"no split {split!r} of {folder}; there are {', '.join([*PARTS, 'train', 'all'])}")
    if not names:
        raise DataError(f"{folder} has nothing in its split {split!r}")
    return names


def stems(folder: Path) -> list[str]:
    """The names of the photos in a folder without split.json."""
    inside = next((folder / name for name in ("low", "image") if (folder / name).is_dir()), folder)
    suffixes = (*SUFFIXES, ".npz")
    return sorted(path.stem for path in inside.iterdir() if path.suffix.lower() in suffixes) if inside.is_dir() else []


def noisy(light: Tensor, generator: torch.Generator) -> Tensor:
    """Linear light (3, H, W), 1 where the sensor is full, as an 8-bit photo in [0, 1]: shot and read noise, and gamma.

    The noise is that of a sensor's own pixels, not averaged as it is where a photo was made smaller.
    """
    shot = math.exp(uniform(math.log(SHOT[0]), math.log(SHOT[1]), generator))
    noise = torch.sqrt(shot * light.clamp(0, 1) + READ * shot) * torch.randn(light.shape, generator=generator)
    return ((light + noise).clamp(0, 1) ** (1 / GAMMA) * 255).round() / 255


def darkened(photo: Tensor, stops: np.ndarray, generator: torch.Generator) -> Tensor:
    """A photo (3, H, W) in [0, 1] with stops (H, W) less light in each place, as a camera takes it."""
    return noisy(photo**GAMMA * torch.from_numpy(2.0**-stops).float(), generator)


def soft(core: np.ndarray, width: float) -> np.ndarray:
    """Booleans (H, W) as floats with an edge about `width` pixels wide."""
    return cv2.GaussianBlur(core.astype(np.float32), (0, 0), max(width / 2, 0.3))


def backlit(photo: Tensor, subject: np.ndarray, generator: torch.Generator) -> tuple[Tensor, np.ndarray]:
    """The photo with its subject against the light: 2 to 4 stops under, the rest by -0.7 to 0.3 stops brighter.

    Returns:
        The dark photo, and what is to be lit, booleans (H, W): the subject.
    """
    under, rest = uniform(2, 4, generator), -uniform(-0.7, 0.3, generator)
    return darkened(photo, rest + (under - rest) * soft(subject, 1), generator), subject


def two_things(photo: Tensor, subject: np.ndarray, generator: torch.Generator) -> tuple[Tensor, np.ndarray]:
    """The photo with two things dark to different degrees, of which only a mask can tell which one is meant.

    By a coin either the subject and a shadow beside it, at least 1.5 stops apart, one of them meant; or a shadow alone,
    2 to 4 stops deep, whose edge is no object's edge.

    Returns:
        The dark photo, and what is to be lit, booleans (H, W).
    """
    shadow = random_blob(generator)
    beside = shadow & ~subject
    edge = uniform(2, 8, generator)
    rest = -uniform(-0.7, 0.3, generator)
    if uniform(0, 1, generator) < 0.5 and beside.mean() > 0.02:
        deep, less = uniform(2.5, 4, generator), uniform(0.5, 1, generator)
        first, second = (deep, less) if uniform(0, 1, generator) < 0.5 else (less, deep)
        stops = rest + (second - rest) * soft(beside, edge)
        own = soft(subject, 1)
        meant = subject if uniform(0, 1, generator) < 0.5 else beside
        return darkened(photo, stops * (1 - own) + first * own, generator), meant
    return darkened(photo, rest + (uniform(2, 4, generator) - rest) * soft(shadow, edge), generator), shadow


Maker = Callable[[Tensor, np.ndarray, torch.Generator], tuple[Tensor, np.ndarray]]


def made_of_subjects(
    name: str, make: Maker, folder: Path, names: Sequence[str], split: str, seed: int = 0
) -> EvaluationSet:
    """A set made of photos with subject masks, image/NAME and mask/NAME; Area B is 1 to 4 % of the frame wide.

    Subjects below 1 % of the frame or above 70 % are left out.
    """
    kept, lows, highs, masks = [], [], [], []
    for each in tqdm(names, f"making {name}", leave=False):
        subject = read_core(find_image(folder / "mask", each))[0].numpy()
        if not 0.01 < subject.mean() < 0.7:
            continue
        photo = read_small(find_image(folder / "image", each))
        generator = generator_of(seed, zlib.crc32(each.encode()))
        low, meant = make(photo / 255, subject, generator)
        kept.append(each)
        lows.append((low * 255).round().byte())
        highs.append(photo)
        masks.append(RegionMask.from_core(meant, feather=uniform(0.01, 0.04, generator), feather_side="both"))
    if not kept:
        raise DataError(f"no subject in {folder} takes between 1 and 70 % of the frame")
    return EvaluationSet(name, split, Pairs(kept, torch.stack(lows), torch.stack(highs)), {"subject": masks})


def made_of_light(name: str, folder: Path, names: Sequence[str], split: str, seed: int = 0) -> EvaluationSet:
    """A set made of true linear light, NAME.npz: a frame 1 to 4 stops under; the reference has a film's shoulder.

    Unlike a photo darkened afterwards, the frame holds what the reference has pressed together near white.
    """
    lows, highs = [], []
    for each in tqdm(names, f"making {name}", leave=False):
        light = cv2.resize(np.load(folder / f"{each}.npz")["linear"].astype(np.float32).clip(0), SIZE[::-1])
        light = torch.from_numpy(light).permute(2, 0, 1)
        generator = generator_of(seed, zlib.crc32(each.encode()))
        lows.append((noisy(light * 2 ** -uniform(1, 4, generator), generator) * 255).round().byte())
        highs.append(((1 - torch.exp(-light)) ** (1 / GAMMA) * 255).round().byte())
    pairs = Pairs(list(names), torch.stack(lows), torch.stack(highs))
    return EvaluationSet(name, split, pairs, {"circle": masks_for("circle", len(pairs), [])})


def made_of_pairs(
    name: str,
    folder: Path,
    names: Sequence[str],
    split: str,
    shapes: Sequence[str] = ("circle",),
    subjects: Sequence[np.ndarray] = (),
) -> EvaluationSet:
    """A set of real pairs, low/NAME and high/NAME, under masks of the given shapes; arguments as of `masks_for`."""
    masks = {shape: masks_for(shape, len(names), list(subjects)) for shape in shapes}
    return EvaluationSet(name, split, load_pairs(folder, list(names)), masks)


def masks_for(shape: str, count: int, subject_masks: list[np.ndarray]) -> list[RegionMask]:
    """The same masks every time: the paper's circle in the middle, or one random mask of the shape per photo."""
    if shape == "circle":
        return [RegionMask.paper_circle(SIZE)] * count
    return [random_mask(shape, subject_masks, generator_of(2, i)) for i in range(count)]


SUBJECTS = {"backlit": backlit, "two things": two_things}  # what can be made of subjects


def read_set(text: str, make: str | None = None, most: int | None = None) -> EvaluationSet:
    """A set as the command line names it.

    Args:
        text: [NAME=]FOLDER[:SPLIT]; the name is by default that of the folder, or what is made of it, the split "test".
        make: a key of `SUBJECTS`, for a folder with image/ and mask/; none for real pairs and linear light.
        most: take no more photos than this, evenly spread.

    Raises:
        DataError: a folder that is not what it has to be.
    """
    name, _, place = text.rpartition("=")
    place, _, split = place.rpartition(":") if ":" in place else (place, "", "test")
    folder = Path(place)
    name = name or make or folder.resolve().name
    wanted = ("image", "mask") if make else ("low", "high")
    linear = not make and any(folder.glob("*.npz"))
    if not linear and (missing := [f"{part}/" for part in wanted if not (folder / part).is_dir()]):
        kinds = "image/ and mask/" if make else "low/ and high/, or NAME.npz"
        raise DataError(f"{folder} has no {' and no '.join(missing)}; {make or 'a set'} needs a folder with {kinds}")
    names = members(folder, split)
    names = names[:: -(-len(names) // most)] if most else names
    if make:
        return made_of_subjects(name, SUBJECTS[make], folder, names, split)
    return (made_of_light if linear else made_of_pairs)(name, folder, names, split)
