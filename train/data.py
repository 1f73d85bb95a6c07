"""Data sets as they lie in folders: pairs, their split, photos and subject masks, at the networks' size."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.arrays import resize
from ranlen.io import images
from ranlen.methods import WORKING_SIZE

SIZE = (WORKING_SIZE, WORKING_SIZE)
GAMMA = 2.2
SUFFIXES = images.SUFFIXES
SCENES = "photos whose names agree up to the last underscore are one scene; names that cameras give are a scene each"
CAMERA = re.compile(  # IMG_0001, _MG_0001, _DSC0001, PXL_20260506_070809, 20260506_070809: what counts is no scene
    r"(_?(img|mg|dsc[a-z]?|dji|gopr|imgp|cimg|kimg|pxl|mvi|pano|pict|photo|image|sam|hdr|wp|p|vid)(_\d{8})?|\d{8})",
    re.I,
)


class DataError(ValueError):
    """A data set that is not as it should be; the message names the file or folder and the remedy."""


@dataclass(frozen=True)
class Pairs:
    """Dark images and their references in memory, each a uint8 tensor (N, 3, 256, 256).

    Where the data has masks of its own, `subjects` holds them, booleans (N, 1, 256, 256); empty where a photo has none.
    """

    names: list[str]
    low: Tensor
    high: Tensor
    subjects: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)


def scene(name: str) -> str:
    """What two frames of one scene share: the name up to the last underscore; all of it where a camera gave it."""
    before, _, count = name.rpartition("_")
    if CAMERA.fullmatch(before) and count.isdigit() and not (before.isdigit() and len(count) < 6):
        return name
    return before or name


def read_split(folder: Path, split: str) -> list[str]:
    """The names of one split of a folder with low/, high/ and split.json."""
    path = folder / "split.json"
    try:
        splits = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"no {path}: a data folder holds low/, high/ and split.json (train/README.md)") from None
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from None
    names = splits.get(split) if isinstance(splits, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path} has no list of names under "{split}"')
    return names


def hold_out(names: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Divide names into training and validation, whole scenes at a time."""
    names = list(names)
    scenes = sorted({scene(name) for name in names})
    order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(seed)).tolist()
    held = {scenes[i] for i in order[: max(1, round(share * len(scenes)))]}
    return [name for name in names if scene(name) not in held], [name for name in names if scene(name) in held]


def find_image(folder: Path, name: str) -> Path:
    """The image `name` in a folder, whatever its suffix and however its accents are spelled."""
    if (path := folder / f"{name}.png").exists():
        return path
    if folder.is_dir() and (path := images.named(folder).get(unicodedata.normalize("NFC", name), path)).exists():
        return path
    raise DataError(f"{folder} has no image {name!r} (looked for {', '.join(SUFFIXES)})")


def read_small(path: Path) -> Tensor:
    """An image as the network sees it: uint8 (3, 256, 256), in sRGB, whatever its shape was."""
    pixels = images.preview(images.read(path), WORKING_SIZE * 2).copy()
    small = resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float(), SIZE)
    return small[0].round().byte()


def load_pairs(folder: Path, names: list[str]) -> Pairs:
    """Read pairs into memory."""
    low, high = (
        torch.stack(
            [read_small(find_image(folder / side, name)) for name in tqdm(names, f"reading {side}", leave=False)]
        )
        for side in ("low", "high")
    )
    return Pairs(names, low, high, load_subjects(folder / "masks", names))


def load_subjects(folder: Path, names: list[str]) -> Tensor | None:
    """The masks of a folder by name, booleans (N, 1, 256, 256), empty where there is none; None without a folder."""
    if not folder.is_dir():
        return None
    found = images.named(folder)
    paths = [found.get(unicodedata.normalize("NFC", name)) for name in names]
    blank = torch.zeros(1, *SIZE, dtype=torch.bool)
    return torch.stack([read_core(path) if path else blank for path in tqdm(paths, "reading masks", leave=False)])


def read_core(path: Path) -> Tensor:
    """A mask as training sees it, booleans (1, 256, 256), by the rules of every mask (`images.marked`)."""
    core = torch.from_numpy(images.marked(images.read(path)))[None, None].float()
    return resize(core, SIZE)[0] >= 0.5


def load_photos(folders: str) -> Tensor:
    """All photos below folders with commas between their names, uint8 (N, 3, 256, 256)."""
    paths: list[Path] = []
    for folder in folders.split(","):
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(f"no photos in {folder}")
        paths += found
    return torch.stack([read_small(path) for path in tqdm(paths, "reading photos", leave=False)])


def load_subject_masks(folder: Path, *, scoring: bool = False) -> list[np.ndarray]:
    """Subject masks below a folder, booleans (256, 256): every fifth scene is for scoring, the others to train on."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    held = sorted({scene(path.stem) for path in paths})[::5]
    paths = [path for path in paths if (scene(path.stem) in held) == scoring]
    if not paths:
        raise DataError(f"no masks in {folder}, or too few to keep some for scoring")
    cores = [read_core(path)[0].numpy() for path in paths]
    return [core for core in cores if 0.01 < core.mean() < 0.7]
