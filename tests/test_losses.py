from __future__ import annotations

import math

import pytest
import torch

from ranlen.masks.regions import RegionMask
from ranlen.models.light import render
from ranlen.rendering.fields import Curves, Illumination
from train import losses
from train.losses import RegionLoss, gradient_smooth, region_mean, smoothness


def area_of(*shape: int) -> torch.Tensor:
    return torch.ones(1, 1, *shape)


def test_region_mean_is_the_frame_mean_over_the_coverage():
    generator = torch.Generator().manual_seed(0)
    error, area = torch.rand(3, 2, 8, 9, generator=generator), torch.rand(3, 1, 8, 9, generator=generator)
    expected = (error.mean(1, keepdim=True) * area).mean((1, 2, 3)) / area.mean((1, 2, 3))
    torch.testing.assert_close(region_mean(error, area), expected)


def test_region_mean_does_not_depend_on_coverage_nor_on_the_rest_of_the_frame():
    error = torch.full((1, 1, 20, 20), 7.0)
    area = torch.zeros(1, 1, 20, 20)
    area[..., 5:9, 5:9] = 1
    error[..., 5:9, 5:9] = 3
    assert region_mean(error, area).item() == pytest.approx(3)


def test_gradient_smooth_is_equations_2_and_3_written_out():
    """Every pixel of B by a plain loop over its nine neighbours."""
    generator = torch.Generator().manual_seed(4)
    light = torch.rand(1, 3, 7, 8, generator=generator, dtype=torch.float64)
    image = torch.rand(1, 3, 7, 8, generator=generator, dtype=torch.float64) * 0.3
    area = (torch.rand(1, 1, 7, 8, generator=generator) > 0.5).double()
    grey = image[0, 0] * 0.2989 + image[0, 1] * 0.587 + image[0, 2] * 0.114
    tone = torch.log(grey + 1e-4)

    def second(m, y, x):
        xx = m[y, x + 1] - 2 * m[y, x] + m[y, x - 1]
        yy = m[y + 1, x] - 2 * m[y, x] + m[y - 1, x]
        xy = (m[y + 1, x + 1] - m[y + 1, x - 1] - m[y - 1, x + 1] + m[y - 1, x - 1]) / 4
        return {"xx": xx, "yy": yy, "xy": xy, "yx": xy}

    total, count = 0.0, 0.0
    for y in range(1, 6):
        for x in range(1, 7):
            if not area[0, 0, y, x]:
                continue
            count += 1
            tones = second(tone, y, x)
            for channel in range(3):
                for name, d in second(light[0, channel], y, x).items():
                    total += d.item() ** 2 / (abs(tones[name].item()) ** 1.2 + 1e-4) / 3
    assert gradient_smooth(light, image, area).item() == pytest.approx(total / count, rel=1e-9)


def test_a_straight_fade_costs_nothing_and_a_step_at_the_border_of_b_does():
    ramp = torch.linspace(0, 1, 20).view(1, 1, 1, 20).expand(1, 1, 20, 20)
    image = torch.full((1, 3, 20, 20), 0.1)
    b = torch.zeros(1, 1, 20, 20)
    b[..., 8:14] = 1
    assert gradient_smooth(ramp, image, b) < 1e-6
    step = torch.zeros(1, 1, 20, 20)
    step[..., 14:] = 1  # right behind the last column of B
    assert gradient_smooth(step, image, b) > 1
    far = torch.zeros(1, 1, 20, 20)
    far[..., 17:] = 1
    assert gradient_smooth(far, image, b) == 0


def test_the_images_own_edges_are_forgiven():
    light = torch.zeros(1, 1, 9, 9)
    light[..., 5:] = 1
    flat = torch.full((1, 3, 9, 9), 0.1)
    edged = flat.clone()
    edged[..., 5:] = 0.8
    assert gradient_smooth(light, edged, area_of(9, 9)) < 0.01 * gradient_smooth(light, flat, area_of(9, 9))
    assert smoothness(light, edged, area_of(9, 9)) < 0.01 * smoothness(light, flat, area_of(9, 9))


def test_smoothness_by_hand():
    light = torch.tensor([[0.0, 0.2], [0.5, 0.9]]).view(1, 1, 2, 2)
    image = torch.full((1, 3, 2, 2), 0.5)
    expected = 0.5 * 1.5 / 1e-4 * (0.2**2 + 0.5**2)
    assert smoothness(light, image, area_of(2, 2)).item() == pytest.approx(expected, rel=1e-5)


def test_smoothness_does_not_see_the_light_fall_where_an_area_ends():
    light = torch.zeros(1, 1, 9, 9)
    light[..., 3:6, 3:6] = 1
    area = light.clone()
    image = torch.full((1, 3, 9, 9), 0.5)
    assert smoothness(light, image, area) == 0
    light[..., 4, 4] = 0.5
    assert smoothness(light, image, area) > 1


def test_colour_angle_by_hand():
    x = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    y = torch.tensor([0.5, 0.5, 0]).view(1, 3, 1, 1)
    assert losses.colour_angle(x, y, area_of(1, 1)).item() == pytest.approx(1 - math.sqrt(0.5), rel=1e-5)
    assert losses.colour_angle(0.1 * y, y, area_of(1, 1)).item() == pytest.approx(0, abs=1e-5)


def test_the_faded_reference_is_lit_in_a_dark_in_c_and_between_in_b(image, mask):
    lit = image.sqrt()
    target = losses.faded(image, lit, mask.ramp())
    for area, picture in ((mask.a, lit), (mask.c, image)):
        torch.testing.assert_close(target * area, picture * area)
    assert ((target > image) & (target < lit))[(mask.b == 1).expand_as(image) & (lit > image + 0.01)].all()


@pytest.mark.parametrize("function", [gradient_smooth, smoothness])
def test_gradients_are_right(function):
    generator = torch.Generator().manual_seed(0)
    light = torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    image = torch.rand(1, 3, 6, 6, generator=generator, dtype=torch.float64)
    area = torch.rand(1, 1, 6, 6, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: function(x, image, area), light)


FIELDS = {
    "illumination": lambda maps: Illumination(maps[:, :3]),
    "curves": lambda maps: Curves(torch.tanh(maps)),
}


@pytest.mark.parametrize("make", FIELDS.values(), ids=FIELDS)
class TestRegionLoss:
    def maps(self) -> torch.Tensor:
        return torch.randn(2, 24, 60, 80, generator=torch.Generator().manual_seed(2)).mul_(0.3).requires_grad_()

    def test_weights_multiply_the_parts(self, make, image, mask):
        reference = image.sqrt()
        _, parts = RegionLoss()(make(self.maps()), image, reference, image, mask)
        total, _ = RegionLoss(2.0, 0.5, 3.0, 4.0)(make(self.maps()), image, reference, image, mask)
        expected = 2 * parts["a"] + 0.5 * parts["b"] + 3 * parts["c"] + 4 * parts["fade"]
        assert total.item() == pytest.approx(expected, rel=1e-5)

    def test_the_loss_of_a_is_blind_to_c(self, make, image, mask):
        maps = self.maps()
        RegionLoss(1, 0, 0)(make(maps), image, image.sqrt(), image, mask)[0].backward()
        away = mask.resize((15, 20)).resize((60, 80)).a == 0  # not even a neighbour of A
        assert maps.grad[away.expand_as(maps)].abs().max() == 0
        assert maps.grad[(mask.a == 1).expand_as(maps)].abs().max() > 0

    def test_the_fade_is_the_squared_error_to_its_target_in_b(self, make, image, mask):
        field = make(self.maps())
        target = losses.faded(image, image.sqrt(), mask.ramp())
        _, parts = RegionLoss()(field, image, image.sqrt(), target, mask)
        error = ((render(field, image) - target) ** 2).mean(1, keepdim=True)
        expected = torch.stack([e[m == 1].mean() for e, m in zip(error, mask.b, strict=True)]).mean()
        assert parts["fade"] == pytest.approx(expected.item(), rel=1e-5)

    def test_the_loss_of_c_is_the_squared_error_to_the_dark_image(self, make, image, mask):
        field = make(self.maps())
        _, parts = RegionLoss()(field, image, image, image, mask)
        error = ((render(field, image) - image) ** 2).mean(1, keepdim=True)
        expected = torch.stack([e[m == 1].mean() for e, m in zip(error, mask.c, strict=True)]).mean()
        assert parts["c"] == pytest.approx(expected.item(), rel=1e-5)

    def test_what_is_smooth_in_b_is_the_light_or_the_picture(self, make, image, mask):
        """Footnote 2 of the paper: without an illumination, Eq. 2 is of the predicted image."""
        field = make(self.maps())
        output = render(field, image)
        light, picture = (
            RegionLoss(smooth_on=on)(field, image, image, image, mask)[1]["b"] for on in ("light", "picture")
        )
        if isinstance(field, Curves):
            assert light == pytest.approx(gradient_smooth(losses.log_gain(output, image), image, mask.b).mean().item())
            assert picture == pytest.approx(gradient_smooth(output, image, mask.b).mean().item())
            assert light != pytest.approx(picture, rel=0.1)
        else:  # an illumination is what the paper smooths, too
            assert light == picture

    @pytest.mark.parametrize("areas", [(0, 0), (0, 1), (1, 1)])
    def test_empty_areas_cost_nothing_and_have_finite_gradients(self, make, areas, image):
        mask = RegionMask(torch.tensor(areas, dtype=torch.float32).view(1, 2, 1, 1).expand(2, 2, 60, 80))
        maps = self.maps()
        total, parts = RegionLoss(1, 1, 1, 1)(make(maps), image, image.sqrt(), image, mask)
        total.backward()
        assert torch.isfinite(maps.grad).all()
        present = {"a": areas[0] == 1, "b": areas == (0, 1), "c": areas[1] == 0}
        for name, there in present.items():
            assert (parts[name] > 0) == there

    def test_black_and_white_have_finite_gradients(self, make, mask):
        for value in (0.0, 1.0):
            maps = self.maps()
            image = torch.full((2, 3, 60, 80), value)
            RegionLoss(1, 1, 1, 1)(make(maps), image, image, image, mask)[0].backward()
            assert torch.isfinite(maps.grad).all()
