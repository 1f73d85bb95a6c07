"""What a network has to be better than to be needed: a light meter, one fitted gain, and a perfect hand on its slider.

A meter reads nothing but the photo and the area. What is fitted reads the reference as well, which nobody has, and so
says what one number per photo could do at best. Both work on the 256 levels of 8-bit photos: an image is rounded to
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from ranlen.arrays import resize
from ranlen.models import light
from ranlen.models.light import render
from ranlen.rendering.fields import MAX_DEGREE, LightField
from train.losses import region_mean

MIDDLE = 0.40  # the mean that a meter gives an area: what the references of five kinds of photos have, taken together
METER = 1.0  # shoulder of the meter and of the one gain: the one with the best mean over five kinds of photos
SHOULDERS = {"p = 1": 1.0, "p = 3": 3.0, "clip": math.inf}
LOG_GAINS = torch.linspace(-2, 7, 1801, dtype=torch.float64)  # steps of half a percent
GAMMAS = 2 ** torch.linspace(-4, 2, 601, dtype=torch.float64)  # steps of 0.7 %
COARSE, FINE = 0.1, 0.02  # steps of degree: all of the slider, then around the best
SAMPLES = 2000  # pixels of an area that a degree is chosen by


def in_8_bits(image: Tensor) -> Tensor:
    """What a file would hold."""
    return (image.clamp(0, 1) * 255).round() / 255


def expose(image: Tensor, log_gain: Tensor, shoulder: float) -> Tensor:
    """`light.expose`, and beyond it, with an infinite shoulder, a plain gain that is clipped at 1.

    Args:
        image: (N, C, H, W) in [0, 1].
        log_gain: of any shape that broadcasts to the image's, or (N,).
        shoulder: at least 1.
    """
    log_gain = log_gain.to(image.dtype)
    log_gain = log_gain.view(-1, 1, 1, 1) if log_gain.ndim == 1 else log_gain
    return (log_gain.exp() * image).clamp(max=1) if math.isinf(shoulder) else light.expose(image, log_gain, shoulder)


@cache
def exposures(shoulder: float) -> Tensor:
    """What every gain makes of every level: (gains, 256)."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    return in_8_bits(expose(levels.view(1, 1, 1, 256), LOG_GAINS, shoulder)[:, 0, 0])


@cache
def gamma_curves() -> Tensor:
    """What every gamma makes of every level: (gammas, 256)."""
    return in_8_bits((torch.arange(256, dtype=torch.float64) / 255) ** GAMMAS[:, None])


def over_levels(image: Tensor, values: Tensor, area: Tensor) -> Tensor:
    """Sums of values (N, 3, H, W) over an area (N, 1, H, W) by the level that the image (N, 3, H, W) has: (N, 256)."""
    levels = (image * 255).round().long().flatten(1)
    weighed = (area.double() * values).expand_as(image).flatten(1)
    return torch.stack([torch.bincount(*of, minlength=256) for of in zip(levels, weighed, strict=True)])


def closest(curves: Tensor, image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Which of the curves (K, 256) has the least squared error to the reference over an area: positions (N,)."""
    count = over_levels(image, torch.ones_like(image), area)
    wanted = over_levels(image, reference, area)
    return (count @ (curves**2).T - 2 * wanted @ curves.T).argmin(1)


def meter(image: Tensor, area: Tensor, shoulder: float) -> Tensor:
    """The log gain (N,) that brings the mean over an area to `MIDDLE`.

    Args:
        image: (N, 3, H, W) in [0, 1].
        area: (N, 1, H, W) in [0, 1].
        shoulder: of `expose`.
    """
    count = over_levels(image, torch.ones_like(image), area)
    means = count @ exposures(shoulder).T / count.sum(1, keepdim=True).clamp(min=1e-6)
    return LOG_GAINS[(means - MIDDLE).abs().argmin(1)]


def one_gain(image: Tensor, reference: Tensor, area: Tensor, shoulder: float) -> Tensor:
    """The log gain (N,) with the best PSNR over an area; arguments as of `meter`, and the reference (N, 3, H, W)."""
    return LOG_GAINS[closest(exposures(shoulder), image, reference, area)]


def best_gamma(image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The gamma (N,) with the best PSNR over an area."""
    return GAMMAS[closest(gamma_curves(), image, reference, area)]


@torch.inference_mode()
def best_degree(field: LightField, image: Tensor, reference: Tensor, area: Tensor) -> float:
    """The degree with the best PSNR over an area: a perfect hand on the slider.

    Light is a matter of each pixel by itself, so a few thousand pixels of the area tell it, without any picture.

    Args:
        field: of one image.
        image: (1, 3, H, W) in [0, 1].
        reference: the same.
        area: (1, 1, H, W), taken where it is at least a half; 1 where it is empty.
    """
    inside = (area.flatten() >= 0.5).nonzero()[:, 0]
    if not len(inside):
        return 1.0
    some = inside[:: max(1, len(inside) // SAMPLES)]
    maps = resize(field.maps, (image.shape[-2], image.shape[-1]))
    dark, lit, maps = (layer.flatten(2)[:, :, None, some] for layer in (image, reference, maps))
    part = field.with_maps(maps)

    def best(degrees: Tensor) -> float:
        errors = [(in_8_bits(render(part, dark, degree)) - lit).square().mean() for degree in degrees.tolist()]
        return float(degrees[torch.stack(errors).argmin()])

    around = best(torch.arange(0, MAX_DEGREE + COARSE / 2, COARSE, dtype=torch.float64).clamp(max=MAX_DEGREE))
    return best((around + torch.arange(-COARSE, COARSE + FINE / 2, FINE, dtype=torch.float64)).clamp(0, MAX_DEGREE))


def gamma_fitted(image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The image under the gamma that suits each area best."""
    return image ** best_gamma(image, reference, area).to(image.dtype).view(-1, 1, 1, 1)


def gain_fitted(image: Tensor, reference: Tensor, area: Tensor, shoulder: float) -> Tensor:
    """The image under the gain that suits each area best."""
    return expose(image, one_gain(image, reference, area, shoulder), shoulder)


def gain_and_shoulder_fitted(image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The image under the gain and the shoulder that suit each area best."""
    lit = torch.stack([gain_fitted(image, reference, area, shoulder) for shoulder in SHOULDERS.values()])
    errors = torch.stack([region_mean((in_8_bits(each) - reference) ** 2, area) for each in lit])
    return lit[errors.argmin(0), torch.arange(len(image))]


Yardstick = Callable[[Tensor, Tensor, Tensor], Tensor]  # image, reference, Area A -> a lit image
YARDSTICKS: dict[str, Yardstick] = {
    "input": lambda image, reference, area: image,
    "gamma 1/2.2": lambda image, reference, area: image ** (1 / 2.2),
    "meter": lambda image, reference, area: expose(image, meter(image, area, METER), METER),
    "meter, clipped": lambda image, reference, area: expose(image, meter(image, area, math.inf), math.inf),
    "best gamma (oracle)": gamma_fitted,
    "one gain (oracle)": lambda image, reference, area: gain_fitted(image, reference, area, METER),
    "gain and shoulder (oracle)": gain_and_shoulder_fitted,
}
