"""The plain light: what fields do to an image, differentiable. Networks learn through it.

Where a photo is lit, `rendering.fullsize` does the same a dozen times as fast, and is held to this by tests.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ranlen.arrays import resize
from ranlen.rendering.fields import GREY, SHADOW, Curves, Illumination, LightField, ScaledField, check_degree
from ranlen.rendering.noise import check_denoise, noise_shares


def expose(image: Tensor, log_gain: Tensor, shoulder: Tensor | float = 1.0) -> Tensor:
    """Values in [0, 1] times a gain, bent so that black stays black, white stays white and nothing gets there.

    k v / (1 + (k^p - 1) v^p)^(1/p): logit(v^p) + p log k, a plain sum in a scale where white is infinitely far away,
    which is why a degree can be a factor on log k. With a shoulder p of 1 all tones are pressed together alike; the
    larger it is, the longer the gain is a plain factor, as if the shutter had been open longer.

    Args:
        image: v, (N, C, H, W) in [0, 1].
        log_gain: log k, whatever broadcasts to the image.
        shoulder: p, at least 1, likewise.
    """
    shut = torch.exp((-shoulder * log_gain).clamp(max=80))  # beyond, there is no such number
    bent = image**shoulder
    share = bent + shut * (1 - bent)  # 1 in white, however large `shut` is
    return image * share.clamp(min=torch.finfo(share.dtype).tiny) ** (-1 / shoulder)  # half precision may make it 0


def between(image: Tensor, lit: Tensor, shoulder: Tensor | float = 1.0) -> Illumination:
    """The light that turns an image into a lit one, both (N, 3, h, w): for networks that give pictures."""
    # Half a level from black and from white, which are infinitely far away. logit(v^p) / p, where v^p may vanish:
    dark, bright = (
        inside.log() - torch.log1p(-(inside**shoulder)) / shoulder
        for inside in (picture.clamp(0.002, 0.998) for picture in (image, lit))
    )
    return Illumination(bright - dark, shoulder)


def bend(image: Tensor, curves: Tensor, strength: Tensor) -> Tensor:
    """An image (N, 3, h, w) under the maps of `Curves` times a strength (N, 1 or 3, h, w), one curve after another."""
    for curve in (curves.unflatten(1, (-1, 3)) * strength[:, None]).unbind(1):
        image = image + curve * (image * image - image)
    return image


def highlight_protection(image: Tensor, protection: Tensor | None) -> Tensor:
    """What share of the light each pixel does not get: none in the dark, most in highlights; a lamp needs no lighting.

    x^4 of its brightest channel x, which keeps the order of tones up to a log gain of 3; beyond, highlights are
    protected as much as under 3 and no more. Under a long shoulder, tones that come out above 0.96 may change places,
    by up to 0.013, three 8-bit levels: the colour of a lamp is worth it.

    Args:
        image: (N, 3, H, W) in [0, 1].
        protection: (N, 3, H, W) or none, of a `ScaledField`.

    Returns:
        (N, 3, H, W), or (N, 1, H, W) where all of it applies.
    """
    highlights = image.amax(1, keepdim=True) ** 4
    return highlights if protection is None else highlights * protection


def desaturate_shadows(image: Tensor, lit: Tensor, much: Tensor | float = 1.0) -> Tensor:
    """Take colour out of deep shadows as far as they were lifted: there it is noise, rounding and compression.

    The share taken out is (1 - grey before / grey after) SHADOW / (grey before + SHADOW): nothing where no light was
    added, little above a tenth of full scale. Lifted as it is, the brown of a night sky turns olive.

    Args:
        image: (N, 3, H, W) in [0, 1].
        lit: the same after lighting.
        much: of this, in [0, 1], a number or (N, 1, 1, 1): how far the colour in shadows is noise.

    Returns:
        `lit` (N, 3, H, W), greyer in deep shadows.
    """
    weights = image.new_tensor(GREY).view(1, 3, 1, 1)
    before, after = (weights * image).sum(1, keepdim=True), (weights * lit).sum(1, keepdim=True)
    lifted = (1 - (before + 1e-4) / (after + 1e-4)).clamp(min=0)
    return lit + much * lifted * (SHADOW / (before + SHADOW)) * (after - lit)


def without_noise(image: Tensor, clean: Tensor, light: LightField, denoise: float) -> Tensor:
    """An image (N, 3, h, w) on the way to a clean one: its grain and its colours by the light's `noise_shares`."""
    noise = clean - image
    grain = noise.mean(1, keepdim=True)
    of_grain, of_colour = noise_shares(light, denoise)
    return (image + of_grain * grain + of_colour * (noise - grain)).clamp(0, 1)


def relight(
    scaled: ScaledField,
    image: Tensor,
    attenuation: Tensor | None = None,
    clean: Tensor | None = None,
    denoise: float = 0.0,
) -> Tensor:
    """Light an image (N, 3, h, w) in [0, 1] of the maps' size; colours in shadows fade as these are lifted.

    Args:
        scaled: the light, under its degree.
        image: what to light.
        attenuation: (N, 1, h, w) in [0, 1], how much of the light each pixel may get; none for all.
        clean: the image without noise, likewise (N, 3, h, w), or none.
        denoise: how much of the noise goes, in [0, 1], where light is added.
    """
    field = scaled.field if attenuation is None else scaled.field.with_maps(scaled.field.maps * attenuation)
    strength = 1 - highlight_protection(image, scaled.protection)
    if clean is not None:
        image = without_noise(image, clean, field, denoise)
    if isinstance(field, Illumination):
        lit = expose(image, field.maps * strength, field.shoulder)
    else:
        assert isinstance(field, Curves)
        lit = bend(image, field.maps, strength)
    return desaturate_shadows(image, lit, field.desaturation)


def render(
    field: LightField,
    image: Tensor,
    degree: float = 1.0,
    attenuation: Tensor | None = None,
    *,
    clean: Tensor | None = None,
    denoise: float = 0.0,
) -> Tensor:
    """Light an image with a field of any size; differentiable, and the reference that `fullsize` is held to.

    The degree applies at the field's size: enlarging is the last thing that happens to a light.

    Args:
        field: the light.
        image: (N, 3, H, W) in [0, 1], on the field's device.
        degree: how much of the light, in [0, 2]: 0 none, 1 as trained.
        attenuation: (N, 1, h, w) in [0, 1], or none: how much of the light each place may get; 0 means untouched.
        clean: the image without noise (N, 3, H, W), or none.
        denoise: how much of its noise goes as light comes, in [0, 1].

    Returns:
        The lit image (N, 3, H, W) in [0, 1].

    Raises:
        ValueError: a degree that makes no sense.
    """
    size = (image.shape[-2], image.shape[-1])
    scaled = field.at_degree(check_degree(degree)).each(lambda maps: resize(maps, size))
    attenuation = None if attenuation is None else resize(attenuation, size)
    return relight(scaled, image, attenuation, clean, check_denoise(denoise))
