"""Files that nobody expects: every door answers soon, with a value or with one clear line, never with a traceback."""

from __future__ import annotations

import ctypes
import os
import platform
import random
import struct
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.soak import fuzz, samples
from benchmarks.soak.targets import TARGETS
from ranlen.io import decode, exif, files, images
from ranlen.io.images import ImageError, Photo
from ranlen.masks import edits
from ranlen.masks.edits import EditError
from train.config import ConfigError, load_config

WHOLE = samples.whole()
ODD = samples.odd()
LONGEST = 10  # seconds
# A directory whose only entry leads to itself.
LOOP = b"II*\0" + struct.pack("<IHHHIII", 8, 1, exif.EXIF, 4, 1, 8, 8)


def answer(path):
    """The photo in a file, or the sentence that refuses it."""
    started, said = time.monotonic(), ""
    try:
        photo = images.read(path)
    except ImageError as error:
        said = str(error)
    assert time.monotonic() - started < LONGEST
    if said:
        assert "\n" not in said
        assert 20 < len(said) < 500
        return said
    assert photo.pixels.shape == (*photo.size, 3)
    assert photo.pixels.dtype in (np.uint8, np.uint16)
    return photo


@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_is_read_and_cut_at_every_tenth_byte_answered(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    assert isinstance(answer(path), Photo)
    for end in range(0, len(WHOLE[name]), 10 if len(WHOLE[name]) < 2000 else 50):
        path.write_bytes(WHOLE[name][:end])
        answer(path)


LAYOUTS = samples.layouts()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_a_tiff_is_read_as_it_is(name, tmp_path):
    depth, channels, *_ = name.split("_")
    (tmp_path / name).write_bytes(LAYOUTS[name])
    said = answer(tmp_path / name)
    whole = samples.picture(depth=np.dtype(depth).type, channels=int(channels))
    assert np.array_equal(said.pixels, whole[..., :3] if channels != "1" else whole.repeat(3, 2))
    assert channels != "4" or np.array_equal(said.alpha, whole[..., 3])


M_PERTURB = -6  # malloc.h: what is allocated begins with this byte, turned around


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="poison is glibc's")
def test_memory_that_no_decoder_wrote_is_never_handed_out(tmp_path):
    """Whatever lies in memory before, a file gives the same photo or the same refusal."""
    poison = ctypes.CDLL(None).mallopt
    damaged = {}
    for name, data in (WHOLE | LAYOUTS).items():
        half = len(data) // 2
        damaged |= {f"{name} half": data[:half], f"{name} half of zeros": data[:half] + bytes(len(data) - half)}
        damaged |= {f"{name} but its end": data[:-20], f"{name} torn": data[:half] + b"\x55" * 8 + data[half + 8 :]}
    read = 0
    for name, data in (WHOLE | LAYOUTS | damaged).items():
        (tmp_path / "a").write_bytes(data)
        answers = []
        for byte in (0x11, 0xEE):
            poison(M_PERTURB, byte)
            try:
                said = answer(tmp_path / "a")
            finally:
                poison(M_PERTURB, 0)
            read += isinstance(said, Photo)
            answers.append(
                said if isinstance(said, str) else (said.pixels.tobytes(), said.alpha is None or said.alpha.tobytes())
            )
        assert answers[0] == answers[1], name
    assert read > 2 * len(WHOLE)


REFUSED = {
    "empty.jpg": "not an image of a known kind",
    "text.jpg": "not an image of a known kind",
    "zeros.png": "not an image of a known kind",
    "gif_named.png": "not an image of a known kind",
    "float.tif": "of the kind float",
    "whole_numbers.tif": "of the kind int",
    "huge_profile.tif": "MB of a colour profile; at most 8 MB",
    "huge_exif.png": "MB of EXIF; at most 8 MB",
    "profile_bomb.png": "MB of a colour profile; at most 8 MB",
    "pixel_bomb.png": "at most 178 million pixels",
    "pixel_bomb_deep.tif": "at most 178 million pixels",
    "promised.png": "damaged or cut short",
    "promised.tif": "damaged or cut short",
    "no_pixels.png": "not an image",
    "most_pixels.bmp": "at most 178 million pixels",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_or_refused_by_name(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(ODD[name])
    said = answer(path)
    if name in REFUSED:
        assert REFUSED[name] in said
    else:
        assert isinstance(said, Photo), said
        images.preview(said, 100)


def test_a_photo_just_above_the_limit_is_told_the_limit(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(samples.png_of(13_350, 13_350, b""))  # Pillow itself would still open it
    assert "at most 178 million" in answer(tmp_path / "a.png")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "none.jpg")
    for name, said in {
        "pipe.jpg": "not a file",
        ".": "not a file",
        "loop.jpg": "symbolic links",
        "dangling.jpg": "no such file",
        "zero\0byte.jpg": "null",
        "x" * 300 + ".jpg": "name too long",
    }.items():
        assert said in answer(tmp_path / name)
    assert "not a file" in answer("/dev/zero")


def test_a_link_is_followed_and_an_unreadable_file_told(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "real.png").write_bytes(WHOLE["plain.png"])
    (tmp_path / "photos" / "link.png").symlink_to(tmp_path / "real.png")
    assert isinstance(answer(tmp_path / "photos" / "link.png"), Photo)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    assert "Permission denied" in answer(tmp_path / "real.png")


def test_names_with_line_breaks_and_markup_stay_on_one_line(tmp_path):
    assert "\\n" in answer(tmp_path / "a\nb.jpg")
    assert len(files.shown("x" * 10_000)) < 250
    assert files.shown("Grüße, 写真.jpg") == "Grüße, 写真.jpg"


def test_a_file_that_grows_is_not_read_beyond_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(files.read_bytes(tmp_path / "a", 100)) == 100
    with pytest.raises(files.FileError, match="at most"):
        files.read_bytes(tmp_path / "a", 99)


def test_long_exif_stays_where_the_format_holds_it_and_is_told_where_not(tmp_path):
    (tmp_path / "a.png").write_bytes(ODD["long_exif.png"])
    photo = images.read(tmp_path / "a.png")
    photo.write(tmp_path / "b.png")
    assert len(images.read(tmp_path / "b.png").exif) > 200_000
    with pytest.raises(ImageError, match=r"JPEG cannot hold this photo \(.*EXIF"):
        photo.write(tmp_path / "b.jpg")
    with pytest.raises(ImageError, match="WEBP cannot hold this photo"):
        Photo(np.zeros((1, 20_000, 3), np.uint8)).write(tmp_path / "b.webp")


@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*" + struct.pack(">IH", 8, 60_000), LOOP]
)
def test_broken_metadata_does_not_lose_a_photo(block, tmp_path):
    said = exif.NAME + block
    data = samples.saved(Image.fromarray(samples.picture()), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(said) + 2) + said + data[2:])
    photo = answer(tmp_path / "a.jpg")
    assert isinstance(photo, Photo)
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        photo.write(tmp_path / f"b{suffix}")
        assert answer(tmp_path / f"b{suffix}").size == photo.size


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzers_first_cases_find_nothing(target, tmp_path):
    """The same cases on every machine; `make soak` tries a million others."""
    for number in range(400):
        for path in tmp_path.iterdir():
            path.unlink()
        _, wrong = fuzz.attempt(target, number, tmp_path)
        assert not wrong, f"python -m benchmarks.soak.fuzz --case {target} {number}: {wrong}"


@pytest.mark.parametrize(
    ("number", "case", "wrong"),
    [
        (0, lambda *_: 1 / 0, "ZeroDivisionError"),
        (1, lambda *_: edits.parse_edits(7) or 1, ""),
        (2, lambda *_: images.read("a\nb"), "ImageError"),  # no error of this door
    ],
)
def test_the_fuzzer_sees_what_is_wrong(number, case, wrong, tmp_path, monkeypatch):
    monkeypatch.setitem(TARGETS, "edits", case)
    assert wrong in fuzz.attempt("edits", number, tmp_path)[1]
    assert random.Random("edits/1").random() == random.Random("edits/1").random()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
EDIT = st.fixed_dictionaries(
    {"tool": st.sampled_from(["subject", "frame", "part", "click", "box", "brush", "invert", "x"])},
    optional={
        name: JSON | st.lists(st.floats(-2, 2), min_size=2, max_size=2)
        for name in ("at", "from", "to", "points", "radius", "add", "larger")
    },
)
quick = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(st.lists(EDIT, max_size=4) | JSON)
def test_any_json_is_edits_or_an_edit_error(data):
    said = ""
    try:
        done = edits.parse_edits(data)
    except EditError as error:
        said = str(error)
    if said:
        assert "\n" not in said
        assert len(said) < 300
        return
    core = edits.rasterise(done, (12, 16))
    assert core.shape == (12, 16)
    assert core.dtype == bool


@quick
@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused_in_a_sentence(data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    assert isinstance(answer(tmp_path / "a.png"), str)


@quick
@given(height=st.integers(1, 60), width=st.integers(1, 60), deep=st.booleans(), grey=st.booleans(), alpha=st.booleans())
def test_any_photo_survives_png_and_tiff(height, width, deep, grey, alpha, tmp_path):
    rng = np.random.default_rng(height * 61 + width)
    kind = np.uint16 if deep else np.uint8
    pixels = rng.integers(0, np.iinfo(kind).max, (height, width, 1 if grey else 3), kind, endpoint=True)
    pixels = pixels.repeat(3, 2) if grey else pixels
    cover = rng.integers(0, np.iinfo(kind).max, (height, width), kind, endpoint=True) if alpha else None
    for suffix in (".png", ".tif"):
        Photo(pixels, cover, grey).write(tmp_path / f"a{suffix}")
        again = images.read(tmp_path / f"a{suffix}")
        assert np.array_equal(again.pixels, pixels)
        assert (again.alpha is None) == (not alpha)
        assert cover is None or np.array_equal(again.alpha, cover)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, "[1" + "1" * 5000 + "]", "\xff", ""])
def test_edit_files_that_are_no_json_are_told(text, tmp_path):
    (tmp_path / "a.json").write_text(text, "latin-1")
    with pytest.raises(EditError, match=r"is not JSON|not an object"):
        edits.read_edits(tmp_path / "a.json")
    with pytest.raises(EditError, match="not a file"):
        edits.read_edits(tmp_path)


def test_numbers_beyond_floats_are_no_places():
    for value in (10**400, -(10**400), 1e308):
        with pytest.raises(EditError, match="a point is two numbers"):
            edits.parse_edits([{"tool": "circle", "at": [value, 0]}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = inf", "lr must be above 0; got inf"),
        ("beta = nan", "beta must be at least 0"),
        ("seed = -1", "seed must be from 0"),
        (f"seed = {10**30}", "seed must be from 0"),
        (f"seed = {10**80}", r"seed must be .*\.\.\."),
        ("epochs = " + "[" * 5000, "not valid TOML"),
        ("\xff", "not valid TOML"),
        (f"backbone = '{'x' * 5000}'", "backbone must be one of"),
    ],
)
def test_hostile_settings_are_refused_in_one_line(text, message, tmp_path):
    (tmp_path / "a.toml").write_text(text, "latin-1")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(tmp_path / "a.toml", {})
    assert len(str(caught.value)) < 500


def test_a_row_that_png_cannot_hold_is_refused_in_one_line():
    thread = Photo(np.zeros((1, 1_000_001, 3), np.uint8))
    with pytest.raises(ImageError, match=r"PNG cannot hold this photo \(1000001 x 1 pixels.*write a \.tif"):
        images.encode(thread, "PNG")


def test_a_chunk_that_claims_more_than_the_file_holds_is_not_made_room_for(tmp_path, monkeypatch):
    """A decoder asks for 4 GB, and then finds that they are not there."""
    path = tmp_path / "deep.png"
    Photo(np.full((8, 8, 3), 300, np.uint16)).write(path)
    whole = path.read_bytes()
    at = whole.index(b"IDAT")
    path.write_bytes(whole[: at - 4] + b"\xff\xff\xff\xff" + whole[at:])
    monkeypatch.setattr(decode.pyvips.Image, "pngload_buffer", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="damaged or cut short"):
        images.read(path)
