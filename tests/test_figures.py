"""Figures on tiny pairs: right panels, right order, and a line for what cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ranlen import networks
from ranlen.cli import sheet
from ranlen.io.images import Photo
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from train import figures
from train.figures import Sources


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Four pairs of three scenes, 48 x 64, two of them with a mask."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    names = ["a_0", "a_1", "b_0", "c_0"]
    for side in ("low", "high", "masks"):
        (folder / side).mkdir()
    for name in names:
        dark = rng.integers(10, 60, (48, 64, 3), dtype=np.uint8)
        Photo(dark).write(folder / "low" / f"{name}.png")
        Photo(dark * 4).write(folder / "high" / f"{name}.png")
    core = np.zeros((48, 64, 3), np.uint8)
    core[10:40, 20:50] = 255
    for name in names[1:3]:
        Photo(core).write(folder / "masks" / f"{name}.png")
    (folder / "split.json").write_text(json.dumps({"test": names}))
    return folder


@pytest.fixture(autouse=True)
def shelf(weights_folder, monkeypatch):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))


def test_a_grid_puts_every_picture_over_its_label():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    sizes = [(30, 60), (40, 60), (20, 50)]
    tiles = [np.full((*size, 3), colour, np.uint8) for size, colour in zip(sizes, colours, strict=True)]
    panels = list(zip("abc", tiles, strict=True))
    drawn = sheet.grid(panels, 2, below=True).pixels
    gap, header = sheet.GAP, 28
    assert drawn.shape == (40 + 20 + 2 * header + gap, 2 * 60 + 3 * gap, 3)
    for (top, left), tile in zip([(gap, gap), (gap, 2 * gap + 60), (gap + 40 + header, gap)], tiles, strict=True):
        height, width = tile.shape[:2]
        np.testing.assert_array_equal(drawn[top : top + height, left : left + width], tile)
        label = drawn[top + height : top + height + header, left : left + width]
        assert (label > 150).all(-1).any()  # something is written there


def test_photos_are_spread_over_scenes():
    names = [f"s{i}_{j}" for i in range(6) for j in range(2)]
    assert figures.spread(names, 3) == ["s0_0", "s2_0", "s4_0"]
    assert figures.spread(names, 9) == [f"s{i}_0" for i in range(6)]


def test_a_comparison_has_a_row_per_pair_and_shows_the_network_itself(pairs):
    chosen = figures.examples(Sources(pairs, count=2))
    assert [each.name for each in chosen] == ["a_0", "b_0"]
    network = networks.load("deepupe-concat")
    panels = figures.compared(chosen, {"Concat": network}, reference=True)
    assert [label for label, _ in panels] == ["input", "reference", "Concat"] * 2
    assert all(pixels.shape == (240, 320, 3) for _, pixels in panels)
    dark = chosen[0].dark
    mask = RegionMask.paper_circle(dark.size)
    corner = (slice(0, 4), slice(0, 4))
    assert (figures.raw(dark, mask, network).pixels[corner] != dark.pixels[corner]).any()


def test_the_picture_gets_brighter_as_alpha_falls(pairs):
    pair = figures.examples(Sources(pairs))[0]
    panels = figures.alphas(pair, networks.load("deepupe-ranlen"))
    assert [label for label, _ in panels] == [f"alpha {a}" for a in ("1.3", "1.2", "1.1", "1", "0.9", "0.8")]
    assert all(np.diff([pixels.mean() for _, pixels in panels]) > 0)


def test_masks_light_different_places(pairs):
    pair = figures.examples(Sources(pairs))[0]
    panels = figures.masks_and_degrees(pair, networks.load("deepupe-ranlen"))
    assert len(panels) == 9
    assert len({pixels.tobytes() for _, pixels in panels}) == 9


def test_portraits_are_lit_in_their_map_only(pairs):
    pair = figures.example(pairs, "a_1")
    core = np.zeros((48, 64), bool)
    core[10:40, 20:50] = True
    panels = dict(figures.portraits([(pair, core)], networks.load("star_dce-ranlen")))
    assert list(panels) == ["reference", "input", "segmentation map", "STAR-DCE-RANLEN"]
    change = np.abs(panels["STAR-DCE-RANLEN"].astype(int) - panels["input"]).max(2)
    inside = panels["segmentation map"][..., 0] > 127
    assert change[inside].max() > 0
    assert change[:, :80].max() == 0


def test_the_command_writes_figures_and_says_what_is_missing(pairs, tmp_path, capsys):
    torch.manual_seed(0)
    without = tmp_path / "without.safetensors"
    weights.save(weights.load("deepupe-ranlen"), without, {})
    command = ["--data", str(pairs), "-o", str(tmp_path / "out"), "--other", str(pairs), "--without", str(without)]
    assert figures.main([*command, "--tails", "nowhere.safetensors", "--count", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed == "figure 7 skipped: no such weights file: nowhere.safetensors\n"
    page = (tmp_path / "out" / "FIGURES.md").read_text()
    assert f"python -m train.figures --data {pairs} -o " in page
    for number in "145689":
        with Image.open(tmp_path / "out" / f"figure_{number}.png") as picture:
            assert picture.width > 900
        assert f"(figure_{number}.png)" in page
    assert "(figure_7.png)" not in page
    assert "Figure 7 is not here" in page


def test_what_cannot_be_made_is_refused_in_a_line(pairs, tmp_path, capsys):
    out = ["-o", str(tmp_path)]
    assert figures.main(["--data", str(pairs), *out, "--only", "2"]) == 2
    assert figures.main(["--data", str(tmp_path), *out]) == 2
    assert figures.main(["--data", str(pairs), *out, "--photos", "ghost"]) == 2
    assert figures.main(["--data", str(pairs), *out, "--only", "5"]) == 2
    for masks in ("--subject-masks", "--silhouettes"):
        assert figures.main(["--data", str(pairs), *out, "--only", "9", masks, str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "no figure '2' to make; there are 1, 4, 5" in captured.err
    assert "split.json" in captured.err
    assert "has no image 'ghost'" in captured.err
    assert "figure 5 skipped: needs --other FOLDER" in captured.out
    assert captured.out.count(f"figure 9 skipped: needs masks of photos, {tmp_path / 'NAME.png'}") == 2
