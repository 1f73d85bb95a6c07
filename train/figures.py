"""Counterparts of the paper's figures: `python -m train.figures --data FOLDER -o FOLDER`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ranlen import networks, retouch
from ranlen.cli.sheet import LABELS, Panel, grid, outline
from ranlen.facts import BACKBONES
from ranlen.geometry import Size
from ranlen.io import images
from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError, Photo
from ranlen.masks.regions import RegionMask, rectangle, stroke
from ranlen.models import weights
from ranlen.models.weights import WeightsError
from ranlen.networks import Network
from ranlen.retouch import Lighting
from train.command import add_old_name, says_in_one_line
from train.data import DataError, find_image, read_split, scene

SIDE = 320  # longest side of a panel
ALPHAS = (1.3, 1.2, 1.1, 1.0, 0.9, 0.8)
DEGREES = (0.5, 1.5, 2.0)


class MissingError(ValueError):
    """A figure whose networks or photos are not there; the message says what it needs."""


@dataclass(frozen=True)
class Example:
    """A pair to show.

    Attributes:
        name: in the split.
        dark: the photo, at most 1,024 pixels long, in sRGB.
        reference: the same, well lit.
        full: (height, width) of the dark photo's file.
    """

    name: str
    dark: Photo
    reference: Photo
    full: Size


@dataclass(frozen=True)
class Sources:
    """What the figures are made of.

    Attributes:
        data: folder with low/, high/ and split.json.
        split: a key of split.json.
        photos: names to show; none: the first frames of scenes spread evenly over the split.
        count: how many photos a comparison shows.
        other: a second such folder, of another kind of photo (underwater, in the paper).
        subject_masks: folder of subject masks named like the photos; data/masks where there is none.
        backbone: of the comparisons with Concat.
        without: weights trained without the gradient-smooth loss.
        tails: weights of a network with three tails.
    """

    data: Path
    split: str = "test"
    photos: tuple[str, ...] = ()
    count: int = 3
    other: Path | None = None
    subject_masks: Path | None = None
    backbone: str = "deepupe"
    without: str | None = None
    tails: str | None = None


def spread(names: Sequence[str], count: int) -> list[str]:
    """At most `count` names of different scenes, evenly over a list."""
    first = list({scene(name): name for name in reversed(names)}.values())[::-1]
    return [first[i * len(first) // count] for i in range(count)] if count < len(first) else first


def example(folder: Path, name: str) -> Example:
    """Read a pair."""
    dark, reference = (images.read(find_image(folder / side, name)) for side in ("low", "high"))
    small = [Photo(images.preview(photo, retouch.DETAIL)) for photo in (dark, reference)]
    return Example(name, small[0], small[1], dark.size)


def examples(sources: Sources, folder: Path | None = None) -> list[Example]:
    """The pairs to show, from the data or another folder."""
    names = read_split(folder or sources.data, sources.split)
    chosen = list(sources.photos) if sources.photos and not folder else spread(names, sources.count)
    return [example(folder or sources.data, name) for name in chosen]


def shown(pixels: np.ndarray) -> np.ndarray:
    """Pixels brought to the size of a panel."""
    scale = SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def panel(label: str, photo: Photo) -> Panel:
    """A photo with its label."""
    return label, shown(photo.pixels)


def title(network: Network) -> str:
    """A network as the paper would call it."""
    name, method = BACKBONES[network.backbone_name][1], network.method_name
    return name if method == "global" else f"{name}-{LABELS.get(method, method)}"


def raw(photo: Photo, mask: RegionMask, network: Network, alpha: float | None = None) -> Photo:
    """What the network gives by itself, without the attenuation that the product puts over Area C.

    Args:
        photo: the dark photo.
        mask: its areas.
        network: the network.
        alpha: the paper's factor on the whole predicted map (Section 5.1), or none.
    """
    field = retouch.predict(photo, mask, network).field
    return retouch.render(photo, Lighting(field if alpha is None else field.times_alpha(alpha), None))


def masks_and_degrees(pair: Example, network: Network) -> list[Panel]:
    """Three masks, what they light, and three more degrees of the last; three columns."""
    height, width = pair.dark.size
    path = [(x * width, y * height) for x, y in ((0.2, 0.75), (0.4, 0.45), (0.6, 0.6), (0.8, 0.3))]
    cores = {
        "rectangle": rectangle(pair.dark.size, (0.15 * width, 0.3 * height, 0.6 * width, 0.8 * height)),
        "stroke": stroke(pair.dark.size, path, 0.1 * min(height, width)),
    }
    masks = {"circle": RegionMask.paper_circle(pair.dark.size)}
    masks |= {name: retouch.region_mask(core) for name, core in cores.items()}
    inputs = [(f"input, {name}", outline(shown(pair.dark.pixels), mask)) for name, mask in masks.items()]
    lit = [panel(name, retouch.light(pair.dark, mask, network, denoise=0)) for name, mask in masks.items()]
    lighting = retouch.predict(pair.dark, masks["stroke"], network)
    degrees = [panel(f"stroke, degree {d:g}", retouch.render(pair.dark, lighting, d)) for d in DEGREES]
    return [*inputs, *lit, *degrees]


def compared(pairs: Sequence[Example], local: Mapping[str, Network], *, reference: bool) -> list[Panel]:
    """A row per pair: input, perhaps the reference, and what each network gives under the paper's circle."""
    panels = []
    for pair in pairs:
        mask = RegionMask.paper_circle(pair.dark.size)
        panels += [panel("input", pair.dark)] + [panel("reference", pair.reference)] * reference
        panels += [panel(label, raw(pair.dark, mask, network)) for label, network in local.items()]
    return panels


def alphas(pair: Example, network: Network) -> list[Panel]:
    """One pair under the paper's circle, the whole illumination times alpha; three columns."""
    mask = RegionMask.paper_circle(pair.dark.size)
    return [panel(f"alpha {alpha:g}", raw(pair.dark, mask, network, alpha)) for alpha in ALPHAS]


def portraits(pairs: Sequence[tuple[Example, np.ndarray]], network: Network) -> list[Panel]:
    """A row per pair: reference, input, map and output; Area B is carved from the map (Section 5.2)."""
    panels = []
    for pair, core in pairs:
        mask = retouch.region_mask(core, feather_side="in")
        white = images.preview(images.mask_photo(core), retouch.DETAIL)
        output = retouch.light(pair.dark, mask, network, denoise=0)
        panels += [panel("reference", pair.reference), panel("input", pair.dark), ("segmentation map", shown(white))]
        panels.append(panel(title(network), output))
    return panels


def figure_1(sources: Sources) -> Photo:
    """Different masks and degrees: DeepUPE-RANLEN as the product shows it, Area C kept."""
    return grid(masks_and_degrees(examples(sources)[0], networks.load("deepupe-ranlen")), 3, below=True)


def comparison(sources: Sources, folder: Path | None) -> Photo:
    """Concat and RANLEN on pairs of a folder."""
    loaded = [networks.load(f"{sources.backbone}-{method}") for method in ("concat", "ranlen")]
    panels = compared(examples(sources, folder), {title(each): each for each in loaded}, reference=True)
    return grid(panels, 4, below=True)


def figure_4(sources: Sources) -> Photo:
    """Concat and RANLEN in the paper's circles, as the networks give them: nothing keeps Area C."""
    return comparison(sources, None)


def figure_5(sources: Sources) -> Photo:
    """The same on photos of another kind (underwater, in the paper)."""
    if not sources.other:
        raise MissingError("needs --other FOLDER, pairs of another kind (underwater ones, in the paper)")
    return comparison(sources, sources.other)


def ablation(sources: Sources, name: str, note: str = "") -> Photo:
    """Some network, and the published RANLEN of its backbone."""
    other = networks.load(name)
    ours = networks.load(f"{other.backbone_name}-ranlen")
    panels = compared(examples(sources), {title(other) + note: other, title(ours): ours}, reference=False)
    return grid(panels, 3, below=True)


def figure_6(sources: Sources) -> Photo:
    """Without the gradient-smooth loss, and with it; as the networks give it."""
    if not sources.without:
        raise MissingError("needs --without WEIGHTS, of a RANLEN network trained without the gradient-smooth loss")
    return ablation(sources, sources.without, ", no gradient-smooth loss")


def figure_7(sources: Sources) -> Photo:
    """A global network with three tails, and RANLEN; as the networks give it."""
    published = "star_dce-tails"
    if not sources.tails and published not in weights.published():
        raise MissingError("needs --tails WEIGHTS, of a network with three tails")
    return ablation(sources, sources.tails or published)


def figure_8(sources: Sources) -> Photo:
    """The degree of light by alpha: DeepUPE-RANLEN, its whole illumination map times alpha, Area C included."""
    return grid(alphas(examples(sources)[0], networks.load("deepupe-ranlen")), 3, below=True)


def figure_9(sources: Sources) -> Photo:
    """Portraits with a segmentation map as the region: STAR-DCE-RANLEN as the product shows it, Area C kept."""
    folder = sources.subject_masks or sources.data / "masks"
    names = [name for name in read_split(sources.data, sources.split) if (folder / f"{name}.png").exists()]
    if not names:
        raise MissingError(
            f"needs masks of photos, {folder}/NAME.png (white on black), or --subject-masks FOLDER of them"
        )
    chosen = [name for name in sources.photos if name in names] or spread(names, sources.count)
    pairs = [example(sources.data, name) for name in chosen]
    cores = [images.read_mask(folder / f"{pair.name}.png", pair.full) for pair in pairs]
    return grid(portraits(list(zip(pairs, cores, strict=True)), networks.load("star_dce-ranlen")), 4, below=True)


FIGURES: dict[str, Callable[[Sources], Photo]] = {
    "1": figure_1,
    "4": figure_4,
    "5": figure_5,
    "6": figure_6,
    "7": figure_7,
    "8": figure_8,
    "9": figure_9,
}


def page(made: Sequence[str], skipped: Mapping[str, str], command: Sequence[str]) -> str:
    """FIGURES.md: what each picture shows, what is missing, and the command that makes them again."""
    lines = ["# Counterparts of the paper's figures", "", "```sh", shlex.join(command), "```", ""]
    for number in made:
        text = (FIGURES[number].__doc__ or "").strip()
        lines += [f"## Figure {number}", "", text, "", f"![Figure {number}](figure_{number}.png)", ""]
    lines += [f"- Figure {number} is not here: {why}." for number, why in skipped.items()]
    return "\n".join(lines).rstrip() + "\n"


def make(sources: Sources, only: Sequence[str], out: Path, command: Sequence[str]) -> dict[str, str]:
    """Write the figures that can be made and their page; return why the others cannot, by number."""
    skipped = {}
    out.mkdir(parents=True, exist_ok=True)
    for number in only:
        try:
            FIGURES[number](sources).write(out / f"figure_{number}.png")
        except (MissingError, WeightsError, retouch.MaskError) as error:
            skipped[number] = str(error)
    made = [number for number in only if number not in skipped]
    write_atomically(out / "FIGURES.md", page(made, skipped, command).encode())
    return skipped


@says_in_one_line("figures", DataError, ImageError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Make figures; 2 where a command makes no sense, or none of what it asks for can be made."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m train.figures", description="Counterparts of the paper's figures.")
    parser.add_argument("--data", type=Path, required=True, help="folder with low/, high/ and split.json")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write figure_N.png and FIGURES.md to")
    parser.add_argument("--split", default="test")
    parser.add_argument("--only", default=",".join(FIGURES), help="numbers with commas between")
    parser.add_argument("--photos", default="", help="names of photos to show, with commas between")
    parser.add_argument("--count", type=int, default=3, help="photos in a comparison, where they are not named")
    parser.add_argument("--other", type=Path, help="figure 5: another folder of pairs, underwater for example")
    parser.add_argument("--subject-masks", type=Path, help="figure 9: folder of masks NAME.png (else DATA/masks)")
    add_old_name(parser, "--silhouettes", "subject_masks", Path)
    parser.add_argument("--backbone", choices=list(BACKBONES), default="deepupe", help="of figures 4 and 5")
    parser.add_argument("--without", help="figure 6: weights trained without the gradient-smooth loss")
    parser.add_argument("--tails", help="figure 7: weights of a network with three tails")
    options = vars(parser.parse_args(arguments))
    out, only = options.pop("out"), options.pop("only").split(",")
    photos = tuple(name for name in options.pop("photos").split(",") if name)
    if unknown := [number for number in only if number not in FIGURES]:
        raise DataError(f"there is no figure {unknown[0]!r} to make; there are {', '.join(FIGURES)}")
    if options["count"] < 1:
        raise DataError(f"--count must be at least 1; got {options['count']}")
    skipped = make(Sources(photos=photos, **options), only, out, ["python", "-m", "train.figures", *arguments])
    for number, why in skipped.items():
        print(f"figure {number} skipped: {why}")
    return 2 if len(skipped) == len(only) else 0


if __name__ == "__main__":
    sys.exit(main())
