"""From clicks to a mask: GrabCut, its borders, and the command."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ranlen.cli import main as cli
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import regions
from ranlen.segment import Prompts, choice, edges
from ranlen.segment.brighten import brightened
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.grabcut import GrabCut
from ranlen.segment.prompts import PromptError
from tests.discs import CENTER, SIZE, answer, disc_photo, iou

# --- what a segmenter sees ---


def test_a_bright_photo_is_not_brightened():
    pixels = disc_photo()[0].pixels
    assert brightened(pixels) is pixels


def test_a_dark_photo_is_brightened_and_nothing_in_it_gets_darker():
    pixels = disc_photo(0.12)[0].pixels
    after = brightened(pixels)
    assert (after >= pixels).all()
    assert after.mean() > 3 * pixels.mean()
    assert (brightened(np.zeros((4, 4, 3), np.uint8)) == 0).all()


# --- GrabCut ---


@pytest.mark.parametrize(("light", "least"), [(1.0, 0.95), (0.4, 0.9), (0.12, 0.8)])
def test_one_click_finds_a_disc_in_any_light(light, least):
    photo, truth = disc_photo(light)
    assert iou(answer(GrabCut(), photo, Prompts(inside=((180, 110),))), truth) > least


def test_a_box_finds_the_disc_too():
    photo, truth = disc_photo()
    assert iou(answer(GrabCut(), photo, Prompts(box=(130, 40, 250, 160))), truth) > 0.9


def test_nothing_is_found_outside_the_box():
    photo, _ = disc_photo()
    mask = answer(GrabCut(), photo, Prompts(inside=(CENTER,), box=(150, 0, 320, 240)))
    assert not mask[:, :145].any()
    assert mask[100, 190]


def test_a_subject_that_the_frame_cuts_off_reaches_the_frame():
    photo, _ = disc_photo()
    mask = answer(GrabCut(), Photo(photo.pixels[:110]), Prompts(inside=((190, 80),)))
    assert mask[-1, 170:210].all()


def test_a_click_that_says_not_this_takes_it_away():
    photo, truth = disc_photo()
    second = regions.disc(SIZE, (80, 100), 50)
    pixels = photo.pixels.copy()
    pixels[second] = pixels[truth].mean(axis=0)
    pixels[95:105, 120:150] = pixels[truth].mean(axis=0)  # a bridge between two discs of one colour
    first = answer(GrabCut(), Photo(pixels), Prompts(inside=(CENTER,)))
    said = Prompts(inside=(CENTER,), outside=((80, 100), (135, 100)), mask=first)
    after = answer(GrabCut(), Photo(pixels), said)
    assert not after[100, 80]
    assert iou(after, truth) > max(0.8, iou(first, truth) - 0.05)


def test_the_mask_so_far_is_where_the_search_begins():
    photo, truth = disc_photo()
    rough = regions.rectangle(SIZE, (150, 60, 230, 140))
    assert iou(answer(GrabCut(), photo, Prompts(inside=((150, 70),), mask=rough)), truth) > 0.9


def two_discs() -> tuple[Photo, np.ndarray, np.ndarray]:
    """Two discs of about the same colours, and where they are."""
    photo, first = disc_photo()
    second = regions.disc(SIZE, (60, 150), 30)
    pixels = photo.pixels.copy()
    pixels[second] = (200, 150, 120)
    return Photo(pixels), first, second


def test_a_small_correction_changes_nothing_far_from_it():
    photo, first, second = two_discs()
    rng = np.random.default_rng(0)
    before = first ^ (rng.random(SIZE) < 0.002)  # a mask like no other
    before = edges.without_specks(cv2.dilate(before.astype(np.uint8), np.ones((5, 5))).astype(bool))
    after = answer(GrabCut(), photo, Prompts(inside=(CENTER, (60.0, 150.0)), mask=before))
    assert iou(after, before | second) > 0.9
    wrong = before | second
    after = answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=((60.0, 150.0),), mask=wrong))
    assert not after[150, 60]
    assert iou(after, first) > 0.85


def test_each_level_is_a_part():
    parts = [GrabCut().part(None, Prompts(inside=((1, 1),), level=level)) for level in (-2, -1, 0, 1, 2)]
    assert parts == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_levels_step_through_sizes():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = np.hypot(x - 160, y - 120)
    shade = np.where(radius < 28, 200, np.where(radius < 75, 150, 60)).astype(float)  # a disc in a disc
    shade += np.random.default_rng(0).normal(0, 12, SIZE)
    photo = Photo(np.repeat(np.clip(shade, 0, 255).astype(np.uint8)[..., None], 3, 2))
    prepared = GrabCut().prepare(photo)
    areas = [
        GrabCut().segment(prepared, Prompts(inside=((160, 120),), level=level)).sum() for level in (-2, -1, 0, 1, 2)
    ]
    assert areas == sorted(areas)
    assert areas[0] < 0.5 * areas[-1]
    box = Prompts(box=(60, 20, 260, 220))
    parts = [GrabCut().segment(prepared, replace(box, level=level)) for level in (-2, 0, 2)]
    assert parts[0].sum() <= parts[1].sum()
    assert np.array_equal(parts[1], parts[2])  # the box is the limit


def test_a_click_and_a_correction_take_less_than_a_second_on_twelve_megapixels():
    photo, _ = disc_photo(size=(3000, 4000))
    segmenter = GrabCut()
    started = time.process_time()
    prepared = segmenter.prepare(photo)
    first = segmenter.segment(prepared, Prompts(inside=((2375, 1250),)))
    segmenter.segment(prepared, Prompts(inside=((2375, 1250), (700, 700)), mask=first))
    # Half a second each on two free cores; processor time, because tests run beside other things.
    assert time.process_time() - started < 4


def test_the_same_clicks_give_the_same_mask_in_any_thread():
    photo, _ = disc_photo(0.12)
    segmenter = GrabCut()
    prepared = segmenter.prepare(photo)
    prompts = [Prompts(inside=((180.0 + shift, 110),)) for shift in range(4)]
    alone = [segmenter.segment(prepared, each) for each in prompts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: segmenter.segment(prepared, each), prompts * 2))
    assert all((a == b).all() for a, b in zip(alone * 2, together, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 2), (15, 400), (40, 40)])
@pytest.mark.parametrize("level", [0, 90, 255])
def test_one_colour_and_tiny_photos_get_a_mask_around_the_click(size, level):
    photo = Photo(np.full((*size, 3), level, np.uint8))
    assert answer(GrabCut(), photo, Prompts(inside=((size[1] / 2, size[0] / 2),)))[size[0] // 2, size[1] // 2]


def test_a_thousand_clicks_are_answered():
    photo, truth = disc_photo()
    rows, columns = np.nonzero(cv2.erode(truth.astype(np.uint8), np.ones((7, 7))))
    points = tuple(zip(columns[:500] + 0.5, rows[:500] + 0.5, strict=True))
    elsewhere = tuple((x + 0.5, 230.5) for x in range(320)) + tuple((x + 0.5, 10.5) for x in range(180))
    mask = answer(GrabCut(), photo, Prompts(inside=points, outside=elsewhere))
    assert iou(mask, truth) > 0.8


def test_contradictory_clicks_are_told_apart_or_refused():
    photo, _ = disc_photo()
    with pytest.raises(PromptError, match="190,100 is marked both as the subject and as not the subject"):
        answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=(CENTER,)))
    mask = answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=((196, 100),)))
    assert mask[100, 190]
    assert not mask[100, 196]


SAYS_NOTHING = [
    (Prompts(), "nothing says where the subject is"),
    (Prompts(outside=((5, 5),)), "nothing says where the subject is"),
    (Prompts(inside=((321, 5),)), "321,5 is outside the photo, which is 320 x 240"),
    (Prompts(inside=((float("nan"), 5),)), "outside the photo"),
    (Prompts(inside=((5, 5),), outside=((5, -1),)), "5,-1 is outside the photo"),
    (Prompts(box=(10, 10, 5, 20)), "got 10,10,5,20"),
    (Prompts(box=(10, 10, 400, 20)), "inside the photo, 320 x 240"),
]


@pytest.mark.parametrize(("prompts", "message"), SAYS_NOTHING)
def test_prompts_that_make_no_sense_are_refused(prompts, message):
    photo, _ = disc_photo()
    with pytest.raises(PromptError, match=message):
        answer(GrabCut(), photo, prompts)


# --- edges ---


def test_tidy_keeps_what_was_clicked_without_specks_and_holes():
    mask = regions.disc((60, 80), (30, 30), 15)
    meant = mask.copy()
    mask[30, 30] = mask[25:28, 33:36] = False
    mask[5, 70] = mask[40:50, 60:70] = True
    assert (edges.tidy(mask, [(25, 30)]) == meant).mean() > 0.995
    assert (edges.tidy(mask) == meant).mean() > 0.995  # the largest piece
    assert not edges.tidy(np.zeros((9, 9), bool)).any()
    assert not edges.tidy(mask, [(25, 30)], [(34, 26)])[25:28, 33:36].any()  # a hole that was asked for


def test_specks_go_and_real_holes_stay():
    mask = regions.disc((200, 200), (100, 100), 60)
    mask[90:110, 90:110] = False  # as between an arm and a body
    meant = mask.copy()
    mask[70:73, 70:73] = False
    mask[5:8, 5:8] = True
    assert (edges.without_specks(mask) == meant).all()
    speck = np.zeros((200, 200), bool)
    speck[5:8, 5:8] = True
    assert (edges.without_specks(speck) == speck).all()
    assert edges.without_specks(np.ones((9, 9), bool)).all()


def test_refining_finds_the_border_between_coarse_pixels():
    photo, truth = disc_photo(size=(960, 1280))
    coarse = cv2.resize(truth.astype(np.uint8) * 255, (80, 60), interpolation=cv2.INTER_AREA) > 127
    stairs = cv2.resize(coarse.astype(np.uint8), (1280, 960), interpolation=cv2.INTER_NEAREST).astype(bool)
    refined = edges.refine(coarse, photo.pixels, (960, 1280))
    assert iou(refined, truth) > 0.99 > 0.97 > iou(stairs, truth)


# --- the choice, and the command ---


def test_auto_is_grabcut_where_there_is_no_checkpoint_and_says_why(no_cache, monkeypatch):
    segmenter, why = choice.choose()
    assert segmenter.name == "grabcut"
    assert "no SAM checkpoint" in why
    with pytest.raises(SegmenterError, match="no SAM checkpoint"):
        choice.choose("sam")
    with pytest.raises(SegmenterError, match="unknown segmenter 'magic'; known are auto, sam, grabcut"):
        choice.choose("magic")
    monkeypatch.setenv(choice.VARIABLE, "grabcut")
    assert choice.choose()[1] == "GrabCut, as asked"
    monkeypatch.setenv(choice.VARIABLE, "sam")
    with pytest.raises(SegmenterError, match="no SAM checkpoint"):
        choice.choose()


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, no_cache):
    """Run `ranlen segment photo.png -o mask.png ARGUMENTS` beside a photo of a disc: (exit code, stderr)."""
    disc_photo(0.4)[0].write(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, photo: str = "photo.png", output: str = "mask.png") -> tuple[int, str]:
        try:
            code = cli.main(["segment", photo, "-o", output, *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return command


def test_the_command_writes_a_mask_that_light_reads(command):
    assert command("--click", "180,110", "--click", "200,90", "--not", "20,20") == (0, "")
    assert iou(images.read_mask("mask.png", SIZE), disc_photo()[1]) > 0.9
    assert images.read("mask.png").grey
    assert command("--box", "130,40,250,160", "--segmenter", "grabcut") == (0, "")


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, (), "nothing says where the subject is"),
        (2, ("--not", "5,5"), "nothing says where the subject is"),
        (2, ("--click", "500,10"), "the point 500,10 is outside the photo, which is 320 x 240 pixels"),
        (2, ("--click", "5"), "needs 2 numbers with commas between"),
        (2, ("--box", "5,5,1,1"), "a box is left,top,right,bottom"),
        (2, ("--click", "5,5", "--segmenter", "magic"), "invalid choice: 'magic'"),
        (1, ("--click", "5,5", "--not", "5,5"), "marked both as the subject and as not the subject"),
        (1, ("--click", "5,5", "--segmenter", "sam"), "no SAM checkpoint on this machine"),
    ],
)
def test_the_command_complains_in_one_line(command, code, arguments, message):
    got, error = command(*arguments)
    assert got == code
    assert error.startswith("ranlen: ")
    assert error.count("\n") == 1
    assert message in error
    assert not Path("mask.png").exists()


def test_the_command_refuses_files_it_cannot_read_or_write(command):
    assert command("--click", "5,5", photo="gone.png")[0] == 1
    assert command("--click", "5,5", output="mask.gif")[0] == 1
    code, error = command("--click", "5,5", output="mask.jpg")
    assert code == 2
    assert "write a .png" in error
