"""How good a local light is, per area; every figure per image, as a tensor (N,).

The paper's own readings are kept beside ours and named apart: its PSNR over Area A divides the squared error by the
coverage, which is what `psnr` does; its SSIM is taken on pictures blacked out outside A, where it is 1 (`ssim_paper`).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ranlen.fields import GREY
from ranlen.losses import faded, region_mean, second_differences
from ranlen.regions import RegionMask

PROFILE_BINS = 24
PROFILE_REACH = 0.5  # the transition's profile starts this many widths inside A and ends as many inside C


def psnr(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over an area: -10 log10 of the mean squared error there; peak 1, at most 100.

    Args:
        output: (N, 3, H, W) in [0, 1].
        reference: the same.
        area: (N, 1, H, W) in [0, 1]; NaN where it is empty.
    """
    value = -10 * torch.log10(region_mean((output - reference) ** 2, area).clamp(min=1e-10))
    return torch.where(area.sum((1, 2, 3)) > 0, value, torch.nan)


def ssim_map(output: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity of each pixel and channel (N, 3, H, W): Gaussian window of 11, sigma 1.5 (Wang 2004)."""
    offsets = torch.arange(11, dtype=output.dtype, device=output.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = window / window.sum()
    channels = output.shape[1]

    def blur(x: Tensor) -> Tensor:
        x = F.pad(x, (5, 5, 5, 5), mode="reflect")
        x = F.conv2d(x, window.view(1, 1, 1, 11).expand(channels, 1, 1, 11), groups=channels)
        return F.conv2d(x, window.view(1, 1, 11, 1).expand(channels, 1, 11, 1), groups=channels)

    mean_x, mean_y = blur(output), blur(reference)
    var_x, var_y = blur(output**2) - mean_x**2, blur(reference**2) - mean_y**2
    cov = blur(output * reference) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def ssim(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Mean of the SSIM map inside an area."""
    return region_mean(ssim_map(output, reference), area)


def ssim_paper(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """The paper's SSIM (Section 4.1): over the whole frame of both pictures times the mask. It flatters."""
    return ssim_map(output * area, reference * area).mean((1, 2, 3))


def gain(output: Tensor, image: Tensor) -> Tensor:
    """Log gain of the luminance over 3 x 3 pixels, (N, 1, H, W)."""
    weights = image.new_tensor(GREY).view(1, 3, 1, 1)
    tones = [F.pad((x * weights).sum(1, keepdim=True), (1, 1, 1, 1), "replicate") for x in (output, image)]
    bright, dark = (F.avg_pool2d(tone, 3, 1) + 4 / 255 for tone in tones)
    return torch.log(bright / dark)


def transition_profile(output: Tensor, image: Tensor, reference: Tensor, mask: RegionMask) -> Tensor:
    """Median share of the reference's gain that was given, against the way from A to C: (N, bins).

    The way is 0 at the edge of A, 1 at the edge of C, and runs half a width of B beyond either; NaN where no pixel is.
    """
    share = gain(output, image) / gain(reference, image).clamp(min=0.05)
    way = mask.way()
    edges = torch.linspace(-PROFILE_REACH, 1 + PROFILE_REACH, PROFILE_BINS + 1)
    rows = []
    for values, position in zip(share, way, strict=True):
        bins = [values[(position >= low) & (position < high)] for low, high in pairwise(edges)]
        rows.append(torch.stack([b.median() if b.numel() else values.new_tensor(torch.nan) for b in bins]))
    return torch.stack(rows)


def peak_slope(profile: Tensor) -> Tensor:
    """Steepest slope of a profile (N, bins) relative to an even fade: 1 is a straight line, 5 a visible edge."""
    step = (1 + 2 * PROFILE_REACH) / PROFILE_BINS
    slope = (profile.diff(dim=1) / step).abs().nan_to_num(0).amax(1)
    inner = profile[:, : PROFILE_BINS // 4].nanmean(1).abs().clamp(min=0.05)
    return slope / inner


def non_monotonicity(profile: Tensor) -> Tensor:
    """Sum of the steps of a profile (N, bins) that go up on the way out, as a share of its height: halos, ripples."""
    inner = profile[:, : PROFILE_BINS // 4].nanmean(1).abs().clamp(min=0.05)
    inside = profile[:, PROFILE_BINS // 4 :]  # within A the light follows the subject, not the mask
    return inside.diff(dim=1).clamp(min=0).nan_to_num(0).sum(1) / inner


def roughness(output: Tensor, image: Tensor, mask: RegionMask) -> Tensor:
    """Root mean square of the gain's second differences in B, times the squared width of B: no unit."""
    error = sum((d**2 for d in second_differences(gain(output, image))), start=output.new_zeros(()))
    return region_mean(error, mask.b[..., 1:-1, 1:-1]).sqrt() * mask.transition_width() ** 2


def score(output: Tensor, kept: Tensor, image: Tensor, reference: Tensor, mask: RegionMask) -> dict[str, Tensor]:
    """All figures of one batch.

    Args:
        output: what the network gives, (N, 3, H, W) in [0, 1].
        kept: the same after the window of the method, as the product shows it.
        image: the dark image.
        reference: the well lit one.
        mask: the areas, at the same size.

    Returns:
        Figures (N,): in A psnr_a [dB], ssim_a, ssim_a_paper and clipped_a (share of pixels clipped that were not);
        in B, of the kept picture, psnr_b [dB], peak_slope, non_monotonicity, roughness; in C psnr_c_raw [dB] and
        changed_c (share of pixels changed by half an 8-bit level or more) and worst_c (largest change), both kept.
    """
    profile = transition_profile(kept, image, reference, mask)
    change = (kept - image).abs().amax(1, keepdim=True) * (mask.c == 1)
    white = 254.5 / 255
    newly = ((kept.amax(1, keepdim=True) >= white) & (image.amax(1, keepdim=True) < white)).to(kept.dtype)
    return {
        "psnr_a": psnr(kept, reference, mask.a),
        "ssim_a": ssim(kept, reference, mask.a),
        "ssim_a_paper": ssim_paper(kept, reference, mask.a),
        "clipped_a": region_mean(newly, mask.a),
        "psnr_b": psnr(kept, faded(image, reference, mask.ramp()), mask.b),
        "peak_slope": peak_slope(profile),
        "non_monotonicity": non_monotonicity(profile),
        "roughness": roughness(kept, image, mask),
        "psnr_c_raw": psnr(output, image, mask.c),
        "changed_c": region_mean((change >= 0.5 / 255).to(kept.dtype), mask.c),
        "worst_c": change.amax((1, 2, 3)),
    }
