"""The paper's losses (Section 3.3): one for each area, each a mean over its area, added up by Eq. 5.

Where nothing else is said, `image` (the dark photo), `reference` (the well lit one) and `output` (what a network gives)
are floats (N, 3, H, W), sRGB in [0, 1], on one device; `area` is (N, 1, H, W), the share in [0, 1] of each pixel that
belongs to it. A loss is (N,), one number for each image, with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ranlen.arrays import resize
from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.models.enhancer import Parts
from ranlen.models.light import render
from ranlen.rendering.fields import GREY, Curves, Illumination, LightField


def region_mean(error: Tensor, area: Tensor) -> Tensor:
    """Mean over an area: (error * area).sum() / area.sum(), per image.

    This is the paper's L / r with L a mean over the frame. An empty area gives 0, with finite gradients.

    Args:
        error: (N, C, H, W); channels are averaged.
        area: (N, 1, H, W) in [0, 1].

    Returns:
        (N,)
    """
    return (error.mean(1, keepdim=True) * area).sum((1, 2, 3)) / area.sum((1, 2, 3)).clamp(min=1e-6)


def log_grey(image: Tensor) -> Tensor:
    """log(grey + 1e-4) of an image (N, 3, H, W), as (N, 1, H, W)."""
    weights = image.new_tensor(GREY).view(1, 3, 1, 1)
    return torch.log((image * weights).sum(1, keepdim=True) + 1e-4)


def smoothness(illumination: Tensor, image: Tensor, area: Tensor) -> Tensor:
    """DeepUPE's smoothness of the illumination: first differences, forgiven where the image has edges of its own.

    1/2 mean(w_x (d_x S)^2 + w_y (d_y S)^2), w = 1.5 / (|d log I|^1.2 + 1e-4), read from the released model's graph.
    Only differences within the area count: at its edge the light is meant to fall, and in a small area those would be
    most of the loss.

    Args:
        illumination: S, (N, C, H, W).
        image: I, (N, 3, H, W).
        area: (N, 1, H, W).

    Returns:
        (N,)
    """
    tone = log_grey(image)
    dx, dy = (lambda t: t[..., :-1, 1:] - t[..., :-1, :-1]), (lambda t: t[..., 1:, :-1] - t[..., :-1, :-1])
    error = sum(1.5 / (d(tone).abs() ** 1.2 + 1e-4) * d(illumination) ** 2 for d in (dx, dy))
    inside = torch.minimum(area[..., :-1, :-1], torch.minimum(area[..., :-1, 1:], area[..., 1:, :-1]))
    return region_mean(0.5 * error, inside)


def colour_angle(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """1 - cosine between the colours of two images, in the mean over an area: (N,), 0 where only brightness differs."""
    product = (output * reference).sum(1, keepdim=True)
    norms = (output * output).sum(1, keepdim=True) * (reference * reference).sum(1, keepdim=True)
    return region_mean(1 - product * torch.rsqrt(norms + 1e-8), area)


def second_differences(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """d_xx, d_yy, d_xy of maps (N, C, H, W), each (N, C, H - 2, W - 2), centred on the inner pixels."""
    middle = maps[..., 1:-1, 1:-1]
    xx = maps[..., 1:-1, 2:] - 2 * middle + maps[..., 1:-1, :-2]
    yy = maps[..., 2:, 1:-1] - 2 * middle + maps[..., :-2, 1:-1]
    xy = (maps[..., 2:, 2:] - maps[..., 2:, :-2] - maps[..., :-2, 2:] + maps[..., :-2, :-2]) / 4
    return xx, yy, xy


def gradient_smooth(light: Tensor, image: Tensor, area: Tensor, *, s: float = 1.2, eps: float = 1e-4) -> Tensor:
    """The gradient-smooth loss of Area B, Eq. 2 and 3: squared second differences of the light.

    sum over u, v in {x, y} of w_uv (d_u d_v L)^2, w_uv = 1 / (|d_u d_v log I|^s + eps), as a mean over the area.
    Stencils are centred in the area and reach one pixel beyond it, so a step right at its border is seen.

    Args:
        light: L, (N, C, H, W): the illumination of a Retinex network, else the log gain or the image itself.
        image: the dark image I, (N, 3, H, W).
        area: Area B, (N, 1, H, W).
        s: sensitivity to the image's own second differences.
        eps: against division by zero.

    Returns:
        (N,)

    Example:
        >>> ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)  # a straight fade has no second difference
        >>> bool(gradient_smooth(ramp, torch.full((1, 3, 8, 8), 0.1), torch.ones(1, 1, 8, 8)) < 1e-6)
        True
    """
    counts = (1, 1, 2)  # d_x d_y and d_y d_x are the same
    pairs = zip(counts, second_differences(light), second_differences(log_grey(image)), strict=True)
    error = sum((count / (i.abs() ** s + eps) * d**2 for count, d, i in pairs), start=light.new_zeros(()))
    return region_mean(error, area[..., 1:-1, 1:-1])


def log_gain(output: Tensor, image: Tensor) -> Tensor:
    """log((output + 1/255) / (image + 1/255)): how much light each channel got, (N, 3, H, W)."""
    return torch.log(output + 1 / 255) - torch.log(image + 1 / 255)


def deepupe_area_a(field: LightField, output: Tensor, image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """DeepUPE's own loss: squared error + 2 smoothness + colour, (N,); `field` holds log gains of any size."""
    illumination = torch.exp(-resize(field.maps, (output.shape[-2], output.shape[-1])))
    return (
        region_mean((output - reference) ** 2, area)
        + 2 * smoothness(illumination, image, area)
        + colour_angle(output, reference, area)
    )


def l1_area_a(field: LightField, output: Tensor, image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """STAR-DCE's own loss as its authors train it: absolute error, (N,); `field` is not needed."""
    return region_mean((output - reference).abs(), area)


# By the kind of light a backbone predicts.
AREA_A = {Illumination: deepupe_area_a, Curves: l1_area_a}


def faded(image: Tensor, lit: Tensor, ramp: Tensor) -> Tensor:
    """A picture that is `lit` in A, `image` in C, and fades smoothly in the log domain between: a reference for Area B.

    Args:
        image: (N, 3, H, W) in [0, 1].
        lit: the same, well lit.
        ramp: (N, 1, H, W), from `RegionMask.ramp`.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    low, high = torch.log(image + 1 / 255), torch.log(lit + 1 / 255)
    return (torch.lerp(low, high, smoothstep(ramp)).exp() - 1 / 255).clamp(0, 1)


def log_error(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """What PSNR averages: the logarithm of the squared error over an area, (N,), with a floor at 35 dB.

    Times 0.05, so that it weighs about as much as squared errors do.
    """
    return 0.05 * torch.log(region_mean((output - reference) ** 2, area) + 3e-4)


@torch.no_grad()
def matched_degree(field: LightField, image: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The degree (N, 1, 1, 1), from 0 to 2.5, at which an area is as bright as in the reference, in the mean.

    Args:
        field: the light, of the images' size.
        image: (N, 3, H, W) in [0, 1].
        reference: likewise.
        area: (N, 1, H, W).
    """
    wanted = region_mean(reference, area)
    low = image.new_zeros(len(image), 1, 1, 1)
    high = torch.full_like(low, 2.5)
    for _ in range(9):
        degree = (low + high) / 2
        dark = (region_mean(render(field.with_maps(degree * field.maps), image), area) < wanted)[:, None, None, None]
        low, high = torch.where(dark, degree, low), torch.where(dark, high, degree)
    return (low + high) / 2


@dataclass(frozen=True)
class MeteredLoss:
    """What a network with a light meter learns by: how bright it should be, and apart from that, how the light lies.

    How bright a reference is, is partly somebody's taste. A squared error under that doubt teaches the average of all
    brightnesses, a grey veil. So the exposure learns from the light as it is, and everything else from the same light
    at the degree that makes Area A as bright as the reference ("GT-mean loss", arXiv 2507.20148, for light fields).

    Differs from the paper: this takes the place of the backbones' own losses in Area A. Areas B and C have theirs.

    Attributes:
        alpha: weight of Area A, `log_error` twice and the angle of colours.
        beta: weight of the gradient-smooth loss of Area B.
        gamma: weight of the squared error to the dark image in Area C.
        fade: weight of the squared error in B to `faded`, see `RegionLoss`.
        smooth: weight of DeepUPE's smoothness in A.
    """

    alpha: float = 1.0
    beta: float = 1e-3
    gamma: float = 1.0
    fade: float = 1.0
    smooth: float = 0.05

    def __call__(
        self, parts: Parts, image: Tensor, reference: Tensor, target: Tensor, mask: RegionMask
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss to minimise, and its unweighted parts; arguments as of `RegionLoss`, but for the `parts`."""
        bright = render(parts.only_exposure_learns().light(), image)
        field = parts.only_shape_learns().light()
        field = field.with_maps(resize(field.maps, mask.size))
        few = (..., slice(1, None, 2), slice(1, None, 2))  # of the pixels are enough for a mean
        degree = matched_degree(field.with_maps(field.maps[few]), image[few], reference[few], mask.a[few])
        field = field.with_maps(degree * field.maps)
        output = render(field, image)
        illumination = torch.exp(-field.maps.clamp(min=-1))  # a light that darkens is none to be smoothed at any price
        said = {
            "exposure": (self.alpha, log_error(bright, reference, mask.a)),
            "shape": (self.alpha, log_error(output, reference, mask.a)),
            "colour": (0.2 * self.alpha, colour_angle(output, reference, mask.a)),
            "smooth": (self.smooth, smoothness(illumination, image, mask.a)),
            "b": (self.beta, gradient_smooth(illumination, image, mask.b)),
            "c": (self.gamma, region_mean((output - image) ** 2, mask.c)),
            "fade": (self.fade, region_mean((output - target) ** 2, mask.b)),
        }
        total = sum((weight * part.mean() for weight, part in said.values()), start=output.new_zeros(()))
        return total, {name: part.mean().item() for name, (_, part) in said.items()}


@dataclass(frozen=True)
class RegionLoss:
    """Eq. 5, alpha L_A + beta L_B + gamma L_C, each a mean over its area (the paper divides L_C by r_b: read r_c).

    Attributes:
        alpha: weight of Area A, the backbone's own loss.
        beta: weight of Area B, the gradient-smooth loss.
        gamma: weight of Area C, the squared error to the dark image (Eq. 4).
        fade: weight of a term the paper has not: the squared error in B to `faded`. Smoothness alone leaves open where
            the light ends, and a network that keeps it to the end of B is smooth up to an edge.
        smooth_on: what the gradient-smooth loss is taken on where a network predicts no illumination: "light", its log
            gain, or "picture", the predicted image, as the paper's footnote 2 says.
            Differs from the paper: by default "light", as with Retinex networks, for a picture has texture of its own
            that no fade should smooth away.
    """

    alpha: float = 1.0
    beta: float = 1e-4
    gamma: float = 1.0
    fade: float = 0.0
    smooth_on: str = "light"

    def __call__(
        self, field: LightField, image: Tensor, reference: Tensor, target: Tensor, mask: RegionMask
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss to minimise, a scalar, and its unweighted parts for the log.

        Args:
            field: what the network predicted for the images.
            image: dark images (N, 3, H, W).
            reference: the same, well lit.
            target: the same, `faded` in B; it counts in B only.
            mask: their areas, of the same size.
        """
        output = render(field, image)
        if isinstance(field, Illumination):
            light = torch.exp(-resize(field.maps, mask.size))
        else:
            light = output if self.smooth_on == "picture" else log_gain(output, image)
        parts = {
            "a": AREA_A[type(field)](field, output, image, reference, mask.a).mean(),
            "b": gradient_smooth(light, image, mask.b).mean(),
            "c": region_mean((output - image) ** 2, mask.c).mean(),
            "fade": region_mean((output - target) ** 2, mask.b).mean(),
        }
        weights = {"a": self.alpha, "b": self.beta, "c": self.gamma, "fade": self.fade}
        total = sum((weights[name] * part for name, part in parts.items()), start=output.new_zeros(()))
        return total, {name: part.item() for name, part in parts.items()}
