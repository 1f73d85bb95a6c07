"""The weights in the repo: there, true to their card, and better than what anyone could do without them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ranlen import networks, retouch
from ranlen.facts import BACKBONES
from ranlen.io import images
from ranlen.masks import regions
from ranlen.methods import METHODS
from ranlen.models import weights
from train.config import load_config
from train.publish import tables

ROOT = Path(__file__).parent.parent
# A backbone may be there to be trained, without weights; some weights of one are all of them.
PUBLISHED = [name for name in BACKBONES if list((ROOT / "weights").glob(f"{name}-*.safetensors"))]
NAMES = [f"{backbone}-{method}" for backbone in PUBLISHED for method in METHODS]


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)


def test_what_is_published_is_published_under_every_method():
    assert weights.published() == NAMES


def test_scores_are_of_the_files_that_are_there():
    files = sorted(path for kind in ("safetensors", "onnx") for path in (ROOT / "weights").glob(f"*.{kind}"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert weights.scores()["sha256"] == digests


@pytest.mark.parametrize(("page", "shapes"), [("weights/README.md", None), ("README.md", ["circle"])])
def test_pages_show_the_scores(page, shapes):
    scores = weights.scores()
    assert tables(scores, shapes or list(scores["models"]["input"])) in (ROOT / page).read_text()


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_local_networks_leave_area_c_alone(backbone):
    models = {name: shapes["circle"] for name, shapes in weights.scores()["models"].items()}
    assert models[f"{backbone}-ranlen"]["changed_c"] == models[f"{backbone}-concat"]["changed_c"] == 0


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_ranlen_is_ahead_of_all_that_could_be_had_without_it(backbone):
    """Over all sets: of a spot meter, of a gain fitted on the reference at the best degree, and of its rivals."""
    over = weights.scores()["over_sets"]["models"]
    first, best = ({name: rows[figure]["mean"] for name, rows in over.items()} for figure in ("psnr_a", "psnr_a_best"))
    ours = f"{backbone}-ranlen"
    assert first[ours] > first["meter"] + 2
    assert best[ours] > best["one gain (oracle)"] + 1
    for rival in (f"{backbone}-blend", f"{backbone}-concat"):
        assert first[ours] > first[rival] + 1
        assert best[ours] > best[rival]


def test_where_only_the_mask_tells_what_is_meant_deepupe_s_ranlen_is_far_ahead():
    over = weights.scores()["over_sets"]
    first, best = (
        {name: dict(zip(over["sets"], rows[figure]["means"], strict=True)) for name, rows in over["models"].items()}
        for figure in ("psnr_a", "psnr_a_best")
    )
    for rival in ("deepupe-blend", "deepupe-concat"):
        for kind in ("backlit", "two"):
            assert first["deepupe-ranlen"][kind] > first[rival][kind] + 2
            assert best["deepupe-ranlen"][kind] > best[rival][kind] + 1
    assert all(first["deepupe-ranlen"][kind] > first["meter"][kind] for kind in over["sets"])


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("blend")])
def test_each_file_tells_how_it_was_made(name):
    config = weights.card(name)["card"]["config"]
    settings = load_config(ROOT / "train" / "configs" / f"{name}.toml", {})
    for key in ("backbone", "method", "epochs", "batch", "lr", "alpha", "beta", "gamma", "fade", "validation", "seed"):
        assert config[key] == getattr(settings, key), key
    for value in config.values():
        assert "/" not in str(value)


@pytest.mark.parametrize("example", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("backbone", PUBLISHED)
def test_examples_are_lit_where_they_are_marked(backbone, example):
    photo = images.read(ROOT / "demo" / "examples" / f"{example}.jpg")
    height, width = photo.size
    core = regions.disc(photo.size, (width / 2, height / 2), height / 4)
    mask = retouch.region_mask(core)
    lighting = retouch.predict(photo, mask, networks.load(f"{backbone}-ranlen"))
    means = [retouch.render(photo, lighting, degree).pixels[core].mean() for degree in (0, 0.5, 1, 1.5)]
    assert means[0] == photo.pixels[core].mean()
    assert all(np.diff(means) > 5)
    assert 1.5 * means[0] < means[2] < 200
