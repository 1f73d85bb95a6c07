"""The methods that are compared: how a network is told about the mask, and where its light may fall.

What follows from that and has no weights is here, too: what of a photo and its mask a network is shown. The layers that
methods are built with are named here and made in `ranlen.models`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ranlen.arrays import Array, most_around, resize, size_of
from ranlen.geometry import Size
from ranlen.masks.regions import RegionMask, smoothstep

WORKING_SIZE = 256  # pixels of each side of what networks see
CELLS = 9  # of the working size: a subject that covers less is enlarged


def whole_frame(mask: RegionMask) -> None:
    """No attenuation: the light may reach everywhere."""
    return None


def across_b(mask: RegionMask) -> Array:
    """A smooth ramp over the whole of Area B: what a photo editor would do by hand."""
    return smoothstep(mask.ramp())


def keep_area_c(mask: RegionMask) -> Array:
    """Open over A and the inner half of B, then smoothly shut: the network fades the light, this ends it."""
    return smoothstep(2 * mask.ramp())


def end_late(mask: RegionMask) -> Array:
    """Open but for the outer quarter of B, for a light that has all but gone by then: the fade is the network's own."""
    return smoothstep(4 * mask.ramp())


@dataclass(frozen=True)
class Method:
    """How a backbone is told about the mask.

    Attributes:
        mask_in_input: concatenate the mask to the network's input.
        norm: what stands at the backbone's norm slots, a key of `models.layers.NORMS`.
        tail: what comes after its output, a key of `models.layers.TAILS`.
        attenuation: how much of the light the product lets through: RegionMask -> (N, 1, H, W) in [0, 1], or none
            for all of it everywhere.
        weights: the method whose weights it runs on, when it has none of its own.
        told_b: whether the network is told, and trained by, Area B; otherwise what is not A is C.
        spot: whether a light meter is pointed at Area A, and the light fades across Area B; otherwise the meter
            measures the whole frame, and the light goes everywhere.
    """

    mask_in_input: bool
    norm: Literal["plain", "ranlen"]
    tail: Literal["plain", "ranlen", "three"]
    attenuation: Callable[[RegionMask], Array | None]
    weights: str | None = None
    told_b: bool = True
    spot: bool = False

    def areas(self, mask: Array) -> Array:
        """What of a mask (N, 2, H, W) the network is told. Without Area B both channels are A, the paper's one."""
        return mask if self.told_b else mask[:, [0, 0]]  # whose ramp is another, too


METHODS = {
    "global": Method(False, "plain", "plain", whole_frame),
    "blend": Method(False, "plain", "plain", across_b, weights="global"),
    "concat": Method(True, "plain", "plain", keep_area_c),
    "ranlen": Method(False, "ranlen", "ranlen", end_late, spot=True),
}

# What Section 4.3.2 compares with: to train and to score, not to use. Not attenuated, or their edges would be hidden.
ABLATIONS = {
    # Without the gradient-smooth loss, Fig. 6.
    "two_areas": Method(False, "ranlen", "ranlen", whole_frame, told_b=False, spot=True),
    "tails": Method(False, "plain", "three", whole_frame),  # Fig. 7
}


def reaching(ramp: Array, size: Size) -> Array:
    """A ramp (N, 1, H, W) at the (height, width) of a light, which reaches wherever the ramp does.

    A mask is finer than the light where a subject is small. Averaged, the light would not reach full strength in it;
    here it does, and goes on for a pixel or two, where the method's attenuation ends it.
    """
    if ramp.shape[-2] <= size[0] and ramp.shape[-1] <= size[1]:
        return resize(ramp, size)
    return most_around(ramp, size)


def with_small_subjects(mask: Array, size: Size) -> Array:
    """A mask (N, 2, H, W) at another (height, width), in which a subject of a few pixels is still one."""
    small = resize(mask, size)
    if size_of(mask) == tuple(size):
        return small
    lost = small[:, :1].sum((1, 2, 3), keepdims=True) < CELLS
    if isinstance(lost, np.ndarray) and not lost.any():  # as usual; a compiled network must not ask
        return small
    return small * ~lost + most_around(mask, size) * lost


@dataclass(frozen=True)
class Shown:
    """What of photos and masks a network is shown: all that is a matter of sizes and distances, not of weights.

    Attributes:
        image: (N, 3, 256, 256) in [0, 1].
        mask: (N, 2, 256, 256), Area A and Area A or B; a third channel is the ramp, where that is known.
        fade: (N, 1, h, w) in [0, 1], how much of the light each place of the detail gets; none for all of it.
        detail: (N, 3, h, w), the photos at the size that their light is wanted in.
    """

    image: Array
    mask: Array
    fade: Array | None
    detail: Array


def smooth_ramp(mask: Array) -> Array:
    """1 in A, smoothly down across B, 0 in C: (N, 1, H, W) for a mask (N, 2, H, W), or its third channel if it has one.

    It is made of distances to A and to C.
    """
    if mask.shape[1] == 3:
        return mask[:, 2:]
    if isinstance(mask, np.ndarray):
        return smoothstep(RegionMask(mask).ramp())
    import torch

    return torch.ops.ranlen.smooth_ramp(mask)  # of `models.layers`; a compiled network keeps it whole


def shown(
    method: Method, image: Array, mask: Array, detail: Array, *, metered: bool, ramp: Array | None = None
) -> Shown:
    """What a network of a method is shown.

    Args:
        method: one of `METHODS`.
        image: (N, 3, H, W) in [0, 1].
        mask: (N, 2, H', W'), the tensor of a `RegionMask`; a third channel is its `smooth_ramp`.
        detail: (N, 3, h, w), the same photos.
        metered: whether the network has a light meter.
        ramp: the `smooth_ramp` of what `method.areas` says of the mask, where it is known already.
    """
    size = (WORKING_SIZE, WORKING_SIZE)
    mask = method.areas(mask)
    fade = None
    if metered and method.spot:
        fade = reaching(smooth_ramp(mask) if ramp is None else ramp, size_of(detail))
    return Shown(resize(image, size), with_small_subjects(mask, size), fade, detail)
