"""The light meter: how bright the subject is beside the rest, and so how much light it needs.

Differs from the paper, whose networks see a mask but never measure under it. What a photographer does first is to
point a spot meter at the subject. Here, too: the area is measured, the photo is exposed so that the area gets a
middle grey, and a small network says from what it measured how far that is off, and how the tones should run.
The backbone then sees the photo so exposed, and adds only the shape of the light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.models.light import expose
from ranlen.rendering.fields import GREY

MIDDLE = 0.4  # mean grey value that a metered area gets: about what references of several kinds have
MOST = 6.0  # log gain that metering gives at most: nine stops
BINS = 16
FEATURES = 16  # that the convolutions measure, before they are averaged over an area
SHOULDERS = (1.0, 5.0)


@dataclass(frozen=True)
class Exposure:
    """What the meter says of each photo; all but `metered` may carry gradients.

    Attributes:
        metered: (N, 1, 1, 1), log gain that brings the mean of the area to `MIDDLE`, at a shoulder of 1.
        correction: (N, 1, 1, 1), what to add to it.
        shoulder: (N, 1, 1, 1), at least 1; see `ranlen.models.light.expose`.
        desaturation: (N, 1, 1, 1) in [0, 1], how much colour shadows lose as they are lifted.
    """

    metered: Tensor
    correction: Tensor
    shoulder: Tensor
    desaturation: Tensor

    @property
    def log_gain(self) -> Tensor:
        """(N, 1, 1, 1), the whole of it."""
        return self.metered + self.correction


class LightMeter(nn.Module):
    """Measure an area of photos and the rest, and say how they should be exposed.

    It works on histograms and on the means of a few small convolutions, over the area and over the rest, so where in
    the frame something is does not matter, nor how large.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(6, FEATURES, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(FEATURES, FEATURES, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(FEATURES, FEATURES, 3, 1, 1),
            nn.ReLU(),
        )
        measured = 2 + 2 * (2 * BINS + 3 + FEATURES)
        self.decide = nn.Sequential(
            nn.Linear(measured, width),
            nn.ReLU(),
            nn.Dropout(0.2),  # the photos that it learns from are few
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 3),
        )
        nn.init.zeros_(self.decide[-1].get_parameter("weight"))
        nn.init.zeros_(self.decide[-1].get_parameter("bias"))

    def train(self, mode: bool = True) -> LightMeter:
        """As of any module, but nothing is dropped: that is for the last lesson (train/meter.py), alone and seeded."""
        super().train(mode)
        self.decide.eval()
        return self

    def forward(self, image: Tensor, area: Tensor) -> Exposure:
        """Meter images (N, 3, h, w) in [0, 1] over an area (N, 1, h, w) in [0, 1]."""
        return self.read(*self.look(image, area))

    def look(self, image: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
        """The log gain (N, 1, 1, 1) that the area asks for, and all that was measured (N, K); arguments as above."""
        with torch.no_grad():
            metered = spot(image, area)
            lit = expose(image, metered)
            measured = measure(image, lit, metered, area)
        small = F.avg_pool2d(torch.cat([lit, image], dim=1), 2)
        features = self.encode(small)
        near = F.adaptive_avg_pool2d(area, features.shape[-2:])
        seen = [mean_over(features, part) for part in (near, 1 - near)]
        return metered, torch.cat([measured, *seen], dim=1)

    def read(self, metered: Tensor, measured: Tensor) -> Exposure:
        """What follows from what `look` gave."""
        numbers = self.decide(measured)[:, :, None, None]
        correction, shoulder, desaturation = numbers.split(1, dim=1)
        low, high = SHOULDERS
        shoulder = low + (high - low) * torch.sigmoid(shoulder - 1)
        return Exposure(metered, correction, shoulder, torch.sigmoid(desaturation))


def mean_over(x: Tensor, area: Tensor) -> Tensor:
    """Means (N, C) of maps (N, C, h, w) over an area (N, 1, h, w); 0 where there is none."""
    return (x * area).sum((2, 3)) / area.sum((2, 3)).clamp(min=1e-6)


def grey(image: Tensor) -> Tensor:
    """Grey values (N, 1, h, w) of images (N, 3, h, w)."""
    return (image * image.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def spot(image: Tensor, area: Tensor, middle: float = MIDDLE) -> Tensor:
    """The log gain (N, 1, 1, 1) that brings the mean grey value of an area to `middle`; 0 where it is that bright.

    Args:
        image: (N, 3, h, w) in [0, 1].
        area: (N, 1, h, w) in [0, 1]; where it is empty, the darkest possible is assumed of it.
        middle: in (0, 1).
    """
    tones = grey(image)
    low = tones.new_zeros(tones.shape[0], 1, 1, 1)
    high = torch.full_like(low, MOST)
    for _ in range(12):  # halving: to a thousandth of a stop
        gain = (low + high) / 2
        dark = mean_over(expose(tones, gain), area)[:, :, None, None] < middle
        low, high = torch.where(dark, gain, low), torch.where(dark, high, gain)
    return (low + high) / 2


def histogram(tones: Tensor, area: Tensor) -> Tensor:
    """Four times the shares (N, BINS) of an area by tone, (N, 1, h, w) in [0, 1]; between two bins, both get a part."""
    centres = torch.linspace(0, 1, BINS, device=tones.device).view(1, BINS, 1, 1)
    return 4 * mean_over((1 - (tones - centres).abs() * (BINS - 1)).clamp(min=0), area)


def measure(image: Tensor, lit: Tensor, metered: Tensor, area: Tensor) -> Tensor:
    """What there is to know of an area and of the rest, (N, K): tones, colour, contrast and grain, and their sizes."""
    before, after = grey(image), grey(lit)
    logarithm = (before + 1e-3).log() / 6.9 + 1  # of 1/1000 to 1, as 0 to 1
    colour = (lit - after).abs().mean(1, keepdim=True)
    contrast = F.pad((after[..., 1:] - after[..., :-1]).abs(), (0, 1))
    grain = (after - F.avg_pool2d(after, 3, 1, 1)).abs()
    said = [metered.flatten(1) / 3, area.mean((2, 3))]
    for part in (area, 1 - area):
        few = (..., slice(1, None, 4), slice(1, None, 4))  # a histogram of a sixteenth of the pixels says the same
        said += [histogram(after[few], part[few]), histogram(logarithm[few], part[few])]
        said += [mean_over(torch.cat([4 * colour, 8 * contrast, 16 * grain], dim=1), part)]
    return torch.cat(said, dim=1)
