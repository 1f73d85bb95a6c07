"""How good a local light is, per area; every figure per image, as a tensor (N,).

Where nothing else is said, `image` (the dark photo), `reference` (the well lit one), `output` (what a network gives)
and `kept` (the same after the method's attenuation) are floats (N, 3, H, W), sRGB in [0, 1], on one device; `area` is
(N, 1, H, W), the share in [0, 1] of each pixel that belongs to it.

The paper's own readings are kept beside ours and named apart. Its PSNR over Area A, "multiplied by 1 / r_A", makes
sense where the squared error is divided by the coverage, which is what `psnr` does; `psnr_literal` multiplies the
decibels. Its SSIM is taken on pictures blacked out outside A, where it is 1 (`ssim_paper`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ranlen.masks.regions import RegionMask
from ranlen.rendering.fields import GREY
from train.losses import faded, region_mean, second_differences

PROFILE_BINS = 24
DARKEST = 0.05  # share of Area A that should be black, if anything is
LIFTED = 8 / 255  # grey value by which black has to be above the reference's to look lifted
PROFILE_REACH = 0.5  # the feather's profile starts this many widths inside A and ends as many inside C


def psnr(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over an area: -10 log10 of the mean squared error there; peak 1, at most 100.

    Args:
        output: (N, 3, H, W) in [0, 1].
        reference: the same.
        area: (N, 1, H, W) in [0, 1]; NaN where it is empty.
    """
    value = -10 * torch.log10(region_mean((output - reference) ** 2, area).clamp(min=1e-10))
    return torch.where(area.sum((1, 2, 3)) > 0, value, torch.nan)


def psnr_literal(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The paper's PSNR read literally (Section 4.1): of both pictures times the mask, its decibels times 1 / r_A.

    (N,); NaN where the area is empty.
    """
    whole = psnr(output * area, reference * area, torch.ones_like(area))
    return torch.where(area.sum((1, 2, 3)) > 0, whole / area.mean((1, 2, 3)), torch.nan)


def blur(maps: Tensor) -> Tensor:
    """Gaussian window of 11, sigma 1.5, over maps (N, C, H, W); mirrored beyond the frame, without gradient.

    OpenCV does it on one core in a fifth of the time that convolutions of PyTorch take.
    """
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    planes = maps.detach().cpu().flatten(0, 1).numpy()
    smooth = [cv2.sepFilter2D(plane, -1, window, window, borderType=cv2.BORDER_REFLECT_101) for plane in planes]
    return torch.from_numpy(np.stack(smooth)).view_as(maps).to(maps.device)


def grey_of(image: Tensor) -> Tensor:
    """Grey values (N, 1, H, W) in [0, 1] of images (N, 3, H, W), sRGB."""
    return (image * image.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def colours(image: Tensor) -> Tensor:
    """a* and b* of CIE Lab of images (N, 3, H, W) in [0, 1], sRGB: (N, 2, H, W)."""
    pixels = image.detach().cpu().float().permute(0, 2, 3, 1).numpy()
    lab = np.stack([cv2.cvtColor(np.ascontiguousarray(each), cv2.COLOR_RGB2LAB) for each in pixels])
    return torch.from_numpy(lab[..., 1:]).permute(0, 3, 1, 2).to(image.device)


def chroma_error(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """How far colours are off, in the mean over an area: the distance in a* and b* of CIE Lab, lightness left out.

    (N,), in units of Lab; 0 where the area is empty. It has no gradient.
    """
    return region_mean((colours(output) - colours(reference)).square().sum(1, keepdim=True).sqrt(), area)


def lifted_blacks(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Share, (N,), of the darkest twentieth of an area in the reference that came out `LIFTED` above it or more."""
    wanted, got = grey_of(reference), grey_of(output)
    shares = []
    for each, lit, inside in zip(wanted, got, area >= 0.5, strict=True):
        tones = each[inside]
        black = tones <= torch.quantile(tones, DARKEST) if len(tones) else tones.bool()
        shares.append((lit[inside] - tones >= LIFTED)[black].to(lit.dtype).mean())
    return torch.stack(shares)


@dataclass(frozen=True, eq=False)
class SsimStatistics:
    """A picture with its local means and variances, which SSIM needs: worked out once, compared with many.

    Attributes:
        image: (N, 3, H, W) in [0, 1].
        mean: of each channel under the Gaussian window of `blur`, (N, 3, H, W).
        variance: likewise.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, image: Tensor) -> SsimStatistics:
        """The statistics of an image (N, 3, H, W) in [0, 1]; without gradient, as `blur` is."""
        mean = blur(image)
        return cls(image, mean, blur(image**2) - mean**2)

    def ssim_map(self, other: SsimStatistics) -> Tensor:
        """Structural similarity of each pixel and channel, (N, 3, H, W), at most 1: the same (Wang 2004)."""
        covariance = blur(self.image * other.image) - self.mean * other.mean
        c1, c2 = 0.01**2, 0.03**2
        means, variances = self.mean**2 + other.mean**2, self.variance + other.variance
        return (2 * self.mean * other.mean + c1) * (2 * covariance + c2) / ((means + c1) * (variances + c2))


def ssim(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Mean of the SSIM map inside an area, (N,), at most 1; 0 where the area is empty."""
    return region_mean(SsimStatistics.of(output).ssim_map(SsimStatistics.of(reference)), area)


def ssim_paper(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The paper's SSIM (Section 4.1): over the whole frame of both pictures times the mask, (N,). It flatters."""
    return SsimStatistics.of(output * area).ssim_map(SsimStatistics.of(reference * area)).mean((1, 2, 3))


def tone(image: Tensor) -> Tensor:
    """Luminance over 3 x 3 pixels, (N, 1, H, W), raised by 4 of 255 levels: below that, gains are noise."""
    return F.avg_pool2d(F.pad(grey_of(image), (1, 1, 1, 1), "replicate"), 3, 1) + 4 / 255


def peak_slope(profile: Tensor) -> Tensor:
    """Steepest slope of a profile (N, bins) relative to an even fade, (N,): 1 is a straight line, 5 a visible edge."""
    step = (1 + 2 * PROFILE_REACH) / PROFILE_BINS
    slope = (profile.diff(dim=1) / step).abs().nan_to_num(0).amax(1)
    inner = profile[:, : PROFILE_BINS // 4].nanmean(1).abs().clamp(min=0.05)
    return slope / inner


def non_monotonicity(profile: Tensor) -> Tensor:
    """Sum of the steps of a profile (N, bins) that go up, seen from A to C, as a share of its height: halos, ripples.

    (N,); 0 is a fade that only falls. Within A nothing counts: there the light follows the subject, not the mask.
    """
    inner = profile[:, : PROFILE_BINS // 4].nanmean(1).abs().clamp(min=0.05)
    outside_a = profile[:, PROFILE_BINS // 4 :]
    return outside_a.diff(dim=1).clamp(min=0).nan_to_num(0).sum(1) / inner


def roughness(light: Tensor, area: Tensor, width: Tensor) -> Tensor:
    """Root mean square of a gain's second differences in Area B, times the squared width of B: (N,), without unit.

    Args:
        light: log gain, (N, 1, H, W).
        area: Area B, (N, 1, H, W).
        width: of B in pixels, (N,), from `RegionMask.feather_width`.
    """
    error = sum((d**2 for d in second_differences(light)), start=light.new_zeros(()))
    return region_mean(error, area[..., 1:-1, 1:-1]).sqrt() * width**2


@dataclass(frozen=True, eq=False)
class ReferenceScorer:
    """What outputs are held to. All that does not depend on them is worked out once, when it is first needed.

    Attributes:
        image: the dark image, (N, 3, H, W) in [0, 1].
        reference: the well lit one.
        mask: the areas, at the same size.
    """

    image: Tensor
    reference: Tensor
    mask: RegionMask

    @cached_property
    def _box(self) -> tuple[slice, slice]:
        """Rows and columns that the SSIM of Area A depends on: two windows beyond A on every side."""
        inside = (self.mask.a > 0).any(0)[0]
        spans = [inside.any(axis).nonzero()[:, 0].tolist() or [0, inside.shape[1 - axis]] for axis in (1, 0)]
        rows, cols = (slice(max(0, span[0] - 10), span[-1] + 11) for span in spans)
        return rows, cols

    def _cropped(self, maps: Tensor) -> Tensor:
        return maps[(..., *self._box)]

    @cached_property
    def _statistics(self) -> SsimStatistics:
        return SsimStatistics.of(self._cropped(self.reference))

    @cached_property
    def _masked_statistics(self) -> SsimStatistics:
        return SsimStatistics.of(self._cropped(self.reference * self.mask.a))

    @cached_property
    def _faded(self) -> Tensor:
        return faded(self.image, self.reference, self.mask.ramp())

    @cached_property
    def _tone(self) -> Tensor:
        return tone(self.image)

    @cached_property
    def _gain(self) -> Tensor:
        return torch.log(tone(self.reference) / self._tone).clamp(min=0.05)

    @cached_property
    def _bins(self) -> list[list[Tensor]]:
        """For each image and each bin of its profile: where its pixels are, as indices into the flat map."""
        edges = torch.linspace(-PROFILE_REACH, 1 + PROFILE_REACH, PROFILE_BINS + 1)
        bins = torch.bucketize(self.mask.normalised_distance().flatten(1).cpu(), edges, right=True) - 1
        return [[(row == i).nonzero()[:, 0] for i in range(PROFILE_BINS)] for row in bins]

    def feather_profile(self, light: Tensor) -> Tensor:
        """Median share of the reference's gain that was given, against the normalised distance from A to C: (N, bins).

        That is 0 at the edge of A, 1 at the edge of C, and runs half a width of B beyond either; NaN where no pixel
        is. `light` is the log gain of an output, (N, 1, H, W).
        """
        shares = (light / self._gain).flatten(1)
        missing = shares.new_tensor(torch.nan)
        rows = [
            torch.stack([share[where].median() if len(where) else missing for where in bins])
            for share, bins in zip(shares, self._bins, strict=True)
        ]
        return torch.stack(rows)

    def score(self, output: Tensor, kept: Tensor) -> dict[str, Tensor]:
        """All figures of one batch.

        Args:
            output: what the network gives, (N, 3, H, W) in [0, 1].
            kept: the same after the attenuation of the method, as the product shows it.

        Returns:
            Figures (N,): in A psnr_a [dB], psnr_a_literal, ssim_a, ssim_a_paper, clipped_a (share of pixels clipped
            that were not), chroma_a (`chroma_error`) and lifted_a (`lifted_blacks`); in B, of the kept picture,
            psnr_b [dB], peak_slope, non_monotonicity, roughness; in C
            psnr_c_raw [dB] and changed_c (share of pixels changed by half an 8-bit level or more) and worst_c (largest
            change), both kept.
        """
        image, reference, mask = self.image, self.reference, self.mask
        light = torch.log(tone(kept) / self._tone)
        profile = self.feather_profile(light)
        change = (kept - image).abs().amax(1, keepdim=True) * (mask.c == 1)
        white = 254.5 / 255
        newly = ((kept.amax(1, keepdim=True) >= white) & (image.amax(1, keepdim=True) < white)).to(kept.dtype)
        cropped, masked = (SsimStatistics.of(self._cropped(x)) for x in (kept, kept * mask.a))
        unlike = (1 - masked.ssim_map(self._masked_statistics)).sum((1, 2, 3))
        return {
            "psnr_a": psnr(kept, reference, mask.a),
            "psnr_a_literal": psnr_literal(kept, reference, mask.a),
            "ssim_a": region_mean(cropped.ssim_map(self._statistics), self._cropped(mask.a)),
            "ssim_a_paper": 1 - unlike / kept[0].numel(),
            "clipped_a": region_mean(newly, mask.a),
            "chroma_a": chroma_error(*(self._cropped(x) for x in (kept, reference, mask.a))),
            "lifted_a": lifted_blacks(kept, reference, mask.a),
            "psnr_b": psnr(kept, self._faded, mask.b),
            "peak_slope": peak_slope(profile),
            "non_monotonicity": non_monotonicity(profile),
            "roughness": roughness(light, mask.b, mask.feather_width()),
            "psnr_c_raw": psnr(output, image, mask.c),
            "changed_c": region_mean((change >= 0.5 / 255).to(kept.dtype), mask.c),
            "worst_c": change.amax((1, 2, 3)),
        }


def score(output: Tensor, kept: Tensor, image: Tensor, reference: Tensor, mask: RegionMask) -> dict[str, Tensor]:
    """All figures of one batch, see `ReferenceScorer.score`; for many outputs of the same images, keep one of those."""
    return ReferenceScorer(image, reference, mask).score(output, kept)
