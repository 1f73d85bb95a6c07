"""The three laws of every light field."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranlen.models import light
from ranlen.models.backbones.deepupe import slice_grid
from ranlen.models.light import desaturate_shadows, render
from ranlen.rendering import fields
from ranlen.rendering.fields import Curves, Illumination, LightField

GENERATOR = torch.Generator().manual_seed(5)


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=GENERATOR)


def long_shoulder(maps: torch.Tensor) -> Illumination:
    return Illumination(maps, shoulder=3.0, desaturation=0.5)


def make(kind, strength: float = 1.0) -> LightField:
    """A brightening field of one photo, 12 x 16."""
    if kind is Curves:
        return Curves(-strength * random(1, 24, 12, 16))
    return kind(strength * 2 * random(1, 3, 12, 16))


def lit_by(field: LightField, image: torch.Tensor, degree: float = 1) -> torch.Tensor:
    """`render` before shadows lose colour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light, "desaturate_shadows", lambda image, lit, much: lit)
        return render(field, image, degree)


KINDS = [Illumination, long_shoulder, Curves]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@every_kind
def test_degree_0_returns_the_image_exactly(kind):
    image = random(1, 3, 30, 41)
    assert torch.equal(render(make(kind), image, 0), image)


@every_kind
def test_degree_1_is_the_field_as_trained(kind):
    field, image = make(kind), random(1, 3, 12, 16)
    scaled = field.at_degree(1)
    assert torch.equal(scaled.field.maps, field.maps)
    torch.testing.assert_close(render(field, image, 1), light.relight(scaled, image))
    assert (render(field, image, 1) - image).abs().max() > 0.05


@every_kind
@pytest.mark.parametrize("degree", [0, 0.3, 1, 1.7, 2])
def test_where_the_field_is_neutral_no_degree_changes_anything(kind, degree):
    image = random(1, 3, 30, 41)
    assert torch.equal(render(make(kind, strength=0), image, degree), image)


@every_kind
def test_brightness_grows_with_the_degree(kind):
    field, image = make(kind), random(1, 3, 12, 16) * 0.9 + 0.05
    means = [render(field, image, degree).mean().item() for degree in (0, 0.25, 0.5, 1, 1.5, 2)]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.1


@every_kind
@pytest.mark.parametrize("degree", [0.5, 1, 2])
def test_nothing_clips_that_was_not_clipped_and_tones_keep_their_order(kind, degree):
    # Eight full curves are 1 - (1 - x)^256; a gain of 20 under a long shoulder is 1 but for what float32 cannot hold.
    field = make(kind, strength={Curves: 0.4, Illumination: 3, long_shoulder: 1}[kind])
    tones = torch.linspace(0, 1, 256)
    image = tones.view(256, 1, 1, 1).expand(256, 3, 12, 16)
    lit = lit_by(field.with_maps(field.maps.expand(256, -1, -1, -1)), image, degree)
    torch.testing.assert_close(lit[0], image[0])
    torch.testing.assert_close(lit[-1], image[-1])
    # Under a long shoulder, tones that come out nearly white may change places by three 8-bit levels.
    assert (lit.clamp(max=0.96 if kind is long_shoulder else 1).diff(dim=0) >= -1e-5).all()
    assert (lit.cummax(0).values - lit < 0.013).all()
    assert (lit[:-1] < 1).all()


def test_lifted_shadows_lose_colour_and_nothing_else_does():
    def colour(pixel):
        return (max(pixel) - min(pixel)) / max(pixel)

    def desaturated(pixel, gain):
        image = torch.tensor(pixel).view(1, 3, 1, 1)
        return desaturate_shadows(image, (image * gain).clamp(max=1)).flatten().tolist()

    night, day = [0.037, 0.031, 0.016], [0.4, 0.3, 0.15]
    assert colour(desaturated(night, 10)) < 0.7 * colour(night)
    assert desaturated(night, 1) == pytest.approx(night)
    assert desaturated(night, 0.5) == pytest.approx([0.5 * v for v in night])
    assert colour(desaturated(day, 2)) > 0.93 * colour(day)
    grey = sum(w * v for w, v in zip(fields.GREY, desaturated(night, 10), strict=True))
    assert grey == pytest.approx(10 * sum(w * v for w, v in zip(fields.GREY, night, strict=True)), rel=1e-3)
    assert desaturated([0.0, 0.0, 0.0], 5) == [0, 0, 0]
    assert desaturated([1.0, 1.0, 1.0], 5) == pytest.approx([1, 1, 1], abs=1e-5)


def test_illumination_is_the_smooth_form_of_deepupes_clipped_retinex():
    s = random(1, 3, 6, 6) * 0.8 + 0.1
    image = random(1, 3, 6, 6)
    strength = 1 - image.amax(1, keepdim=True) ** 4
    lit = lit_by(Illumination(-torch.log(s)), image)
    torch.testing.assert_close(lit, image / (s**strength + (1 - s**strength) * image))
    expected = torch.logit(image) - strength * torch.log(s)
    torch.testing.assert_close(torch.logit(lit), expected, rtol=1e-3, atol=1e-4)
    # For deep shadows it is plain Retinex, I / S.
    shadow = image / 1000
    torch.testing.assert_close(lit_by(Illumination(-torch.log(s)), shadow), shadow / s, rtol=0.02, atol=0)


def test_a_long_shoulder_is_a_plain_gain_that_stops_below_white():
    tones = torch.tensor([0.0, 0.01, 0.05, 0.1, 0.9, 1.0]).view(1, 1, 1, 6)
    lit = light.expose(tones, torch.tensor(2.0).log(), 6.0).flatten()
    torch.testing.assert_close(lit[:4], 2 * tones.flatten()[:4], rtol=1e-3, atol=0)
    assert 0.9 < lit[4] < 1
    assert lit[5] == 1


@pytest.mark.parametrize("shoulder", [1.0, 1.5, 3.0])
def test_two_exposures_are_one_of_their_product(shoulder):
    image = random(1, 3, 8, 8)
    twice = light.expose(light.expose(image, torch.tensor(0.4), shoulder), torch.tensor(0.7), shoulder)
    torch.testing.assert_close(twice, light.expose(image, torch.tensor(1.1), shoulder))


@pytest.mark.parametrize("shoulder", [1.0, 3.5, 5.0, 16.0])
@pytest.mark.parametrize("log_gain", [-30.0, -8.0, -3.0, 8.0, 30.0])
def test_no_light_is_too_strong_to_learn_from(shoulder, log_gain):
    """A number that is none would end a training."""
    image = torch.linspace(0, 1, 30).view(1, 1, 1, 30).expand(1, 3, 1, 30)
    leaves = [torch.full((1, 1, 1, 1), value, requires_grad=True) for value in (log_gain, shoulder)]
    lit = light.expose(image, *leaves)
    assert (lit[..., 0] == 0).all()
    assert (lit[..., -1] == 1).all()
    light.between(image, lit, leaves[1]).at_degree(1.0).field.maps.square().sum().backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_each_photo_of_a_batch_has_its_own_shoulder():
    maps, image = random(2, 3, 8, 8), random(2, 3, 8, 8)
    field = Illumination(maps, torch.tensor([1.0, 4.0]).view(2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    together = render(field, image)
    for one, photo, lit in zip(field.split(), image.split(1), together.split(1), strict=True):
        torch.testing.assert_close(render(one, photo), lit)
    assert not torch.allclose(render(field.split()[0], image[1:]), together[1:])


def test_a_grey_light_leaves_grey_grey():
    image = random(1, 1, 12, 16).expand(1, 3, 12, 16)
    for field in (
        Illumination(random(1, 1, 12, 16).expand(1, 3, 12, 16)),
        Curves(-random(1, 1, 12, 16).expand(1, 24, 12, 16)),
    ):
        lit = render(field, image)
        torch.testing.assert_close(lit, lit[:, :1].expand_as(lit))


@every_kind
def test_highlights_are_protected(kind):
    field = make(kind, strength=0.3 if kind is Curves else 1)
    lamp = torch.tensor([1.0, 0.6, 0.1]).view(1, 3, 1, 1).expand(1, 3, 12, 16)
    torch.testing.assert_close(lit_by(field, lamp), lamp)
    dark = lamp * 0.1
    assert (lit_by(field, dark) / dark).mean() > 1.3


def test_curves_are_those_of_zero_dce():
    image, curves = random(1, 3, 1, 1), random(1, 24, 1, 1) * 0.25 - 0.25
    x = image.flatten().tolist()
    strength = 1 - max(x) ** 4
    for step in range(8):
        for channel in range(3):
            r = strength * curves[0, 3 * step + channel, 0, 0].item()
            x[channel] = x[channel] + r * (x[channel] ** 2 - x[channel])
    torch.testing.assert_close(lit_by(Curves(curves), image).flatten(), torch.tensor(x))


def test_slicing_is_trilinear_as_in_hdrnet():
    """Against the definition: tent weights at half-integer cell centres, indices clamped to the border."""
    grid, guide, image = random(1, 12, 4, 3, 5), random(1, 1, 7, 9), random(1, 3, 7, 9)
    sliced = slice_grid(grid, guide, image)
    for y, x in [(0, 0), (3, 4), (6, 8), (2, 7)]:
        at = ((guide[0, 0, y, x].item()) * 4, (y + 0.5) * 3 / 7, (x + 0.5) * 5 / 9)
        model = torch.zeros(12)
        for offsets in np.ndindex(2, 2, 2):
            cells = [int(np.floor(p - 0.5)) + o for p, o in zip(at, offsets, strict=True)]
            weight = np.prod([max(1 - abs(c + 0.5 - p), 0) for c, p in zip(cells, at, strict=True)])
            z, i, j = (min(max(c, 0), n - 1) for c, n in zip(cells, (4, 3, 5), strict=True))
            model += float(weight) * grid[0, :, z, i, j]
        expected = model.view(3, 4) @ torch.cat([image[0, :, y, x], torch.ones(1)])
        torch.testing.assert_close(sliced[0, :, y, x], expected)


def test_the_papers_alpha_brightens_area_c_too_and_degree_does_not():
    image, neutral = random(1, 3, 12, 16) * 0.5 + 0.1, Illumination(torch.zeros(1, 3, 12, 16))
    assert (render(neutral.times_alpha(0.8), image) > image).all()
    assert (render(neutral.times_alpha(1.3), image) < image).all()
    assert torch.equal(render(neutral, image, 1.5), image)
    curves = make(Curves)
    assert render(curves.times_alpha(1.2), image).mean() > render(curves, image).mean()
    for field in (neutral, curves):
        with pytest.raises(ValueError, match="alpha"):
            field.times_alpha(-1)


@pytest.mark.parametrize("degree", [-0.1, 2.1, float("nan"), float("inf")])
def test_degrees_that_make_no_sense_are_refused(degree):
    with pytest.raises(ValueError, match="degree is a number from 0"):
        render(make(Illumination), random(1, 3, 4, 4), degree)


@pytest.mark.parametrize("value", [-1e9, -50.0, 50.0, 1e9])
def test_absurd_lights_stay_finite(value):
    image = torch.tensor([0.0, 1e-6, 0.5, 1.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    for field in (Illumination(torch.full((1, 3, 1, 4), value)), Curves(torch.full((1, 24, 1, 4), value))):
        lit = render(field, image, 2.0)
        assert torch.isfinite(lit).all()
        assert lit.min() >= 0
        assert lit.max() <= 1
