"""Noise goes as light comes: how much of it, and taking it out of pixels. What finds it is `ranlen.denoise`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranlen.arrays import Array
from ranlen.geometry import Size
from ranlen.rendering.enlarge import Enlarged, between

if TYPE_CHECKING:
    from ranlen.rendering.fields import LightField

# How fast it goes where light is added. Of grain less, for it may be skin or hair; of its colour all.
GRAIN, COLOUR = 1.0, 8.0

# What is known of the denoiser without it (its network: `models.denoiser`).
STEEP = 32.0  # of the scale it works in: how much more a step counts in black than one anywhere would on average
CELL = 8  # height and width of what it sees are multiples of this
REACH = 72  # what lies further away, in pixels, does not change a pixel: layers, then whole cells


def check_denoise(denoise: float) -> float:
    """Return how much noise goes where that makes sense, or raise ValueError."""
    if not (isinstance(denoise, int | float) and 0 <= denoise <= 1):  # which no NaN is
        raise ValueError(f"denoise is a number from 0 (the noise stays) to 1; got {denoise}")
    return denoise


def noise_shares(light: LightField, denoise: float) -> tuple[Array, Array]:
    """How much of their grain, and of the colour of their noise, places lose: (N, 1, h, w) in [0, 1) each.

    1 - gain^(-c denoise): nothing where no light is added, and the more the more there is. With c denoise = 1 there is
    as much of it as before the light.

    Args:
        light: a field times degree and attenuation.
        denoise: in [0, 1].
    """
    log_gain = light.log_gain().clip(0)
    grain, colour = (1 - math.e ** (-much * denoise * log_gain) for much in (GRAIN, COLOUR))
    return grain, colour


@dataclass(frozen=True)
class Clean:
    """A part of a photo without its noise, for every light and every degree.

    Attributes:
        pixels: (h, w, 3) uint16, 65535 is white: finer than a file of 8 bits, for light will stretch the dark.
        top: the photo's row that is its first.
        left: the photo's column that is its first.
    """

    pixels: np.ndarray
    top: int = 0
    left: int = 0

    def within(self, rows: range, cols: range) -> np.ndarray:
        """The pixels at some rows and columns of the photo.

        Raises:
            ValueError: not all of them are here.
        """
        if not (
            self.top <= rows.start
            and rows.stop <= self.top + self.pixels.shape[0]
            and self.left <= cols.start
            and cols.stop <= self.left + self.pixels.shape[1]
        ):
            raise ValueError("the light reaches beyond the part that was cleaned of noise; clean that part, too")
        return self.pixels[rows.start - self.top : rows.stop - self.top, cols.start - self.left : cols.stop - self.left]


class Noise:
    """What is taken out of a photo's noise: towards the clean pixels, by the shares of a light (N = 1)."""

    def __init__(self, clean: Clean, denoise: float, light: LightField) -> None:
        self.clean = clean
        self.denoise = denoise
        self.shares = np.concatenate(noise_shares(light, denoise), 1)

    def enlarged(self, rows: range, size: Size, cols: range) -> Enlarged:
        """The shares at some rows and columns of a photo."""
        height = self.shares.shape[2]
        return Enlarged(self.shares[:, :, between(rows, height, size)], rows, height, size, cols)


def take_noise(
    image: np.ndarray,
    clean: np.ndarray,
    light_shares: Enlarged,
    band: range,
    shares: np.ndarray,
    noise: np.ndarray,
    grain: np.ndarray,
    peak: float,
) -> None:
    """Take noise out of levels in place, as `models.light.without_noise` does; `clean` is (n, W, 3) uint16."""
    light_shares.read(band, shares)
    for plane, channel in zip(noise, clean.transpose(2, 0, 1), strict=True):
        np.multiply(channel, np.float32(peak / 65535), out=plane)
    noise -= image
    np.mean(noise, axis=0, out=grain)
    noise -= grain
    noise *= shares[1]
    image += noise
    grain *= shares[0]
    image += grain
    np.clip(image, 0, peak, out=image)
