"""The layers a mask can speak to: the paper's region-aware normalization (Eq. 1) and what stands in for it elsewhere.

A mask reaches a layer as an argument, `layer(x, mask)`, never through an attribute or a hook: the app serves many
people from many threads, and a mask kept on a module is sooner or later somebody else's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ranlen.arrays import resize, size_of
from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.methods import smooth_ramp


class MaskedLayer(nn.Module):
    """A layer called as `layer(x, mask)`: features (N, C, h, w) and a region mask (N, 2, H, W) of any size.

    A third channel, where there is one, is the mask's `smooth_ramp`: exported graphs cannot measure distances.
    """


class MaskedSequential(nn.Sequential, MaskedLayer):
    """A Sequential that hands the mask to those of its layers that take one."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, mask) if isinstance(layer, MaskedLayer) else layer(x)
        return x


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """A convolution that gives 0 until it has learned something."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Modulation(nn.Module):
    """Predict a scale and a shift for every channel and pixel from the mask alone, by a two-layer CNN (Section 3.2).

    Args:
        inputs: channels of the mask, or of what was made of it.
        channels: channels C of the features to modulate.
        hidden: width of the CNN. The paper gives none; 16 is where more stopped paying.
        kernel: size of both kernels.
    """

    def __init__(self, inputs: int, channels: int, *, hidden: int = 16, kernel: int = 3) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(inputs, hidden, kernel, padding=kernel // 2), nn.ReLU())
        self.predict = zeroed(nn.Conv2d(hidden, 2 * channels, kernel, padding=kernel // 2))
        # Eq. 1 multiplies by gamma itself, so a network that has learned nothing yet must find gamma = 1, beta = 0.
        self.predict.get_parameter("bias").data[:channels] = 1

    def forward(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return gamma and beta, each (N, C, h, w), for a mask (N, inputs, h, w)."""
        gamma, beta = self.predict(self.encode(mask)).chunk(2, dim=1)
        return gamma, beta


class PlainNorm(MaskedLayer):
    """Batch normalization that pays no attention to the mask: what global and Concat have at the norm slots."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.norm(x)


class RanlenNorm(MaskedLayer):
    """Region-aware normalization, Eq. 1: gamma(M) * (x - mean) / std + beta(M), gamma and beta per channel and pixel.

    Mean and standard deviation carry no batch index in Eq. 1, which makes them batch statistics without affine terms.
    """

    def __init__(self, channels: int, *, hidden: int = 16) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulation = Modulation(2, channels, hidden=hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(x)
        gamma, beta = self.modulation(resize(mask[:, :2], (x.shape[-2], x.shape[-1])))
        return gamma * x + beta


class PlainTail(MaskedLayer):
    """Leave the light as the network predicted it."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, light: Tensor, mask: Tensor) -> Tensor:
        return light


# An operator of torch's own kind, so that a compiled or exported network keeps it whole. Not by `custom_op`: its first
# call imports torch's compiler, which takes longer than lighting a photo.
OPERATORS = torch.library.Library("ranlen", "DEF")
OPERATORS.define("smooth_ramp(Tensor mask) -> Tensor")
OPERATORS.impl(
    "smooth_ramp", lambda mask: smoothstep(RegionMask(mask).ramp()).to(mask.dtype), "CompositeExplicitAutograd"
)
OPERATORS.impl("smooth_ramp", lambda mask: mask.new_empty(mask[:, :1].shape), "Meta")


class RanlenTail(MaskedLayer):
    """The "one more convolution layer after the output tail" (Section 3.2), told about the mask; identity at the start.

    It works on the light field, not on the finished picture as the paper's does: a convolution at full size would run
    with every move of the slider. All its kernels are 1 x 1, so it means the same at every resolution. What it is shown
    of the mask is where a pixel stands: 1 in A, a smooth ramp across B, 0 in C. So its scale and shift are the same all
    over A and all over C, and as smooth as the ramp between. No normalization here: these values are light.
    """

    def __init__(self, channels: int, *, hidden: int = 32) -> None:
        super().__init__()
        self.refine = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.dirac_(self.refine.weight)
        self.modulation = Modulation(1, channels, hidden=hidden, kernel=1)

    @torch.no_grad()
    def start_faded(self) -> None:
        """Let gamma begin as the ramp itself: the light fades across B as `blend` has it, and there is none in C.

        Training that begins without a fade spends most of its time on finding one, and unlearns Area A on the way.
        """
        encode, predict = self.modulation.encode[0], self.modulation.predict
        channels = self.refine.out_channels
        nn.init.ones_(encode.get_parameter("weight")[0])
        nn.init.zeros_(encode.get_parameter("bias")[0])
        nn.init.ones_(predict.get_parameter("weight")[:channels, 0])
        nn.init.zeros_(predict.get_parameter("bias")[:channels])

    def forward(self, light: Tensor, mask: Tensor) -> Tensor:
        """Refine a light (N, C, h, w) under a mask (N, 2, H, W)."""
        gamma, beta = self.modulation(smooth_ramp(mask))
        size = size_of(light)
        return resize(gamma, size) * self.refine(light) + resize(beta, size)


class ThreeTails(MaskedLayer):
    """The paper's ablation "multi-cnn-and-concat in the tail" (Section 4.3.2): a decoder per area, cut out and added.

    Each tail is told neither the mask nor where in its area a pixel is, so nothing makes them agree at the borders.

    Differs from the paper: the tails decode the light, not the picture, so that their output is a light too and keeps
    its laws. They work at 128 x 128 and add what they find to the light at its own size. The third is given the
    untouched photo, whose light is 0 everywhere: all a CNN can make of that is a constant, so that is what it is.
    """

    CELLS = 128  # per side, half the working size

    def __init__(self, channels: int, *, hidden: int = 16) -> None:
        super().__init__()
        self.a, self.b = (
            nn.Sequential(
                nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), zeroed(nn.Conv2d(hidden, channels, 3, padding=1))
            )
            for _ in "ab"
        )
        self.c = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, light: Tensor, mask: Tensor) -> Tensor:
        """Decode a light (N, C, h, w) by the areas of a mask (N, 2, H, W)."""
        size = (light.shape[-2], light.shape[-1])
        a, a_or_b = resize(mask[:, :2], size).split(1, dim=1)
        coarse = resize(light, (self.CELLS, self.CELLS))
        lit_a, lit_b = (light + resize(tail(coarse), size) for tail in (self.a, self.b))
        return a * lit_a + (a_or_b - a) * lit_b + (1 - a_or_b) * self.c


NORMS = {"plain": PlainNorm, "ranlen": RanlenNorm}
TAILS = {"plain": PlainTail, "ranlen": RanlenTail, "three": ThreeTails}
