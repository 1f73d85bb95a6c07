"""Published data sets as their authors lay them out: which files are a pair, and who is tested on.

Only names are looked at here; `train/prepare.py` opens the photos.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.data import SUFFIXES, DataError, hold_out, scene

FIVEK_IDS = range(1, 5001)
FIVEK_TRAIN = 4500  # ids up to this one are trained on (Section 4.1 of the paper), the others tested on
FIVEK_LOW = ("input", "inputs", "InputAsShotZeroed", "tiff16_inputAsShotZeroed", "low")
FIVEK_HIGH = ("tiff16_{}", "expert{}", "expert_{}", "output", "high")
UIEB_COUNT = 890
UIEB_TEST = Path(__file__).parent / "splits" / "uieb.json"
PPR10K_COUNT = 11161
PPR10K_TRAIN = 1356  # groups below this one are the authors' training set, the others their validation set
TEST_PARTS = ("eval", "test", "val")  # how the names of folders with test photos begin

Couples = dict[str, tuple[Path, Path]]  # dark photo and reference by the name of the pair
Key = Callable[[str], "str | None"]  # from a file's name without suffix to the pair's; none: not of the data set


@dataclass(frozen=True)
class Entry:
    """One pair before it is prepared."""

    name: str
    low: Path
    high: Path
    test: bool
    mask: Path | None = None


@dataclass(frozen=True)
class Listing:
    """What a data set holds: whole pairs, what is wrong with the rest (by name), and what is good to know."""

    entries: list[Entry]
    problems: list[str]
    notes: list[str]


def fivek(
    source: Path, *, expert: str = "c", low: str | None = None, high: str | None = None, partial: bool = False
) -> Listing:
    """MIT-Adobe FiveK: an expert's photos as published, or exports of inputs and expert. Pairs are named aNNNN."""
    roots = (source, source / "fivek_dataset")
    highs = find_folder(roots, [high] if high else [name.format(expert) for name in FIVEK_HIGH])
    low_names = [low] if low else FIVEK_LOW
    lows = next((found for name in low_names for root in roots if (found := folder_in(root, name))), source)
    suffixes: tuple[str, ...] = SUFFIXES
    notes = []
    if (lows == source or not photos(lows, fivek_id)[0]) and has_raw_photos(source):
        if importlib.util.find_spec("rawpy") is None:
            raise DataError(
                f"{source} has the inputs as DNG only. Open raw_photos/fivek.lrcat in Lightroom, select all of the "
                f"collection Inputs/InputAsShotZeroed and export it as TIFF or PNG, sRGB, with the original names, to "
                f"{source / 'input'}; or `pip install rawpy`, which develops them nearly like that"
            )
        notes.append("inputs are developed by rawpy, not by Lightroom: scores do not compare with published ones")
        lows, suffixes = source, (".dng",)
    elif lows == source:
        find_folder(roots, low_names)
    couples, problems = couple(lows, highs, fivek_id, suffixes)
    absent = [name for i in FIVEK_IDS if (name := f"a{i:04}") not in couples]
    notes += check_count("MIT-Adobe FiveK", len(couples), len(FIVEK_IDS), partial, absent)
    entries = [Entry(name, *both, test=int(name[1:]) > FIVEK_TRAIN) for name, both in couples.items()]
    return Listing(entries, problems, notes)


def uieb(source: Path, *, partial: bool = False) -> Listing:
    """UIEB: raw-890 and reference-890; challenging-60 has no references and is left alone."""
    lows, highs = (find_folder([source], [name]) for name in ("raw-890", "reference-890"))
    couples, problems = couple(lows, highs, str)
    test = uieb_test(photos(lows, str)[0].keys() | photos(highs, str)[0].keys())
    entries = [Entry(name, *both, test=name in test) for name, both in couples.items()]
    return Listing(entries, problems, check_count("UIEB", len(entries), UIEB_COUNT, partial))


def ppr10k(source: Path, *, expert: str = "a", augmented: bool = False, partial: bool = False) -> Listing:
    """PPR10K at 360p, as downloaded, or parted into train/ and val/ as the authors' own code wants it.

    The split is theirs either way. source_aug_6 holds the training photos and five more exposures and colours of each,
    GROUP_N_1 to GROUP_N_5, which are taken if `augmented`.
    """
    roots = [source, source / "train_val_images_tif_360p"]
    roots += [root / part for root in roots for part in ("train", "val")]
    lows = photos_of(roots, ["source", "source_aug_6", "source_aug"], ppr10k_name)
    highs = photos_of(roots, [f"target_{expert}"], ppr10k_name)
    masks = photos_of(roots, ["masks", "masks_360p", "masks_full"], ppr10k_name)
    entries, problems = [], [f"{name}: no photo of that name in source" for name in highs if name not in lows]
    for name, low in lows.items():
        original = name.split("-")[0]
        if original != name and not augmented:
            continue
        lacks = [folder for folder, found in ((f"target_{expert}", highs), ("masks", masks)) if original not in found]
        if lacks:
            problems.append(f"{name}: no photo of that name in {' and '.join(lacks)}")
        else:
            test = int(name.split("_")[0]) >= PPR10K_TRAIN
            entries.append(Entry(name, low, highs[original], test, masks[original]))
    count = sum("-" not in entry.name for entry in entries)
    return Listing(entries, problems, check_count("PPR10K", count, PPR10K_COUNT, partial))


def pairs(source: Path, known: Path, *, low: str = "low", high: str = "high", share: float = 0.1) -> Listing:
    """Equally named photos in two folders, in `source` itself or in its parts (our485/low, eval15/low, ...).

    Tested on is what split.json says, in the source or else in `known`, the folder prepared before; new photos of a
    scene go where the scene is. Otherwise parts whose name begins with eval, test or val; otherwise a share of scenes.
    """
    parts = [source, *sorted(path for path in source.iterdir() if path.is_dir())]
    whole = [
        (part, lows, highs) for part in parts if (lows := folder_in(part, low)) and (highs := folder_in(part, high))
    ]
    if not whole:
        missing = low if not folder_in(source, low) else high
        find_folder([source], [missing])
    entries: dict[str, Entry] = {}
    problems = []
    for part, lows, highs in whole:
        couples, wrong = couple(lows, highs, str)
        problems += wrong + [f"{name}: in {part.name} and in another folder" for name in couples if name in entries]
        entries = {name: Entry(name, *both, test=is_test_part(part)) for name, both in couples.items()} | entries
    splits = read_splits(source) or read_splits(known)
    if splits or not any(is_test_part(part) for part, _, _ in whole):
        test = keep_split(list(entries), splits, share)
        entries = {name: Entry(name, e.low, e.high, test=name in test) for name, e in entries.items()}
    return Listing(list(entries.values()), problems, [])


def fivek_id(stem: str) -> str | None:
    """The id aNNNN that a FiveK name begins with, whatever an export has put behind it."""
    found = re.match(r"a(\d{4})(?!\d)", stem)
    return found[0] if found and int(found[1]) in FIVEK_IDS else None


def has_raw_photos(source: Path) -> bool:
    """Whether there are DNGs anywhere in a folder."""
    return any(path.suffix.lower() == ".dng" for path in source.rglob("*"))


def uieb_test(names: Collection[str]) -> set[str]:
    """The 78 of 890 names to test on: those at the stored positions of the sorted list."""
    ordered = sorted(names)
    return {ordered[i] for i in json.loads(UIEB_TEST.read_text()) if i < len(ordered)}


def ppr10k_name(stem: str) -> str | None:
    """GROUP_N, and GROUP_N-K for an augmented photo, so that it is of the same scene as the others of its group."""
    found = re.fullmatch(r"(\d+_\d+)(?:_(\d+))?", stem)
    return found and (f"{found[1]}-{found[2]}" if found[2] else found[1])


def is_test_part(folder: Path) -> bool:
    """A folder that its authors test on, by its name."""
    return folder.name.lower().startswith(TEST_PARTS)


def read_splits(folder: Path) -> dict[str, list[str]]:
    """What split.json in a folder says; nothing if there is none."""
    path = folder / "split.json"
    try:
        splits = json.loads(path.read_text("utf-8-sig"))
        return {side: [str(name) for name in splits.get(side, [])] for side in ("train", "test")}
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, AttributeError, TypeError):
        raise DataError(f'{path} is not of the form {{"train": [NAME, ...], "test": [NAME, ...]}}') from None


def keep_split(names: list[str], splits: dict[str, list[str]], share: float) -> set[str]:
    """Names to test on: as the splits say; new photos of a known scene go with it; of new scenes a share is drawn."""
    of_name = {name: side for side, members in splits.items() for name in members}
    of_scene = {scene(name): side for name, side in of_name.items()}
    new = [name for name in names if scene(name) not in of_scene]
    drawn = set(hold_out(new, share, seed=0)[1]) if new else set()
    return drawn | {name for name in names if of_name.get(name, of_scene.get(scene(name))) == "test"}


def folder_in(root: Path, name: str) -> Path | None:
    """The folder `name` in a root, in whatever capitals, or a path below it; none if there is none."""
    if (root / name).is_dir():
        return root / name
    folders = (path for path in sorted(root.iterdir()) if path.is_dir()) if root.is_dir() else ()
    return next((path for path in folders if path.name.lower() == name.lower()), None)


def find_folder(roots: Sequence[Path], names: Sequence[str]) -> Path:
    """The first of the named folders that there is; otherwise an error that says what there is instead."""
    for name in names:
        for root in roots:
            if folder := folder_in(root, name):
                return folder
    there = ", ".join(sorted(f"{path.name}/" for path in roots[0].iterdir() if path.is_dir())) or "no folders"
    wanted = " or ".join(f"{name}/" for name in names)
    raise DataError(f"{roots[0]} has no {wanted}; it has {there}. train/README.md shows what is expected")


def couple(lows: Path, highs: Path, key: Key, suffixes: tuple[str, ...] = SUFFIXES) -> tuple[Couples, list[str]]:
    """The photos that are in both folders, sorted by name, and a problem for each that is not in one of them."""
    low, problems = photos(lows, key, suffixes)
    high, more = photos(highs, key)
    missing = [f"{name}: no photo of that name in {highs.name}" for name in low if name not in high]
    missing += [f"{name}: no photo of that name in {lows.name}" for name in high if name not in low]
    return {name: (low[name], high[name]) for name in low if name in high}, problems + more + missing


def photos(folder: Path, key: Key, suffixes: tuple[str, ...] = SUFFIXES) -> tuple[dict[str, Path], list[str]]:
    """The photos below a folder by the names of their pairs, sorted, and what is wrong with others."""
    found, problems = defaultdict(list), []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if name := key(path.stem):
            found[name].append(path)
        else:
            problems.append(f"{path.name}: not a name of this data set")
    for name, paths in found.items():
        if len(paths) > 1:
            files = ", ".join(str(path.relative_to(folder)) for path in paths)
            problems.append(f"{name}: {len(paths)} photos in {folder.name}, {files}; keep one of them there")
    return {name: found[name][0] for name in sorted(found) if len(found[name]) == 1}, problems


def photos_of(roots: Sequence[Path], names: Sequence[str], key: Key) -> dict[str, Path]:
    """The photos in all folders of these names; of those that are in several, the one in the first."""
    folders = [root / name for name in names for root in roots if (root / name).is_dir()]
    found: dict[str, Path] = {}
    for folder in folders or [find_folder(roots, names)]:
        found = photos(folder, key)[0] | found
    return dict(sorted(found.items()))


def check_count(title: str, found: int, expected: int, partial: bool, absent: Sequence[str] = ()) -> list[str]:
    """A note if the number of pairs is not the data set's and that is allowed; an error if it is not allowed."""
    if found == expected:
        return []
    named = f" ({', '.join(absent[:5])}{', ...' if len(absent) > 5 else ''})" if absent else ""
    missing = f"{expected - found:,} are missing{named}" if found < expected else f"{found - expected:,} too many"
    text = f"{title} has {expected:,} pairs; here are {found:,}, {missing}"
    if not found or not partial:
        raise DataError(text + ("; --partial prepares what there is" if found else ""))
    return [text]
