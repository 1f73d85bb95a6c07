"""A bilateral grid, read at every pixel: what DeepUPE's graph does at its end, a dozen times as fast.

The grid (HDRNet, Gharbi et al. 2017) holds an affine model of the light in each cell; a guide, made of the pixel, says
at which depth the pixel reads it. `models.backbones.deepupe.slice_grid` is what this is held to.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from ranlen.arrays import resize, size_of
from ranlen.rendering.enlarge import Enlarged

BAND = 16  # rows read at a time: they stay in the cache, and no product is so large that its library starts threads
OUTPUTS = ("grid", "guide", "scale", "shift", "metered", "log_gain")  # of a graph, and what `light` takes


def light(outputs: Mapping[str, np.ndarray], detail: np.ndarray, fade: np.ndarray | None) -> np.ndarray:
    """The log gain (N, 3, h, w) that a graph would have put together.

    Args:
        outputs: the graph's, by the names of `OUTPUTS`: the grid (N, 12, depth, gh, gw); what makes the guide (3, 40):
            the rows of a colour matrix and its shift, 16 knots and 16 slopes of a tone curve for each channel, and in
            each row the weights of the channels and their shift; what the light is multiplied by and added to
            (N, 3, h', w'); the log gains (N, 1, 1, 1) under which the photo is read and that are added.
        detail: photos (N, 3, h, w) in [0, 1].
        fade: (N, 1, h, w), or none.
    """
    read = np.zeros(detail.shape, np.float32)
    for of, grid, metered, image in zip(read, outputs["grid"], outputs["metered"], detail, strict=True):
        _read(grid, outputs["guide"], np.exp(-metered), image, of)
    scale, shift = (outputs[name] for name in ("scale", "shift"))
    read *= scale if scale.shape[2:] == (1, 1) else resize(scale, size_of(detail))
    read += outputs["log_gain"] + (shift if shift.shape[2:] == (1, 1) else resize(shift, size_of(detail)))
    if fade is not None:
        read *= fade
    return read


def _read(grid: np.ndarray, guide: np.ndarray, shut: np.ndarray, image: np.ndarray, out: np.ndarray) -> None:
    """Add to `out` (3, h, w) what the models of a grid (12, depth, gh, gw) make of an image (3, h, w), once metered."""
    _, depth, rows, cols = grid.shape
    height, width = size_of(image)
    whole = range(height)
    layers = np.ascontiguousarray(grid.transpose(1, 0, 2, 3)).reshape(1, -1, rows, cols)  # a model's numbers together
    models = Enlarged(layers, whole, rows, (height, width), range(width))
    for top in range(0, height, BAND):
        band = whole[top : top + BAND]
        dark, lit = image[:, band.start : band.stop], out[:, band.start : band.stop]
        pixels = dark / (dark + shut * (1 - dark))
        at = (_guide(guide, pixels) * depth - 0.5).clip(0, depth - 1)
        model = np.empty((12, *at.shape), np.float32)
        for layer in range(int(at.min()), min(int(at.max()) + 2, depth)):
            weight = np.maximum(0, 1 - np.abs(at - layer))
            models.read(band, model, 12 * layer)
            for channel in range(3):
                for part, factor in enumerate((*(weight * pixels), weight)):
                    cv2.accumulateProduct(model[4 * channel + part], factor, lit[channel])


def _guide(guide: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """At which depth pixels (3, n, w) read a grid: (n, w) in [0, 1]."""
    matrix, knots, slopes, mix = np.split(guide, (4, 20, 36), axis=1)
    colours = np.tensordot(matrix[:, :3], pixels, 1) + matrix[:, 3, None, None]
    depth = np.full(pixels.shape[1:], mix[0, 3])
    for colour, starts, rises, weight in zip(colours, knots, slopes, mix[0, :3], strict=True):
        for start, rise in zip(starts, rises, strict=True):  # of the tone curve, straight between them
            above = np.maximum(colour - start, 0)
            cv2.scaleAdd(above, float(weight * rise), depth, depth)
    return depth.clip(0, 1)
