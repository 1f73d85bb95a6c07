"""Light fields: what a network predicts once, and what the degree slider then applies at any size without it.

Every field keeps three laws: degree 0 returns the image exactly; degree 1 is what was trained; where the field is
neutral, no degree changes anything. Both kinds of rendering also map black to black and white to white and never
cross: what was not clipped in the photo stays unclipped.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ranlen.facts import MAX_DEGREE
from ranlen.masks.regions import resize
from ranlen.rendering.noise import check_denoise, noise_shares, without_noise

MAX_LOG_GAIN = 8.0  # 11.5 stops: more than any photo holds, and far from where exp overflows
GREY = (0.2989, 0.587, 0.114)  # weights of a pixel's grey value
SHADOW = 0.03  # grey value at which a pixel's colour is half trusted: 8 of 255
PROTECTED = 3.0  # log gain that white is protected from; any more would turn the order of tones round


@dataclass(frozen=True)
class LightField(ABC):
    """A predicted light, small and independent of the photo's size.

    Attributes:
        maps: (N, K, h, w), floats on any device; 0 changes nothing. What other values do, each class says.
    """

    maps: Tensor

    @property
    def desaturation(self) -> Tensor | float:
        """How much of `desaturate_shadows` applies, in [0, 1]: a number, or (N, 1, 1, 1)."""
        return 1.0

    def with_maps(self, maps: Tensor) -> LightField:
        """A field of the same kind made of other maps (N, K, h, w), of any size."""
        return dataclasses.replace(self, maps=maps)

    def to(self, device: torch.device | str) -> LightField:
        """The same light on another device."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        moved = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)

    def split(self) -> list[LightField]:
        """The lights of N images as N lights of one image each (maps of N = 1)."""
        return [self.with_maps(maps) for maps in self.maps.split(1)]

    @abstractmethod
    def at_degree(self, degree: float) -> ScaledField:
        """The field times a degree: 0 no light, 1 the light as trained, at most 2."""

    @abstractmethod
    def relight(self, image: Tensor, strength: Tensor) -> Tensor:
        """Light an image (N, 3, h, w) in [0, 1] of the maps' size, by the maps times a strength (N, 1 or 3, h, w)."""

    @abstractmethod
    def log_gain(self) -> Tensor:
        """What the darkest tones are multiplied by, as a log: (N, 1, h, w), a mean over the channels."""

    @abstractmethod
    def times_alpha(self, alpha: float) -> LightField:
        """The paper's own control (Section 3.4): the whole predicted map times alpha, Area C included.

        Raises:
            ValueError: an alpha that makes no sense.
        """


@dataclass(frozen=True)
class ScaledField:
    """A light field times a degree, ready to light an image; what `LightField.at_degree` returns.

    Attributes:
        field: its maps are already times the degree.
        protection: (N, 3, h, w) in (0, 1], how much of `highlight_protection` applies; none for all of it everywhere.
    """

    field: LightField
    protection: Tensor | None

    def each(self, change: Callable[[Tensor], Tensor]) -> ScaledField:
        """The same with maps and protection changed alike: resized, cut out, moved to a device."""
        protection = None if self.protection is None else change(self.protection)
        return ScaledField(self.field.with_maps(change(self.field.maps)), protection)

    def relight(
        self, image: Tensor, attenuation: Tensor | None = None, clean: Tensor | None = None, denoise: float = 0.0
    ) -> Tensor:
        """Light an image (N, 3, h, w) in [0, 1] of the maps' size; colours in shadows fade as these are lifted.

        Args:
            image: what to light.
            attenuation: (N, 1, h, w) in [0, 1], how much of the light each pixel may get; none for all.
            clean: the image without noise, likewise (N, 3, h, w), or none.
            denoise: how much of the noise goes, in [0, 1], where light is added.
        """
        field = self.field if attenuation is None else self.field.with_maps(self.field.maps * attenuation)
        strength = 1 - highlight_protection(image, self.protection)
        if clean is not None:
            image = without_noise(image, clean, noise_shares(field.log_gain(), denoise))
        lit = field.relight(image, strength)
        return desaturate_shadows(image, lit, field.desaturation)


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


@dataclass(frozen=True)
class Illumination(LightField):
    """A Retinex light: the photo I divided by an illumination S, held as its log gain, -log S.

    DeepUPE clips S to [I, 1], which is where lamps burn out: whatever is brighter than S turns white. Here S slides
    towards 1 as the pixel does (`expose`), so that I <= S <= 1 holds of itself, smoothly. Deep shadows see plain
    Retinex, I / S.

    Attributes:
        maps: log gain (N, 3, h, w); 0 leaves a pixel as it is, log 2 doubles a dark one.
        shoulder: of `expose`, at least 1: a number, or (N, 1, 1, 1).
        desaturation: see `LightField`.
    """

    shoulder: Tensor | float = 1.0
    desaturation: Tensor | float = 1.0

    @classmethod
    def between(cls, image: Tensor, lit: Tensor, shoulder: Tensor | float = 1.0) -> Illumination:
        """The light that turns an image into a lit one, both (N, 3, h, w): for networks that give pictures."""
        # Half a level from black and from white, which are infinitely far away. logit(v^p) / p, where v^p may vanish:
        dark, bright = (
            inside.log() - torch.log1p(-(inside**shoulder)) / shoulder
            for inside in (picture.clamp(0.002, 0.998) for picture in (image, lit))
        )
        return cls(bright - dark, shoulder)

    def split(self) -> list[LightField]:
        count = len(self.maps)
        each = (
            torch.as_tensor(number).expand(count, 1, 1, 1).split(1) for number in (self.shoulder, self.desaturation)
        )
        return [Illumination(*of) for of in zip(self.maps.split(1), *each, strict=True)]

    def at_degree(self, degree: float) -> ScaledField:
        log_gain = (degree * self.maps).clamp_(-MAX_LOG_GAIN, MAX_LOG_GAIN)  # in place: fresh memory is dear
        return ScaledField(self.with_maps(log_gain), _protection(log_gain))

    def relight(self, image: Tensor, strength: Tensor) -> Tensor:
        return expose(image, self.maps * strength, self.shoulder)

    def log_gain(self) -> Tensor:
        return self.maps.mean(1, keepdim=True)

    def times_alpha(self, alpha: float) -> Illumination:
        """S times alpha: the picture gets brighter as alpha falls (Fig. 8)."""
        if not (math.isfinite(alpha) and alpha > 0):
            raise ValueError(f"alpha multiplies the illumination and must be above 0; got {alpha}")
        return dataclasses.replace(self, maps=self.maps - math.log(alpha))


@dataclass(frozen=True)
class Curves(LightField):
    """The curves of Zero-DCE and STAR-DCE: x + r (x^2 - x) once per step; each keeps 0, 1 and the order of tones.

    Attributes:
        maps: r (N, 3 * steps, h, w) in [-1, 1], three channels per step; 0 is neutral and negative values brighten.
    """

    def at_degree(self, degree: float) -> ScaledField:
        curves = (degree * self.maps).clamp(-1, 1)
        size = curves.abs().unflatten(1, (-1, 3))
        near_white = (size / (1.01 - size)).sum(1)  # how fast the log gain grows there
        return ScaledField(Curves(curves), _protection(near_white))

    def relight(self, image: Tensor, strength: Tensor) -> Tensor:
        for curve in (self.maps.unflatten(1, (-1, 3)) * strength[:, None]).unbind(1):
            image = image + curve * (image * image - image)
        return image

    def log_gain(self) -> Tensor:
        slopes = 1 - self.maps.clamp(max=0.99)  # of each curve at black
        return slopes.log().unflatten(1, (-1, 3)).sum(1).mean(1, keepdim=True)

    def times_alpha(self, alpha: float) -> Curves:
        """The curve maps times alpha: the picture gets brighter as alpha rises."""
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha multiplies the curves and must be at least 0; got {alpha}")
        return Curves((alpha * self.maps).clamp(-1, 1))


def check_degree(degree: float) -> float:
    """Return a degree that makes sense, or raise ValueError."""
    if not (isinstance(degree, int | float) and 0 <= degree <= MAX_DEGREE):  # which no NaN is
        raise ValueError(
            f"degree is a number from 0 (the photo as it is) to {MAX_DEGREE:g}, 1 as trained; got {degree}"
        )
    return degree


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


def _protection(log_gain: Tensor) -> Tensor | None:
    """1 up to a log gain (absolute) of 3; beyond, what makes their product 3. None where all of it is 1, as usual."""
    least, most = torch.aminmax(log_gain.detach())
    if max(-least, most) <= PROTECTED:
        return None
    return PROTECTED / log_gain.abs().clamp(min=PROTECTED)


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
    return scaled.relight(image, attenuation, clean, check_denoise(denoise))
