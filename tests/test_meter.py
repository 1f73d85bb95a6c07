"""The light meter: what it measures, and that the mask decides."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from ranlen.masks.regions import RegionMask
from ranlen.models.enhancer import Enhancer
from ranlen.models.light import expose, render
from ranlen.models.meter import MIDDLE, LightMeter, grey, mean_over, spot


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def backlit():
    """A dark subject on the left of a bright frame, and its areas: (1, 3, 64, 64) and a mask."""
    image = torch.full((1, 3, 64, 64), 0.7)
    image[..., :32] = 0.05 + 0.05 * random(1, 3, 64, 32)
    a = torch.zeros(1, 2, 64, 64)
    a[..., :32] = 1
    return image, RegionMask(a)


def test_the_metered_area_gets_a_middle_grey(backlit):
    image, mask = backlit
    lit = expose(image, spot(image, mask.a))
    assert mean_over(grey(lit), mask.a).item() == pytest.approx(MIDDLE, abs=5e-3)  # it lights grey values


def test_what_is_bright_already_gets_nothing(backlit):
    image, mask = backlit
    assert spot(image, mask.c).item() < 2e-3


def test_the_meter_sees_the_area_and_the_rest_apart(backlit):
    image, mask = backlit
    meter = LightMeter().eval()
    torch.nn.init.normal_(meter.decide[-1].weight, generator=torch.Generator().manual_seed(1))
    on_subject, on_rest = (meter(image, area) for area in (mask.a, mask.c))
    assert on_subject.metered > on_rest.metered + 1
    assert on_subject.correction != on_rest.correction
    brighter = image.clone()
    brighter[..., 32:] = 0.9  # the rest alone
    assert meter(brighter, mask.a).metered == on_subject.metered
    assert meter(brighter, mask.a).correction != on_subject.correction


def test_it_does_not_matter_where_the_subject_stands(backlit):
    image, mask = backlit
    meter = LightMeter().eval()
    torch.nn.init.normal_(meter.decide[-1].weight, std=0.01, generator=torch.Generator().manual_seed(1))
    here, there = meter(image, mask.a), meter(image.flip(-2), mask.a.flip(-2))
    torch.testing.assert_close(here.log_gain, there.log_gain, atol=0.05, rtol=0)


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_empty_and_full_areas_and_black_photos_stay_finite(area):
    meter = LightMeter()
    exposure = meter(torch.zeros(2, 3, 64, 64), torch.full((2, 1, 64, 64), area))
    exposure.log_gain.sum().backward()
    assert exposure.log_gain.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in meter.parameters())


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_untrained_it_is_a_spot_meter_and_area_c_stays_dark(backbone, backlit):
    image, mask = backlit
    network = Enhancer(backbone, "ranlen").eval()
    lit = render(network.predict(image, mask), image)
    assert mean_over(grey(image), mask.a) < 0.1
    assert 0.35 < mean_over(grey(lit), mask.a).item() < 0.6  # `MIDDLE`, but for a longer shoulder than it measures at
    assert torch.equal(lit * mask.c, image * mask.c)


def test_a_global_network_meters_the_whole_frame(backlit):
    image, mask = backlit
    network = Enhancer("deepupe", "global").eval()
    other = RegionMask(1 - mask.tensor)
    assert torch.equal(network.predict(image, mask).maps, network.predict(image, other).maps)


def test_brightness_and_shape_learn_apart(backlit):
    image, mask = backlit
    network = Enhancer("deepupe", "ranlen")
    torch.nn.init.normal_(network.backbone.predict.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    parts = network.in_parts(image.expand(2, -1, -1, -1), mask.tensor.expand(2, -1, -1, -1))
    maps = parts.shape.maps.detach().requires_grad_()
    parts = dataclasses.replace(parts, shape=parts.shape.with_maps(maps))
    torch.testing.assert_close(parts.only_exposure_learns().light().maps, parts.light().maps)
    torch.testing.assert_close(parts.only_shape_learns().light().maps, parts.light().maps)

    def taught(field):
        maps.grad = None
        network.zero_grad()
        (render(field, image) ** 2).mean().backward(retain_graph=True)
        return maps.grad, any(p.grad is not None and p.grad.any() for p in network.meter.decide[-1].parameters())

    gradient, meter_learns = taught(parts.only_exposure_learns().light())
    inside = gradient[:, :, mask.a[0, 0] == 1]
    assert meter_learns
    assert inside.abs().min() > 0
    torch.testing.assert_close(inside, inside[:1, :1, :1].expand_as(inside))  # all of A brighter, or darker
    gradient, _ = taught(parts.only_shape_learns().light())
    assert gradient.abs().max() > 0
    assert abs(gradient.sum()) < 1e-3 * gradient.abs().sum()  # some brighter, others darker
