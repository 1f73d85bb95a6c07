"""What the published networks learn from: real pairs and good photos taken anew in bad light, in given shares.

A TOML file lists the sources by name, each with the folder it lies in, its kind and its share of the examples:

* "pairs": low/, high/ and split.json; with `composite = true`, in some examples only a part of the frame is dark.
* "subjects": image/ and mask/, equally named; the subject is what is lit.
* "segments": photos, and label maps NAME_k.png of their regions in the folder `labels`.
* "photos": good photos; "linear": NAME.npz with true linear light (H, W, 3) under the key `linear`.

Names that differ only after the last underscore are one scene, and so are photos of one place. Scenes fall into ten
parts by their names alone: part 0 is for testing (where a source has no test split of its own), part 1 for validation.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.facts import SIDES
from ranlen.masks.regions import RegionMask
from ranlen.masks.shapes import disc
from train import data, underexposure
from train.chance import generator_of, uniform, whole
from train.data import SIZE, DataError, Pairs
from train.examples import SHAPES, full_mask, random_center
from train.sets import PARTS, tenth

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = ("pairs", "subjects", "segments", "photos", "linear")
USUAL = 0.46  # mean of a subject in photos that people took care of


@dataclass(frozen=True)
class Source:
    """One source in memory, its training part only.

    Attributes:
        kind: one of `KINDS`.
        share: of the examples.
        places: positions in `images`, by scene; a scene is drawn first, so that a much-photographed one counts once.
        images: (N, 256, 256, 3): uint8 references, or float32 linear light.
        low: the dark partners of pairs, uint8 (N, 256, 256, 3); else none.
        regions: for each image the maps (256, 256) its subject is cut from: booleans, or labels of segments.
        composite: whether pairs may be mixed.
    """

    kind: str
    share: float
    places: list[list[int]]
    images: np.ndarray
    low: np.ndarray | None
    regions: list[list[np.ndarray]]
    composite: bool


def read_sources(path: Path, root: Path) -> tuple[list[Source], np.ndarray]:
    """Read the training part of all sources that a TOML file lists, and its noise profiles.

    Args:
        path: the list.
        root: the folder that the folders in it are relative to.

    Raises:
        DataError: a list or a source that is not as it should be.
    """
    try:
        listed = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"no such list of sources: {path}") from None
    except ValueError as error:
        raise DataError(f"{path} is not valid TOML: {error}") from None
    noise = underexposure.read_noise(root / listed.pop("noise")) if "noise" in listed else np.empty((0, 2))
    for name, about in listed.items():
        if not isinstance(about, dict) or about.get("kind") not in KINDS or not about.get("share", 0) > 0:
            raise DataError(f"{path}: {name} needs a folder, a share above 0 and a kind: {', '.join(KINDS)}")
    return [READERS[about["kind"]](root, about) for about in listed.values()], noise


def _source(
    about: dict[str, Any],
    names: list[str],
    images: list[np.ndarray],
    low: list[np.ndarray] | None = None,
    regions: list[list[np.ndarray]] | None = None,
) -> Source:
    """A source of named images, which are all for training."""
    if not images:
        raise DataError(f"{about['folder']} has nothing to train on")
    places: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        places[data.scene(name)].append(index)
    dark = None if low is None else np.stack(low)
    composite = about.get("composite", False)
    return Source(
        about["kind"], about["share"], list(places.values()), np.stack(images), dark, regions or [], composite
    )


def pixels_of(path: Path) -> np.ndarray:
    """An image as training has it: uint8 (256, 256, 3)."""
    return data.read_small(path).permute(1, 2, 0).numpy()


def for_training(names: list[str], *, tested: bool = False) -> list[str]:
    """Those of the names that are neither for validation nor, unless others are `tested`, for the test."""
    return [name for name in names if tenth(name) != PARTS["validation"] and (tested or tenth(name) != PARTS["test"])]


def read_pairs(root: Path, about: dict[str, Any]) -> Source:
    """Real pairs."""
    folder = root / about["folder"]
    tested = bool(json.loads((folder / "split.json").read_text()).get("test")) if folder.is_dir() else False
    names = for_training(data.read_split(folder, "train"), tested=tested)
    low, high = (
        [pixels_of(data.find_image(folder / side, name)) for name in tqdm(names, about["folder"], leave=False)]
        for side in ("low", "high")
    )
    return _source(about, names, high, low)


def named_images(folder: Path) -> dict[str, Path]:
    """The photos below a folder by their names."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in data.SUFFIXES)
    if not found:
        raise DataError(f"no photos in {folder}")
    return {path.stem: path for path in found}


def read_subjects(root: Path, about: dict[str, Any]) -> Source:
    """Photos with a mask of their subject; where it is tiny or nearly everything, they are left out."""
    paths = named_images(root / about["folder"] / "image")
    names, images, masks = [], [], []
    for name in tqdm(for_training(list(paths)), about["folder"], leave=False):
        mask = pixels_of(data.find_image(root / about["folder"] / "mask", name))[..., 0] >= 128
        if 0.01 < mask.mean() < 0.7:
            names.append(name)
            images.append(pixels_of(paths[name]))
            masks.append([mask])
    return _source(about, names, images, regions=masks)


def read_segments(root: Path, about: dict[str, Any]) -> Source:
    """Photos with maps of their regions, two of each at most."""
    paths = named_images(root / about["folder"])
    names, images, regions = [], [], []
    for name in tqdm(for_training(list(paths)), about["folder"], leave=False):
        found = sorted((root / about["labels"]).glob(f"{name}_*.png"))[:2]
        maps = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in found]
        if maps:
            names.append(name)
            images.append(pixels_of(paths[name]))
            regions.append([cv2.resize(labels, SIZE, interpolation=cv2.INTER_NEAREST) for labels in maps])
    return _source(about, names, images, regions=regions)


def read_photos(root: Path, about: dict[str, Any]) -> Source:
    """Good photos."""
    paths = named_images(root / about["folder"])
    names = for_training(list(paths))
    return _source(about, names, [pixels_of(paths[name]) for name in tqdm(names, about["folder"], leave=False)])


def read_linear(root: Path, about: dict[str, Any]) -> Source:
    """True linear light."""
    paths = {path.stem: path for path in sorted((root / about["folder"]).glob("*.npz"))}
    names = for_training(list(paths))
    light = [np.load(paths[name])["linear"].astype(np.float32) for name in names]
    return _source(about, names, [cv2.resize(each, SIZE, interpolation=cv2.INTER_AREA) for each in light])


READERS: dict[str, Callable[[Path, dict[str, Any]], Source]] = {
    "pairs": read_pairs,
    "subjects": read_subjects,
    "segments": read_segments,
    "photos": read_photos,
    "linear": read_linear,
}


def validation_pairs(path: Path, root: Path, *, most: int = 12) -> Pairs:
    """What a run chooses its best epoch by: some real pairs, and some subjects in bad light, of validation scenes.

    Args:
        path: the list of sources, as of `read_sources`.
        root: as there.
        most: of each source.
    """
    listed = tomllib.loads(path.read_text())
    noise = underexposure.read_noise(root / listed.pop("noise")) if "noise" in listed else np.empty((0, 2))
    names, low, high, cores = [], [], [], []
    for about in listed.values():
        folder = root / about["folder"]
        if about["kind"] == "pairs":
            held = [name for name in data.read_split(folder, "train") if tenth(name) == PARTS["validation"]][:most]
            low += [pixels_of(data.find_image(folder / "low", name)) for name in held]
            high += [pixels_of(data.find_image(folder / "high", name)) for name in held]
            cores += [np.zeros(SIZE, bool)] * len(held)
        elif about["kind"] == "subjects":
            paths = named_images(folder / "image")
            held = [name for name in paths if tenth(name) == PARTS["validation"]][:most]
            for name in held:
                image, core = pixels_of(paths[name]), pixels_of(data.find_image(folder / "mask", name))[..., 0] >= 128
                generator = generator_of(zlib.crc32(name.encode()))
                low.append(
                    underexposure.underexposed(image / np.float32(255), core, ~core, noise, generator, "backlit")
                )
                high.append(image)
                cores.append(core)
        else:
            continue
        names += held
    if not names:
        raise DataError(f"the sources of {path} have no scenes for validation")
    stacked = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) for each in (low, high))
    return Pairs(names, next(stacked), next(stacked), torch.from_numpy(np.stack(cores))[:, None])


@dataclass(frozen=True)
class Mixture:
    """Everything batches are drawn from; a batch is a pure function of (seed, step).

    Attributes:
        sources: with their shares.
        noise: profiles (N, 2), see `underexposure.read_noise`.
        length: examples in an epoch: only says how often a run validates.
        local: whether the areas are any shapes, or Area A everywhere (global).
        seed: of everything random.
    """

    sources: list[Source]
    noise: np.ndarray
    length: int
    local: bool
    seed: int

    def __len__(self) -> int:
        return self.length

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, RegionMask]:
        """Dark images, references (size, 3, 256, 256) in [0, 1] and masks of one training step."""
        generator = generator_of(self.seed, 2, step)
        shares = torch.tensor([float(source.share) for source in self.sources])
        drawn = torch.multinomial(shares, size, replacement=True, generator=generator)
        low, high, cores = zip(*(self._example(self.sources[i], generator) for i in drawn), strict=True)
        masks = [_areas(core, generator) for core in cores] if self.local else [full_mask(size).tensor]
        images = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) / 255 for each in (low, high))
        return next(images), next(images), RegionMask(torch.cat(masks))

    def _example(self, source: Source, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A dark photo, its reference, uint8 (256, 256, 3), and the core of Area A, booleans (256, 256)."""
        place = source.places[whole(len(source.places), generator)]
        index = place[whole(len(place), generator)]
        cut = Cut.random(generator)
        if source.low is not None:
            low, high = cut(source.low[index]), cut(source.images[index])
            return self._real(low, high, generator, composite=source.composite)
        image = cut(source.images[index])
        good = underexposure.developed(image, generator) if source.kind == "linear" else image.astype(np.float32) / 255
        core = _subject(source, index, cut, generator)
        other = _subject(source, index, cut, generator) if source.kind == "segments" else _shape(generator)
        mean = float(good[core].mean())
        careful = USUAL + 0.06 * float(torch.randn((), generator=generator))
        mean += uniform(0.2, 0.9, generator) * (careful - mean)
        good = underexposure.exposed(good, core, min(max(mean, 0.1), 0.75))
        low = underexposure.underexposed(good, core, other, self.noise, generator)
        if uniform(0, 1, generator) < 0.15:  # a person may point at anything
            core = _shape(generator)
        return low, np.rint(good * 255).astype(np.uint8), core

    def _real(
        self, low: np.ndarray, high: np.ndarray, generator: torch.Generator, *, composite: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A real pair, brighter or darker by up to 0.7 stops; or the dark frame in a part, the good one in the rest."""
        if uniform(0, 1, generator) < 0.5:
            factor = 2 ** (uniform(-0.7, 0.7, generator) / underexposure.GAMMA)
            low = np.clip(low * np.float32(factor), 0, 255).astype(np.uint8)
        core = _shape(generator)
        if composite and uniform(0, 1, generator) < 0.35:
            masks = [source for source in self.sources if source.kind == "subjects"]
            if masks and uniform(0, 1, generator) < 0.6:
                masked = masks[whole(len(masks), generator)]
                core = masked.regions[whole(len(masked.regions), generator)][0]
            share = underexposure.soft(core, uniform(0.5, 4, generator))[..., None]
            share = 1 - share if uniform(0, 1, generator) < 0.2 else share
            low = np.rint(low * share + high * (1 - share)).astype(np.uint8)
        return low, high, core


@dataclass(frozen=True)
class Cut:
    """A square part of a frame, perhaps mirrored, back at 256 x 256: the same for all that belongs together."""

    side: int
    top: int
    left: int
    mirrored: bool

    @classmethod
    def random(cls, generator: torch.Generator) -> Cut:
        side = round(uniform(0.6, 1, generator) * SIZE[0])
        top, left = (whole(SIZE[0] - side + 1, generator) for _ in range(2))
        return cls(side, top, left, uniform(0, 1, generator) < 0.5)

    def __call__(self, layer: np.ndarray) -> np.ndarray:
        """Cut an image (256, 256, 3), or booleans (256, 256)."""
        piece = layer[self.top : self.top + self.side, self.left : self.left + self.side]
        piece = np.ascontiguousarray(piece[:, ::-1] if self.mirrored else piece)
        if piece.dtype == bool:
            return cv2.resize(piece.astype(np.uint8) * 255, SIZE) >= 128
        return cv2.resize(piece, SIZE)


def _subject(source: Source, index: int, cut: Cut, generator: torch.Generator) -> np.ndarray:
    """The subject of a photo in a source, or one of its segments, or any shape if that is too small or too large."""
    core = np.zeros(SIZE, bool)
    if source.kind == "subjects":
        core = cut(source.regions[index][0])
    elif source.kind == "segments":
        maps = source.regions[index]
        labels = maps[whole(len(maps), generator)]
        core = cut(labels == labels[whole(SIZE[0], generator), whole(SIZE[1], generator)])
    return core if 0.005 < core.mean() < 0.8 else _shape(generator)


def _shape(generator: torch.Generator) -> np.ndarray:
    """A disc, or any other shape that training knows; neither tiny nor nearly everything."""
    while True:
        if uniform(0, 1, generator) < 0.5:
            core = disc(SIZE, random_center(generator), uniform(0.12, 0.32, generator) * SIZE[0])
        else:
            core = list(SHAPES.values())[whole(len(SHAPES), generator)](generator)
        if 0.005 < core.mean() < 0.6:
            return core


def _areas(core: np.ndarray, generator: torch.Generator) -> Tensor:
    """Areas (1, 2, 256, 256) around a core, with an Area B as narrow as for a found subject, or as wide as drawn."""
    width = uniform(0.01, 0.06, generator) if uniform(0, 1, generator) < 0.5 else uniform(0.03, 0.25, generator)
    return RegionMask.from_core(core, feather=width, feather_side=SIDES[whole(len(SIDES), generator)]).to("cpu").tensor
