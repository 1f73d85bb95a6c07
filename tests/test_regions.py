from __future__ import annotations

import numpy as np
import pytest

from ranlen.arrays import resize
from ranlen.facts import SIDES
from ranlen.masks import boolean, regions, shapes
from ranlen.masks.regions import RegionMask

CORES = {
    "disc": regions.disc((90, 120), (50, 40), 25),
    "rectangle": regions.rectangle((90, 120), (20, 30, 70, 60)),
    "stroke": regions.stroke((90, 120), [(20, 20), (60, 70), (100, 30)], 6),
    "two parts": regions.disc((90, 120), (30, 40), 15) | regions.disc((90, 120), (90, 40), 12),
    "at the frame": regions.rectangle((90, 120), (-10, -10, 40, 50)),
}


def distance_to(area: np.ndarray) -> np.ndarray:
    """Distance of every pixel to an area, the slow and obvious way."""
    points = np.argwhere(area)
    grid = np.indices(area.shape).reshape(2, -1).T
    nearest = [np.sqrt(((points - p) ** 2).sum(1).min()) for p in grid]
    return np.array(nearest).reshape(area.shape)


@pytest.mark.parametrize("feather_side", ["out", "in", "both"])
@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_areas_add_up_to_one_everywhere(core, feather_side):
    mask = RegionMask.from_core(core, feather=0.12, feather_side=feather_side)
    for each in (mask, mask.resize((33, 47)), mask.resize((180, 111))):
        np.testing.assert_allclose(each.a + each.b + each.c, 1, rtol=1e-6)
        assert (each.a >= 0).all()
        assert (each.b >= 0).all()
        assert (each.c >= 0).all()
    np.testing.assert_allclose(sum(mask.coverage()), 1, rtol=1e-6)


def test_growing_out_dilates_by_the_width():
    core = CORES["two parts"]
    mask = RegionMask.from_core(core, feather_px=9)
    assert np.array_equal(mask.a[0, 0] == 1, core)
    assert np.array_equal(mask.c[0, 0] == 0, distance_to(core) <= 9)


def test_growing_in_erodes_by_the_width_and_keeps_the_outer_limit():
    core = CORES["disc"]
    mask = RegionMask.from_core(core, feather_px=8, feather_side="in")
    assert np.array_equal(mask.c[0, 0] == 0, core)
    assert np.array_equal(mask.a[0, 0] == 1, distance_to(~core) > 8)


def test_growing_both_ways_shares_the_width():
    mask = RegionMask.from_core(CORES["rectangle"], feather_px=12, feather_side="both")
    core = CORES["rectangle"]
    assert np.array_equal(mask.a[0, 0] == 1, distance_to(~core) > 6)
    assert np.array_equal(mask.c[0, 0] == 0, distance_to(core) <= 6)


def test_carving_never_eats_the_whole_subject():
    thin = regions.stroke((90, 120), [(10, 45), (110, 45)], 4)
    mask = RegionMask.from_core(thin, feather=0.5, feather_side="in")
    assert mask.a.sum() > 0
    assert mask.b.sum() > 0


GRADIENT = shapes.gradient((90, 120), (20, 45), (100, 45))


@pytest.mark.parametrize("feather_side", SIDES)
@pytest.mark.parametrize("feather", [0, 0.1])
def test_a_gradient_fades_straight_from_its_start_to_its_end_whatever_the_feather(feather, feather_side):
    mask = RegionMask.from_core(GRADIENT, feather=feather, feather_side=feather_side)
    ramp, straight = mask.ramp()[0, 0, 45], np.clip((100 - np.arange(120) - 0.5) / 80, 0, 1)
    assert np.abs(ramp - straight).max() < (0.013 if feather == 0 or feather_side == "out" else 0.12)
    assert mask.c[0, 0, :, 100:].all()
    assert np.array_equal(mask.ramp() == 1, mask.a == 1)
    assert np.array_equal(mask.ramp() == 0, mask.c == 1)


def test_in_a_gradient_a_subject_keeps_its_border_and_the_feather_around_it():
    core = CORES["disc"]
    whole, fading = RegionMask.from_core(core), RegionMask.from_core(np.minimum(core, GRADIENT))
    share = GRADIENT
    inside = core
    assert np.allclose(fading.ramp()[0, 0][inside], share[inside])
    around = (whole.b[0, 0] == 1) & (share > 0)
    assert (fading.ramp()[0, 0][around] <= whole.ramp()[0, 0][around]).all()
    assert (fading.ramp()[0, 0][around] > 0).all()
    assert not (fading.tensor > whole.tensor).any()


def test_what_fades_by_itself_does_so_at_every_size():
    mask = RegionMask.from_core(GRADIENT).resize((45, 60))
    assert np.abs(mask.ramp()[0, 0, 20] - GRADIENT[45].reshape(60, 2).mean(1)).max() < 0.01
    assert mask.to("cpu").own_ramp is not None
    large = RegionMask.from_core(np.repeat(np.repeat(GRADIENT, 20, 0), 20, 1), max_side=600)
    assert large.size == (450, 600)
    assert np.abs(large.ramp()[0, 0, 220] - np.repeat(GRADIENT[44], 5)).max() < 0.03


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.5])
def test_a_core_of_floats_holds_shares(value):
    with pytest.raises(ValueError, match="floats holds values in"):
        RegionMask.from_core(np.full((9, 12), value))


def test_fraction_is_of_the_short_side():
    core = CORES["disc"]
    by_fraction = RegionMask.from_core(core, feather=0.1)
    assert np.array_equal(by_fraction.tensor, RegionMask.from_core(core, feather_px=9).tensor)


def test_the_papers_circles():
    mask = RegionMask.paper_circle((256, 384))
    radius = 2 * 256 / 7
    assert mask.coverage()[0].item() == pytest.approx(np.pi * radius**2 / (256 * 384), rel=2e-3)
    assert (1 - mask.coverage()[2]).item() == pytest.approx(np.pi * (1.225 * radius) ** 2 / (256 * 384), rel=2e-3)
    a, b, _ = RegionMask.paper_circle((512, 512), ratio=1.25).coverage()
    assert np.sqrt((a + b) / a).item() == pytest.approx(1.25, abs=0.005)


def test_resizing_keeps_coverage_and_thin_areas():
    mask = RegionMask.paper_circle((256, 256))
    for size in ((128, 128), (64, 64), (32, 32), (16, 16), (4, 4)):
        small = mask.resize(size)
        for before, after in zip(mask.coverage(), small.coverage(), strict=True):
            np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
    assert mask.resize((16, 16)).b.max() > 0.3  # 16 px wide at 256, one cell here: nearest would lose most of it


def test_ramp_falls_from_one_to_zero_across_b():
    mask = RegionMask.circle((200, 200), (100, 100), 40, 80)
    ramp = mask.ramp()[0, 0]
    assert (ramp[mask.a[0, 0] == 1] == 1).all()
    assert (ramp[mask.c[0, 0] == 1] == 0).all()
    inside_b = ramp[mask.b[0, 0] == 1]
    assert inside_b.min() > 0
    assert inside_b.max() < 1
    across = ramp[100, 140:180]
    np.testing.assert_allclose(across, np.linspace(1, 0, 42)[1:-1], atol=0.02)
    assert mask.feather_width().item() == pytest.approx(41, abs=1)


def test_normalised_distance_goes_on_beyond_b():
    mask = RegionMask.circle((200, 200), (100, 100), 40, 60)
    distance = mask.normalised_distance()[0, 0]
    assert distance[100, 100] < -1.5
    assert distance[100, 199] > 2.5
    assert distance[100, 150].item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("areas", [(0, 0), (0, 1), (1, 1)])
def test_ramp_of_degenerate_areas_is_defined(areas):
    mask = RegionMask(np.tile(np.float32(areas).reshape(1, 2, 1, 1), (8, 9)))
    ramp = mask.ramp()
    assert np.isfinite(ramp).all()
    assert np.unique(ramp).tolist() == [float(areas[1])]


@pytest.mark.parametrize("feather_side", ["out", "in", "both"])
@pytest.mark.parametrize("feather", [0.01, 0.06, 0.3])
def test_a_smaller_mask_never_reaches_beyond_the_areas_of_full_size(rng, feather_side, feather):
    size = (900, 1300)
    core = regions.disc(size, (500, 400), 210) | regions.stroke(size, [(700, 100), (1200, 800)], 17)
    core &= ~regions.disc(size, (520, 380), 3)  # a hole finer than a cell
    exact = RegionMask.from_core(core, feather=feather, feather_side=feather_side)
    small = RegionMask.from_core(core, feather=feather, feather_side=feather_side, max_side=300)
    reached = resize(small.ramp(), size) > 0
    assert not (reached & (exact.c == 1)).any()
    assert (reached & (exact.a == 1)).sum() > 0.9 * exact.a.sum() or feather_side != "out"


def test_a_mask_keeps_its_size_when_small_cells_would_not_show_b():
    core = regions.disc((600, 800), (400, 300), 100)
    assert RegionMask.from_core(core, feather_px=30, max_side=400).size == (300, 400)
    assert RegionMask.from_core(core, feather_px=8, max_side=400).size == (600, 800)


def test_shapes_lie_where_they_should():
    assert regions.disc((10, 20), (10, 5), 0.8).sum() == 4  # the four pixels around a corner
    assert regions.rectangle((10, 20), (18, 8, 2, 1)).sum() == 16 * 7
    stroke = regions.stroke((40, 60), [(10, 20), (50, 20)], 5)
    assert stroke.sum() == pytest.approx(40 * 10 + np.pi * 25, rel=0.08)
    ys, xs = np.nonzero(stroke)
    assert ys.mean() + 0.5 == pytest.approx(20, abs=0.6)
    assert xs.mean() + 0.5 == pytest.approx(30, abs=0.6)
    turned = regions.ellipse((100, 100), (50, 50), (40, 10), np.pi / 2)
    ys, xs = np.nonzero(turned)
    assert np.ptp(ys) > 3 * np.ptp(xs)
    assert not regions.disc((10, 10), (-50, -50), 5).any()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.zeros((2, 4, 4)), r"\(N, 2, H, W\); got \(2, 4, 4\)"),
        (np.zeros((1, 3, 4, 4)), r"\(N, 2, H, W\); got \(1, 3, 4, 4\)"),
        (np.zeros((1, 2, 0, 4)), r"\(N, 2, H, W\)"),
        (np.zeros((1, 2, 4, 4), dtype=int), "floats"),
        (np.full((1, 2, 4, 4), 1.5), r"values in \[0, 1\]"),
        (np.full((1, 2, 4, 4), np.nan), "NaN"),
        (np.stack([np.ones((4, 4)), np.zeros((4, 4))])[None], "swapped"),
    ],
)
def test_tensors_that_are_no_mask_are_refused(tensor, message):
    with pytest.raises(ValueError, match=message):
        RegionMask(tensor)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feather": -0.1}, "got -0.1"),
        ({"feather": float("nan")}, "got nan"),
        ({"feather_px": 1e9}, "from 0 to 120"),
        ({"feather_side": "sideways"}, "out, in, both; got 'sideways'"),
    ],
)
def test_areas_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RegionMask.from_core(CORES["disc"], **arguments)
    with pytest.raises(ValueError, match="boolean array"):
        RegionMask.from_core(np.zeros((3, 4, 5), bool))
    with pytest.raises(ValueError, match="0 < radius"):
        RegionMask.circle((10, 10), (5, 5), 4, 2)


def test_distances_are_exact_to_the_last_bit():
    """OpenCV's are not, and depend on where arrays lie and on its threads: no training was repeatable with them."""
    spot = np.zeros((60, 80), bool)
    spot[20, 30] = True
    y, x = np.ogrid[-20:40, -30:50]
    assert np.array_equal(boolean.distance(spot), np.sqrt((x * x + y * y).astype(np.float32)))
