from __future__ import annotations

import numpy as np
import pytest
import torch

from ranlen.masks.regions import RegionMask, smoothstep
from train import metrics


def texture(seed: int, size: tuple[int, int] = (96, 96)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 12, 12, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear") * 0.6 + 0.1


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """The two pictures of the scikit-image literals below."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    planes = [torch.sin(x / 5) * torch.cos(y / 7), torch.cos(x / 3), torch.sin((x + y) / 6)]
    first = torch.stack(planes)[None] * 0.4 + 0.5
    return first, (first * 0.8 + 0.05 * torch.sin(x * y / 11)).clamp(0, 1)


def test_psnr_and_ssim_agree_with_scikit_image():
    """Made with scikit-image 0.26:

    skimage.metrics.peak_signal_noise_ratio(a, b, data_range=1)
    skimage.metrics.structural_similarity(a, b, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True)[1][5:-5, 5:-5].mean()
    """
    first, second = pair()
    full = torch.ones(1, 1, 40, 50)
    assert metrics.psnr(first, second, full).item() == pytest.approx(18.7491, abs=1e-3)
    inner = torch.zeros_like(full)
    inner[..., 5:-5, 5:-5] = 1  # borders are padded differently
    assert metrics.ssim(first, second, inner).item() == pytest.approx(0.85187, abs=1e-4)


def test_psnr_over_a_rectangle_equals_that_of_the_crop():
    first, second = pair()
    area = torch.zeros(1, 1, 40, 50)
    area[..., 10:30, 5:25] = 1
    crop = (slice(None), slice(None), slice(10, 30), slice(5, 25))
    expected = metrics.psnr(first[crop], second[crop], torch.ones(1, 1, 20, 20))
    torch.testing.assert_close(metrics.psnr(first, second, area), expected)


def test_the_papers_psnr_divides_the_squared_error_by_the_coverage():
    first, second = pair()
    mask = RegionMask.paper_circle((40, 50)).to("cpu")
    masked = ((first * mask.a - second * mask.a) ** 2).mean()
    expected = -10 * torch.log10(masked / mask.coverage()[0])
    torch.testing.assert_close(metrics.psnr(first, second, mask.a), expected)


def test_read_literally_the_papers_psnr_multiplies_decibels():
    first, second = pair()
    area = RegionMask.paper_circle((40, 50)).to("cpu").a
    share = area.mean()
    expected = (metrics.psnr(first, second, area) - 10 * torch.log10(share)) / share
    torch.testing.assert_close(metrics.psnr_literal(first, second, area), expected)
    assert expected > 100  # which no picture of 8 bits can have: it is not how the paper's tables were made


def test_ssim_of_a_small_area_is_that_of_the_whole_map():
    """`ReferenceScorer` looks at a box around Area A only."""
    first, second = pair()
    mask = RegionMask.circle((40, 50), (42, 9), 6, 9).to("cpu")  # the box is cut by the frame on two sides
    figures = metrics.score(first, first, second, second, mask)
    torch.testing.assert_close(figures["ssim_a"], metrics.ssim(first, second, mask.a))
    torch.testing.assert_close(figures["ssim_a_paper"], metrics.ssim_paper(first, second, mask.a))


def test_equal_pictures_score_100_db_and_an_empty_area_has_no_score():
    first, _ = pair()
    assert metrics.psnr(first, first, torch.ones(1, 1, 40, 50)).item() == pytest.approx(100)
    assert metrics.psnr(first, first, torch.zeros(1, 1, 40, 50)).isnan().all()


def test_the_papers_ssim_flatters():
    first, second = pair()
    area = RegionMask.paper_circle((40, 50)).to("cpu").a
    assert metrics.ssim_paper(first, second, area) > metrics.ssim(first, second, area) + 0.05


class TestTransition:
    """The figures of Area B tell faults apart, as in the design's toy table."""

    mask = RegionMask.circle((192, 192), (96, 96), 40, 70).to("cpu")
    dark = texture(1, (192, 192)) * 0.25
    bright = texture(1, (192, 192))

    def lit(self, weight: torch.Tensor) -> torch.Tensor:
        low, high = torch.log(self.dark + 1 / 255), torch.log(self.bright + 1 / 255)
        return (torch.lerp(low, high, weight).exp() - 1 / 255).clamp(0, 1)

    def figures(self, weight: torch.Tensor) -> dict[str, float]:
        out = self.lit(weight)
        return {name: v.item() for name, v in metrics.score(out, out, self.dark, self.bright, self.mask).items()}

    def test_a_smooth_fade_scores_well(self):
        figures = self.figures(smoothstep(self.mask.ramp()))
        assert 1.3 < figures["peak_slope"] < 1.8
        assert figures["non_monotonicity"] < 0.01
        assert figures["psnr_b"] > 50
        assert figures["psnr_c_raw"] > 90
        assert figures["changed_c"] == 0

    def test_a_straight_fade_has_slope_one(self):
        assert self.figures(self.mask.ramp())["peak_slope"] == pytest.approx(1, abs=0.25)

    def test_a_hard_edge_is_seen(self):
        figures = self.figures(self.mask.a)
        assert figures["peak_slope"] > 5
        assert figures["roughness"] > 2 * self.figures(smoothstep(self.mask.ramp()))["roughness"]

    def test_a_halo_is_seen(self):
        ramp = self.mask.ramp()
        halo = smoothstep(ramp) + 0.5 * torch.exp(-(((ramp - 0.5) / 0.12) ** 2))
        assert self.figures(halo)["non_monotonicity"] > 0.03

    def test_a_leak_into_c_is_seen(self):
        figures = self.figures(smoothstep(self.mask.ramp()).clamp(min=0.1))
        assert figures["psnr_c_raw"] < 50
        assert figures["changed_c"] > 0.5
        assert figures["worst_c"] > 0.02

    def test_clipping_counts_only_what_was_not_clipped_before(self):
        dark = self.dark.clone()
        dark[..., 90:100, 90:100] = 1
        lit = torch.where(self.mask.a == 1, 1.0, dark)
        figures = metrics.score(lit, lit, dark, self.bright, self.mask)
        share = 1 - 100 / self.mask.a.sum()
        assert figures["clipped_a"].item() == pytest.approx(share.item(), abs=1e-4)


def test_figures_of_degenerate_masks_are_defined_or_nan():
    dark, bright = texture(2) * 0.2, texture(2)
    for areas in ((0, 0), (0, 1), (1, 1)):
        mask = RegionMask(torch.tensor(areas, dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 96, 96))
        for name, value in metrics.score(bright, bright, dark, bright, mask).items():
            assert not np.isinf(value.item()), name


def test_colours_are_those_of_scikit_image():
    """skimage.color.rgb2lab([0.8, 0.2, 0.3]) of scikit-image 0.26 is [46.63, 60.39, 22.43]."""
    image = torch.tensor([0.8, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 5)
    lab = metrics.colours(image)
    assert lab[0, :, 2, 2].tolist() == pytest.approx([60.39, 22.43], abs=0.1)


def test_the_chroma_error_is_blind_to_brightness_of_greys_and_to_what_is_outside():
    area = torch.zeros(1, 1, 20, 20)
    area[..., :10] = 1
    grey, bright = torch.full((1, 3, 20, 20), 0.3), torch.full((1, 3, 20, 20), 0.6)
    bright[:, 0, :, 10:] = 1
    assert metrics.chroma_error(bright, grey, area).item() == pytest.approx(0, abs=0.1)
    red = bright.clone()
    red[:, 0] = 0.7
    lab = metrics.colours(red)[0, :, 0, 0]
    assert metrics.chroma_error(red, grey, area).item() == pytest.approx(lab.norm().item(), abs=0.1)


def test_lifted_blacks_are_a_share_of_the_darkest_twentieth():
    reference = torch.linspace(0, 1, 400).view(1, 1, 20, 20).expand(1, 3, 20, 20)
    area = torch.ones(1, 1, 20, 20)
    assert metrics.lifted_blacks(reference, reference, area).tolist() == [0]
    lit = reference.clone()
    lit[..., 0, :10] += 0.05  # half of the darkest row, which is the darkest twentieth
    lit[..., 5:, :] += 0.2  # not black
    assert metrics.lifted_blacks(lit, reference, area).tolist() == [0.5]
    area[..., 0, :] = 0
    assert metrics.lifted_blacks(lit, reference, area).tolist() == [0]
    assert metrics.lifted_blacks(lit, reference, 0 * area).isnan().all()
