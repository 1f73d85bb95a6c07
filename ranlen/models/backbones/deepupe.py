"""DeepUPE: a coarse network predicts a bilateral grid, a full-size guide reads it into an illumination.

After Wang et al., "Underexposed Photo Enhancement Using Deep Illumination Estimation", CVPR 2019: layers and sizes are
those of the released model. Differs from the original: the grid holds the illumination's logarithm, so that it is
positive and its degree is a factor; normalization is on (the release was trained without), or there would be no place
for the mask; the clip of S to [I, 1] is the smooth one of `fields.Illumination`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.models.layers import MaskedLayer, MaskedSequential, zeroed
from ranlen.rendering.fields import Illumination

DEPTH = 8  # luma bins
KNOTS = 16  # of each tone curve of the guide
WIDTH = 64
ROWS = 128  # of pixels that a grid is read for at a time: twelve numbers a pixel fill memory fast


def conv(inputs: int, outputs: int, norm: Callable[[int], MaskedLayer], stride: int = 1) -> list[nn.Module]:
    """Convolution, norm slot, ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), nn.ReLU()]


class Guide(nn.Module):
    """One value in [0, 1] per pixel: a colour matrix, a piecewise linear curve per channel, a weighted sum."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = zeroed(nn.Conv2d(3, 3, 1))
        nn.init.dirac_(self.matrix.weight)
        self.shifts = nn.Parameter((torch.arange(KNOTS) / KNOTS).repeat(3, 1))
        self.slopes = nn.Parameter(torch.eye(1, KNOTS).repeat(3, 1))
        self.mix = zeroed(nn.Conv2d(3, 1, 1))
        nn.init.constant_(self.mix.weight, 1 / 3)

    def forward(self, image: Tensor) -> Tensor:
        """Map an image (N, 3, H, W) to a guide (N, 1, H, W)."""
        return torch.cat([self._read(rows) for rows in in_bands(image)], dim=2)

    def _read(self, image: Tensor) -> Tensor:
        x = self.matrix(image)
        curved = torch.zeros_like(x)
        for shift, slope in zip(self.shifts.unbind(1), self.slopes.unbind(1), strict=True):
            curved = curved + slope.view(1, 3, 1, 1) * torch.relu(x - shift.view(1, 3, 1, 1))
        return self.mix(curved).clamp(0, 1)


def in_bands(maps: Tensor) -> tuple[Tensor, ...]:
    """Maps (N, C, h, w) in bands of `ROWS` rows; whole where a graph is exported, which must not know their number."""
    return (maps,) if torch.compiler.is_exporting() else maps.split(ROWS, dim=-2)


def slice_grid(grid: Tensor, guide: Tensor, image: Tensor) -> Tensor:
    """Read a bilateral grid of affine models at every pixel, and apply them to it, as HDRNet does.

    Trilinearly, cell centres at half-integers and edges repeated.

    Args:
        grid: (N, 12, depth, gh, gw): a 3 x 4 matrix per cell, rows first, to be applied to (R, G, B, 1).
        guide: (N, 1, h, w) in [0, 1]: at which depth each pixel reads the grid.
        image: (N, 3, h, w): the pixels the matrices are applied to.

    Returns:
        (N, 3, h, w), what the matrices make of the pixels: here, the log gain.
    """
    batch, _, height, width = guide.shape
    y, x = ((torch.arange(n, device=guide.device) * 2 + 1) / n - 1 for n in (height, width))
    read = []
    for rows, depth, pixels in zip(*map(in_bands, (y[:, None], guide, image)), strict=True):
        place = torch.stack([x.expand(rows.shape[0], width), rows.expand(rows.shape[0], width)], dim=-1)
        place = place.expand(batch, -1, -1, 2)
        where = torch.cat([place, depth[:, 0, :, :, None] * 2 - 1], dim=-1)[:, None].to(grid.dtype)
        models = F.grid_sample(grid, where, padding_mode="border", align_corners=False)[:, :, 0]
        matrix = models.unflatten(1, (3, 4))
        read.append((matrix[:, :, :3] * pixels[:, None]).sum(2) + matrix[:, :, 3])
    return torch.cat(read, dim=2)


class DeepUpe(nn.Module):
    """DeepUPE with norm slots in the splat, global, local and prediction parts, where Section 4.2 puts RANLEN.

    Args:
        in_channels: 6 with a light meter, else 3; 2 more when the mask is concatenated to the input.
        norm: the layer for the norm slots, built from a number of channels.
        tail: the layer after the output, built from a number of channels.
    """

    field = Illumination

    def __init__(
        self, in_channels: int, norm: Callable[[int], MaskedLayer], tail: Callable[[int], MaskedLayer]
    ) -> None:
        super().__init__()
        self.splat = MaskedSequential(
            *conv(in_channels, 8, norm, 2), *conv(8, 16, norm, 2), *conv(16, 32, norm, 2), *conv(32, WIDTH, norm, 2)
        )
        strides = [2, 1, 1, 1, 1, 1] * 2
        self.glob = MaskedSequential(*(layer for stride in strides for layer in conv(WIDTH, WIDTH, norm, stride)))
        self.vector = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * WIDTH, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, WIDTH)
        )
        # After the first, local convolutions are linear in the original too.
        linear = [nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, bias=False) for _ in range(5)]
        self.local = MaskedSequential(*conv(WIDTH, WIDTH, norm), *linear)
        self.fuse = norm(WIDTH)
        self.predict = zeroed(nn.Conv2d(WIDTH, 12 * DEPTH, 1))  # training starts from the photo as it is
        self.guide = Guide()
        self.tail = tail(3)

    def forward(self, x: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Predict the log gain (N, 3, h, w) for each pixel of `image` (N, 3, h, w).

        Args:
            x: the network's input (N, in_channels, 256, 256).
            mask: region mask (N, 2, 256, 256).
            image: the photo at the size its light is wanted; the grid is read by its guide.
        """
        return self.read(self.grid(x, mask), mask, image)

    def grid(self, x: Tensor, mask: Tensor) -> Tensor:
        """The bilateral grid of affine models (N, 12, depth, 16, 16); arguments as of `forward`."""
        splat = self.splat(x, mask)
        vector = self.vector(self.glob(splat, mask))
        fused = torch.relu(self.fuse(self.local(splat, mask) + vector[:, :, None, None], mask))
        with torch.autocast(x.device.type, enabled=False):
            return self.predict(fused.to(self.predict.weight.dtype)).unflatten(1, (12, DEPTH))

    def read(self, grid: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """The light that a grid holds for each pixel of `image`; arguments as of `forward`."""
        with torch.autocast(image.device.type, enabled=False):  # the rounding of bfloat16 would be steps in the light
            return self.tail(slice_grid(grid, self.guide(image), image), mask)
