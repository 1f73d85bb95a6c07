"""Light fields: what a network predicts once, and what the degree slider then applies at any size without it.

Every field keeps three laws: degree 0 returns the image exactly; degree 1 is what was trained; where the field is
neutral, no degree changes anything. Both kinds of rendering also map black to black and white to white and never
cross: what was not clipped in the photo stays unclipped.

Their maps are NumPy's where photos are lit (`rendering.fullsize`), torch's where networks learn (`models.light`, which
says what each field does to a pixel).
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from ranlen.arrays import Array, log
from ranlen.facts import MAX_DEGREE

MAX_LOG_GAIN = 8.0  # 11.5 stops: more than any photo holds, and far from where exp overflows
GREY = (0.2989, 0.587, 0.114)  # weights of a pixel's grey value
SHADOW = 0.03  # grey value at which a pixel's colour is half trusted: 8 of 255
PROTECTED = 3.0  # log gain that white is protected from; any more would turn the order of tones round


@dataclass(frozen=True)
class LightField(ABC):
    """A predicted light, small and independent of the photo's size.

    Attributes:
        maps: (N, K, h, w), floats; 0 changes nothing. What other values do, each class says.
    """

    maps: Array

    @property
    def desaturation(self) -> Array | float:
        """How much of colour in lifted shadows goes, in [0, 1]: a number, or (N, 1, 1, 1)."""
        return 1.0

    def with_maps(self, maps: Array) -> LightField:
        """A field of the same kind made of other maps (N, K, h, w), of any size."""
        return dataclasses.replace(self, maps=maps)

    def each(self, change: Callable[[Array], Array]) -> LightField:
        """The same light of arrays that were all changed alike: moved to a device, or from one library to the other."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(
            self, **{name: change(value) for name, value in values.items() if not isinstance(value, int | float)}
        )

    def split(self) -> list[LightField]:
        """The lights of N images as N lights of one image each (maps of N = 1)."""
        count = len(self.maps)

        def only(i: int) -> Callable[[Array], Array]:
            return lambda array: array[i : i + 1] if len(array) == count else array

        return [self.each(only(i)) for i in range(count)]

    @abstractmethod
    def at_degree(self, degree: float) -> ScaledField:
        """The field times a degree: 0 no light, 1 the light as trained, at most 2."""

    @abstractmethod
    def log_gain(self) -> Array:
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
        protection: (N, 3, h, w) in (0, 1], how much of highlights' protection applies; none for all of it everywhere.
    """

    field: LightField
    protection: Array | None

    def each(self, change: Callable[[Array], Array]) -> ScaledField:
        """The same with maps and protection changed alike: resized, or cut out."""
        protection = None if self.protection is None else change(self.protection)
        return ScaledField(self.field.with_maps(change(self.field.maps)), protection)


@dataclass(frozen=True)
class Illumination(LightField):
    """A Retinex light: the photo I divided by an illumination S, held as its log gain, -log S.

    DeepUPE clips S to [I, 1], which is where lamps burn out: whatever is brighter than S turns white. Here S slides
    towards 1 as the pixel does (`models.light.expose`), so that I <= S <= 1 holds of itself, smoothly. Deep shadows see
    plain Retinex, I / S.

    Attributes:
        maps: log gain (N, 3, h, w); 0 leaves a pixel as it is, log 2 doubles a dark one.
        shoulder: how long the gain is a plain factor, at least 1: a number, or (N, 1, 1, 1).
        desaturation: see `LightField`.
    """

    shoulder: Array | float = 1.0
    desaturation: Array | float = 1.0

    def at_degree(self, degree: float) -> ScaledField:
        log_gain = (degree * self.maps).clip(-MAX_LOG_GAIN, MAX_LOG_GAIN)
        return ScaledField(self.with_maps(log_gain), _protection(log_gain))

    def log_gain(self) -> Array:
        return self.maps.mean(1, keepdims=True)

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
        curves = (degree * self.maps).clip(-1, 1)
        size = abs(curves)
        near_white = _steps(size / (1.01 - size)).sum(1)  # how fast the log gain grows there
        return ScaledField(Curves(curves), _protection(near_white))

    def log_gain(self) -> Array:
        slopes = 1 - self.maps.clip(-1, 0.99)  # of each curve at black
        return _steps(log(slopes)).sum(1).mean(1, keepdims=True)

    def times_alpha(self, alpha: float) -> Curves:
        """The curve maps times alpha: the picture gets brighter as alpha rises."""
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha multiplies the curves and must be at least 0; got {alpha}")
        return Curves((alpha * self.maps).clip(-1, 1))


def _steps(curves: Array) -> Array:
    """Maps (N, 3 * steps, h, w) by step: (N, steps, 3, h, w)."""
    return curves.reshape(len(curves), -1, 3, *curves.shape[2:])


def check_degree(degree: float) -> float:
    """Return a degree that makes sense, or raise ValueError."""
    if not (isinstance(degree, int | float) and 0 <= degree <= MAX_DEGREE):  # which no NaN is
        raise ValueError(
            f"degree is a number from 0 (the photo as it is) to {MAX_DEGREE:g}, 1 as trained; got {degree}"
        )
    return degree


def _protection(log_gain: Array) -> Array | None:
    """1 up to a log gain (absolute) of 3; beyond, what makes their product 3. None where all of it is 1, as usual."""
    if max(-log_gain.min(), log_gain.max()) <= PROTECTED:
        return None
    return PROTECTED / abs(log_gain).clip(PROTECTED)
