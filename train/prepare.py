"""Bring a published data set into the layout that training reads: `python -m train.prepare fivek SRC DST`.

Writes DST/low/NAME.png, DST/high/NAME.png, DST/split.json and, where the data set has them, DST/masks/NAME.png. An
interrupted run goes on with the same command; nothing is ever deleted.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from tqdm import tqdm

from ranlen.geometry import Size
from ranlen.io import images
from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError, Photo
from train import sources
from train.command import says_in_one_line
from train.data import GAMMA, SCENES, DataError
from train.sources import Entry, Listing

SAME_SHAPE = 0.01  # by how much two aspects may differ, as a fraction: a pixel of rounding at 256, not a crop
RECORD = "prepared.json"
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Outcome:
    """What became of one pair: written, already there, too bright to be wanted, or wrong in the way `problem` says."""

    state: Literal["written", "there", "bright", "wrong"]
    problem: str = ""


@says_in_one_line("prepare", DataError)
def main(arguments: list[str] | None = None) -> int:
    """Prepare a data set; 0, or 1 if pairs had to be left out, or 2 if nothing sensible could be done."""
    options = parse_arguments(arguments)
    try:
        listing = list_pairs(options)
        claim(options.destination, settings(options))
        outcomes = run(listing.entries, options)
        return report(listing, outcomes, options)
    except BrokenProcessPool:
        raise DataError("a worker was killed, perhaps for want of memory; try fewer --jobs") from None
    except OSError as error:  # reading turns these into ImageError: it is the destination
        place = error.filename or options.destination
        raise DataError(f"{place}: {error.strerror}; the same command goes on from here") from None
    except KeyboardInterrupt:
        raise DataError("stopped; the same command goes on from here") from None


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("source", type=Path, metavar="SRC", help="folder of the data set, as its authors lay it out")
    common.add_argument("destination", type=Path, metavar="DST", help="folder to write low/, high/ and split.json to")
    common.add_argument("--size", type=positive, default=256, help="longest side in pixels; photos are never enlarged")
    common.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes (default: all cores)")
    common.add_argument("--overwrite", action="store_true", help="write again what is already there")
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument("--partial", action="store_true", help="fewer photos than the data set has are all right")

    parser = argparse.ArgumentParser(prog="python -m train.prepare", description="Prepare a data set for training.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    fivek = kinds.add_parser("fivek", parents=[common, some], help="MIT-Adobe FiveK: 4,500 to train on, 500 to test")
    fivek.add_argument("--expert", choices="abcde", default="c")
    fivek.add_argument("--low", metavar="NAME", help="folder of the exported inputs (default: input/ and the like)")
    fivek.add_argument(
        "--high", metavar="NAME", help="folder of the expert's photos (default: tiff16_c/, expertC/, ...)"
    )
    kinds.add_parser("uieb", parents=[common, some], help="UIEB, underwater: 812 to train on, 78 to test")
    ppr10k = kinds.add_parser("ppr10k", parents=[common, some], help="PPR10K, portraits with masks: the dark ones")
    ppr10k.add_argument("--expert", choices="abc", default="a")
    ppr10k.add_argument("--augmented", action="store_true", help="also the re-exposed versions in source_aug_6/")
    ppr10k.add_argument(
        "--darker-than",
        type=float,
        default=0.7,
        metavar="RATIO",
        help="keep photos whose mean linear luminance is below this times the reference's (default 0.7: half a stop)",
    )
    pairs = kinds.add_parser("pairs", parents=[common], help="two folders of equally named photos, such as LOL")
    pairs.add_argument("--low", default="low", metavar="NAME", help="folder of the dark photos")
    pairs.add_argument("--high", default="high", metavar="NAME", help="folder of the references")
    pairs.add_argument("--test", type=share, default=0.1, metavar="SHARE", help="share of the scenes to test on")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {value}")
    return value


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    if not 0 < (value := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1; got {value}")
    return value


def list_pairs(options: argparse.Namespace) -> Listing:
    """The pairs of the data set that the command line names."""
    source = options.source
    if not source.is_dir():
        raise DataError(f"no folder {source}")
    if options.kind == "fivek":
        return sources.fivek(source, expert=options.expert, low=options.low, high=options.high, partial=options.partial)
    if options.kind == "uieb":
        return sources.uieb(source, partial=options.partial)
    if options.kind == "ppr10k":
        return sources.ppr10k(source, expert=options.expert, augmented=options.augmented, partial=options.partial)
    return sources.pairs(source, options.destination, low=options.low, high=options.high, share=options.test)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What decides how a prepared photo looks: photos that differ in this must not be mixed in one folder."""
    named = {"pairs": options.source.resolve().name}.get(options.kind)
    chosen = {name: getattr(options, name, None) for name in ("kind", "size", "expert", "low", "high")}
    return {name: value for name, value in {**chosen, "source": named}.items() if value is not None}


def claim(folder: Path, record: dict[str, Any]) -> None:
    """Make a folder ours, or see that it is: prepared before with the same settings."""
    path = folder / RECORD
    if path.exists():
        if (before := json.loads(path.read_text("utf-8-sig"))) != record:
            differ = ", ".join(f"{n} {before.get(n)!r}" for n in {**before, **record} if before.get(n) != record.get(n))
            raise DataError(f"{folder} was prepared with {differ}; choose another folder for other settings")
        return
    if any((folder / name).exists() for name in ("low", "high", "masks", "split.json")):
        raise DataError(f"{folder} holds photos that this command has not written; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record).encode())


def run(entries: Sequence[Entry], options: argparse.Namespace) -> list[Outcome]:
    """Prepare all pairs, on all cores."""
    folder = options.destination
    for name in ("low", "high", *(["masks"] if any(entry.mask for entry in entries) else [])):
        (folder / name).mkdir(exist_ok=True)
    work = functools.partial(
        prepare,
        folder=folder,
        size=options.size,
        darker_than=getattr(options, "darker_than", math.inf),
        overwrite=options.overwrite,
    )
    return list(tqdm(spread(work, entries, options.jobs), "preparing", len(entries), unit=" pairs"))


def spread(work: functools.partial[Outcome], entries: Sequence[Entry], jobs: int) -> Iterator[Outcome]:
    """`work` on each entry, in order, in several processes: photos are decoded in them, and one would be the limit."""
    if jobs == 1 or len(entries) < 2:
        yield from map(work, entries)
        return
    with ProcessPoolExecutor(min(jobs, len(entries)), initializer=start_worker) as pool:
        try:
            yield from pool.map(work, entries)
        except BaseException:  # a full disk is full for the others too
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def start_worker() -> None:
    """One thread for each process, and Ctrl-C is for the first one to answer."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare(entry: Entry, folder: Path, size: int, darker_than: float, overwrite: bool) -> Outcome:
    """Write one pair, and its mask, unless it is there or not dark enough.

    Raises:
        OSError: the destination cannot be written to.
    """
    targets = [folder / side / f"{entry.name}.png" for side in ("low", "high", *(["masks"] if entry.mask else []))]
    there = not overwrite and all(target.exists() for target in targets)
    if there and math.isinf(darker_than):
        return Outcome("there")
    try:
        results = [images.read(target) for target in targets] if there else make(entry, size)
    except (ImageError, DataError) as error:
        return Outcome("wrong", f"{entry.name}: {error}")
    if luminance(results[0]) >= darker_than * luminance(results[1]):
        return Outcome("bright")
    if there:
        return Outcome("there")
    for photo, target in zip(results, targets, strict=True):
        photo.write(target)
    return Outcome("written")


def make(entry: Entry, longest: int) -> list[Photo]:
    """Dark photo, reference and, if there is one, mask: of one size, 8 bits, in sRGB."""
    photos = [read(path) for path in (entry.low, entry.high) if path is not None]
    if entry.mask is not None:
        photos.append(images.mask_photo(images.marked(read(entry.mask))))
    for photo, what in zip(photos[1:], ("reference", "mask"), strict=False):
        if abs(math.log(aspect(photo) / aspect(photos[0]))) > SAME_SHAPE:
            sizes = [f"{p.size[1]} x {p.size[0]}" for p in (photos[0], photo)]
            raise DataError(f"the photo is {sizes[0]} but its {what} {sizes[1]}: another shape (cropped?)")
    longest = min(longest, *(max(photo.size) for photo in photos))
    scale = longest / max(photos[0].size)
    height, width = (max(1, round(side * scale)) for side in photos[0].size)
    low, high, *masks = (shrink(photo, (height, width)) for photo in photos)
    return [Photo(low), Photo(high), *(images.mask_photo(mask[..., 0] >= 128) for mask in masks)]


def read(path: Path) -> Photo:
    """A photo from any file of a data set; what is wrong with it says which side it is of."""
    try:
        return images.read(path)
    except ImageError as error:
        raise DataError(f"{error}, in {path.parent}") from None


def aspect(photo: Photo) -> float:
    """Width over height."""
    return photo.size[1] / photo.size[0]


def shrink(photo: Photo, size: Size) -> np.ndarray:
    """Pixels of a photo (h, w, 3) at a smaller (height, width): uint8, in sRGB. Areas are averaged, at full depth."""
    pixels = cv2.resize(photo.pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return images.preview(replace(photo, pixels=pixels), max(size))


def luminance(photo: Photo) -> float:
    """Mean luminance in linear light, in [0, 1]."""
    return float(((photo.pixels / 255) ** GAMMA @ LUMINANCE).mean())


def report(listing: Listing, outcomes: Sequence[Outcome], options: argparse.Namespace) -> int:
    """Write split.json and say what was done and what was wrong."""
    states = [outcome.state for outcome in outcomes]
    done = [entry for entry, state in zip(listing.entries, states, strict=True) if state in ("written", "there")]
    split = {side: sorted(e.name for e in done if e.test == (side == "test")) for side in ("train", "test")}
    told = {**split, "scenes": SCENES}
    problems = listing.problems + [outcome.problem for outcome in outcomes if outcome.problem]
    for line in problems:
        print(f"prepare: left out {line}", file=sys.stderr)
    for line in listing.notes:
        print(f"prepare: {line}", file=sys.stderr)
    if not done:
        raise DataError(f"not one pair of {options.source} could be prepared")
    write_atomically(options.destination / "split.json", json.dumps(told, indent=1).encode())
    print(
        f"{len(done):,} pairs in {options.destination}: {len(split['train']):,} to train on, {len(split['test']):,} to "
        f"test ({states.count('written'):,} written, {states.count('there'):,} already there)"
    )
    if bright := states.count("bright"):
        print(
            f"{bright:,} of {len(states):,} are not darker than {options.darker_than:g} of their reference: not taken"
        )
    if empty := [side for side in split if not split[side]]:
        print(f"prepare: nothing to {empty[0]} on", file=sys.stderr)
    if problems:
        print(f"prepare: {len(problems):,} left out, see above", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
