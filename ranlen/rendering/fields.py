"""Light fields: what a network predicts once, and what the degree slider then applies at any size without it.

Every field keeps three laws: degree 0 returns the image exactly; degree 1 is what was trained; where the field is
neutral, no degree changes anything. Both kinds of rendering also map black to black and white to white and never
cross: what was not clipped in the photo stays unclipped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ranlen.masks.regions import resize

MAX_DEGREE = 2.0
MAX_LOG_GAIN = 8.0  # 11.5 stops: more than any photo holds, and far from where exp overflows
GREY = (0.2989, 0.587, 0.114)  # weights of a pixel's grey value
SHADOW = 0.03  # grey value at which a pixel's colour is half trusted: 8 of 255
ROWS = 128  # of pixels that a grid is read for at a time: twelve numbers a pixel fill memory fast
SPARED = 3.0  # log gain that white is spared; any more would turn the order of tones round


class LightField(Protocol):
    """A predicted light, small and independent of the photo's size."""

    def maps(self) -> Tensor:
        """The field as maps (N, K, h, w) in which 0 is neutral."""
        ...

    def with_maps(self, maps: Tensor) -> LightField:
        """A field of the same kind made of other maps."""
        ...

    def dosed(self, degree: float) -> Dose:
        """So much of it, ready for pixels."""
        ...

    def apply(self, image: Tensor, degree: float) -> Tensor:
        """Light an image (N, 3, h, w) of the field's own size; colours in shadows stay."""
        ...

    def scaled(self, alpha: float) -> LightField:
        """The paper's own control (Section 3.4): the whole predicted map times alpha, Area C included."""
        ...


@dataclass(frozen=True)
class Dose:
    """A field under one degree: all that is worked out before a pixel is seen, at the size of the field.

    Attributes:
        kind: "gain" for a log gain, "curves" for curves.
        maps: (N, 3, h, w), or (N, 3 * steps, h, w) of curves; 0 is neutral.
        sparing: (N, 3, h, w) in (0, 1], how much of the sparing that `share` gives highlights applies; or none, for
            all of it everywhere.
    """

    kind: Literal["gain", "curves"]
    maps: Tensor
    sparing: Tensor | None

    def apply(self, image: Tensor) -> Tensor:
        """Light an image (N, 3, h, w) of the maps' size."""
        if self.kind == "gain":
            illumination = torch.exp(-self.maps * share(image, self.sparing))
            return image / (illumination + (1 - illumination) * image).clamp(min=1e-6)
        for curve in (self.maps.unflatten(1, (-1, 3)) * share(image, self.sparing)[:, None]).unbind(1):
            image = image + curve * (image * image - image)
        return image


@dataclass(frozen=True)
class Illumination:
    """A Retinex light: the photo I divided by an illumination S, held as its log gain, -log S.

    DeepUPE clips S to [I, 1], which is where lamps burn out: whatever is brighter than S turns white. Here S slides
    towards 1 as the pixel does, S' = S + (1 - S) I, so that I <= S' <= 1 holds of itself, smoothly. Deep shadows see
    plain Retinex, I / S; white stays white; and the same light is a plain sum in another scale,
    logit(I / S') = logit(I) + log gain, which is why a degree can be a factor on it.

    Attributes:
        log_gain: (N, 3, h, w); 0 leaves a pixel as it is, log 2 doubles a dark one.
    """

    log_gain: Tensor

    @classmethod
    def between(cls, image: Tensor, lit: Tensor) -> Illumination:
        """The light that turns an image into a lit one, both (N, 3, h, w): for networks that give pictures."""
        dark, bright = (picture.clamp(0.002, 0.998) for picture in (image, lit))  # half a level from black and white
        return cls(bright.logit() - dark.logit())

    def maps(self) -> Tensor:
        return self.log_gain

    def with_maps(self, maps: Tensor) -> Illumination:
        return Illumination(maps)

    def dosed(self, degree: float) -> Dose:
        log_gain = (degree * self.log_gain).clamp_(-MAX_LOG_GAIN, MAX_LOG_GAIN)  # in place: fresh memory is dear
        return Dose("gain", log_gain, sparing(log_gain))

    def apply(self, image: Tensor, degree: float) -> Tensor:
        return self.dosed(degree).apply(image)

    def scaled(self, alpha: float) -> Illumination:
        """S times alpha: the picture gets brighter as alpha falls (Fig. 8)."""
        if not (math.isfinite(alpha) and alpha > 0):
            raise ValueError(f"alpha multiplies the illumination and must be above 0; got {alpha}")
        return Illumination(self.log_gain - math.log(alpha))


@dataclass(frozen=True)
class Curves:
    """The curves of Zero-DCE and STAR-DCE: x + r (x^2 - x) once per step; each keeps 0, 1 and the order of tones.

    Attributes:
        curves: (N, 3 * steps, h, w) in [-1, 1], three channels per step; 0 is neutral and negative values brighten.
    """

    curves: Tensor

    def maps(self) -> Tensor:
        return self.curves

    def with_maps(self, maps: Tensor) -> Curves:
        return Curves(maps)

    def dosed(self, degree: float) -> Dose:
        curves = (degree * self.curves).clamp(-1, 1)
        size = curves.abs().unflatten(1, (-1, 3))
        return Dose("curves", curves, sparing((size / (1.01 - size)).sum(1)))  # how fast the log gain grows near white

    def apply(self, image: Tensor, degree: float) -> Tensor:
        return self.dosed(degree).apply(image)

    def scaled(self, alpha: float) -> Curves:
        """The curve maps times alpha: the picture gets brighter as alpha rises."""
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha multiplies the curves and must be at least 0; got {alpha}")
        return Curves((alpha * self.curves).clamp(-1, 1))


@dataclass(frozen=True)
class BilateralGrid:
    """Affine models of the log gain in a coarse grid over place and tone (HDRNet, DeepUPE); `slice` reads it out.

    Attributes:
        grid: (N, 12, depth, gh, gw): a 3 x 4 matrix per cell, rows first, to be applied to (R, G, B, 1).
        guide: (N, 1, h, w) in [0, 1]: at which depth each pixel reads the grid.
        image: (N, 3, h, w): the pixels the matrices are applied to.
    """

    grid: Tensor
    guide: Tensor
    image: Tensor

    def slice(self) -> Illumination:
        """Read the grid at every pixel, trilinearly, cell centres at half-integers and edges repeated."""
        batch, _, height, width = self.guide.shape
        y, x = ((torch.arange(n, device=self.guide.device) * 2 + 1) / n - 1 for n in (height, width))
        log_gain = []
        parts = (part.split(ROWS, dim=-2) for part in (y[:, None], self.guide, self.image))
        for rows, guide, image in zip(*parts, strict=True):
            place = torch.stack([x.expand(len(rows), width), rows.expand(len(rows), width)], dim=-1)
            place = place.expand(batch, -1, -1, 2)
            where = torch.cat([place, guide[:, 0, :, :, None] * 2 - 1], dim=-1)[:, None].to(self.grid.dtype)
            models = F.grid_sample(self.grid, where, padding_mode="border", align_corners=False)[:, :, 0]
            matrix = models.unflatten(1, (3, 4))
            log_gain.append((matrix[:, :, :3] * image[:, None]).sum(2) + matrix[:, :, 3])
        return Illumination(torch.cat(log_gain, dim=2))

    def maps(self) -> Tensor:
        return self.slice().maps()

    def with_maps(self, maps: Tensor) -> Illumination:
        return Illumination(maps)

    def dosed(self, degree: float) -> Dose:
        return self.slice().dosed(degree)

    def apply(self, image: Tensor, degree: float) -> Tensor:
        return self.dosed(degree).apply(image)

    def scaled(self, alpha: float) -> Illumination:
        return self.slice().scaled(alpha)


def check_degree(degree: float) -> float:
    """Return a degree that makes sense, or raise ValueError."""
    if not (isinstance(degree, int | float) and 0 <= degree <= MAX_DEGREE):  # which no NaN is
        raise ValueError(
            f"degree is a number from 0 (the photo as it is) to {MAX_DEGREE:g}, 1 as trained; got {degree}"
        )
    return degree


def share(image: Tensor, sparing: Tensor | None) -> Tensor:
    """How much of the light each pixel gets: all in the dark, little in highlights; a lamp needs no lighting.

    1 - x^4 of its brightest channel x, which keeps the order of tones up to a log gain of 3; beyond, highlights are
    spared as much as under 3 and no more.

    Args:
        image: (N, 3, H, W) in [0, 1].
        sparing: (N, 3, H, W) or none, from `sparing`.

    Returns:
        (N, 3, H, W), or (N, 1, H, W) where nothing is spared less.
    """
    highlights = image.amax(1, keepdim=True) ** 4
    return 1 - (highlights if sparing is None else highlights * sparing)


def sparing(log_gain: Tensor) -> Tensor | None:
    """1 up to a log gain (absolute) of 3; beyond, what makes their product 3. None where all of it is 1, as usual."""
    least, most = torch.aminmax(log_gain.detach())
    if max(-least, most) <= SPARED:
        return None
    return SPARED / log_gain.abs().clamp(min=SPARED)


def mute_shadows(image: Tensor, lit: Tensor) -> Tensor:
    """Take colour out of deep shadows as far as they were lifted: there it is noise, rounding and compression.

    The share taken out is (1 - grey before / grey after) SHADOW / (grey before + SHADOW): nothing where no light was
    added, little above a tenth of full scale. Lifted as it is, the brown of a night sky turns olive.

    Args:
        image: (N, 3, H, W) in [0, 1].
        lit: the same after lighting.
    """
    weights = image.new_tensor(GREY).view(1, 3, 1, 1)
    before, after = (weights * image).sum(1, keepdim=True), (weights * lit).sum(1, keepdim=True)
    lifted = (1 - (before + 1e-4) / (after + 1e-4)).clamp(min=0)
    return lit + lifted * (SHADOW / (before + SHADOW)) * (after - lit)


def render(field: LightField, image: Tensor, degree: float = 1.0, window: Tensor | None = None) -> Tensor:
    """Light an image with a field of any size; differentiable, and the reference that `fullsize` is held to.

    The degree applies at the field's size: enlarging is the last thing that happens to a light.

    Args:
        field: the light.
        image: (N, 3, H, W) in [0, 1].
        degree: how much of the light, in [0, 2]: 0 none, 1 as trained.
        window: (N, 1, h, w) in [0, 1], or none: how much of the light each place may get; 0 means untouched.
    """
    dose = field.dosed(check_degree(degree))
    size = (image.shape[-2], image.shape[-1])
    maps = resize(dose.maps, size)
    if window is not None:
        maps = maps * resize(window, size)
    spare = None if dose.sparing is None else resize(dose.sparing, size)
    return mute_shadows(image, Dose(dose.kind, maps, spare).apply(image))
