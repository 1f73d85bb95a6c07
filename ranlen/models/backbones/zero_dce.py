"""Zero-DCE: seven small convolutions predict eight curves for each pixel.

After Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020: width 32, three
skip connections, no pooling. Differs from the original: normalization stands after the first three convolutions, or
there would be no place for the mask; the network works at 128 x 128, as Zero-DCE++ works on a smaller copy, and its
curves are enlarged; it is trained by our losses on pairs, not without references.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ranlen.arrays import resize
from ranlen.models.layers import MaskedLayer, MaskedSequential, zeroed
from ranlen.rendering.fields import Curves

STEPS = 8  # curves applied one after the other
WIDTH = 32
CELLS = 128  # per side: where the network works


class ZeroDce(nn.Module):
    """Zero-DCE with norm slots in its encoder half, the three convolutions that the others are joined to.

    Args:
        in_channels: 6 with a light meter, else 3; 2 more when the mask is concatenated to the input.
        norm: the layer for the norm slots, built from a number of channels.
        tail: the layer after the output, built from a number of channels.
    """

    field = Curves

    def __init__(
        self, in_channels: int, norm: Callable[[int], MaskedLayer], tail: Callable[[int], MaskedLayer]
    ) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int = WIDTH) -> nn.Conv2d:
            layer = zeroed(nn.Conv2d(inputs, outputs, 3, 1, 1))
            nn.init.normal_(layer.weight, 0.0, 0.02)
            return layer

        self.encode = nn.ModuleList(
            MaskedSequential(conv(inputs), norm(WIDTH), nn.ReLU()) for inputs in (in_channels, WIDTH, WIDTH)
        )
        self.middle = nn.Sequential(conv(WIDTH), nn.ReLU())
        self.decode = nn.ModuleList(nn.Sequential(conv(2 * WIDTH), nn.ReLU()) for _ in "56")
        self.predict = conv(2 * WIDTH, 3 * STEPS)
        self.tail = tail(3 * STEPS)

    def forward(self, x: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Predict curves (N, 24, 128, 128) in [-1, 1].

        Args:
            x: the network's input (N, in_channels, 256, 256).
            mask: region mask (N, 2, 256, 256).
            image: not used: the curve maps' size does not depend on the photo's.
        """
        x = resize(x, (CELLS, CELLS))
        first = self.encode[0](x, mask)
        second = self.encode[1](first, mask)
        third = self.encode[2](second, mask)
        x = self.decode[0](torch.cat([third, self.middle(third)], dim=1))
        x = self.decode[1](torch.cat([second, x], dim=1))
        x = torch.cat([first, x], dim=1)
        with torch.autocast(x.device.type, enabled=False):  # the rounding of bfloat16 would be steps in the light
            return torch.tanh(self.tail(self.predict(x.to(image.dtype)), mask))
