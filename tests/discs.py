"""A photo of a disc, for what finds subjects."""

from __future__ import annotations

import numpy as np

from ranlen.io.images import Photo
from ranlen.masks import regions
from ranlen.segment import Prompts

SIZE = (240, 320)
CENTER = (190.0, 100.0)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


def disc_photo(light: float = 1.0, size: tuple[int, int] = SIZE) -> tuple[Photo, np.ndarray]:
    """A bright disc on noise, and where it is; `light` darkens it, with a sensor's noise on top."""
    rng = np.random.default_rng(0)
    scale = size[0] / SIZE[0]
    truth = regions.disc(size, (CENTER[0] * scale, CENTER[1] * scale), 50 * scale)
    ground = np.where(truth[..., None], (200, 150, 120), (90, 110, 140)) + rng.normal(0, 15, (*size, 3))
    lit = light * np.clip(ground / 255, 0, 1) ** (2.2 if light < 1 else 1)
    noise = rng.normal(0, 0.01, lit.shape) if light < 1 else 0
    return Photo(np.clip(255 * (lit + noise), 0, 255).astype(np.uint8)), truth


def answer(segmenter, photo: Photo, prompts: Prompts) -> np.ndarray:
    mask = segmenter.segment(segmenter.prepare(photo), prompts)
    assert mask.shape == photo.size
    assert mask.dtype == bool
    return mask
