"""One network, one method: from an image and a mask to a light field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.geometry import Size
from ranlen.masks.regions import RegionMask, resize, smoothstep
from ranlen.models.backbones import BACKBONES
from ranlen.models.layers import MaskedLayer, PlainNorm, PlainTail, RanlenNorm, RanlenTail, ThreeTails, ramp_of
from ranlen.models.meter import Exposure, LightMeter, mean_over
from ranlen.rendering.fields import Illumination, LightField, expose

WORKING_SIZE = 256
CELLS = 9  # of the working size: a subject that covers less is enlarged


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
        spot: whether a light meter is pointed at Area A, and the light fades across Area B; otherwise the meter
            measures the whole frame, and the light goes everywhere.
    """

    mask_in_input: bool
    norm: Callable[[int], MaskedLayer]
    tail: Callable[[int], MaskedLayer]
    attenuation: Callable[[RegionMask], Tensor | None]
    weights: str | None = None
    areas: Callable[[Tensor], Tensor] = three_areas
    spot: bool = False


METHODS = {
    "global": Method(False, PlainNorm, PlainTail, whole_frame),
    "blend": Method(False, PlainNorm, PlainTail, across_b, weights="global"),
    "concat": Method(True, PlainNorm, PlainTail, keep_area_c),
    "ranlen": Method(False, RanlenNorm, RanlenTail, end_late, spot=True),
}

# What Section 4.3.2 compares with: to train and to score, not to use. Not attenuated, or their edges would be hidden.
ABLATIONS = {
    # Without the gradient-smooth loss, Fig. 6.
    "two_areas": Method(False, RanlenNorm, RanlenTail, whole_frame, areas=two_areas, spot=True),
    "tails": Method(False, PlainNorm, ThreeTails, whole_frame),  # Fig. 7
}


def reaching(ramp: Tensor, size: Size) -> Tensor:
    """A ramp (N, 1, H, W) at the (height, width) of a light, which reaches wherever the ramp does.

    A mask is finer than the light where a subject is small. Averaged, the light would not reach full strength in it;
    here it does, and goes on for a pixel or two, where the method's attenuation ends it.
    """
    if ramp.shape[-2] <= size[0] and ramp.shape[-1] <= size[1]:
        return resize(ramp, size)
    return F.max_pool2d(F.adaptive_max_pool2d(ramp, size), 3, stride=1, padding=1)


def with_small_subjects(mask: Tensor, size: Size) -> Tensor:
    """A mask (N, 2, H, W) at another (height, width), in which a subject of a few pixels is still one."""
    small = resize(mask, size)
    if mask.shape[-2:] == small.shape[-2:]:
        return small
    wider = F.max_pool2d(F.adaptive_max_pool2d(mask, size), 3, stride=1, padding=1)
    return torch.where(small[:, :1].sum((1, 2, 3), keepdim=True) < CELLS, wider, small)


@dataclass(frozen=True)
class Parts:
    """A light of N images before it is put together: how bright it is, and its shape.

    Attributes:
        shape: what the backbone predicted: all of the light, or what is added to an exposure. Its mean over the area
            is brightness too, for a backbone knows more of a scene than a meter does.
        exposure: what the light meter said; none without one.
        area: (N, 1, H, W) in [0, 1], what was metered.
        fade: (N, 1, h, w) in [0, 1], how much of the light each place gets; none for all of it everywhere.
        detail: the image (N, 3, h, w) that is lit.
        learns: "all" of it from a loss, or no more than how bright the area is ("exposure"), or all else ("shape").
    """

    shape: LightField
    exposure: Exposure | None
    area: Tensor
    fade: Tensor | None
    detail: Tensor
    learns: str = "all"

    def light(self) -> LightField:
        """The whole light: the exposure, and the shape upon it."""
        if self.exposure is None:
            return self.shape
        size = (self.detail.shape[-2], self.detail.shape[-1])
        log_gain, shoulder = self.exposure.log_gain, self.exposure.shoulder
        shape = self.shape.with_maps(resize(self.shape.maps, size))
        if isinstance(shape, Illumination):
            mean = mean_over(shape.maps, resize(self.area, size)).mean(1)[:, None, None, None]
            apart = shape.maps - mean
            if self.learns == "exposure":
                apart = apart.detach()
            elif self.learns == "shape":
                mean = mean.detach()
            light = log_gain + mean + apart
        else:
            if self.learns == "exposure":  # curves have no brightness apart from their shape
                shape = shape.with_maps(shape.maps.detach())
            exposed = expose(self.detail, log_gain, shoulder)
            lit = shape.relight(exposed, torch.ones_like(exposed[:, :1]))
            light = Illumination.between(self.detail, lit, shoulder).maps
        return Illumination(light if self.fade is None else light * self.fade, shoulder, self.exposure.desaturation)

    def only_exposure_learns(self) -> Parts:
        """The same light, through which a loss teaches nothing but how bright it is."""
        assert self.exposure is not None
        shoulder, desaturation = self.exposure.shoulder.detach(), self.exposure.desaturation.detach()
        exposure = dataclasses.replace(self.exposure, shoulder=shoulder, desaturation=desaturation)
        return dataclasses.replace(self, exposure=exposure, learns="exposure")

    def only_shape_learns(self) -> Parts:
        """The same light, through which a loss teaches everything but how bright it is."""
        assert self.exposure is not None
        exposure = dataclasses.replace(self.exposure, correction=self.exposure.correction.detach())
        return dataclasses.replace(self, exposure=exposure, learns="shape")


class Enhancer(nn.Module):
    """A network that lights photos: a backbone, told about the mask by a method.

    `weights.load` makes trained ones; this makes one to be trained. Calls keep nothing on it: threads may share one.

    Args:
        backbone: a key of `BACKBONES`, "deepupe" for one.
        method: a key of `METHODS` or `ABLATIONS`, "ranlen" for one.
        metered: whether it has a light meter: the backbone sees the photo as metered, and as it is, and adds the shape
            of the light. Without one it is the paper's network, which predicts the whole of it.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, backbone: str, method: str, *, metered: bool = True) -> None:
        super().__init__()
        methods = METHODS | ABLATIONS
        for kind, name, known in (("backbone", backbone, BACKBONES), ("method", method, methods)):
            if name not in known:
                raise ValueError(f"unknown {kind} {name!r}; known are {', '.join(known)}")
        self.backbone_name = backbone
        self.method_name = method
        self.method = methods[method]
        channels = (6 if metered else 3) + (2 if self.method.mask_in_input else 0)
        self.backbone = BACKBONES[backbone](channels, norm=self.method.norm, tail=self.method.tail)
        self.meter = LightMeter() if metered else None

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
        if (self.meter is None) != (other.meter is None):
            raise ValueError("one of the two networks has a light meter and the other has none; train both alike")
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
        return self.in_parts(image, mask, detail).light()

    def in_parts(self, image: Tensor, mask: Tensor, detail: Tensor | None = None) -> Parts:
        """The parts of the light that `forward` puts together, for training; arguments as of `forward`."""
        return self.parts(*self.shown(image, mask, image if detail is None else detail))

    def shown(self, image: Tensor, mask: Tensor, detail: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """What of photos and masks the network is shown: all that is a matter of sizes and distances, not of weights.

        Args:
            image: as of `forward`; so are the others.
            mask: likewise.
            detail: likewise, and never none.

        Returns:
            The image (N, 3, 256, 256); the mask (N, 2, 256, 256); how much of the light each place of the detail gets,
            (N, 1, h, w), or none for all of it everywhere; and the detail.
        """
        size = (WORKING_SIZE, WORKING_SIZE)
        mask = self.method.areas(mask)
        fade = None
        if self.meter is not None and self.method.spot:
            fade = reaching(ramp_of(mask), (detail.shape[-2], detail.shape[-1]))
        return resize(image, size), with_small_subjects(mask, size), fade, detail

    def parts(self, image: Tensor, mask: Tensor, fade: Tensor | None, detail: Tensor) -> Parts:
        """What the network makes of what `shown` gave."""
        area = mask[:, :1] if self.method.spot else torch.ones_like(mask[:, :1])
        seen, exposure = [image], None
        if self.meter is not None:
            exposure = self.meter(image, area)
            seen = [expose(image, exposure.metered), image]
        x = torch.cat([*seen, mask[:, :2]] if self.method.mask_in_input else seen, dim=1)
        detail_seen = detail if exposure is None else expose(detail, exposure.metered)
        return Parts(self.backbone.field(self.backbone(x, mask, detail_seen)), exposure, area, fade, detail)

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
        own = [] if mask.own_ramp is None else [smoothstep(mask.own_ramp)]
        return self(image, torch.cat([mask.tensor, *own], 1))
