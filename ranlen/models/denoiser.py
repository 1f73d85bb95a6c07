"""The denoiser: a small network that takes sensor noise, and what JPEG made of it, out of a photo as it is.

It works in a scale where a dark pixel counts as much as it will once it is lit (`companded`), sees noise at a half, a
quarter and an eighth of the photo's size, and is told nothing: how strong the noise is, it sees itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranlen.rendering.noise import STEEP

WIDTHS = (32, 64, 80)


def companded(image: Tensor) -> Tensor:
    """Values in [0, 1] in a scale that is fine in the dark: log(1 + 32 x) / log 33."""
    return torch.log1p(STEEP * image) / math.log1p(STEEP)


def expanded(image: Tensor) -> Tensor:
    """What `companded` took, back in [0, 1]; what lies outside is cut off."""
    return torch.expm1(image.clamp(0, 1) * math.log1p(STEEP)) / STEEP


class Block(nn.Module):
    """Two convolutions and what went into them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Denoiser(nn.Module):
    """A U-Net of 0.5 M parameters, 27,000 multiplications a pixel."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.enter = nn.Conv2d(12, fine, 3, padding=1)
        self.down_fine = Block(fine)
        self.to_middle = nn.Conv2d(fine, middle, 2, 2)
        self.down_middle = Block(middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 2, 2)
        self.coarse = nn.Sequential(Block(coarse), Block(coarse))
        self.from_coarse = nn.Conv2d(coarse, 4 * middle, 1)
        self.up_middle = Block(middle)
        self.from_middle = nn.Conv2d(middle, 4 * fine, 1)
        self.up_fine = Block(fine)
        self.leave = nn.Conv2d(fine, 12, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Clean images (N, 3, H, W) in [0, 1]; H and W are multiples of 8."""
        dark = companded(image)
        fine = self.down_fine(self.enter(F.pixel_unshuffle(dark, 2)))
        middle = self.down_middle(self.to_middle(fine))
        coarse = self.coarse(self.to_coarse(middle))
        middle = self.up_middle(middle + F.pixel_shuffle(self.from_coarse(coarse), 2))
        fine = self.up_fine(fine + F.pixel_shuffle(self.from_middle(middle), 2))
        return expanded(dark + F.pixel_shuffle(self.leave(fine), 2))
