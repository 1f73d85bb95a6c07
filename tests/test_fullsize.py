"""The fast path against the plain one, and what must not be touched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ranlen.arrays import numpy_of, resize
from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.models.light import render
from ranlen.rendering import fullsize
from ranlen.rendering.fields import Illumination
from ranlen.rendering.fullsize import render_pixels
from tests.test_fields import KINDS, every_kind
from tests.test_fields import make as made


def make(kind, strength: float = 1.0):
    """A field of NumPy's, as photos are lit by."""
    return made(kind, strength).each(numpy_of)


SIZES = [(1, 1), (1, 300), (37, 53), (200, 11), (300, 400)]


def reference(field, pixels, degree, attenuation):
    """The plain `light.render` of pixels, rounded as a file is."""
    peak = np.iinfo(pixels.dtype).max
    field = field.each(torch.as_tensor)
    attenuation = None if attenuation is None else torch.as_tensor(attenuation)
    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / peak
    return (render(field, image, degree, attenuation)[0].permute(1, 2, 0).numpy() * peak).round()


@every_kind
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("whole", [False, True])
def test_the_fast_path_equals_the_plain_one(kind, dtype, size, whole, rng, monkeypatch):
    monkeypatch.setattr(fullsize, "BAND", 1500)
    pixels = rng.integers(0, np.iinfo(dtype).max, (*size, 3), dtype=dtype, endpoint=True)
    attenuation = None if whole else smoothstep(RegionMask.paper_circle((24, 32)).ramp())
    for degree, strength in ((0, 1), (0.4, 1), (1, 1), (1, 0.2), (2, 2)):
        field = make(kind, strength)
        lit = render_pixels(field, pixels, degree, attenuation)
        assert lit.dtype == dtype
        apart = np.abs(lit.astype(np.float64) - reference(field, pixels, degree, attenuation)).max()
        # One level where a value falls on a rounding edge; the same float error is more of 16-bit levels, and eight
        # full curves multiply it.
        assert apart <= (1 if dtype == np.uint8 else 16)


def test_strong_lights_protect_highlights_alike(rng):
    """Log gains above 3, where protection is no longer 1 everywhere."""
    pixels = rng.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    field = make(Illumination, 4)
    assert field.at_degree(1).protection.min() < 0.5
    assert np.abs(render_pixels(field, pixels).astype(int) - reference(field, pixels, 1, None)).max() <= 1


@every_kind
def test_threads_and_bands_leave_no_seam(kind, rng, monkeypatch):
    pixels = rng.integers(0, 256, (211, 157, 3), dtype=np.uint8)
    attenuation = smoothstep(RegionMask.circle((60, 80), (40, 30), 12, 20).ramp())
    field = make(kind)
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 1)
    alone = render_pixels(field, pixels, 1, attenuation)
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 5)
    monkeypatch.setattr(fullsize, "BAND", 300)
    assert np.array_equal(render_pixels(field, pixels, 1, attenuation), alone)


@every_kind
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_the_attenuation_is_0_every_byte_stays(kind, dtype, rng):
    pixels = rng.integers(0, np.iinfo(dtype).max, (240, 320, 3), dtype=dtype)
    original = pixels.copy()
    mask = RegionMask.circle((60, 80), (40, 30), 12, 20)
    attenuation = smoothstep(2 * mask.ramp())
    lit = render_pixels(make(kind), pixels, 1.5, attenuation)
    reached = resize(attenuation, (240, 320))[0, 0] > 0
    assert np.array_equal(lit[~reached], original[~reached])
    assert (lit[120, 160] != original[120, 160]).any()
    assert np.array_equal(pixels, original)


@every_kind
def test_in_place_the_same_pixels(kind, rng, monkeypatch):
    monkeypatch.setattr(fullsize, "BAND", 1500)
    pixels = rng.integers(0, 256, (211, 157, 3), dtype=np.uint8)
    attenuation = smoothstep(RegionMask.circle((60, 80), (40, 30), 12, 20).ramp())
    field = make(kind)
    for where in (attenuation, None):
        expected = render_pixels(field, pixels, 1, where)
        frozen = pixels.copy()
        frozen.flags.writeable = False  # as Pillow gives them
        assert np.array_equal(render_pixels(field, frozen, 1, where, in_place=True), expected)
        own = pixels.copy()
        assert render_pixels(field, own, 1, where, in_place=True) is own
        assert np.array_equal(own, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_degree_0(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 16, 1).repeat(3, axis=2)
    for kind in KINDS:
        assert np.array_equal(render_pixels(make(kind), levels, 0), levels)


def test_attenuated_to_0_everywhere_nothing_changes(rng):
    pixels = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(render_pixels(make(Illumination), pixels, 1, np.zeros((1, 1, 5, 5), np.float32)), pixels)


@pytest.mark.parametrize("degree", [-0.1, 2.1, float("nan"), float("inf")])
def test_degrees_that_make_no_sense_are_refused(degree, rng):
    with pytest.raises(ValueError, match="degree is a number from 0"):
        render_pixels(make(Illumination), rng.integers(0, 255, (4, 4, 3), dtype=np.uint8), degree)
