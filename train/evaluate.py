"""Score models, and what they have to be better than, on one set or many: `python -m train.evaluate --data FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.enhancer import Enhancer
from ranlen.models.light import render
from ranlen.models.weights import WeightsError
from ranlen.rendering.fields import LightField
from train import paper, report
from train.command import add_old_name, says_in_one_line
from train.data import DataError, Pairs, load_subject_masks, read_split
from train.examples import SHAPES
from train.metrics import ReferenceScorer, psnr
from train.report import Scored, Scores
from train.sets import SUBJECTS, EvaluationSet, made_of_pairs, read_set
from train.yardsticks import YARDSTICKS, Yardstick, best_degree, in_8_bits

CHUNK = 16


def one_by_one(fields: Sequence[LightField], image: Tensor, attenuations: Sequence[Tensor | None]) -> list[Tensor]:
    """Images (N, 3, H, W) lit and rounded to 8 bits; one at a time, which stays in the processor's cache."""
    attenuations = [None if each is None else each.to(image.device) for each in attenuations]
    each = zip(fields, image.split(1), attenuations, strict=True)
    return [in_8_bits(render(field, i, attenuation=a)).cpu() for field, i, a in each]


def ignores_masks(network: Enhancer) -> bool:
    """Whether it predicts the same light under every mask: global, and blend on its weights."""
    return (network.method.weights or network.method_name) == "global"


def source(name: str, network: Enhancer) -> str:
    """What tells networks of different weights apart: a name of its own, or that whose published weights it runs on."""
    method = network.method
    published = method.weights and name == f"{network.backbone_name}-{network.method_name}"
    return f"{network.backbone_name}-{method.weights}" if published else name


@dataclass(frozen=True)
class Lit:
    """What a network gives under masks, before any attenuation: a light for each image, and the image under it."""

    fields: list[LightField]
    images: list[Tensor]


def predict_whole(network: Enhancer, image: Tensor, standards: Sequence[ReferenceScorer]) -> Lit:
    """One pass of a network over images (N, 3, H, W) under their masks."""
    mask = RegionMask(torch.cat([at.mask.tensor for at in standards]))
    field = network.predict(image, mask.to(image.device))
    fields = field.split()
    return Lit(fields, one_by_one(fields, image, [None] * len(image)))


def by_hand(field: LightField, at: ReferenceScorer, psnr_a: Tensor) -> dict[str, Tensor]:
    """The best degree of a light, and its PSNR in A, {"best_degree", "psnr_a_best"}: what a user gets with the slider.

    Args:
        field: of one image, before any attenuation, of which there is none in A.
        at: the image, its reference and areas.
        psnr_a: of degree 1, which the best is never below.
    """
    image, reference, area = (each.to(field.maps.device) for each in (at.image, at.reference, at.mask.a))
    degree = best_degree(field, image, reference, area)
    found = psnr(in_8_bits(render(field, image, degree)), reference, area).cpu()
    better = found > psnr_a
    return {"psnr_a_best": torch.where(better, found, psnr_a), "best_degree": torch.where(better, degree, 1.0)}


@torch.inference_mode()
def score_networks(
    networks: Mapping[str, Enhancer],
    pairs: Pairs,
    masks: Mapping[str, Sequence[RegionMask]],
    yardsticks: Mapping[str, Yardstick],
) -> Scores:
    """Every figure of `ReferenceScorer.score` and `by_hand` for every network, yardstick, kind of mask and pair.

    What has no slider is the same at its best, and has no best degree. Photos are the outer loop: what does not depend
    on a network is worked out once for all of them and then forgotten, so that five hundred photos need no more memory
    than sixteen. A network runs once for each photo and mask, and not again for a degree.
    """
    rows: dict[tuple[str, str], list[dict[str, Tensor]]] = defaultdict(list)
    total = len(pairs) * len(masks) * (len(networks) + len(yardsticks))
    bar = tqdm(total=total, desc="scoring", leave=False, mininterval=1, disable=total < 100)
    for start in range(0, len(pairs), CHUNK):
        part = slice(start, start + CHUNK)
        image, reference = (x[part] / 255 for x in (pairs.low, pairs.high))
        whole: dict[str, Lit] = {}  # of networks that ignore the mask
        for shape, each in masks.items():
            areas = [mask.to(image.device) for mask in each[part]]
            standards = [ReferenceScorer(*of) for of in zip(image.split(1), reference.split(1), areas, strict=True)]
            for name, yardstick in yardsticks.items():
                for at in standards:
                    lit = in_8_bits(yardstick(at.image, at.reference, at.mask.a))
                    figures = at.score(lit, lit)
                    none = torch.full_like(figures["psnr_a"], torch.nan)
                    rows[name, shape].append({**figures, "psnr_a_best": figures["psnr_a"], "best_degree": none})
                bar.update(len(standards))
            for name, network in networks.items():
                here = image.to(next(network.parameters()).device)
                key = source(name, network)
                raw = whole.get(key) or predict_whole(network, here, standards)
                if ignores_masks(network):
                    whole[key] = raw
                attenuations = [network.method.attenuation(at.mask) for at in standards]
                kept = raw.images if attenuations[0] is None else one_by_one(raw.fields, here, attenuations)
                for at, field, x, y in zip(standards, raw.fields, raw.images, kept, strict=True):
                    figures = at.score(x, y)
                    rows[name, shape].append({**figures, **by_hand(field, at, figures["psnr_a"])})
                bar.update(len(standards))
    bar.close()
    scores: Scores = {name: {} for name in (*yardsticks, *networks)}
    for (name, shape), figures_of in rows.items():
        scores[name][shape] = {figure: torch.cat([row[figure] for row in figures_of]) for figure in figures_of[0]}
    return scores


def score_pairs(network: Enhancer, pairs: Pairs, masks: Sequence[RegionMask]) -> dict[str, Tensor]:
    """Every figure of one network under one mask per pair, each (N,)."""
    return score_networks({"": network.eval()}, pairs, {"": masks}, {})[""][""]


def mean_scores(scores: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over images, leaving out those where a figure is not defined."""
    return {name: values.nanmean().item() for name, values in scores.items()}


def pairs_set(
    data: Path, split: str = "test", shapes: Sequence[str] | None = None, subject_masks: Path | None = None
) -> EvaluationSet:
    """Real pairs under masks of several kinds.

    Args:
        data: folder with low/, high/ and split.json.
        split: a key of split.json.
        shapes: kinds of masks; none: all there are.
        subject_masks: folder of subject masks, for the kind "subject".
    """
    subjects = load_subject_masks(subject_masks, scoring=True) if subject_masks else []
    known = ["circle", *SHAPES, *(["subject"] if subjects else [])]
    shapes = known if shapes is None else shapes
    for shape in shapes:
        if shape not in known:
            raise DataError(
                f"no masks of the kind {shape!r}; there are {', '.join(known)}; subject needs --subject-masks"
            )
    return made_of_pairs(data.resolve().name, data, read_split(data, split), split, shapes, subjects)


def evaluate(sets: Sequence[EvaluationSet], names: Sequence[str]) -> list[Scored]:
    """Score models and yardsticks on sets, photo by photo.

    Args:
        sets: of different names.
        names: published models or files of weights.
    """
    titles = [each.name for each in sets]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise DataError(f"two sets are named {', '.join(sorted(twice))}; give one another name, NAME=FOLDER")
    networks = {name: weights.load(name) for name in names}
    about = {
        name: {"backbone": each.backbone_name, "method": each.method_name, "trained_on": trained_on(name)}
        for name, each in networks.items()
    }
    return [
        Scored(of.name, of.split, of.pairs.names, about, score_networks(networks, of.pairs, of.masks, YARDSTICKS))
        for of in sets
    ]


def trained_on(name: str) -> str:
    """The name of the data folder that a network's card tells of."""
    config = weights.card(name)["card"].get("config", {})
    return Path(config.get("data", "")).name or "unknown"


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The options that name further sets, each [NAME=]FOLDER[:SPLIT]."""
    form = "[NAME=]FOLDER[:SPLIT]; SPLIT is test, validation or all, by default test"
    about = {
        "sets": f"more sets, low/ and high/ or linear light NAME.npz, each {form}",
        "backlit": "sets made of good photos image/ with mask/, the subject against the light, named likewise",
        "two-things": "the same, two things dark to different degrees of which the mask means one",
    }
    for option, text in about.items():
        parser.add_argument(f"--{option}", nargs="+", default=[], metavar="SET", help=text)
    parser.add_argument("--most", type=int, help="photos of each of these sets, evenly spread; by default all")


def further_sets(options: argparse.Namespace) -> list[EvaluationSet]:
    """The sets that `add_sets` was given."""
    if options.most is not None and options.most < 1:
        raise DataError(f"--most is a number of photos, at least 1; got {options.most}")
    given: list[tuple[str, str | None]] = [(text, None) for text in options.sets]
    given += [(text, make) for make in SUBJECTS for text in getattr(options, make.replace(" ", "_"))]
    return [read_set(text, make, options.most) for text, make in given]


@says_in_one_line("evaluate", DataError, ImageError, WeightsError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Print tables, and write JSON and CSV if asked; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description="Score models on sets of photos.")
    parser.add_argument("--data", type=Path, help="folder with low/, high/ and split.json: the first set")
    parser.add_argument("--split", default="test", help="of --data")
    parser.add_argument("--models", default="all", help="names or files with commas between, or all published ones")
    parser.add_argument(
        "--masks", default="circle", help=f"on --data: circle, {', '.join(SHAPES)}, subject with commas between, or all"
    )
    parser.add_argument("--subject-masks", type=Path, help="folder of subject masks, for --masks subject")
    add_old_name(parser, "--silhouettes", "subject_masks", Path)
    add_sets(parser)
    parser.add_argument(
        "--paper", choices=list(paper.SETS), help="--data is this set of the paper: print our numbers in its tables"
    )
    parser.add_argument("--json", type=Path, help="file to write means, intervals and differences to")
    parser.add_argument("--csv", type=Path, help="file to write one row per set, model, mask and photo to")
    options = parser.parse_args(arguments)
    names = weights.published() if options.models == "all" else options.models.split(",")
    shapes = None if options.masks == "all" else options.masks.split(",")
    if options.paper:
        if not options.data:
            raise DataError(f"--paper {options.paper} needs --data FOLDER, prepared from it by train.prepare")
        paper.check(options.paper, len(read_split(options.data, options.split)))
    sets = [pairs_set(options.data, options.split, shapes, options.subject_masks)] if options.data else []
    sets += further_sets(options)
    if not sets:
        raise DataError("nothing to score on; give --data FOLDER, --sets, --backlit or --two-things")
    scored = evaluate(sets, names)
    summary = report.summarise_all(scored)
    print(report.as_text(summary))
    if options.data and "circle" in summary["models"]["input"]:
        print(paper.as_text(summary, options.paper))
    if options.json:
        write_atomically(options.json, (json.dumps(summary, indent=1) + "\n").encode())
    if options.csv:
        write_atomically(options.csv, report.as_csv(scored).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
