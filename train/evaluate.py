"""Score models on pairs: `python -m train.evaluate --data FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ranlen import weights
from ranlen.enhancer import Enhancer
from ranlen.fields import render
from ranlen.files import write_atomically
from ranlen.metrics import score
from ranlen.regions import RegionMask
from ranlen.weights import WeightsError
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

Report = dict[str, Any]  # see `evaluate`

CHUNK = 16
COLUMNS = {
    "psnr_a": "PSNR A",
    "ssim_a": "SSIM A",
    "ssim_a_paper": "(paper's)",
    "clipped_a": "clipped A",
    "psnr_b": "PSNR B",
    "peak_slope": "slope B",
    "non_monotonicity": "halo B",
    "roughness": "rough B",
    "psnr_c_raw": "PSNR C raw",
    "changed_c": "changed C",
}


def in_8_bits(image: Tensor) -> Tensor:
    """What a file would hold."""
    return (image.clamp(0, 1) * 255).round() / 255


@torch.inference_mode()
def score_pairs(network: Enhancer, pairs: Pairs, masks: Sequence[RegionMask]) -> dict[str, Tensor]:
    """Every figure of `metrics.score` for every pair, each (N,)."""
    network.eval()
    device = next(network.parameters()).device
    rows = []
    for start in range(0, len(pairs), CHUNK):
        part = slice(start, start + CHUNK)
        image, reference = (x[part].to(device) / 255 for x in (pairs.low, pairs.high))
        mask = RegionMask(torch.cat([m.tensor for m in masks[part]])).to(device)
        field = network.predict(image, mask)
        window = network.method.window(mask)
        raw, kept = (in_8_bits(render(field, image, window=w)) for w in (None, window))
        rows.append(score(raw, kept, image, reference, mask))
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def score_gamma(pairs: Pairs, masks: Sequence[RegionMask], gamma: float) -> dict[str, Tensor]:
    """The same figures for a tone curve on the whole photo; 1 leaves it as it is."""
    image, reference = pairs.low / 255, pairs.high / 255
    mask = RegionMask(torch.cat([m.tensor for m in masks]))
    lit = in_8_bits(image**gamma)
    return score(lit, lit, image, reference, mask)


def mean_scores(scores: dict[str, Tensor]) -> dict[str, float]:
    """Means over images, leaving out those where a figure is not defined."""
    return {name: values.nanmean().item() for name, values in scores.items()}


def masks_for(shape: str, count: int, silhouettes: list[np.ndarray]) -> list[RegionMask]:
    """The same masks every time: the paper's circle in the middle, or one random mask of the shape per photo."""
    if shape == "circle":
        return [RegionMask.paper_circle(SIZE)] * count
    return [random_mask(shape, silhouettes, generator_of(2, i)) for i in range(count)]


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description="Score models on pairs.")
    parser.add_argument("--data", type=Path, required=True, help="folder with low/, high/ and split.json")
    parser.add_argument("--split", default="test")
    parser.add_argument("--models", default="all", help="names or files with commas between, or all published ones")
    parser.add_argument(
        "--masks", default="circle", help=f"circle, {', '.join(SHAPES)}, subject with commas between, or all"
    )
    parser.add_argument("--silhouettes", type=Path, help="folder of subject masks, for --masks subject")
    parser.add_argument("--json", type=Path, help="file to write the scores to")
    options = parser.parse_args(arguments)
    try:
        names = weights.published() if options.models == "all" else options.models.split(",")
        shapes = None if options.masks == "all" else options.masks.split(",")
        report = evaluate(options.data, options.split, names, shapes, options.silhouettes)
    except (DataError, WeightsError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print_report(report)
    if options.json:
        write_atomically(options.json, json.dumps(report, indent=1).encode())
    return 0


def evaluate(
    data: Path, split: str, names: Sequence[str], shapes: Sequence[str] | None, silhouettes: Path | None
) -> Report:
    """Score models, the untouched input and a gamma curve.

    Args:
        data: folder with low/, high/ and split.json.
        split: a key of split.json.
        names: published models or files of weights.
        shapes: kinds of masks; none: all there are.
        silhouettes: folder of subject masks, for the kind "subject".

    Returns:
        {"data", "split", "models": {name: {shape: {figure: mean, ..., "images": count}}}}
    """
    subjects = load_silhouettes(silhouettes, scoring=True) if silhouettes else []
    known = ["circle", *SHAPES, *(["subject"] if subjects else [])]
    shapes = known if shapes is None else shapes
    for shape in shapes:
        if shape not in known:
            raise DataError(
                f"no masks of the kind {shape!r}; there are {', '.join(known)}; subject needs --silhouettes"
            )
    pairs = load_pairs(data, read_split(data, split))
    masks = {shape: masks_for(shape, len(pairs), subjects) for shape in shapes}
    models: dict[str, dict[str, dict[str, float]]] = {}
    for name, gamma in (("input", 1.0), ("gamma 1/2.2", 1 / 2.2)):
        models[name] = {shape: mean_scores(score_gamma(pairs, masks[shape], gamma)) for shape in shapes}
    for name in tqdm(names, "scoring", leave=False):
        network = weights.load(name)
        models[name] = {shape: mean_scores(score_pairs(network, pairs, masks[shape])) for shape in shapes}
    for scores in models.values():
        for figures in scores.values():
            figures["images"] = len(pairs)
    return {"data": data.name, "split": split, "models": models}


def print_report(report: Report) -> None:
    """One table per kind of mask."""
    models = report["models"]
    for shape in next(iter(models.values())):
        print(f"\n{report['data']} {report['split']}, {shape}, {models['input'][shape]['images']} photos")
        print(f"{'':<18}" + "".join(f"{title:>11}" for title in COLUMNS.values()))
        for name, scores in models.items():
            print(f"{name:<18}" + "".join(f"{scores[shape][column]:>11.3f}" for column in COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
