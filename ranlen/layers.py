"""The layers a mask can speak to: the paper's region-aware normalization (Eq. 1) and what stands in for it elsewhere.

A mask reaches a layer as an argument, `layer(x, mask)`, never through an attribute or a hook: the app serves many
people from many threads, and a mask kept on a module is sooner or later somebody else's.
"""

from __future__ import annotations

from torch import Tensor, nn

from ranlen.regions import mask_pyramid, resize


class MaskedLayer(nn.Module):
    """A layer called as `layer(x, mask)`: features (N, C, h, w) and a region mask (N, 2, H, W) of any size."""


class MaskedSequential(nn.Sequential, MaskedLayer):
    """A Sequential that hands the mask to those of its layers that take one."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        for layer in self:
            x = layer(x, mask) if isinstance(layer, MaskedLayer) else layer(x)
        return x


class Modulation(nn.Module):
    """Predict a scale and a shift for every channel and pixel from the mask alone, by a two-layer CNN (Section 3.2).

    The mask is first averaged over cells of `scales` pixels. With one scale the CNN sees five pixels around itself
    and cannot tell where in a wide Area B it stands; the coarser averages tell it.

    Args:
        channels: channels C of the features to modulate.
        hidden: width of the CNN. The paper gives none; 16 is where more stopped paying.
        kernel: kernel size of the second layer.
        scales: cell sizes, in pixels of the features.
    """

    def __init__(self, channels: int, *, hidden: int = 16, kernel: int = 3, scales: tuple[int, ...] = (1,)) -> None:
        super().__init__()
        self.scales = scales
        self.encode = nn.Sequential(nn.Conv2d(2 * len(scales), hidden, 3, padding=1), nn.ReLU())
        self.predict = nn.Conv2d(hidden, 2 * channels, kernel, padding=kernel // 2)
        # Eq. 1 multiplies by gamma itself, so a network that has learned nothing yet must find gamma = 1, beta = 0.
        nn.init.zeros_(self.predict.weight)
        nn.init.zeros_(self.predict.bias)  # pyright: ignore[reportArgumentType]
        nn.init.ones_(self.predict.bias[:channels])  # pyright: ignore[reportOptionalSubscript]

    def forward(self, mask: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return gamma and beta, each (N, C, *size), for a mask (N, 2, H, W)."""
        gamma, beta = self.predict(self.encode(mask_pyramid(mask, size, self.scales))).chunk(2, dim=1)
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
        self.modulation = Modulation(channels, hidden=hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        gamma, beta = self.modulation(mask, (x.shape[-2], x.shape[-1]))
        return gamma * self.norm(x) + beta


class PlainTail(MaskedLayer):
    """Leave the light as the network predicted it."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, light: Tensor, mask: Tensor) -> Tensor:
        return light


class RanlenTail(MaskedLayer):
    """The "one more convolution layer after the output tail" (Section 3.2), told about the mask; identity at the start.

    It works on the light field, not on the finished picture as the paper's does: a convolution at full size would run
    with every move of the slider. A 1 x 1 kernel and a mask-only modulation mean the same at every resolution, so
    what was trained at 256 pixels holds for a preview of 1,024. No normalization here: these values are light.
    """

    def __init__(self, channels: int, *, hidden: int = 16, scales: tuple[int, ...] = (1, 4, 16)) -> None:
        super().__init__()
        self.refine = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.dirac_(self.refine.weight)
        self.modulation = Modulation(channels, hidden=hidden, kernel=1, scales=scales)

    def forward(self, light: Tensor, mask: Tensor) -> Tensor:
        """Refine a light (N, C, h, w) under a mask (N, 2, H, W); gamma and beta are made at the mask's own size."""
        gamma, beta = self.modulation(mask, (mask.shape[-2], mask.shape[-1]))
        size = (light.shape[-2], light.shape[-1])
        return resize(gamma, size) * self.refine(light) + resize(beta, size)
