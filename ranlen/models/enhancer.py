"""One network, one method: from an image and a mask to a light field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ranlen.masks.regions import RegionMask, resize, smoothstep
from ranlen.models.backbones import BACKBONES
from ranlen.models.layers import MaskedLayer, PlainNorm, PlainTail, RanlenNorm, RanlenTail, ThreeTails
from ranlen.rendering.fields import LightField

WORKING_SIZE = 256


def whole_frame(mask: RegionMask) -> None:
    """No attenuation: the light may reach everywhere."""
    return None


def across_b(mask: RegionMask) -> Tensor:
    """A smooth ramp over the whole of Area B: what a photo editor would do by hand."""
    return smoothstep(mask.ramp())


def keep_area_c(mask: RegionMask) -> Tensor:
    """Open over A and the inner half of B, then smoothly shut: the network fades the light, this ends it."""
    return smoothstep(2 * mask.ramp())


def end_late(mask: RegionMask) -> Tensor:
    """Open but for the outer quarter of B, for a light that has all but gone by then: the fade is the network's own."""
    return smoothstep(4 * mask.ramp())


def three_areas(mask: Tensor) -> Tensor:
    """The mask (N, 2, H, W) as it is."""
    return mask


def two_areas(mask: Tensor) -> Tensor:
    """A mask (N, 2, H, W) without Area B: what is not A is C. Both channels are A, the paper's mask of one channel."""
    return mask[:, :1].expand(-1, 2, -1, -1)


@dataclass(frozen=True)
class Method:
    """How a backbone is told about the mask.

    Attributes:
        mask_in_input: concatenate the mask to the network's input.
        norm: what stands at the backbone's norm slots, built from a number of channels.
        tail: what comes after its output, likewise.
        attenuation: how much of the light the product lets through: RegionMask -> (N, 1, H, W) in [0, 1], or none
            for all of it everywhere.
        weights: the method whose weights it runs on, when it has none of its own.
        areas: what of the mask the network is told, and trained by.
    """

    mask_in_input: bool
    norm: Callable[[int], MaskedLayer]
    tail: Callable[[int], MaskedLayer]
    attenuation: Callable[[RegionMask], Tensor | None]
    weights: str | None = None
    areas: Callable[[Tensor], Tensor] = three_areas


METHODS = {
    "global": Method(False, PlainNorm, PlainTail, whole_frame),
    "blend": Method(False, PlainNorm, PlainTail, across_b, weights="global"),
    "concat": Method(True, PlainNorm, PlainTail, keep_area_c),
    "ranlen": Method(False, RanlenNorm, RanlenTail, end_late),
}

# What Section 4.3.2 compares with: to train and to score, not to use. Not attenuated, or their edges would be hidden.
ABLATIONS = {
    "two_areas": Method(False, RanlenNorm, RanlenTail, whole_frame, areas=two_areas),  # no gradient-smooth loss, Fig. 6
    "tails": Method(False, PlainNorm, ThreeTails, whole_frame),  # Fig. 7
}


class Enhancer(nn.Module):
    """A backbone under a method. Calls keep nothing on it: threads may share one.

    Args:
        backbone: a key of `BACKBONES`.
        method: a key of `METHODS` or `ABLATIONS`.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, backbone: str, method: str) -> None:
        super().__init__()
        methods = METHODS | ABLATIONS
        for kind, name, known in (("backbone", backbone, BACKBONES), ("method", method, methods)):
            if name not in known:
                raise ValueError(f"unknown {kind} {name!r}; known are {', '.join(known)}")
        self.backbone_name = backbone
        self.method_name = method
        self.method = methods[method]
        self.backbone = BACKBONES[backbone](
            5 if self.method.mask_in_input else 3, norm=self.method.norm, tail=self.method.tail
        )

    def start_from(self, other: Enhancer) -> None:
        """Take over the weights of a global network of the same backbone, so that training starts where it stands.

        Exact in evaluation mode: until it is trained further, this network predicts what the other does, whatever the
        mask. Its norms begin with gamma and beta at the other's affine terms, its input ignores the mask's channels.
        Only three tails differ, in Area C, where they begin with no light.

        Raises:
            ValueError: another backbone, or not a global network.
        """
        if (other.backbone_name, other.method_name) != (self.backbone_name, "global"):
            raise ValueError(
                f"{self.backbone_name}-{self.method_name} can start from {self.backbone_name}-global, "
                f"not from {other.backbone_name}-{other.method_name}"
            )
        given = other.state_dict()
        taken = self.state_dict()
        for name, tensor in taken.items():
            path, _, kind = name.rpartition(".")
            layer, _, last = path.rpartition(".modulation.")
            if name in given and given[name].shape == tensor.shape:
                tensor.copy_(given[name])
            elif name in given:  # the first convolution, which has two channels more for the mask
                tensor.zero_()[:, : given[name].shape[1]] = given[name]
            elif last == "predict" and kind == "bias" and f"{layer}.norm.weight" in given.keys() - taken.keys():
                tensor.copy_(torch.cat([given[f"{layer}.norm.weight"], given[f"{layer}.norm.bias"]]))
        self.load_state_dict(taken)

    def forward(self, image: Tensor, mask: Tensor, detail: Tensor | None = None) -> LightField:
        """Predict the light of images under masks.

        Args:
            image: (N, 3, H, W) in [0, 1]; the network sees it at 256 x 256.
            mask: (N, 2, H', W'), the tensor of a `RegionMask`.
            detail: the image at the size the light is wanted in, where that is not the size of `image`.

        Returns:
            A light field, as the network made it: not attenuated anywhere.
        """
        size = (WORKING_SIZE, WORKING_SIZE)
        small, mask = resize(image, size), resize(self.method.areas(mask), size)
        x = torch.cat([small, mask], dim=1) if self.method.mask_in_input else small
        return self.backbone.field(self.backbone(x, mask, image if detail is None else detail))

    @torch.inference_mode()
    def predict(self, image: Tensor, mask: RegionMask) -> LightField:
        """Predict the light of images in evaluation mode, without gradients; threads may share the enhancer.

        Args:
            image: (N, 3, H, W) in [0, 1], RGB, floats on the enhancer's device.
            mask: N masks of any size, on the same device.

        Returns:
            A light field for all N, as the network made it: not attenuated anywhere.

        Raises:
            ValueError: another shape, or not as many masks as images.
            RuntimeError: the enhancer is in training mode.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"an image is a tensor (N, 3, H, W); got {tuple(image.shape)}")
        if len(image) != len(mask.tensor):
            raise ValueError(f"{len(image)} images but {len(mask.tensor)} masks")
        if self.training:
            raise RuntimeError("the enhancer is in training mode; call .eval() once after building it")
        return self(image, mask.tensor)
