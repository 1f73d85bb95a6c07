"""The one inference path, from a photo to a lit photo."""

from __future__ import annotations

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ranlen import retouch
from ranlen.io.images import Photo
from ranlen.masks import regions, shapes
from ranlen.methods import METHODS
from ranlen.models.enhancer import Enhancer
from ranlen.networks import TorchNetwork
from ranlen.retouch import MaskError

LOCAL = [f"{backbone}-{method}" for backbone in ("deepupe", "star_dce") for method in ("blend", "concat", "ranlen")]


@pytest.fixture
def core() -> np.ndarray:
    return regions.disc((90, 120), (60, 45), 20)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("side", ["out", "in", "both"])
def test_area_c_keeps_every_byte(name, side, networks, photo, core):
    mask = retouch.region_mask(core, feather=0.1, feather_side=side)
    lit = retouch.light(photo, mask, networks[name], 1.3)
    c = mask.c[0, 0] == 1
    assert np.array_equal(lit.pixels[c], photo.pixels[c])
    a = mask.a[0, 0] == 1
    assert np.abs(lit.pixels[a].astype(int) - photo.pixels[a]).max() > 2


def test_global_lights_the_whole_photo(networks, photo, core):
    lit = retouch.light(photo, retouch.region_mask(core), networks["deepupe-global"])
    assert (lit.pixels[0, 0] != photo.pixels[0, 0]).any()


def test_degree_0_returns_the_photo(network, photo, core):
    lit = retouch.light(photo, retouch.region_mask(core), network, 0)
    assert np.array_equal(lit.pixels, photo.pixels)


def test_all_else_of_the_photo_stays(networks, photo, core, rng):
    alpha = rng.integers(0, 255, photo.size, dtype=np.uint8)
    source = dataclasses.replace(photo, alpha=alpha, exif=b"some", format="TIFF")
    lit = retouch.light(source, retouch.region_mask(core), networks["deepupe-ranlen"])
    assert dataclasses.replace(lit, pixels=photo.pixels) == source
    assert lit.pixels.dtype == np.uint8


def test_grey_stays_grey(networks, core):
    grey = np.random.default_rng(0).integers(0, 80, (90, 120, 1), dtype=np.uint8).repeat(3, axis=2)
    lit = retouch.light(Photo(grey, grey=True), retouch.region_mask(core), networks["deepupe-ranlen"])
    assert np.array_equal(lit.pixels[..., 0], lit.pixels[..., 1])
    assert np.array_equal(lit.pixels[..., 0], lit.pixels[..., 2])
    assert np.array_equal(lit.pixels[0], grey[0])


def test_16_bits_are_lit_like_8(networks, photo, core):
    deep = dataclasses.replace(photo, pixels=photo.pixels.astype(np.uint16) * 257)
    mask = retouch.region_mask(core)
    eight = retouch.light(photo, mask, networks["deepupe-ranlen"]).pixels
    sixteen = retouch.light(deep, mask, networks["deepupe-ranlen"]).pixels
    assert sixteen.dtype == np.uint16
    assert np.abs(sixteen / 257 - eight).max() <= 0.51


def test_a_slider_tick_runs_no_network(networks, photo, core, monkeypatch):
    lighting = retouch.predict(photo, retouch.region_mask(core), networks["star_dce-ranlen"])
    monkeypatch.setattr("torch.nn.Module.__call__", lambda *_: pytest.fail("a network ran"))
    for degree in (0.2, 0.9, 1.4):
        retouch.render(photo, lighting, degree)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (33, 2100)])
def test_odd_shapes_of_photos_are_lit(size, networks, rng):
    photo = Photo(rng.integers(0, 90, (*size, 3), dtype=np.uint8))
    core = np.zeros(size, bool)
    core[: max(1, size[0] // 2), : max(1, size[1] // 2)] = True
    if core.all():
        pytest.skip("one pixel is all or nothing")
    lit = retouch.light(photo, retouch.region_mask(core), networks["deepupe-ranlen"])
    assert lit.pixels.shape == photo.pixels.shape


def test_a_big_photo_is_lit_like_its_small_copy(networks):
    """What the page shows is what is saved."""
    y, x = np.mgrid[:1200, :1800]
    pixels = np.stack([40 + 30 * np.sin(x / 200), 40 + 30 * np.cos(y / 150), 40 + 0 * x], -1).astype(np.uint8)
    photo = Photo(pixels)
    mask = retouch.region_mask(regions.disc(photo.size, (900, 600), 300))
    network = copy.deepcopy(networks["deepupe-ranlen"])
    layers = network.enhancer.backbone.predict, network.enhancer.meter.decide[-1]
    for parameter in (value for layer in layers for value in layer.parameters()):
        parameter.data /= 30  # as small as a trained one's: noise of one level is not to be seen in its light
    lighting = retouch.predict(photo, mask, network)
    small = Photo(np.ascontiguousarray(pixels[1::3, 1::3]))
    big = retouch.render(photo, lighting).pixels[1::3, 1::3].astype(int)
    assert np.abs(big - retouch.render(small, lighting).pixels).max() <= 3  # levels, where a light of three stops ends


def test_threads_share_a_network(networks, photo):
    network = networks["deepupe-ranlen"]
    masks = [retouch.region_mask(regions.disc((90, 120), (x, 45), 18)) for x in (30, 50, 70, 90)]
    alone = [retouch.light(photo, mask, network).pixels for mask in masks]
    with ThreadPoolExecutor(4) as pool:
        jobs = [(i % 4, pool.submit(retouch.light, photo, masks[i % 4], network)) for i in range(16)]
        for i, job in jobs:
            assert np.abs(job.result().pixels.astype(int) - alone[i]).max() <= 1


def test_compare_gives_every_method_its_name(networks, photo, core):
    results = retouch.compare(
        photo, retouch.region_mask(core), [networks["deepupe-global"], networks["deepupe-ranlen"]]
    )
    assert list(results) == ["original", "global", "ranlen"]
    assert results["original"] is photo


def test_masks_that_leave_nothing_to_do_are_refused():
    with pytest.raises(MaskError, match="empty"):
        retouch.region_mask(np.zeros((9, 9), bool))
    with pytest.raises(MaskError, match="covers the whole photo"):
        retouch.region_mask(np.ones((9, 9), bool))
    with pytest.raises(MaskError, match="covers the whole photo"):
        retouch.region_mask(np.full((9, 9), 255, np.uint8))
    with pytest.raises(MaskError, match="begin the gradient on the subject"):
        retouch.region_mask(np.full((9, 9), 0.5, np.float32) * (np.arange(9) < 5))


@pytest.mark.slow
@pytest.mark.parametrize("feather", [0.0, None])
@pytest.mark.parametrize("method", METHODS)
def test_small_subjects_are_lit_like_large_ones(method, feather):
    """At 12 MP a subject of four pixels is less than one of what a network sees, and less than two of the areas'."""
    pixels = np.full((3000, 4000, 3), 20, np.uint8)
    photo, network = Photo(pixels), TorchNetwork(Enhancer("deepupe", method).eval())

    def gain(radius: float) -> float:
        core = shapes.disc(photo.size, (1501.3, 1200.8), radius)
        lit = retouch.light(photo, retouch.region_mask(core, feather=feather), network)
        return lit.pixels[core].mean() / 20

    large = gain(50)
    assert large > 2
    for radius in (2, 10):
        assert gain(radius) > 0.9 * large, radius
