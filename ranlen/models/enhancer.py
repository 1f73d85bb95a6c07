"""One network, one method: from an image and a mask to a light field."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ranlen.arrays import resize, size_of
from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.methods import ABLATIONS, METHODS, shown
from ranlen.models.backbones import BACKBONES
from ranlen.models.layers import NORMS, TAILS
from ranlen.models.light import bend, between, expose
from ranlen.models.meter import Exposure, LightMeter, mean_over
from ranlen.rendering.fields import Illumination, LightField


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
        size = size_of(self.detail)
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
            lit = bend(exposed, shape.maps, torch.ones_like(exposed[:, :1]))
            light = between(self.detail, lit, shoulder).maps
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


def as_metered(image: Tensor, exposure: Exposure | None) -> Tensor:
    """Images (N, 3, h, w) as a light meter would have them exposed."""
    return image if exposure is None else expose(image, exposure.metered)


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
        self.backbone = BACKBONES[backbone](channels, norm=NORMS[self.method.norm], tail=TAILS[self.method.tail])
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
        detail = image if detail is None else detail
        seen = shown(self.method, image, mask, detail, metered=self.meter is not None)
        return self.parts(seen.image, seen.mask, seen.fade, seen.detail)

    def parts(self, image: Tensor, mask: Tensor, fade: Tensor | None, detail: Tensor) -> Parts:
        """What the network makes of what `methods.shown` says it is shown."""
        x, exposure, area = self.told(image, mask)
        shape = self.backbone.field(self.backbone(x, mask, as_metered(detail, exposure)))
        return Parts(shape, exposure, area, fade, detail)

    def told(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Exposure | None, Tensor]:
        """What the backbone is told (N, C, 256, 256), what the light meter said, if there is one, and of which area."""
        area = mask[:, :1] if self.method.spot else torch.ones_like(mask[:, :1])
        exposure = None if self.meter is None else self.meter(image, area)
        seen = [image] if exposure is None else [as_metered(image, exposure), image]
        return torch.cat([*seen, mask[:, :2]] if self.method.mask_in_input else seen, dim=1), exposure, area

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
