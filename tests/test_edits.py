from __future__ import annotations

import math

import numpy as np
import pytest

from ranlen.masks.edits import CIRCLE_RADIUS, EditError, pack, parse_edits, rasterise
from ranlen.masks.regions import disc

CLICK = {"tool": "circle", "at": [0.5, 0.5]}


def draw(*edits: dict, size: tuple[int, int] = (120, 200)) -> np.ndarray:
    return rasterise(parse_edits(list(edits)), size)


def test_a_click_is_the_papers_circle():
    assert np.array_equal(draw(CLICK), disc((120, 200), (100, 60), CIRCLE_RADIUS * 120))


def test_edits_are_drawn_in_order():
    box = {"tool": "rectangle", "from": [0.1, 0.9], "to": [0.9, 0.1]}
    erase = {"tool": "circle", "at": [0.5, 0.5], "radius": 0.1, "add": False}
    assert draw(box).sum() == pytest.approx(0.64 * 120 * 200, rel=0.01)
    assert draw(box, erase).sum() < draw(box).sum()
    assert np.array_equal(draw(erase, box), draw(box))
    assert np.array_equal(draw(box, {"tool": "invert"}), ~draw(box))


MARKS = [
    {"tool": "circle", "at": [0.4, 0.5], "radius": 0.3},
    {"tool": "rectangle", "from": [0.3, 0.2], "to": [0.9, 0.6]},
    {"tool": "brush", "points": [[0.2, 0.5], [0.8, 0.4]], "radius": 0.1},
    {"tool": "gradient", "from": [0.3, 0.5], "to": [0.7, 0.5]},
    pack(disc((120, 200), (100, 30), 40)),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda each: each["tool"])
def test_every_mark_adds_takes_away_or_leaves_what_is_in_both(mark):
    beneath = {"tool": "rectangle", "from": [0.1, 0.1], "to": [0.6, 0.9]}
    under, drawn = draw(beneath), draw(mark)
    assert np.array_equal(draw(beneath, mark), np.maximum(under, drawn))
    assert np.array_equal(draw(beneath, mark | {"add": "intersect"}), np.minimum(under, drawn))
    assert np.array_equal(draw(beneath, mark | {"add": False}), under * (1 - drawn.astype(np.float32)))
    assert not draw(mark | {"add": "intersect"}).any()
    assert (drawn.dtype == bool) == (mark["tool"] != "gradient")


def test_a_gradient_is_whole_behind_its_start_fades_straight_and_ends_at_its_end():
    share = draw({"tool": "gradient", "from": [0.25, 0.2], "to": [0.75, 0.2]})
    along = np.clip((150 - np.arange(200) - 0.5) / 100, 0, 1)
    assert np.abs(share - along).max() < 0.011  # it is a pixel early at both ends
    assert (share[:, :51] == 1).all()
    assert (share[:, 149:] == 0).all()
    slanted = draw({"tool": "gradient", "from": [0.5, 0.5], "to": [0.6, 0.5 + 20 / 120]}) == 1
    assert slanted[70, 85]  # across the way, in pixels of the photo and not in shares of its sides
    assert slanted[50, 105]
    assert not slanted[75, 105]


@pytest.mark.parametrize("ends", [([0, 0], [1, 1]), ([0.5, 0], [0.5, 1]), ([-3, 0.5], [4, 0.5]), ([1, 1], [0.95, 1])])
def test_a_gradient_from_edge_to_edge_has_some_of_all(ends):
    share = draw({"tool": "gradient", "from": ends[0], "to": ends[1]})
    assert (share.min(), share.max()) == (0, 1)
    assert len(np.unique(share)) > 5


def test_what_fades_does_so_through_every_change_of_the_mask():
    fading = {"tool": "gradient", "from": [0.3, 0.5], "to": [0.7, 0.5]}
    for change in ({"tool": "invert"}, {"tool": "grow", "by": 0.1}, {"tool": "grow", "by": -0.1}, {"tool": "fill"},
                   {**CLICK, "radius": 0.2}, {**CLICK, "radius": 0.2, "add": False}):  # fmt: skip
        share = draw(fading, change)
        assert 55 * 80 < ((share > 0) & (share < 1)).sum() < 85 * 120
    assert np.allclose(draw(fading, *[{"tool": "invert"}] * 2), draw(fading))


def test_growing_and_filling_keep_how_much_of_the_light_a_place_gets():
    fading = [{"tool": "rectangle", "from": [0, 0.25], "to": [1, 0.75]},
              {"tool": "gradient", "from": [0.3, 0.5], "to": [0.7, 0.5], "add": "intersect"}]  # fmt: skip
    share, grown = draw(*fading), draw(*fading, {"tool": "grow", "by": 0.1})
    assert np.abs(grown[20] - grown[60])[:130].max() < 0.03  # beyond the border as much as at it
    assert (grown[60] == share[60]).all()
    assert not grown[10].any()
    hole = {**CLICK, "radius": 0.1, "add": False}
    assert draw(*fading, hole, {"tool": "fill"})[60, 100] == 1
    assert draw(*fading, hole, {"tool": "fill"})[60, 70] == share[60, 70]


def test_a_stroke_is_as_wide_as_its_brush():
    core = draw({"tool": "brush", "points": [[0.2, 0.5], [0.8, 0.5]], "radius": 0.1})
    assert core[:, 100].sum() == pytest.approx(24, abs=1)
    assert draw({"tool": "brush", "points": [[0.5, 0.5]], "radius": 0.1}).sum() == pytest.approx(math.pi * 144, rel=0.1)


@pytest.mark.parametrize("size", [(120, 200), (240, 400), (480, 800)])
def test_every_size_of_the_photo_gives_the_same_shape(size):
    edits = [CLICK, {"tool": "brush", "points": [[0.1, 0.2], [0.4, 0.9], [0.9, 0.3]], "radius": 0.05}]
    assert draw(*edits, size=size).mean() == pytest.approx(
        draw(*edits, size=(960, 1600)).mean(), rel=0.05
    )  # strokes are true to a pixel


def test_growing_and_shrinking_move_the_border_by_so_many_short_sides():
    core = draw({**CLICK, "radius": 0.2})
    larger = draw({**CLICK, "radius": 0.2}, {"tool": "grow", "by": 0.1})
    assert larger.sum() == pytest.approx(math.pi * 36**2, rel=0.03)
    smaller = draw({**CLICK, "radius": 0.2}, {"tool": "grow", "by": -0.1})
    assert smaller.sum() == pytest.approx(math.pi * 12**2, rel=0.06)
    assert ((smaller <= core) & (core <= larger)).all()
    assert not draw({"tool": "grow", "by": 0.1}).any()
    assert not draw({**CLICK, "radius": 0.1}, {"tool": "grow", "by": -0.5}).any()


def test_filling_closes_holes_and_nothing_else():
    ring = [{**CLICK, "radius": 0.3}, {**CLICK, "radius": 0.1, "add": False}]
    bay = {"tool": "rectangle", "from": [0.4, 0.0], "to": [0.6, 0.2]}
    assert np.array_equal(draw(*ring, bay, {"tool": "fill"}), draw({**CLICK, "radius": 0.3}, bay))


def test_a_mask_from_a_file_travels_as_bits_and_fits_any_size():
    core = draw({"tool": "brush", "points": [[0.2, 0.2], [0.7, 0.8]], "radius": 0.15})
    assert np.array_equal(draw(pack(core)), core)
    assert draw(pack(core), size=(480, 800)).mean() == pytest.approx(core.mean(), rel=0.01)
    assert draw(pack(core), size=(30, 50)).mean() == pytest.approx(core.mean(), rel=0.05)
    assert not draw(pack(core), {**pack(core), "add": False}).any()
    assert len(pack(core)["bits"]) < 1000


def test_points_outside_are_moved_to_the_edge():
    core = draw({"tool": "brush", "points": [[-5, 0.5], [5, 0.5]], "radius": 0.02})
    assert core[60].all()


def test_what_a_segmenter_answers_is_not_drawn():
    question = [{"tool": "subject", "at": [0.5, 0.5]}, {"tool": "bounding_box", "from": [0, 0], "to": [1, 1]}]
    assert not draw(*question, {"tool": "part", "larger": False}).any()


def test_nothing_marked_is_an_empty_core():
    assert not draw().any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[]", "edits are a list; got str"),
        ({}, "edits are a list; got dict"),
        ([7], "edit 1 is not an object: 7"),
        (
            [CLICK, {"tool": "lasso"}],
            "edit 2: the tool is one of subject, bounding_box, part, circle, rectangle, brush, gradient, mask, invert, "
            "grow, fill; got 'lasso'",
        ),
        ([{}], "edit 1: the tool is one of"),
        ([{"tool": "circle"}], "edit 1: a point is two numbers from 0 to 1; got None"),
        ([{"tool": "circle", "at": [math.nan, 0]}], "a point is two numbers"),
        ([{"tool": "circle", "at": [math.inf, 0]}], "a point is two numbers"),
        ([{"tool": "circle", "at": ["0", "0"]}], "a point is two numbers"),
        ([{"tool": "circle", "at": "ab"}], "a point is two numbers"),
        ([{"tool": "circle", "at": [0, 0, 0]}], "a point is two numbers"),
        ([{"tool": "circle", "at": [True, False]}], "a point is two numbers"),
        ([{"tool": "bounding_box", "from": [0, 0]}], "a point is two numbers"),
        ([{"tool": "part", "larger": 1}], '"larger" is true or false; got 1'),
        ([{**CLICK, "radius": 0}], 'edit 1: "radius" is above 0'),
        ([{**CLICK, "radius": 1e9}], '"radius" is above 0 and at most 2'),
        ([{**CLICK, "radius": math.nan}], '"radius"'),
        ([{"tool": "grow", "by": 0}], '"by" is from -1 to 1 short sides, and not 0; got 0'),
        ([{"tool": "grow", "by": math.nan}], '"by" is from -1 to 1'),
        ([{"tool": "mask", "bits": ""}], '"size" is [height, width], at most 4096 each; got None'),
        ([{"tool": "mask", "size": [8, 9999], "bits": ""}], '"size" is [height, width]'),
        ([{"tool": "mask", "size": [8, 8]}], '"bits" do not hold a mask'),
        ([{"tool": "mask", "size": [8, 8], "bits": "AAAA"}], '"bits" are not a packed mask'),
        ([{"tool": "mask", "size": [8, 8], "bits": "@"}], '"bits" are not a packed mask'),
        ([{**pack(np.ones((8, 8), bool)), "size": [9, 9]}], '"bits" do not hold a mask of 9 x 9 pixels'),
        ([{**pack(np.ones((4096, 4096), bool)), "size": [2, 2]}], '"bits" do not hold a mask of 2 x 2 pixels'),
        ([{**CLICK, "add": "yes"}], '"add" is true or false, or "intersect"'),
        ([{"tool": "subject", "at": [0, 0], "add": "intersect"}], '"add" is true or false'),
        ([{"tool": "gradient", "from": [0, 0]}], "a point is two numbers"),
        ([{"tool": "brush", "points": [], "radius": 0.1}], '"points" is a list'),
        ([{"tool": "brush", "points": [[0, 0], [1, "b"]], "radius": 0.1}], "0 to 1; got [1, 'b']"),
        ([{"tool": "circle", "at": [10**400, 0]}], "a point is two numbers"),
        ([{**CLICK, 7: 7}], "edit 1: "),
        ([{"tool": "brush", "points": [[0, 0]] * 20_001, "radius": 0.1}], '"points" is a list of 1 to 20000'),
        ([CLICK] * 1001, "1001 edits; at most 1000"),
        ([{"tool": "mask"}] * 17, "17 masks; at most 16"),
        ([{"tool": "brush", "points": [[0, 0]] * 15_000, "radius": 0.1}] * 2, "30000 points; at most 20000"),
    ],
)
def test_what_is_no_edit_list_is_refused_in_one_line(data, message):
    with pytest.raises(EditError) as caught:
        parse_edits(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
