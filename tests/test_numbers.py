"""No finite photo under any mask gives a number that is none, and the same question gets the same answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ranlen import retouch
from ranlen.facts import SIDES
from ranlen.io.images import Photo
from ranlen.masks import shapes
from ranlen.masks.regions import RegionMask
from ranlen.models.light import render

SIZE = (40, 60)


def photo(kind, dtype):
    """A photo of an extreme kind, (H, W, 3)."""
    peak = np.iinfo(dtype).max
    noise = np.random.default_rng(0).integers(0, peak, (*SIZE, 3), dtype, endpoint=True)
    pixels = {
        "black": np.zeros_like(noise),
        "white": np.full_like(noise, peak),
        "noise": noise,
        "one_white_pixel": np.where(np.arange(60)[None, :, None] == 30, peak, 0) * np.ones((40, 1, 3)),
        "chessboard": peak * (np.indices(SIZE).sum(0) % 2)[..., None] * np.ones(3),
        "nearly_black": noise % 3,
    }[kind]
    return Photo(pixels.astype(dtype))


def areas(a, a_or_b):
    return RegionMask(np.stack([a, a_or_b]).astype(np.float32)[None])


def masks():
    """Masks at the edge of what a mask is."""
    none, every = np.zeros(SIZE, bool), np.ones(SIZE, bool)
    pixel, disc = none.copy(), shapes.disc(SIZE, (30, 20), 12)
    pixel[20, 30] = True
    return {
        "one pixel": areas(pixel, pixel),
        "one pixel of A in B": areas(pixel, disc),
        "no A": areas(none, disc),
        "no B": areas(disc, disc),
        "nothing": areas(none, none),
        "the whole frame": areas(every, every),
        "all but a pixel": areas(~pixel, every),
        "the whole frame is B": areas(none, every),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepupe-ranlen", "star_dce-ranlen", "deepupe-concat"])
@pytest.mark.parametrize("kind", ["black", "white", "noise", "one_white_pixel"])
def test_every_light_of_every_photo_is_finite(kind, name, networks):
    dark, deep = photo(kind, np.uint8), photo(kind, np.uint16)
    image = torch.from_numpy(retouch.to_image(dark.pixels))
    for mask in masks().values():
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # numpy's way to say NaN
            lighting = retouch.predict(dark, mask, networks[name])
            assert np.isfinite(lighting.field.maps).all()
            assert np.isfinite(lighting.attenuation).all()
            attenuation = torch.from_numpy(lighting.attenuation)
            reference = render(lighting.field.each(torch.as_tensor), image, 2.0, attenuation)
            assert reference.isfinite().all()
            assert -1e-5 <= reference.min() <= reference.max() <= 1 + 1e-5
            for each in (dark, deep):
                retouch.render(each, lighting, 2.0)
                assert np.array_equal(retouch.render(each, lighting, 0.0).pixels, each.pixels)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_finite(dtype, enhancers):
    """The network as a GPU computes it in training, and its light in half precision."""
    for name in ("deepupe-ranlen", "star_dce-ranlen"):
        for kind in ("black", "white", "chessboard", "nearly_black"):
            image = torch.from_numpy(retouch.to_image(photo(kind, np.uint8).pixels))
            for mask in (masks()["one pixel"], masks()["no A"], masks()["the whole frame"]):
                with torch.autocast("cpu", dtype), torch.inference_mode():
                    field = enhancers[name](image, mask.to("cpu").tensor)
                assert field.maps.isfinite().all(), (name, kind)
                half = field.with_maps(field.maps.to(dtype))
                assert render(half, image.to(dtype), 2.0).isfinite().all(), (name, kind)


def test_the_same_question_gets_the_same_answer_to_the_bit(network):
    dark, mask = photo("noise", np.uint8), masks()["one pixel of A in B"]
    first = retouch.light(dark, mask, network, 1.3).pixels
    padding = [np.empty(n) for n in (1, 1001, 77777)]  # memory lies elsewhere the second time
    assert np.array_equal(retouch.light(dark, mask, network, 1.3).pixels, first), len(padding)


@settings(max_examples=40, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    feather=st.floats(0, 1),
    feather_side=st.sampled_from(SIDES),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.001, 0.1, 0.5, 0.9, 0.999]),
    degree=st.floats(0, 2),
)
def test_any_mask_of_any_shape_gives_a_finite_light(
    height, width, feather, feather_side, seed, share, degree, networks
):
    rng = np.random.default_rng(seed)
    core = rng.random((height, width)) < share
    dark = Photo(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mask = RegionMask.from_core(core, feather=feather, feather_side=feather_side)
    assert np.isfinite(mask.normalised_distance()).all()
    assert np.isfinite(mask.ramp()).all()
    np.testing.assert_allclose(mask.a + mask.b + mask.c, 1, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        lit = retouch.light(dark, mask, networks["star_dce-ranlen"], degree)
    kept = mask.c[0, 0] == 1
    assert np.array_equal(lit.pixels[kept], dark.pixels[kept])
