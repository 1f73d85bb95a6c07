"""What networks are measured against: each yardstick is the best of its kind, and knows no more than it may."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ranlen.models.light import render
from ranlen.rendering.fields import Curves, Illumination
from train import metrics, yardsticks
from train.yardsticks import SHOULDERS, expose, in_8_bits


@pytest.fixture
def photo() -> Tensor:
    """Two 8-bit photos, dark but for a bright top that must not matter."""
    image = 0.3 * torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0)) + 0.02
    image[..., :10, :] = 0.99
    return in_8_bits(image)


@pytest.fixture
def area() -> Tensor:
    area = torch.zeros(2, 1, 40, 40)
    area[..., 10:30, 10:30] = 1
    return area


@pytest.mark.parametrize("shoulder", SHOULDERS.values(), ids=SHOULDERS)
class TestGains:
    def test_the_meter_brings_the_area_to_its_mean_whatever_is_around(self, photo, area, shoulder):
        log_gain = yardsticks.meter(photo, area, shoulder)
        lit = in_8_bits(expose(photo, log_gain, shoulder))
        means = metrics.region_mean(lit, area)
        assert means.tolist() == pytest.approx([yardsticks.MIDDLE] * 2, abs=2e-3)
        assert torch.equal(log_gain, yardsticks.meter(photo * area, area, shoulder))

    def test_the_fitted_gain_is_found_and_nothing_beats_it(self, photo, area, shoulder):
        true = torch.tensor([0.9, 1.4], dtype=torch.float64)
        reference = in_8_bits(expose(photo, true, shoulder))
        found = yardsticks.one_gain(photo, reference, area, shoulder)
        assert found.tolist() == pytest.approx(true.tolist(), abs=0.01)
        reference = in_8_bits(photo**0.5)
        found = yardsticks.one_gain(photo, reference, area, shoulder)

        def score(log_gain: Tensor) -> Tensor:
            return metrics.psnr(in_8_bits(expose(photo, log_gain, shoulder)), reference, area)

        others = torch.stack([score(torch.full((2,), g, dtype=torch.float64)) for g in torch.linspace(0, 3, 60)])
        assert (score(found) >= others.amax(0) - 0.03).all()  # between two gains of the grid, rounding may do so much

    def test_black_stays_black_and_nothing_leaves_the_range(self, photo, area, shoulder):
        values = torch.linspace(0, 1, 256).view(1, 1, 1, 256)
        lit = expose(values, torch.tensor([3.0]), shoulder)
        assert lit[..., 0] == 0
        assert lit.max() <= 1 + 1e-6
        assert (lit.diff(dim=-1) >= -1e-6).all()
        assert lit[..., 1].item() == pytest.approx(math.exp(3) / 255, rel=0.1)


def test_the_oracle_finds_the_gamma_and_nothing_beats_it(photo, area):
    reference = in_8_bits(photo ** (1 / 2.5))
    assert yardsticks.best_gamma(photo, reference, area).tolist() == pytest.approx([1 / 2.5] * 2, rel=0.01)
    reference = in_8_bits(expose(photo, torch.tensor([1.0, 1.5]), 3))
    found = yardsticks.best_gamma(photo, reference, area)
    errors = [metrics.psnr(in_8_bits(photo**g), reference, area) for g in torch.linspace(0.2, 1, 60)]
    best = metrics.psnr(in_8_bits(photo ** found.float().view(2, 1, 1, 1)), reference, area)
    assert (best >= torch.stack(errors).amax(0) - 0.01).all()


FIELDS = {
    "illumination": lambda maps: Illumination(maps[:, :3]),
    "curves": lambda maps: Curves(-0.4 * torch.tanh(maps)),
}


@pytest.mark.parametrize("make", FIELDS.values(), ids=FIELDS)
class TestBestDegree:
    @pytest.mark.parametrize("degree", [0.0, 0.6, 1.0, 1.74, 2.0])
    def test_the_hand_finds_the_degree_that_made_the_reference(self, make, degree, photo, area):
        image, area = photo[:1], area[:1]
        field = make(0.5 + 0.5 * torch.rand(1, 24, 40, 40, generator=torch.Generator().manual_seed(1)))
        reference = render(field, image, degree)
        reference[area.expand_as(reference) == 0] = 0  # outside: must not matter
        assert yardsticks.best_degree(field, image, reference, area) == pytest.approx(degree, abs=0.03)

    def test_an_empty_area_has_no_best(self, make, photo, area):
        field = make(torch.ones(1, 24, 40, 40))
        assert yardsticks.best_degree(field, photo[:1], photo[:1], 0 * area[:1]) == 1
