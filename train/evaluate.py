"""Score models on pairs: `python -m train.evaluate --data FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ranlen.enhancer import Enhancer
from ranlen.fields import render
from ranlen.metrics import score
from ranlen.regions import RegionMask
from train.data import Pairs

CHUNK = 16


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


def mean_scores(scores: dict[str, Tensor]) -> dict[str, float]:
    """Means over images, leaving out those where a figure is not defined."""
    return {name: values.nanmean().item() for name, values in scores.items()}
