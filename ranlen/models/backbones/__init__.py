"""The networks that can be made local, by name: those that `ranlen.facts` lists, each a file of this folder.

Not every one has published weights: `weights.published` knows which have. How to add one: docs/your-own-backbone.md.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from torch import Tensor

from ranlen import facts
from ranlen.models.layers import MaskedLayer
from ranlen.rendering.fields import LightField


class Backbone(Protocol):
    """What a network is here, beside an `nn.Module`.

    Attributes:
        field: the kind of light it predicts.
        tail: the layer after its output.
    """

    field: type[LightField]
    tail: MaskedLayer

    def __init__(
        self, in_channels: int, norm: Callable[[int], MaskedLayer], tail: Callable[[int], MaskedLayer]
    ) -> None: ...

    def __call__(self, x: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Predict the maps (N, K, h, w) of `field`.

        Args:
            x: the network's input (N, in_channels, 256, 256): RGB in [0, 1], with a light meter as metered and as it
                is; then the mask's two channels, if the method concatenates it.
            mask: region mask (N, 2, 256, 256).
            image: (N, 3, h, w) in [0, 1], at the size its light is wanted in.
        """


BACKBONES: dict[str, type[Backbone]] = {
    name: getattr(import_module(f"{__name__}.{name}"), network) for name, (network, _) in facts.BACKBONES.items()
}
