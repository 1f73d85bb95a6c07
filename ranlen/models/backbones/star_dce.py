"""STAR-DCE: a small transformer over 32 x 32 tokens predicts eight curves for each pixel.

After Zhang et al., "STAR: A Structure-aware Lightweight Transformer for Real-time Image Enhancement", ICCV 2021, with
the Zero-DCE curves, mean-head tokens, width 32. Differs from the released code: its stem convolution has kernel 2 and
stride 3 (arguments in the wrong order) where 3 and 2 were meant; the position embedding it declares but never adds
is left out; curves are enlarged bicubically, to 128 instead of 256, against the blocks that footnote 3 of the RANLEN
paper warns of.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.models.layers import MaskedLayer, MaskedSequential, zeroed
from ranlen.rendering.fields import Curves

STEPS = 8  # curves applied one after the other
TOKENS = 32  # per side
HEADS = 8
LANES = 16  # floats that a processor multiplies at once
CELLS = 128  # per side, of the curve maps: four times as many as tokens


class Attention(nn.Module):
    """Self-attention over tokens (N, T, C); the original scales by the full width, not by a head's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        each = width // HEADS
        q, k, v = self.qkv(tokens).view(batch, count, 3, HEADS, each).permute(2, 0, 3, 1, 4)
        if each < LANES:  # two numbers a head: zeros beside them change nothing, and halve the time
            q, k, v = (F.pad(x, (0, LANES - each)) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=width**-0.5)[..., :each]  # (N, heads, T, each)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, width))


class LongRange(nn.Module):
    """One transformer block over a map of tokens (N, C, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width))
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attend(tokens)
        tokens = tokens + self.feed(tokens)
        return tokens.transpose(1, 2).view_as(x)


class StarDce(nn.Module):
    """STAR-DCE with a norm slot in the tokenization, where Section 4.2 puts RANLEN.

    Args:
        in_channels: 6 with a light meter, else 3; 2 more when the mask is concatenated to the input.
        norm: the layer for the norm slot, built from a number of channels.
        tail: the layer after the output, built from a number of channels.
        width: the paper's "network width"; half of it for each range.
    """

    field = Curves
    enlarge: Tensor

    def __init__(
        self,
        in_channels: int,
        norm: Callable[[int], MaskedLayer],
        tail: Callable[[int], MaskedLayer],
        width: int = 32,
    ) -> None:
        super().__init__()
        half = width // 2
        stem = nn.Conv2d(in_channels, half, 3, 2, 1)
        self.tokenize = MaskedSequential(stem, norm(half), nn.ReLU(), nn.AdaptiveAvgPool2d(TOKENS))
        self.long = LongRange(half)
        self.short = nn.Conv2d(half, half, 3, 1, 1)
        self.predict = nn.Conv2d(width, 3 * STEPS, 3, 1, 1)
        for layer in (stem, self.short, self.predict):  # not those of the norm, which has its own start
            nn.init.normal_(zeroed(layer).weight, 0.0, 0.02)
        enlarge = F.interpolate(torch.eye(TOKENS)[None, None], (CELLS, TOKENS), mode="bicubic", align_corners=False)
        self.register_buffer("enlarge", enlarge[0, 0], persistent=False)
        self.tail = tail(3 * STEPS)

    def forward(self, x: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Predict curves (N, 24, 128, 128) in [-1, 1].

        Args:
            x: the network's input (N, in_channels, 256, 256).
            mask: region mask (N, 2, 256, 256).
            image: not used: the curve maps' size does not depend on the photo's.
        """
        tokens = self.tokenize(x, mask)
        ranges = torch.cat([self.long(tokens), self.short(tokens)], dim=1)
        with torch.autocast(x.device.type, enabled=False):  # the rounding of bfloat16 would be steps in the light
            curves = self.predict(ranges.to(x.dtype))
            curves = self.enlarge @ curves @ self.enlarge.T  # bicubic, along columns and rows
            return torch.tanh(self.tail(curves, mask))
