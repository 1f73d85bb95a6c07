from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from ranlen import facts, recipe, retouch
from ranlen.cli import main as cli
from ranlen.facts import BACKBONES
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks.edits import Circle, EditError, Grow
from ranlen.masks.regions import RegionMask
from ranlen.networks import load

LEFT = {"tool": "circle", "at": [0.25, 0.5], "radius": 0.15}
RIGHT = {"tool": "circle", "at": [0.75, 0.5], "radius": 0.15}
SAVED = {
    "ranlen": 2,
    "backbone": "star_dce",
    "subjects": [{"edits": [LEFT], "degree": 0.5, "feather": 0.05}, {"edits": [RIGHT], "feather_side": "in"}],
}


def nobody(prompts):
    raise AssertionError("no edit asks for a segmenter")


@pytest.fixture
def folder(tmp_path, monkeypatch, weights_folder, photo):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    photo.write("a.png")
    (tmp_path / "recipe.json").write_text(json.dumps(SAVED))
    (tmp_path / "list.json").write_text(json.dumps([LEFT]))
    return tmp_path


def test_the_fade_is_narrow_and_both_ways_around_what_was_found():
    core = np.zeros((200, 300), bool)
    core[50:150, 100:200] = True
    view = Photo(np.zeros((*core.shape, 3), np.uint8))
    found, drawn = (
        recipe.parse_recipe([{"tool": tool, "at": [0.5, 0.5], "add": True, **more}]).subjects[0]
        for tool, more in (("subject", {}), ("circle", {"radius": 0.25}))
    )
    area, _ = recipe.subject_areas(found, view, lambda said: core, {})
    assert area.feather_width().item() == pytest.approx(0.02 * 200, abs=2)
    assert 0 < (area.a[0, 0] == 1).sum() < core.sum()
    area, _ = recipe.subject_areas(drawn, view, nobody, {})
    assert area.feather_width().item() == pytest.approx(0.1 * 200, abs=2)
    asked_for, _ = recipe.subject_areas(dataclasses.replace(found, feather=0.1), view, lambda said: core, {})
    assert asked_for.feather_width().item() == pytest.approx(0.1 * 200, abs=2)


@pytest.mark.parametrize(("before", "now"), [*facts.OLD_TOOLS.items(), *facts.OLD_SETTINGS.items()])
def test_files_of_before_say_it_in_older_words(before, now):
    place, area = {"at": [0.25, 0.5], "radius": 0.15}, {"from": [0.1, 0.2], "to": [0.8, 0.7]}
    tools = [
        {"tool": "circle", **place},
        {"tool": "rectangle", **area},
        {"tool": "bounding_box", **area},
        {"tool": "fill"},
    ]
    told = json.dumps({"ranlen": 2, "subjects": [{"edits": tools, "feather": 0.05, "feather_side": "in"}]})
    older = told.replace(f'"{now}"', f'"{before}"').replace('"ranlen": 2', '"ranlen": 1')
    assert older.count(f'"{before}"') == 1
    assert recipe.parse_recipe(json.loads(older)) == recipe.parse_recipe(json.loads(told))


def test_the_word_grow_is_still_a_tool():
    (subject,) = recipe.parse_recipe(
        {"ranlen": 1, "subjects": [{"edits": [LEFT, {"tool": "grow", "by": 0.1}]}]}
    ).subjects
    assert (subject.edits[1], subject.feather_side) == (Grow(0.1), None)


def test_a_plain_list_is_a_recipe_of_one_subject():
    (subject,) = recipe.parse_recipe([LEFT]).subjects
    assert (subject.degree, subject.feather, subject.feather_side) == (1.0, None, None)
    assert subject.edits == (Circle((0.25, 0.5), 0.15),)


def test_each_subject_is_lit_by_its_own_degree_and_the_rest_stays(photo, networks):
    both = recipe.parse_recipe(SAVED)
    network = networks["star_dce-ranlen"]
    lit = recipe.light_subjects(photo, both, nobody, network)
    alone = [recipe.light_subjects(photo, recipe.Recipe((one,), "star_dce"), nobody, network) for one in both.subjects]
    assert np.array_equal(lit.pixels, np.maximum(photo.pixels, np.maximum(*(one.pixels for one in alone))))
    assert (lit.pixels[:, 60:] != photo.pixels[:, 60:]).any()
    assert np.array_equal(lit.pixels[0], photo.pixels[0])


def test_the_command_line_repeats_a_recipe(folder, photo):
    assert cli.main(["light", "a.png", "-o", "b.png", "--edits", "recipe.json"]) == 0
    expected = recipe.light_subjects(photo, recipe.parse_recipe(SAVED), nobody, load("star_dce-ranlen"))
    assert np.array_equal(images.read("b.png").pixels, expected.pixels)


def test_a_gradient_over_a_subject_lights_less_and_less_of_it(folder, photo):
    """By the command line as by the page, and no byte beyond its end or beside the subject."""
    box = {"tool": "rectangle", "from": [0, 0.1], "to": [1, 0.9]}
    fading = {"tool": "gradient", "from": [0.2, 0.5], "to": [0.8, 0.5], "add": "intersect"}
    saved = {"ranlen": 2, "backbone": "star_dce", "subjects": [{"edits": [box, fading], "feather": 0.05}]}
    (folder / "fading.json").write_text(json.dumps(saved))
    assert cli.main(["light", "a.png", "-o", "b.png", "--edits", "fading.json"]) == 0
    lit, network, done = images.read("b.png").pixels, load("star_dce-ranlen"), recipe.parse_recipe(saved)
    assert np.array_equal(lit, recipe.light_subjects(photo, done, nobody, network).pixels)
    mask, _ = recipe.subject_areas(done.subjects[0], photo, nobody, {})
    along = mask.ramp()[0, 0, 45]
    lights = [retouch.predict(photo, each, network).field.maps for each in (mask, RegionMask(mask.tensor))]
    assert (lights[0] != lights[1]).any()  # the network is told of it
    assert along[:24].min() == 1
    assert (np.diff(along[24:96]) < 0).all()
    assert np.array_equal(lit[:, 97:], photo.pixels[:, 97:])
    assert np.array_equal(lit[:4], photo.pixels[:4])


def test_a_list_takes_the_settings_of_the_command_line(folder, photo):
    options = ["--degree", "0.5", "--feather", "0.05", "--model", "star_dce-ranlen"]
    assert cli.main(["light", "a.png", "-o", "b.png", "--edits", "list.json", *options]) == 0
    expected = recipe.light_subjects(
        photo,
        recipe.parse_recipe(SAVED | {"subjects": SAVED["subjects"][:1]}),
        nobody,
        load("star_dce-ranlen"),
    )
    assert np.array_equal(images.read("b.png").pixels, expected.pixels)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ["light", "a.png", "--degree", "0.5"],
            "recipe.json is a recipe with settings of its own; leave out --degree",
        ),
        (["light", "a.png", "--model", "deepupe-concat"], "leave out --model"),
        (["compare", "a.png"], "recipe.json has 2 subjects; a sheet compares one"),
    ],
)
def test_what_a_recipe_cannot_be_used_with_is_said(folder, capsys, command, message):
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "-o", "b.png", "--edits", "recipe.json"])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "edits are a list, or a recipe as the page saves it; got NoneType"),
        ({"ranlen": 3}, 'a recipe says "ranlen": 2; got 3'),
        ({"ranlen": 0}, 'a recipe says "ranlen": 2; got 0'),
        ({"subjects": []}, '"subjects" is a list of 1 to 8; got []'),
        ({"subjects": [{"edits": []}] * 9}, '"subjects" is a list of 1 to 8'),
        ({"subjects": [7]}, "subject 1 is not an object: 7"),
        ({"subjects": [{}]}, "edits are a list; got NoneType"),
        ({"subjects": [{"edits": [], "degree": 3}]}, 'subject 1: "degree" is a number from 0 to 2; got 3'),
        ({"subjects": [{"edits": [], "degree": math.nan}]}, '"degree" is a number from 0 to 2'),
        ({"subjects": [{"edits": [], "feather": True}]}, '"feather" is a number from 0 to 1; got True'),
        (
            {"subjects": [{"edits": [], "feather_side": "up"}]},
            "\"feather_side\" is one of out, in, both, or null; got 'up'",
        ),
        ({"backbone": "none such"}, f"\"backbone\" is one of {', '.join(BACKBONES)}; got 'none such'"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(change, message):
    with pytest.raises(EditError) as caught:
        recipe.parse_recipe(change and SAVED | change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_limits_are_those_of_the_light_and_of_the_areas():
    assert recipe.LIMITS["degree"] == (0.0, facts.MAX_DEGREE)
    for name, (least, most) in recipe.LIMITS.items():
        for value in (least, most):
            (subject,) = recipe.parse_recipe({"ranlen": 2, "subjects": [{"edits": [], name: value}]}).subjects
            assert getattr(subject, name) == value
