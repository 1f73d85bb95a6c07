"""Score models on pairs: `python -m train.evaluate --data FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.io.files import write_atomically
from ranlen.masks.regions import RegionMask
from ranlen.metrics import ReferenceScorer
from ranlen.models import weights
from ranlen.models.enhancer import Enhancer
from ranlen.models.weights import WeightsError
from ranlen.rendering.fields import LightField, render
from train import paper, report
from train.data import (
    SHAPES,
    SIZE,
    DataError,
    Pairs,
    generator_of,
    load_pairs,
    load_silhouettes,
    random_mask,
    read_split,
)
from train.report import Scored, Scores

CHUNK = 16
GAMMAS = 2 ** torch.linspace(-4, 2, 601, dtype=torch.float64)  # steps of 0.7 %


def in_8_bits(image: Tensor) -> Tensor:
    """What a file would hold."""
    return (image.clamp(0, 1) * 255).round() / 255


def best_gamma(image: Tensor, reference: Tensor, area: Tensor) -> float:
    """The gamma with the least squared error over an area: an oracle, since nobody has the reference.

    Args:
        image: (1, 3, H, W), an 8-bit photo in [0, 1].
        reference: the same.
        area: (1, 1, H, W) in [0, 1].
    """
    levels = (image * 255).round().long().flatten()
    share = area.double().expand_as(image).flatten()
    count = torch.bincount(levels, share, 256)
    wanted = torch.bincount(levels, share * reference.double().flatten(), 256)
    curves = in_8_bits((torch.arange(256, dtype=torch.float64) / 255) ** GAMMAS[:, None])
    return float(GAMMAS[(curves**2 @ count - 2 * curves @ wanted).argmin()])


Baseline = Callable[[Tensor, Tensor, Tensor], Tensor]  # image, reference, Area A -> a lit image
BASELINES: dict[str, Baseline] = {
    "input": lambda image, reference, area: image,
    "gamma 1/2.2": lambda image, reference, area: image ** (1 / 2.2),
    "best gamma (oracle)": lambda image, reference, area: image ** best_gamma(image, reference, area),
}


def one_by_one(field: LightField, image: Tensor, attenuations: Sequence[Tensor | None]) -> list[Tensor]:
    """Images (N, 3, H, W) lit and rounded to 8 bits; one at a time, which stays in the processor's cache."""
    maps = field.maps.split(1)
    attenuations = [None if each is None else each.to(image.device) for each in attenuations]
    each = zip(maps, image.split(1), attenuations, strict=True)
    return [in_8_bits(render(field.with_maps(m), i, attenuation=a)).cpu() for m, i, a in each]


def ignores_masks(network: Enhancer) -> bool:
    """Whether it predicts the same light under every mask: global, and blend on its weights."""
    return (network.method.weights or network.method_name) == "global"


def source(name: str, network: Enhancer) -> str:
    """What tells networks of different weights apart: a name of its own, or that whose published weights it runs on."""
    method = network.method
    published = method.weights and name == f"{network.backbone_name}-{network.method_name}"
    return f"{network.backbone_name}-{method.weights}" if published else name


Lit = tuple[LightField, list[Tensor]]  # a light, and each image under the whole of it


def predict_whole(network: Enhancer, image: Tensor, standards: Sequence[ReferenceScorer]) -> Lit:
    """What a network gives under masks, before any attenuation."""
    mask = RegionMask(torch.cat([at.mask.tensor for at in standards]))
    field = network.predict(image, mask.to(image.device))
    return field, one_by_one(field, image, [None] * len(image))


@torch.inference_mode()
def score_networks(
    networks: Mapping[str, Enhancer],
    pairs: Pairs,
    masks: Mapping[str, Sequence[RegionMask]],
    baselines: Mapping[str, Baseline],
) -> Scores:
    """Every figure of `ReferenceScorer.score` for every network, baseline, kind of mask and pair.

    Photos are the outer loop: what does not depend on a network is worked out once for all of them and then forgotten,
    so that five hundred photos need no more memory than sixteen.
    """
    rows: dict[tuple[str, str], list[dict[str, Tensor]]] = defaultdict(list)
    total = len(pairs) * len(masks) * (len(networks) + len(baselines))
    bar = tqdm(total=total, desc="scoring", leave=False, mininterval=1, disable=total < 100)
    for start in range(0, len(pairs), CHUNK):
        part = slice(start, start + CHUNK)
        image, reference = (x[part] / 255 for x in (pairs.low, pairs.high))
        whole: dict[str, Lit] = {}  # of networks that ignore the mask
        for shape, each in masks.items():
            standards = [
                ReferenceScorer(*of) for of in zip(image.split(1), reference.split(1), each[part], strict=True)
            ]
            for name, baseline in baselines.items():
                lit = [in_8_bits(baseline(at.image, at.reference, at.mask.a)) for at in standards]
                rows[name, shape] += [at.score(x, x) for at, x in zip(standards, lit, strict=True)]
                bar.update(len(standards))
            for name, network in networks.items():
                here = image.to(next(network.parameters()).device)
                key = source(name, network)
                field, raw = whole.get(key) or predict_whole(network, here, standards)
                if ignores_masks(network):
                    whole[key] = field, raw
                attenuations = [network.method.attenuation(at.mask) for at in standards]
                kept = raw if attenuations[0] is None else one_by_one(field, here, attenuations)
                rows[name, shape] += [at.score(x, y) for at, x, y in zip(standards, raw, kept, strict=True)]
                bar.update(len(standards))
    bar.close()
    scores: Scores = {name: {} for name in (*baselines, *networks)}
    for (name, shape), figures in rows.items():
        scores[name][shape] = {figure: torch.cat([row[figure] for row in figures]) for figure in figures[0]}
    return scores


def score_pairs(network: Enhancer, pairs: Pairs, masks: Sequence[RegionMask]) -> dict[str, Tensor]:
    """Every figure of one network under one mask per pair, each (N,)."""
    return score_networks({"": network.eval()}, pairs, {"": masks}, {})[""][""]


def mean_scores(scores: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over images, leaving out those where a figure is not defined."""
    return {name: values.nanmean().item() for name, values in scores.items()}


def masks_for(shape: str, count: int, silhouettes: list[np.ndarray]) -> list[RegionMask]:
    """The same masks every time: the paper's circle in the middle, or one random mask of the shape per photo."""
    if shape == "circle":
        return [RegionMask.paper_circle(SIZE)] * count
    return [random_mask(shape, silhouettes, generator_of(2, i)) for i in range(count)]


def evaluate(
    data: Path, split: str, names: Sequence[str], shapes: Sequence[str] | None, silhouettes: Path | None
) -> Scored:
    """Score models, the untouched input and two tone curves, photo by photo.

    Args:
        data: folder with low/, high/ and split.json.
        split: a key of split.json.
        names: published models or files of weights.
        shapes: kinds of masks; none: all there are.
        silhouettes: folder of subject masks, for the kind "subject".
    """
    subjects = load_silhouettes(silhouettes, scoring=True) if silhouettes else []
    known = ["circle", *SHAPES, *(["subject"] if subjects else [])]
    shapes = known if shapes is None else shapes
    for shape in shapes:
        if shape not in known:
            raise DataError(
                f"no masks of the kind {shape!r}; there are {', '.join(known)}; subject needs --silhouettes"
            )
    networks = {name: weights.load(name) for name in names}
    pairs = load_pairs(data, read_split(data, split))
    masks = {shape: masks_for(shape, len(pairs), subjects) for shape in shapes}
    scores = score_networks(networks, pairs, masks, BASELINES)
    about = {
        name: {"backbone": each.backbone_name, "method": each.method_name, "trained_on": trained_on(name)}
        for name, each in networks.items()
    }
    return Scored(data.resolve().name, split, pairs.names, about, scores)


def trained_on(name: str) -> str:
    """The name of the data folder that a network's card tells of."""
    config = weights.card(name)["card"].get("config", {})
    return Path(config.get("data", "")).name or "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Print tables, and write JSON and CSV if asked; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description="Score models on pairs.")
    parser.add_argument("--data", type=Path, required=True, help="folder with low/, high/ and split.json")
    parser.add_argument("--split", default="test")
    parser.add_argument("--models", default="all", help="names or files with commas between, or all published ones")
    parser.add_argument(
        "--masks", default="circle", help=f"circle, {', '.join(SHAPES)}, subject with commas between, or all"
    )
    parser.add_argument("--silhouettes", type=Path, help="folder of subject masks, for --masks subject")
    parser.add_argument(
        "--paper", choices=list(paper.SETS), help="--data is this set of the paper: print our numbers in its tables"
    )
    parser.add_argument("--json", type=Path, help="file to write means, intervals and differences to")
    parser.add_argument("--csv", type=Path, help="file to write one row per model, mask and photo to")
    options = parser.parse_args(arguments)
    try:
        names = weights.published() if options.models == "all" else options.models.split(",")
        shapes = None if options.masks == "all" else options.masks.split(",")
        if options.paper:
            paper.check(options.paper, len(read_split(options.data, options.split)))
        scored = evaluate(options.data, options.split, names, shapes, options.silhouettes)
        summary = report.summarise(scored)
        print(report.as_text(summary))
        if "circle" in summary["models"]["input"]:
            print(paper.as_text(summary, options.paper))
        if options.json:
            write_atomically(options.json, (json.dumps(summary, indent=1) + "\n").encode())
        if options.csv:
            write_atomically(options.csv, report.as_csv(scored).encode())
    except (DataError, WeightsError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
