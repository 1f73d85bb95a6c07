"""A feather that follows the photo's edges (`ranlen/masks/following.py`)."""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
import pytest

from ranlen import recipe, retouch
from ranlen.cli import inputs, main
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks.edits import EditError
from ranlen.masks.following import followed
from ranlen.masks.regions import RegionMask
from ranlen.masks.shapes import disc
from ranlen.networks import load

SIZE = (180, 240)
CIRCLE = {"tool": "circle", "at": [0.5, 0.5], "radius": 0.3}
MARKED = disc(SIZE, (120, 90), 54)
TRUE = disc(SIZE, (123, 90), 54)  # three pixels off, in a band of 24


@pytest.fixture
def dark(rng):
    """A dark red subject before a dark blue wall, with noise."""
    colours = np.where(TRUE[..., None], (46, 22, 20), (20, 24, 44))
    return np.clip(colours + rng.normal(0, 3, (*SIZE, 3)), 0, 255).round().astype(np.uint8)


def both(guide, **more):
    """Area B and the ramp across it, (H, W) each."""
    mask = RegionMask.from_core(MARKED, feather_px=24, feather_side="both", guide=guide, **more)
    return np.asarray(mask.b)[0, 0] > 0, np.asarray(mask.ramp())[0, 0], mask


def test_the_light_ends_where_the_photo_has_an_edge(dark):
    band, plain, _ = both(None)
    _, seen, _ = both(dark)
    for side, wrong in ((TRUE, 1 - seen), (~TRUE, seen)):
        before = (1 - plain if side is TRUE else plain)[band & side].mean()
        assert wrong[band & side].mean() < 0.5 * before


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_nothing_changes_beyond_the_band(dark, scale):
    band, _, plain = both(None)
    size = (round(SIZE[1] * scale), round(SIZE[0] * scale))
    _, seen, mask = both(cv2.resize(dark, size))
    assert np.array_equal(mask.tensor, plain.tensor)
    assert (seen[np.asarray(mask.a)[0, 0] == 1] == 1).all()
    assert (seen[np.asarray(mask.c)[0, 0] == 1] == 0).all()
    assert ((seen >= 0) & (seen <= 1)).all()
    assert (seen[band] < 1).any()


def test_where_the_photo_has_no_edge_the_light_fades_without_one(rng):
    grain = np.clip(rng.normal(20, 3, (*SIZE, 3)), 0, 255).round().astype(np.uint8)
    _, plain, _ = both(None)
    _, seen, _ = both(grain)
    assert np.abs(np.diff(seen, axis=1)).max() < 4 * np.abs(np.diff(plain, axis=1)).max()
    assert np.abs(seen - plain).mean() < 0.02


def test_what_is_thinner_than_the_feather_keeps_its_light(rng):
    tail = MARKED.copy()
    tail[88:92, 174:220] = True
    pixels = np.where(tail[..., None], (60, 30, 30), (20, 24, 44)).astype(np.uint8)
    masks = [RegionMask.from_core(tail, feather_px=24, feather_side="both", guide=each) for each in (None, pixels)]
    plain, seen = (np.asarray(mask.ramp())[0, 0, 88:92, 185:210].mean() for mask in masks)
    assert plain < 0.3
    assert seen > 0.7


def test_a_band_too_thin_to_look_at_stays_as_it_is(dark):
    ramp = np.asarray(RegionMask.from_core(MARKED, feather_px=1).ramp())[0, 0]
    assert np.array_equal(followed(ramp, MARKED, dark, 1.0), ramp)


def test_a_gradient_over_it_fades_as_before(dark):
    shares = np.clip(np.linspace(1.5, 0, SIZE[1], dtype=np.float32), 0, 1)[None] * MARKED
    masks = [RegionMask.from_core(shares, feather_px=24, feather_side="both", guide=each) for each in (None, dark)]
    seen = [np.asarray(mask.ramp())[0, 0] for mask in masks]
    whole = np.asarray(RegionMask.from_core(MARKED, feather_px=24, feather_side="both").a)[0, 0] == 1
    assert np.array_equal(seen[0][whole], seen[1][whole])
    assert not np.array_equal(*seen)


def test_a_recipe_says_so_and_every_byte_of_area_c_stays(dark, tmp_path, weights_folder, monkeypatch):
    """By the command line with a recipe and with options alike; the border lies in the middle of the band."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    photo = Photo(dark)
    photo.write("a.png")
    subject = {"edits": [CIRCLE], "feather": 0.13, "denoise": 0.0, "feather_edges": True}
    done = recipe.parse_recipe({"ranlen": 2, "backbone": "star_dce", "subjects": [subject]})
    (tmp_path / "r.json").write_text(json.dumps({"ranlen": 2, "backbone": "star_dce", "subjects": [subject]}))
    (tmp_path / "list.json").write_text(json.dumps([CIRCLE]))
    mask, _ = recipe.subject_areas(done.subjects[0], photo, None, {})
    expected = retouch.region_mask(MARKED, feather=0.13, feather_side="both", guide=dark)
    assert np.array_equal(mask.ramp(), expected.ramp())
    lit = retouch.light(photo, mask, load("star_dce-ranlen"), denoise=0.0).pixels
    options = ["--feather", "0.13", "--denoise", "0", "--feather-edges", "--model", "star_dce-ranlen"]
    for given in (["--edits", "r.json"], ["--edits", "list.json", *options], ["--circle", "120,90,54", *options]):
        assert main.main(["light", "a.png", "-o", "b.png", "--overwrite", *given]) == 0
        assert np.array_equal(images.read("b.png").pixels, lit)
    outside = np.asarray(mask.c)[0, 0] == 1
    assert np.array_equal(lit[outside], dark[outside])
    assert (lit != dark).any()


def test_what_makes_no_sense_is_said(tmp_path):
    with pytest.raises(EditError, match='"feather_edges" is true or false; got'):
        recipe.parse_recipe({"ranlen": 2, "subjects": [{"edits": [], "feather_edges": "yes"}]})
    (tmp_path / "r.json").write_text(json.dumps({"ranlen": 2, "subjects": [{"edits": [CIRCLE]}]}))
    given = {"degree": 1.0, "feather": None, "feather_side": None, "feather_edges": True, "denoise": None}
    options = argparse.Namespace(edits=tmp_path / "r.json", **given)
    with pytest.raises(inputs.UsageError, match="leave out --feather-edges"):
        inputs.read_edits(options)
