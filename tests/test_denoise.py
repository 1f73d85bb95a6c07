"""Noise: measured, taken out as far as light would bring it up, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranlen import denoise, recipe, retouch
from ranlen.cli.main import main
from ranlen.denoise import NoiseLevel
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks.edits import parse_edits
from ranlen.models.light import render
from ranlen.recipe import Recipe, Subject
from ranlen.rendering.fields import Illumination
from ranlen.rendering.noise import Clean, noise_shares


def smooth(size=(240, 320)):
    """A dark photo without detail, floats in [0, 1]."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([0.06 + x / size[1] / 8, 0.08 + y / size[0] / 8, 0.1 + 0 * x], -1)


def with_noise(pixels, shot, read, rng, peak=255):
    """Pixels with a sensor's noise, as levels of a file."""
    linear = pixels**denoise.GAMMA
    noisy = linear + np.sqrt(shot * linear + read) * rng.standard_normal(linear.shape)
    return np.rint(noisy.clip(0, 1) ** (1 / denoise.GAMMA) * peak).astype(np.uint8 if peak == 255 else np.uint16)


@pytest.fixture
def noisy(rng):
    return Photo(with_noise(smooth(), 4e-4, 1e-5, rng))


@pytest.fixture
def mask():
    core = np.zeros((240, 320), bool)
    core[80:170, 100:220] = True
    return retouch.region_mask(core)


@pytest.mark.parametrize("peak", [255, 65535])
@pytest.mark.parametrize(("shot", "read"), [(1e-4, 1e-6), (4e-4, 1e-5), (2e-3, 2e-5), (0, 1e-5)])
def test_the_noise_of_a_photo_is_measured(rng, shot, read, peak):
    found = denoise.estimate(Photo(with_noise(smooth((480, 640)), shot, read, rng, peak)))
    for value in (0.1, 0.15, 0.2):
        assert found.std(value) == pytest.approx(NoiseLevel(shot, read).std(value), rel=0.2)


def test_what_is_hidden_is_no_noise_and_changes_none(rng, noisy):
    alpha = np.full(noisy.size, 255, np.uint8)
    alpha[:, :200] = 0
    hidden, found = alpha == 0, {}
    for colour in (0, 60, 255, "noise"):
        pixels = noisy.pixels.copy()
        pixels[hidden] = rng.integers(0, 256, (hidden.sum(), 3)) if colour == "noise" else colour
        photo = Photo(pixels, alpha)
        clean = denoise.clean(photo, range(20, 180), range(100, 300)).pixels
        part = hidden[20:180, 100:300]
        assert np.array_equal(clean[part], pixels[20:180, 100:300][part].astype(np.uint16) * 257)
        found[colour] = denoise.estimate(photo), clean[~part]
    for level, clean in found.values():
        assert level == found[0][0]
        assert np.array_equal(clean, found[0][1])
    assert found[0][0].std(0.1) == pytest.approx(denoise.estimate(noisy).std(0.1), rel=0.3)


def test_a_photo_without_noise_asks_for_no_denoising(rng, noisy):
    still = Photo(np.rint(255 * smooth()).astype(np.uint8))
    assert denoise.automatic(still) == 0
    assert denoise.automatic(noisy) == denoise.STRENGTH
    assert denoise.automatic(Photo(np.zeros((1, 1, 3), np.uint8))) == 0
    assert denoise.automatic(Photo(np.full((300, 300, 3), 255, np.uint8))) == 0


@pytest.mark.parametrize(("size", "kind"), [((1, 1), np.uint8), ((7, 300), np.uint16), ((150, 133), np.uint8)])
def test_tiles_leave_no_seam(rng, monkeypatch, size, kind):
    photo = Photo((rng.random((*size, 3)) ** 2 * np.iinfo(kind).max / 3).astype(kind))
    whole = denoise.clean(photo).pixels
    monkeypatch.setattr(denoise, "TILE", 40)
    assert np.array_equal(denoise.clean(photo).pixels, whole)
    rows, cols = range(size[0] // 3, size[0]), range(size[1] // 2, size[1])
    part = denoise.clean(photo, rows, cols)
    assert np.array_equal(part.pixels, whole[rows.start :, cols.start :])
    assert (part.top, part.left) == (rows.start, cols.start)


def test_grain_goes_and_edges_stay(rng):
    pixels = smooth()
    pixels[:, 160:] *= 1.6
    dirty = with_noise(pixels, 4e-4, 1e-5, rng) / 255
    clean = denoise.clean(Photo(np.rint(dirty * 255).astype(np.uint8))).pixels / 65535
    flat = (slice(None), slice(20, 140))
    assert np.std((clean - pixels)[flat]) < 0.4 * np.std((dirty - pixels)[flat])
    step = (clean[:, 163:166] - clean[:, 155:158]).mean((0, 1))
    assert step == pytest.approx((pixels[:, 163:166] - pixels[:, 155:158]).mean((0, 1)), rel=0.15)


def test_detail_stays_where_the_photo_has_no_such_noise(rng):
    still = smooth()
    still[60:180, 100:220] *= rng.uniform(0.85, 1.15, (120, 120, 1))  # a weave that looks like noise
    photo = Photo(np.rint(255 * still).astype(np.uint8))
    change = denoise.clean(photo).pixels / 65535 - photo.pixels / 255
    assert change[60:180, 100:220].std() < 0.1 * still[60:180, 100:220].std()
    grainy = Photo(np.rint(255 * smooth() * rng.uniform(0.85, 1.15, (240, 320, 1))).astype(np.uint8))
    left = denoise.clean(grainy).pixels / 65535 - smooth()
    assert left.std() < 0.5 * (grainy.pixels / 255 - smooth()).std()


@pytest.mark.parametrize("name", ["deepupe-ranlen", "star_dce-ranlen", "deepupe-global"])
def test_full_size_is_what_the_plain_rendering_says(networks, noisy, mask, name):
    lighting = retouch.predict(noisy, mask, networks[name])
    clean = denoise.clean(noisy)
    image = torch.from_numpy(retouch.to_image(noisy.pixels))
    field, attenuation = lighting.field.each(torch.as_tensor), lighting.attenuation
    attenuation = None if attenuation is None else torch.from_numpy(attenuation)
    without = torch.from_numpy(clean.pixels.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    for degree, much in ((0.5, 0.3), (1.0, 1.0), (2.0, 0.6)):
        lit = retouch.render(noisy, lighting, degree, clean=clean, denoise=much).pixels.astype(int)
        with torch.inference_mode():
            plain = render(field, image, degree, attenuation, clean=without, denoise=much)
        assert np.abs(lit - (plain[0].permute(1, 2, 0) * 255).round().numpy()).max() <= 1


def test_where_there_is_no_light_every_byte_stays(networks, noisy, mask):
    lighting = retouch.predict(noisy, mask, networks["deepupe-ranlen"])
    clean = retouch.clean(noisy, [lighting])
    assert clean.pixels.shape[0] < 240
    assert np.array_equal(retouch.render(noisy, lighting, 0, clean=clean, denoise=1).pixels, noisy.pixels)
    lit = retouch.render(noisy, lighting, 1, clean=clean, denoise=1).pixels
    plain = retouch.render(noisy, lighting, 1).pixels
    assert not np.array_equal(lit, plain)
    outside = mask.resize((240, 320)).c[0, 0] == 1
    assert np.array_equal(lit[outside], noisy.pixels[outside])
    assert np.array_equal(retouch.render(noisy, lighting, 1, clean=clean, denoise=0).pixels, plain)


def test_noise_goes_as_light_comes_its_colours_first():
    light = Illumination(np.float32([-1.0, 0.0, 0.3, 1.5]).reshape(1, 1, 1, 4))
    grain, colour = (share[0, 0, 0] for share in noise_shares(light, 0.5))
    assert not grain[:2].any()
    assert not colour[:2].any()
    assert grain[2] < grain[3] < 1
    assert grain[2] < colour[2] < colour[3] < 1


def test_light_beyond_what_is_clean_is_refused(networks, noisy, mask):
    lighting = retouch.predict(noisy, mask, networks["deepupe-ranlen"])
    small = Clean(np.zeros((10, 10, 3), np.uint16), 100, 100)
    with pytest.raises(ValueError, match="clean that part, too"):
        retouch.render(noisy, lighting, clean=small, denoise=0.5)
    with pytest.raises(ValueError, match="denoise is a number from 0"):
        retouch.render(noisy, lighting, denoise=1.5)


def test_a_recipe_says_how_much_noise_goes_or_leaves_it_to_the_photo(noisy, networks):
    circle = tuple(parse_edits([{"tool": "circle", "at": [0.5, 0.5], "radius": 0.2}]))

    def lit(much):
        whole = Recipe((Subject(circle, denoise=much),))
        return recipe.light_subjects(noisy, whole, lambda said: None, networks["deepupe-ranlen"]).pixels

    assert np.array_equal(lit(None), lit(denoise.automatic(noisy)))
    assert not np.array_equal(lit(None), lit(0.0))
    saved = {"ranlen": 2, "subjects": [{"edits": [], "denoise": 1.2}]}
    with pytest.raises(ValueError, match='"denoise" is a number from 0 to 1'):
        recipe.parse_recipe(saved)


def test_the_command_cleans_as_it_is_told(tmp_path, noisy, capsys):
    noisy.write(tmp_path / "in.png")
    how = ["light", str(tmp_path / "in.png"), "--circle", "160,120,60", "-o"]
    for name, more in {"auto": [], "none": ["--denoise", "0"], "half": ["--denoise", str(denoise.STRENGTH)]}.items():
        assert main([*how, str(tmp_path / f"{name}.png"), *more]) == 0
    auto, none, half = (images.read(tmp_path / f"{name}.png").pixels for name in ("auto", "none", "half"))
    assert np.array_equal(auto, half)
    assert not np.array_equal(auto, none)
    with pytest.raises(SystemExit):
        main([*how, str(tmp_path / "x.png"), "--denoise", "2"])
    assert 'needs "auto" or a number from 0 to 1' in capsys.readouterr().err


def test_a_missing_denoiser_is_told(tmp_path, monkeypatch, noisy):
    monkeypatch.setattr(denoise.weights, "folder", lambda: tmp_path)
    monkeypatch.setattr(denoise.weights, "shipped", lambda: tmp_path)
    denoise.load.cache_clear()
    with pytest.raises(denoise.weights.WeightsError, match=r"denoiser\.safetensors"):
        denoise.clean(noisy)
