"""What tells the mask that a click meant from SAM's others: makes the weights of `ranlen/segment/parts.py`.

`python -m benchmarks.choice FOLDER...`, with folders as of `benchmarks.segmentation`, whose 300 photos for figures are
not among these. Each photo is seen by day and in the dark, and gets two first clicks; a conditional logit is fitted so
that the mask it prefers overlaps most with the subject. Three encodings for each photo take some seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.segmentation import LIGHTS, first_click, iou, pairs, piece, read, sam, shuffled
from ranlen.io.images import Photo
from ranlen.masks import boolean
from ranlen.segment import Prompts, parts
from ranlen.segment.sam import clicked

KEPT = 300
RIDGE = 0.01  # on standardised looks
CLICKS = 2


def examples(segmenter, pixels: np.ndarray, truth: np.ndarray, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each light and click (looks (K, F), IoUs (K,)) of SAM's masks, if none is empty."""
    found = []
    for darken in LIGHTS.values():
        prepared = segmenter.prepare(Photo(darken(pixels, np.random.default_rng((0, number)))))
        for seed in range(CLICKS):
            click = first_click(truth, np.random.default_rng((seed, number)))
            prompts = Prompts(inside=(click,))
            _, logits = segmenter._seen(prepared, prompts, several=True)
            if (logits > 0).any((1, 2)).all():
                at, meant = clicked(prepared, prompts), boolean.resized(piece(truth, click), logits.shape[1:])
                looks = np.array([parts.looks(each, at) for each in logits])
                found.append((looks, np.array([iou(each > 0, meant) for each in logits])))
    return found


def fit(looks: torch.Tensor, overlaps: torch.Tensor) -> torch.Tensor:
    """Weights (F,) of looks (N, K, F) with which a softmax over K masks has the largest mean of overlaps (N, K)."""
    spread = looks.std((0, 1))
    weights = torch.zeros(looks.shape[2], dtype=looks.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        chances = torch.softmax(looks / spread @ weights, 1)
        value = RIDGE * weights.square().sum() - (chances * overlaps).sum(1).mean()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach() / spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="each holds image/ and mask/")
    parser.add_argument("--photos", type=int, default=200, help="how many to learn on")
    options = parser.parse_args()
    files = shuffled(pairs(options.folders))[KEPT : KEPT + options.photos]
    if not files:
        print(f"skipped: {', '.join(map(str, options.folders))}: no more than {KEPT} photos that have a mask")
        return
    segmenter, found = sam(), []
    for number, pair in enumerate(files, KEPT):
        found += examples(segmenter, *read(*pair)[1:], number)
    looks, overlaps = (torch.tensor(np.array(values)) for values in zip(*found, strict=True))
    weights = fit(looks, overlaps)
    picked = overlaps.gather(1, (looks @ weights).argmax(1, keepdim=True))
    print("SOLID, FRAMED, LARGE, STABLE = " + ", ".join(f"{weight:.2f}" for weight in weights))
    print(f"mean IoU {picked.mean():.3f} of at most {overlaps.amax(1).mean():.3f} on {len(files)} photos")


if __name__ == "__main__":
    main()
