"""What a file was before, it is after: pixels outside the light, depth, colours, and every word beside the picture."""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import dataclasses
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image, ImageCms

from ranlen.cli import batch, inputs
from ranlen.io import avif, blocks, colour, decode, exif, images, jpeg, photoshop, png
from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError, Photo

SIZE = (150, 203)
needs_heic = pytest.mark.skipif(not images.HEIC, reason="pillow-heif is not installed")


def scene(depth: type = np.uint8) -> np.ndarray:
    """Soft spots of colour."""
    small = np.random.default_rng(5).integers(0, 200, (15, 20, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.BICUBIC))
    return pixels.astype(depth) * (257 if depth is np.uint16 else 1)


LIT = np.zeros(SIZE, bool)
LIT[60:90, 70:120] = True


def lit(photo: Photo) -> Photo:
    """The photo with a part of it brighter, in the middle of its file's own picture."""
    pixels = photo.pixels.copy()
    where = LIT if photo.size == SIZE else LIT.T
    most = np.iinfo(pixels.dtype).max
    pixels[where] = np.minimum(pixels[where].astype(np.int64) * 3 // 2 + most // 25, most).astype(pixels.dtype)
    return dataclasses.replace(photo, pixels=pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def through(data: bytes, folder: Path, suffix: str) -> bytes:
    """A file after reading it, lighting a part and writing it again."""
    (folder / f"in{suffix}").write_bytes(data)
    lit(images.read(folder / f"in{suffix}")).write(folder / f"out{suffix}")
    return (folder / f"out{suffix}").read_bytes()


def layers(data: bytes) -> list[tuple[int, ...]]:
    return [layer[1:] for layer in Image.open(io.BytesIO(data)).layer]


RGB = Image.fromarray(scene())


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(content) + 2) + content


def separate_scans() -> bytes:
    """A JPEG of three grey ones, a scan for each component."""
    planes = [saved(Image.fromarray(scene()[..., number]), "JPEG", quality=90) for number in range(3)]
    frame = struct.pack(">BHHB", 8, *SIZE, 3) + b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    tables = [segment(marker, content) for marker, content in raw_segments(planes[0]) if marker in (0xDB, 0xC4)]
    scans = [plane[plane.index(b"\xff\xda") + 10 : -2] for plane in planes]
    coded = [segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + scan for number, scan in enumerate(scans, 1)]
    return b"\xff\xd8" + b"".join([*tables, segment(0xC0, frame), *coded]) + b"\xff\xd9"


def raw_segments(data: bytes) -> list[tuple[int, bytes]]:
    return [(marker, data[start:end]) for marker, start, end in jpeg._parts(data)[0]]


def with_arithmetic(*, progressive: bool = False) -> bytes:
    """A JPEG in the coding that few programs write."""
    data = saved(RGB, "JPEG", quality=90)
    return blocks.rewritten(data, dataclasses.replace(jpeg.frame(data), marker=0xCA if progressive else 0xC9), {})


JPEGS = {
    "4:4:4": (RGB, {"subsampling": 0}),
    "4:2:2": (RGB, {"subsampling": 1}),
    "4:2:0": (RGB, {"subsampling": 2}),
    "progressive": (RGB, {"progressive": True}),
    "optimised": (RGB, {"optimize": True, "quality": 60}),
    "restarts": (RGB, {"restart_marker_blocks": 3}),
    "no luma": (RGB, {"keep_rgb": True}),
    "grey": (RGB.convert("L"), {}),
    "inks": (RGB.convert("CMYK"), {}),
    "tall chroma": (simplejpeg.encode_jpeg(scene(), 90, colorsubsampling="440"), {}),
    "a quarter of the chroma": (simplejpeg.encode_jpeg(scene(), 90, colorsubsampling="411"), {}),
    "separate scans": (separate_scans(), {}),
    "arithmetic coding": (with_arithmetic(), {}),
    "arithmetic coding in scans": (with_arithmetic(progressive=True), {}),
}


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_is_changed_in_the_blocks_that_are_lit(name, tmp_path):
    image, options = JPEGS[name]
    data = image if isinstance(image, bytes) else saved(image, "JPEG", **{"quality": 90, **options})
    written = through(data, tmp_path, ".jpg")
    before, after = (Image.open(io.BytesIO(each)) for each in (data, written))
    assert after.mode == before.mode
    assert after.quantization == before.quantization
    assert layers(written) == layers(data)
    assert ("progressive" in after.info) == ("progressive" in before.info)
    assert 0.9 < len(written) / len(data) < 1.1
    changed = (np.atleast_3d(np.asarray(before)) != np.atleast_3d(np.asarray(after))).any(axis=2)
    ys, xs = np.nonzero(changed)
    wide = 32 if "quarter" in name else 16
    assert ys.min() >= 60 // 16 * 16 - 1  # the blocks, and a pixel of smoothed chroma
    assert xs.min() >= 70 // wide * wide - 1
    assert ys.max() <= -(-90 // 16) * 16
    assert xs.max() <= -(-120 // wide) * wide
    wanted = lit(images.read(tmp_path / "in.jpg")).pixels.astype(int)
    off = np.abs(images.read(tmp_path / "out.jpg").pixels - wanted)[LIT].mean()
    assert off < 5  # as much as any JPEG of this quality


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_has_the_same_pixels_some_rows_at_a_time(name):
    """Those outside the light are told from those inside by comparing the two."""
    image, options = JPEGS[name]
    data = image if isinstance(image, bytes) else saved(image, "JPEG", **options)
    bands = list(decode.jpeg_bands(data, 32))
    assert [len(band) for band in bands] == [32, 32, 32, 32, 22]
    assert np.array_equal(np.concatenate(bands), decode.picture(data).channels)


def test_a_jpeg_that_is_not_quite_in_order_has_them_too():
    data = saved(RGB, "JPEG", restart_marker_blocks=3)
    data = data.replace(b"\xff\xd3", b"stray\xff\xd3", 1)
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(data)
    assert np.array_equal(np.concatenate(list(decode.jpeg_bands(data, 16))), decode.picture(data).channels)


def test_without_its_library_a_jpeg_is_written_anew_and_that_is_said(tmp_path, monkeypatch):
    data = saved(RGB, "JPEG", quality=75)
    (tmp_path / "in.jpg").write_bytes(data)
    photo = images.read(tmp_path / "in.jpg")
    assert images.remarks(photo, "JPEG") == []
    monkeypatch.setattr(blocks, "CAN_CHANGE", False)
    assert images.remarks(photo, "JPEG") == [
        "JPEG changes pixels outside the light a little too; PNG and TIFF keep them exactly"
    ]
    assert Image.open(io.BytesIO(images.encode(photo, "JPEG"))).size == photo.size[::-1]


def test_blocks_that_cannot_be_read_are_an_error_in_words():
    data = saved(RGB, "JPEG")
    frame = jpeg.frame(data)
    with pytest.raises(ValueError, match="JPEG"):
        blocks.rewritten(b"\xff\xd8 no JPEG", frame, {})
    with pytest.raises(ValueError, match="cannot be changed"):  # blocks that are not there
        blocks.rewritten(data, frame, {(0, 1000): (0, np.ones((1, 64), np.int16))})


def test_blocks_that_cannot_be_written_are_an_error_though_a_warning_came_first(monkeypatch):
    data = saved(RGB, "JPEG", restart_marker_blocks=3).replace(b"\xff\xd3", b"stray\xff\xd3", 1)
    monkeypatch.setattr(blocks, "MOST", 9999)
    with pytest.raises(ValueError, match="cannot be changed"):
        blocks.rewritten(data, jpeg.frame(data), {(0, 18): (0, np.full((1, 64), 9000, np.int16))})


def test_libjpeg_turbo_is_the_systems_where_the_package_has_none_and_none_where_that_is_old(monkeypatch):
    brought = blocks._library()._name
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert blocks._library() is None
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: brought)
    assert blocks._library()._name == brought
    for another in (Image.core.__file__, "/no/such/library"):
        monkeypatch.setattr(ctypes.util, "find_library", lambda name, another=another: another)
        assert blocks._library() is None


@pytest.mark.parametrize("name", ["progressive", "arithmetic coding in scans"])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_progressive_jpeg_cut_between_its_scans_is_refused(name, end, tmp_path):
    """What is there would be smoothed, and written whole it would not be."""
    image, options = JPEGS[name]
    data = image if isinstance(image, bytes) else saved(image, "JPEG", **options)
    scans = [part.start() for part in re.finditer(rb"\xff\xda", data)]
    assert len(scans) > 5
    for at in scans[1:]:
        (tmp_path / "a.jpg").write_bytes(data[:at] + end)
        with pytest.raises(ImageError, match="progressive JPEG without its last scans"):
            images.read(tmp_path / "a.jpg")


def test_of_arithmetic_coding_nobody_knows_where_it_was_cut(tmp_path):
    data = with_arithmetic()
    for length in (len(data) // 2, len(data) - 2):
        (tmp_path / "a.jpg").write_bytes(data[:length])
        with pytest.raises(ImageError, match="damaged or cut short"):
            images.read(tmp_path / "a.jpg")


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="poison is glibc's")
def test_scans_apart_are_written_whatever_memory_held(tmp_path):
    """Of components that are not in the first scan, nobody has read yet which tables they use."""
    poison, perturb = ctypes.CDLL(None).mallopt, -6
    poison(perturb, 0x11)
    try:
        through(separate_scans(), tmp_path, ".jpg")
    finally:
        poison(perturb, 0)
    assert images.read(tmp_path / "out.jpg").size == SIZE


def test_a_jpeg_that_is_not_changed_keeps_its_blocks(tmp_path):
    data = saved(RGB, "JPEG", quality=83)
    (tmp_path / "a.jpg").write_bytes(data)
    images.read(tmp_path / "a.jpg").write(tmp_path / "b.jpg")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.jpg")), np.asarray(Image.open(io.BytesIO(data))))


def tiff_block(order: str = "<", orientation: tuple[int, bytes] = (3, b"\x01\0"), thumbnail: bytes = b"") -> bytes:
    """EXIF with text that is no ASCII, maker's notes that point into the block, and a thumbnail."""
    make, artist = "Kämera\0".encode(), "Ärtist Ñ\0".encode()
    kind, value = orientation
    entries = [(271, 2, len(make), make), (274, kind, 1, value), (315, 2, len(artist), artist), (0x8769, 4, 1, None)]
    start = 8 + 2 + 12 * len(entries) + 4
    rest, table = b"", struct.pack(order + "H", len(entries))
    for tag, sort, count, content in entries:
        if content is None:
            where = start + len(rest)
            notes = where + 2 + 12 + 4
            inner = b"Own\0" + struct.pack(order + "I", notes + 8) + b"lens 50 mm\0\0"
            rest += struct.pack(order + "HHHII", 1, 0x927C, 7, len(inner), notes) + bytes(4) + inner
            content = struct.pack(order + "I", where)
        elif len(content) > 4:
            place = start + len(rest)
            rest += content + bytes(len(content) % 2)
            content = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", tag, sort, count) + content.ljust(4, b"\0")
    link = start + len(rest) if thumbnail else 0
    if thumbnail:
        place = link + 2 + 24 + 4
        rest += struct.pack(order + "H", 2) + struct.pack(order + "HHII", 513, 4, 1, place)
        rest += struct.pack(order + "HHII", 514, 4, 1, len(thumbnail)) + bytes(4) + thumbnail
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + table + struct.pack(order + "I", link) + rest


def with_words(data: bytes, block: bytes) -> bytes:
    """A JPEG with segments of many kinds."""
    words = segment(0xE1, exif.NAME + block) + segment(0xE1, jpeg.XMP + b"<x:xmpmeta/>")
    words += segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x05\x1c\x02x\0\x02") + segment(
        0xFE, "Grüße".encode()
    )
    return data[:20] + words + segment(0xEA, b"private \xff\0") + data[20:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_word_of_a_jpeg_stays_but_the_thumbnail(order, tmp_path):
    small = saved(RGB.resize((40, 30)), "JPEG")
    data = with_words(saved(RGB, "JPEG"), tiff_block(order, thumbnail=small))
    written = through(data, tmp_path, ".jpg")
    old, new = jpeg.segments(data), jpeg.segments(written)
    assert [marker for marker, _ in old] == [marker for marker, _ in new]
    for number, ((_, before), (_, after)) in enumerate(zip(old, new, strict=True)):
        if before.startswith(exif.NAME):
            link = 6 + 8 + 2 + 12 * 4
            before = before[:link] + bytes(4) + before[link + 4 :]
            before = before.replace(small, bytes(len(small)))
        assert before == after, number


SMALL = saved(RGB.resize((40, 30)), "JPEG")
CAPTION = b"8BIM\x04\x04\0\0\0\0\0\x07\x1c\x02x\0\x02hi\0"
THUMBNAILS = {
    "JFIF": (0xE0, b"JFXX\0\x10" + SMALL, None),
    "Photoshop": (
        0xED,
        photoshop.NAME + b"8BIM\x04\x0c\x02ab\0" + struct.pack(">I", 28 + len(SMALL)) + bytes(28) + SMALL
        + bytes(len(SMALL) % 2) + CAPTION,
        photoshop.NAME + CAPTION,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", THUMBNAILS)
def test_no_small_picture_of_what_the_photo_was_stays(name, tmp_path):
    marker, content, left = THUMBNAILS[name]
    data = saved(RGB, "JPEG")
    written = through(data[:20] + segment(marker, content) + data[20:], tmp_path, ".jpg")
    assert SMALL not in written
    assert jpeg.segments(written)[1:] == ([(marker, left)] if left else [])


@pytest.mark.parametrize(("frame", "said"), [(b"\xff\xc1\0\x11\x0c", "12 bits"), (b"\xff\xc3\0\x11\x08", "lossless")])
def test_a_jpeg_of_another_sort_is_refused_by_name(frame, said, tmp_path):
    (tmp_path / "a.jpg").write_bytes(saved(RGB, "JPEG").replace(b"\xff\xc0\0\x11\x08", frame))
    with pytest.raises(ImageError, match=said):
        images.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize(("sort", "form"), [(1, "B"), (3, "H"), (4, "I")])
def test_an_orientation_of_any_type_is_followed_and_stays(number, sort, form, tmp_path):
    block = tiff_block(orientation=(sort, struct.pack("<" + form, number)))
    data = with_words(saved(RGB, "JPEG"), block)
    written = through(data, tmp_path, ".jpg")
    assert images.read(tmp_path / "in.jpg").size == (SIZE if number < 5 else SIZE[::-1])
    assert jpeg.segments(written) == jpeg.segments(data)
    changed = (np.asarray(Image.open(io.BytesIO(data))) != np.asarray(Image.open(io.BytesIO(written)))).any(axis=2)
    assert 0 < changed.mean() < 0.25


@pytest.mark.parametrize("end", [b"", b"\xff", bytes(40)])
def test_a_jpeg_that_lacks_only_its_end_is_read(end, tmp_path):
    data = saved(RGB, "JPEG")
    (tmp_path / "a.jpg").write_bytes(data[:-2] + end)
    photo = images.read(tmp_path / "a.jpg")
    assert np.array_equal(photo.pixels, simplejpeg.decode_jpeg(data))
    lit(photo).write(tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes().endswith(b"\xff\xd9")
    (tmp_path / "c.jpg").write_bytes(data[: len(data) * 2 // 3] + end)  # rows are missing
    with pytest.raises(ImageError, match="damaged or cut short"):
        images.read(tmp_path / "c.jpg")


def test_pictures_behind_the_first_stay_and_are_found(tmp_path):
    """As in photos with a gain map or a second lens: an index in the first names where the second is."""
    second = RGB.resize((50, 40)).rotate(180)
    data = saved(RGB, "MPO", save_all=True, append_images=[second])
    written = through(data, tmp_path, ".jpg")
    with Image.open(io.BytesIO(written)) as both:
        assert both.n_frames == 2
        both.seek(1)
        with Image.open(io.BytesIO(data)) as before:
            before.seek(1)
            assert np.array_equal(np.asarray(both), np.asarray(before))


def tiff_of(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **{"photometric": "rgb", **options})
    return buffer.getvalue()


DEEP = scene(np.uint16)
COVER = np.full((*SIZE, 1), 65535, np.uint16)
COVER[:40] = 30000
DESCRIBED = {"description": "night", "resolution": (300, 300), "extratags": [(0xC000, 7, 9, b"private \xfe", True)]}
TIFFS = {
    "plain": (tiff_of(DEEP, **DESCRIBED), DEEP),
    "8 bits": (tiff_of(scene(), **DESCRIBED), scene()),
    "planes": (tiff_of(np.moveaxis(DEEP, 2, 0).copy(), planarconfig="separate"), DEEP),
    "tiles": (tiff_of(DEEP, tile=(32, 48)), DEEP),
    "large": (tiff_of(DEEP, bigtiff=True, **DESCRIBED), DEEP),
    "Motorola": (tiff_of(DEEP, byteorder=">", **DESCRIBED), DEEP),
    "grey": (tiff_of(DEEP[..., 0], photometric="minisblack"), DEEP[..., :1]),
    "white is zero": (tiff_of(65535 - DEEP[..., 0], photometric="miniswhite"), DEEP[..., :1]),
    "alpha": (tiff_of(np.dstack([DEEP, COVER]), extrasamples=["unassalpha"]), np.dstack([DEEP, COVER])),
    "two more": (
        tiff_of(np.dstack([DEEP, COVER, DEEP[..., 0]]), extrasamples=["unassalpha", "unspecified"]),
        np.dstack([DEEP, COVER, DEEP[..., 0]]),
    ),
}


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_of_any_layout_keeps_what_is_not_lit(name, tmp_path):
    data, expected = TIFFS[name]
    written = through(data, tmp_path, ".tif")
    assert np.array_equal(images.read(tmp_path / "in.tif").pixels, np.broadcast_to(expected[..., :3], (*SIZE, 3)))
    with tifffile.TiffFile(io.BytesIO(written)) as file, tifffile.TiffFile(io.BytesIO(data)) as old:
        got = file.pages[0].asarray().reshape(*SIZE, -1)
        assert got.dtype == expected.dtype
        assert np.array_equal(got[~LIT], expected[~LIT])
        assert (got[LIT][..., 0] > expected[LIT][..., 0]).all()
        for tag in (270, 282, 283, 296, 0xC000):
            assert (tag in old.pages[0].tags) == (tag in file.pages[0].tags)
            if tag in old.pages[0].tags:
                assert old.pages[0].tags[tag].value == file.pages[0].tags[tag].value
    assert len(written) < len(data) * 1.1 + 2000


def test_colours_multiplied_by_alpha_are_divided_again(tmp_path):
    straight = np.dstack([DEEP, COVER])
    multiplied = straight.copy()
    multiplied[..., :3] = DEEP.astype(np.uint64) * COVER // 65535
    written = through(tiff_of(multiplied, extrasamples=["assocalpha"]), tmp_path, ".tif")
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        got = file.pages[0].asarray()
        assert file.pages[0].tags[338].value == (2,)
    assert np.abs(got.astype(int) - straight)[~LIT].max() <= 3  # what dividing 16 bits by half leaves


def test_inks_stay_inks(tmp_path):
    inks = np.asarray(RGB.convert("CMYK"))
    got = tifffile.imread(io.BytesIO(through(tiff_of(inks, photometric="separated"), tmp_path, ".tif")))
    assert got.shape == (*SIZE, 4)
    assert np.array_equal(got[~LIT], inks[~LIT])
    assert got[LIT].sum() < inks[LIT].sum()  # less ink is more light


def test_of_pages_the_first_full_one_is_lit_and_the_others_stay(tmp_path):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(scene()[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(scene(), photometric="rgb")
        file.write(scene()[::-1], photometric="rgb")
    written = through(buffer.getvalue(), tmp_path, ".tif")
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        thumbnail, picture, last = (page.asarray() for page in file.pages)
    assert np.array_equal(thumbnail, scene()[::4, ::4])
    assert np.array_equal(picture[~LIT], scene()[~LIT])
    assert (picture[LIT] != scene()[LIT]).any()
    assert np.array_equal(last, scene()[::-1])


def test_a_layout_that_is_not_read_is_not_called_damaged(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_of(np.moveaxis(scene(), 2, 0).copy(), planarconfig="separate", tile=(64, 64)))
    with pytest.raises(ImageError, match="or of a layout that libvips does not read"):
        images.read(tmp_path / "a.tif")


def test_lab_becomes_srgb_without_its_profile_and_that_is_said(tmp_path):
    colours = np.full((40, 60, 3), (128, 20, 256 - 20), np.uint8)  # L of 255, a and b with a sign
    options = {"photometric": "cielab", "iccprofile": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()}
    (tmp_path / "a.tif").write_bytes(tiff_of(colours, **options))
    photo = images.read(tmp_path / "a.tif")
    assert (
        np.abs(photo.pixels[0, 0].astype(int) - (139, 110, 154)).max() <= 2
    )  # by colour-science's Lab_to_XYZ, XYZ_to_sRGB
    assert images.remarks(photo, "TIFF") == ["the photo is in Lab and becomes sRGB"]
    photo.write(tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].photometric == 2
        assert 34675 not in file.pages[0].tags
        assert np.array_equal(file.pages[0].asarray(), photo.pixels)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"GIF89a", "a GIF"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL .libjxl's djxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "a file of Photoshop"),
    ],
)
def test_a_kind_that_is_not_read_is_named_with_what_to_do(start, said, tmp_path):
    (tmp_path / "a.jpg").write_bytes(start + bytes(99))
    with pytest.raises(ImageError, match=f"not an image of a known kind but {said}.*; save it as PNG or TIFF"):
        images.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("pixels", [scene().astype(np.float32) / 255, scene().astype(np.uint32)])
def test_numbers_that_are_no_8_or_16_bits_are_refused_by_name(pixels, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_of(pixels))
    with pytest.raises(ImageError, match="8 or 16 bit a channel"):
        images.read(tmp_path / "a.tif")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunks(image: Image.Image, *before: bytes, after: bytes = b"") -> bytes:
    data = saved(image, "PNG")
    return data[:33] + b"".join(before) + data[33:-12] + after + data[-12:]


P3 = chunk(b"cICP", bytes([12, 13, 0, 1]))


def test_every_chunk_of_a_png_stays_in_its_order(tmp_path):
    said = [
        P3, chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"sBIT", b"\5\6\5"),
        chunk(b"bKGD", bytes(6)), chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        chunk(b"eXIf", tiff_block()), chunk(b"tEXt", b"Title\0Gr\xfc\xdfe"), chunk(b"vpAg", b"private"),
    ]  # fmt: skip
    data = with_chunks(RGB, *said, after=chunk(b"iTXt", b"Comment\0\0\0\0\0\xe5\xa4\x9c"))
    with_places = data[:33] + chunk(b"iDOT", bytes(28)) + data[33:]  # Apple's, of where the old pixels begin
    written = through(with_places, tmp_path, ".png")
    kept = [each for each in png.chunks(written) if each[0] not in (b"IHDR", b"IDAT", b"IEND")]
    assert kept == [each for each in png.chunks(data) if each[0] not in (b"IHDR", b"IDAT", b"IEND")]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(written)))[~LIT], scene()[~LIT])


@pytest.mark.parametrize("mode", ["L", "1"])
def test_a_grey_named_transparent_stays_so(mode, tmp_path):
    grey = np.where(LIT, 255, 0).astype(np.uint8)
    written = through(saved(Image.fromarray(grey).convert(mode), "PNG", transparency=0), tmp_path, ".png")
    with Image.open(io.BytesIO(written)) as image:
        assert image.mode == "LA"
        assert np.array_equal(np.asarray(image)[..., 1] > 0, LIT)


def deep_grey_png(value: int) -> bytes:
    head = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    row = zlib.compress(b"\0" + struct.pack(">HH", value, 300))
    body = chunk(b"IHDR", head) + chunk(b"tRNS", struct.pack(">H", value)) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    return png.SIGNATURE + body


def test_a_deep_grey_named_transparent_is_alpha(tmp_path):
    (tmp_path / "a.png").write_bytes(deep_grey_png(7))
    photo = images.read(tmp_path / "a.png")
    assert photo.pixels[0, :, 0].tolist() == [7, 300]
    assert photo.alpha.tolist() == [[0, 65535]]


WIDE = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
GAMUTS = {  # and what their (200, 60, 60) is in sRGB, by matrices and curves
    "code": (P3, (217, 42, 52)),
    "corners": (chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"cHRM", WIDE), (219, 37, 49)),
}


@pytest.mark.parametrize("name", GAMUTS)
def test_wide_colours_are_shown_wider_and_go_along_as_a_profile(name, tmp_path):
    said, expected = GAMUTS[name]
    (tmp_path / "a.png").write_bytes(with_chunks(Image.new("RGB", (8, 8), (200, 60, 60)), said))
    photo = images.read(tmp_path / "a.png")
    assert photo.pixels[0, 0].tolist() == [200, 60, 60]
    assert np.abs(images.preview(photo, 8)[0, 0].astype(int) - expected).max() <= 2
    photo.write(tmp_path / "b.tif")
    other = images.read(tmp_path / "b.tif")
    assert np.array_equal(images.preview(other, 8), images.preview(photo, 8))


def test_linear_light_is_shown_brighter(tmp_path):
    (tmp_path / "a.png").write_bytes(
        with_chunks(Image.new("RGB", (8, 8), (55, 55, 55)), chunk(b"gAMA", struct.pack(">I", 100000)))
    )
    assert np.abs(images.preview(images.read(tmp_path / "a.png"), 8)[0, 0].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_stays_what_it_is_and_is_refused_where_it_cannot(transfer, tmp_path):
    code = chunk(b"cICP", bytes([9, transfer, 0, 1]))
    written = through(with_chunks(RGB, code), tmp_path, ".png")
    assert (b"cICP", bytes([9, transfer, 0, 1])) in list(png.chunks(written))
    with pytest.raises(ImageError, match="HDR"):
        images.read(tmp_path / "in.png").write(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("transfer", "value", "expected"), [(16, 130, 188), (16, 149, 255), (18, 128, 153), (18, 192, 255)]
)
def test_hdr_is_shown_with_paper_white_as_white(transfer, value, expected, tmp_path):
    """By BT.2100: PQ's 130 of 255 is 102 candelas and white 203; HLG's 128 is 0.32 of its white, which is at 0.75."""
    grey = Image.new("RGB", (8, 8), (value, value, value))
    (tmp_path / "a.png").write_bytes(with_chunks(grey, chunk(b"cICP", bytes([9, transfer, 0, 1]))))
    assert np.abs(images.preview(images.read(tmp_path / "a.png"), 8)[0, 0].astype(int) - expected).max() <= 2


def test_colours_of_an_unknown_code_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(with_chunks(RGB, chunk(b"cICP", bytes([77, 13, 0, 1]))))
    with pytest.raises(ImageError, match="primaries 77"):
        images.read(tmp_path / "a.png")


def test_what_is_hidden_does_not_change_what_is_seen():
    cover = np.where(LIT, 255, 0).astype(np.uint8)
    views = []
    for hidden in (0, 255):
        pixels = scene()
        pixels[~LIT] = hidden
        views.append(images.preview(Photo(pixels, cover), 100))
    assert np.array_equal(*views)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_lossless_webp_stays_lossless(alpha, tmp_path):
    image = RGB.copy()
    if alpha:
        image.putalpha(Image.fromarray(np.where(LIT, 255, 0).astype(np.uint8)))
    options = {"lossless": True, "exact": True, "exif": exif.NAME + tiff_block(), "xmp": b"<x:xmpmeta/>"}
    data = saved(image, "WEBP", **options)
    written = through(data, tmp_path, ".webp")
    before, after = (Image.open(io.BytesIO(each)) for each in (data, written))
    assert np.array_equal(np.asarray(before)[~LIT], np.asarray(after)[~LIT])
    assert (after.info["exif"], after.info["xmp"]) == (before.info["exif"], before.info["xmp"])
    assert after.info["exif"].endswith(tiff_block())
    assert images.remarks(images.read(tmp_path / "in.webp"), "WEBP") == []


def test_the_first_picture_of_a_lossless_film_stays_lossless(tmp_path):
    data = saved(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)], lossless=True)
    written = through(data, tmp_path, ".webp")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(written)).convert("RGB"))[~LIT], scene()[~LIT])


def bmp(pixels: np.ndarray, profile: bytes = b"", *, down: bool = False) -> bytes:
    """A BMP with the header that holds a profile, 24 bits or 32 with alpha."""
    height, width, count = pixels.shape
    rows = pixels[:: 1 if down else -1, :, [2, 1, 0, 3][:count]].reshape(height, -1)
    body = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()
    start = 14 + 124
    head = struct.pack(
        "<IiiHHIIiiII",
        124,
        width,
        -height if down else height,
        1,
        8 * count,
        3 * (count - 3),
        len(body),
        11811,
        11811,
        0,
        0,
    )
    head += bytes.fromhex("0000ff00 00ff0000 ff000000 000000ff" if count == 4 else "00" * 16)
    head += (b"DEBM" if profile else b"BGRs") + bytes(52) + struct.pack("<II", 124 + len(body), len(profile)) + bytes(4)
    return b"BM" + struct.pack("<III", start + len(body) + len(profile), 0, start) + head + body + profile


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_a_bmp_keeps_all_but_what_is_lit(alpha, down, tmp_path):
    profile = colour.by_code(12, 13)
    pixels = np.dstack([scene(), np.where(LIT, 255, 9)]).astype(np.uint8) if alpha else scene()
    data = bmp(pixels, profile, down=down)
    written = through(data, tmp_path, ".bmp")
    assert images.read(tmp_path / "in.bmp").icc == profile
    assert written == bmp(np.asarray(Image.open(io.BytesIO(written))), profile, down=down)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(written)))[~LIT], pixels[~LIT])
    assert (np.asarray(Image.open(io.BytesIO(written)))[LIT] != pixels[LIT]).any()


def test_maps_beside_a_heic_are_named(tmp_path):
    Photo(scene()).write(tmp_path / "a.png")
    photo = images.read(tmp_path / "a.png")
    beside = decode._beside({"aux": {"urn:com.apple:photo:2020:aux:hdrgainmap": [2]}, "depth_images": [object()]})
    found = dataclasses.replace(photo.file.found, beside=beside)
    photo = dataclasses.replace(photo, file=dataclasses.replace(photo.file, found=found))
    assert images.remarks(photo, "PNG") == [
        "what the file holds beside the picture is not kept: a depth map, hdrgainmap"
    ]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("primaries", [1, 12])
def test_an_avif_keeps_its_depth_colours_and_words(bits, primaries, tmp_path):
    pixels = DEEP if bits > 8 else scene()
    data = avif.encode(pixels, colour.by_code(primaries, 13), tiff_block(), b"<x:xmpmeta/>", bits=bits, quality=95)
    written = through(data, tmp_path, ".avif")
    before, after = (images.read(tmp_path / f"{name}.avif") for name in ("in", "out"))
    assert after.file.found.bits == bits
    assert (after.icc is None) == (primaries == 1)
    assert (after.icc, after.exif, after.xmp) == (before.icc, tiff_block(), b"<x:xmpmeta/>")
    white = 255 if bits == 8 else 65535
    assert np.abs(after.pixels.astype(int) - before.pixels)[~LIT].mean() < white / 100
    assert "AVIF changes pixels" in images.remarks(before, "AVIF")[0]
    assert Image.open(io.BytesIO(written)).info["exif"] == exif.NAME + tiff_block()  # by another reader


def test_colours_that_an_avif_names_by_code_become_a_profile_and_its_film_is_named(tmp_path):
    data = saved(Image.new("RGB", (16, 16), (200, 60, 60)), "AVIF", quality=100, subsampling="4:4:4")
    code = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:code] + struct.pack(">HH", 12, 13) + data[code + 4 :])
    photo = images.read(tmp_path / "a.avif")
    assert np.abs(images.preview(photo, 8)[0, 0].astype(int) - GAMUTS["code"][1]).max() <= 4
    photo.write(tmp_path / "b.avif")
    assert images.read(tmp_path / "b.avif").icc == photo.icc
    (tmp_path / "a.avif").write_bytes(data[:code] + struct.pack(">HH", 9, 16) + data[code + 4 :])
    with pytest.raises(ImageError, match="AVIF in HDR"):
        images.read(tmp_path / "a.avif")
    (tmp_path / "a.avif").write_bytes(saved(RGB, "AVIF", save_all=True, append_images=[RGB.rotate(180)]))
    assert "2 pictures" in images.remarks(images.read(tmp_path / "a.avif"), "AVIF")[1]


@needs_heic
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_a_deep_heic_stays_deep_and_in_its_colours(primaries, tmp_path):
    import pillow_heif

    file = pillow_heif.from_bytes("RGB;16", SIZE[::-1], DEEP.tobytes())
    code = {"color_primaries": primaries, "transfer_characteristics": 13, "matrix_coefficients": 9}
    file.save(tmp_path / "a.heic", quality=-1, chroma="444", **code)
    photo = images.read(tmp_path / "a.heic")
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels.astype(int) - DEEP).max() < 400
    lit(photo).write(tmp_path / "b.heic")
    after = pillow_heif.open_heif(tmp_path / "b.heic", convert_hdr_to_8bit=False).info
    assert (after["bit_depth"], after["chroma"]) == (10, 444)
    assert (after["nclx_profile"]["color_primaries"], after["nclx_profile"]["transfer_characteristics"]) == (
        primaries,
        13,
    )
    assert "HEIC changes pixels" in images.remarks(photo, "HEIF")[0]


def words(path: Path) -> dict[str, object]:
    """All that exiftool reads, but for the file itself and how pixels are stored."""
    said = subprocess.run(["exiftool", "-j", "-G1", "-a", "-u", path], capture_output=True, check=True).stdout
    stored = (
        "System", "File", "ExifTool", "Composite", "SourceFile", "PNG:BitDepth", "PNG:Filter", "IFD0:Strip",
        "IFD0:RowsPerStrip", "IFD0:Compression", "IFD0:Predictor", "IFD0:PlanarConfig", "IFD0:Sample",
        "IFD0:Photometric",
        "IFD0:Bits", "IFD0:Orientation", "IFD0:SubfileType", "RIFF", "Meta", "QuickTime", "IFD0:Extra",
    )  # fmt: skip
    return {name: value for name, value in json.loads(said)[0].items() if not name.startswith(stored)}


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", pytest.param("heic", marks=needs_heic)])
def test_exiftool_reads_the_same_words_before_and_after(kind, tmp_path):
    block = exif.NAME + tiff_block()
    data = {
        "jpg": lambda: with_words(saved(RGB, "JPEG"), tiff_block()),
        "png": lambda: with_chunks(RGB, chunk(b"eXIf", tiff_block()), chunk(b"tEXt", b"Title\0night")),
        "webp": lambda: saved(RGB, "WEBP", exif=block, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", lossless=True),
        "tif": lambda: tiff_of(scene(), **DESCRIBED),
        "heic": lambda: saved(RGB, "HEIF", exif=block),
    }[kind]()
    through(data, tmp_path, f".{kind}")
    before, after = words(tmp_path / f"in.{kind}"), words(tmp_path / f"out.{kind}")
    assert len(before) >= 2
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", pytest.param(".heic", marks=needs_heic)])
def test_words_of_a_jpeg_go_along_into_another_kind(suffix, tmp_path):
    (tmp_path / "a.jpg").write_bytes(with_words(saved(RGB, "JPEG"), tiff_block(">", thumbnail=saved(RGB, "JPEG"))))
    images.read(tmp_path / "a.jpg").write(tmp_path / f"b{suffix}")
    again = images.read(tmp_path / f"b{suffix}")
    entries, link = exif.directory(again.exif, exif.first(again.exif))
    artist = entries[315]
    assert again.exif[artist.at : artist.at + artist.length] == "Ärtist Ñ\0".encode()
    assert b"lens 50 mm" in again.exif
    assert again.exif[link : link + 4] == bytes(4)  # no thumbnail
    assert again.xmp == b"<x:xmpmeta/>"


def mask_files() -> dict[str, Image.Image]:
    core, colours = LIT.astype(np.uint8), scene()
    palette = Image.fromarray(core)
    palette.putpalette([0, 0, 0, 0, 128, 0] + [0] * 762)
    return {
        "white": Image.fromarray(core * 255),
        "one bit": Image.fromarray(LIT),
        "zero and one": Image.fromarray(core),
        "a dark palette": palette,
        "dark blue": Image.fromarray(core[..., None] * np.array([0, 0, 90], np.uint8)),
        "labels": Image.fromarray(np.where(np.arange(SIZE[1]) < 95, 1, 2).astype(np.uint8) * core),
        "a cutout": Image.fromarray(np.dstack([colours, core * 255])),
        "a black cutout": Image.fromarray(np.dstack([colours * 0, core * 255])),
        "white, cut out": Image.fromarray(np.dstack([colours * 0 + 255, core * 255])),
        "drawn on opaque": Image.fromarray(np.dstack([core * 255] * 3 + [core * 0 + 255])),
        "16 bits": Image.fromarray(core.astype(np.uint16) * 65535),
    }


@pytest.mark.parametrize("name", mask_files())
def test_a_mask_of_any_habit_marks_the_same(name, tmp_path):
    mask_files()[name].save(tmp_path / "m.png")
    assert np.array_equal(images.read_mask(tmp_path / "m.png", SIZE), LIT)


@pytest.mark.parametrize(("kind", "quality"), [("WEBP", 30), ("WEBP", 80), ("JPEG", 20), ("AVIF", 30)])
def test_a_mask_in_a_lossy_file_has_no_specks_around_it(kind, quality, tmp_path):
    Image.fromarray(np.dstack([LIT * np.uint8(255)] * 3)).save(tmp_path / "m.png", kind, quality=quality)
    assert np.array_equal(images.read_mask(tmp_path / "m.png", SIZE), LIT)


def test_a_mask_of_another_size_is_scaled_and_of_another_shape_refused(tmp_path):
    images.mask_photo(LIT).write(tmp_path / "m.png")
    larger = images.read_mask(tmp_path / "m.png", (2 * SIZE[0], 2 * SIZE[1]))
    assert (larger[::2, ::2] != LIT).mean() < 0.01
    with pytest.raises(ImageError, match="of the photo's shape"):
        images.read_mask(tmp_path / "m.png", (SIZE[1], SIZE[0]))


@pytest.mark.parametrize("inverted", [False, True])
def test_a_mask_of_the_background_is_told(inverted, tmp_path, capsys):
    Photo(scene()).write(tmp_path / "a.png")
    images.mask_photo(inverted != LIT).write(tmp_path / "m.png")
    options = argparse.Namespace(recipe=None, click=None, feather=None, feather_side=None, feather_edges=False)
    inputs.read_inputs(options, tmp_path / "a.png", tmp_path / "m.png")
    assert ("if black is the subject, invert it" in capsys.readouterr().err) == inverted


def test_masks_are_found_by_name_among_other_files(tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    composed, split = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    for name in ("a.PNG", f"{split}.png", "b.jpg", "b.png"):
        images.mask_photo(LIT).write(masks / name)
    for name in ("a.txt", "b.xml", ".DS_Store"):
        (masks / name).write_text("0 0.5")
    photos = [tmp_path / name for name in ("a.jpg", f"{composed}.jpg", "b.tif", "c.jpg")]
    jobs, _ = batch.plan(photos, tmp_path / "out", masks, overwrite=False)
    assert [job.mask.name for job in jobs] == ["a.PNG", f"{split}.png", "b.png", "c.png"]


def test_a_raw_becomes_a_tiff_beside_others(tmp_path):
    jobs, _ = batch.plan([tmp_path / "a.NEF", tmp_path / "b.jpg"], tmp_path / "out", None, overwrite=False)
    assert [job.output.name for job in jobs] == ["a.tif", "b.jpg"]
    with pytest.raises(ImageError, match="only read"):
        images.format_of("a.nef")


@pytest.mark.parametrize(
    "suffix", [".jpe", ".jfif", ".JPG", ".apng", ".dib", ".AVIF", pytest.param(".hif", marks=needs_heic)]
)
def test_suffixes_by_which_others_call_them(suffix, tmp_path):
    Photo(scene()).write(tmp_path / f"a{suffix}")
    assert images.read(tmp_path / f"a{suffix}").size == SIZE


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "夜" * 83 + ".png"])
def test_a_name_may_be_as_long_as_names_are(name, tmp_path):
    Photo(scene()).write(tmp_path / name)
    assert images.read(tmp_path / name).size == SIZE


def test_links_are_followed_and_modes_kept(tmp_path):
    (tmp_path / "real.bin").write_bytes(b"old")
    os.chmod(tmp_path / "real.bin", 0o600)
    (tmp_path / "link.bin").symlink_to("real.bin")
    write_atomically(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"
    assert (tmp_path / "real.bin").stat().st_mode & 0o777 == 0o600


def raw(tags: dict[int, tuple[int, int, bytes]]) -> bytes:
    """A camera's file as small as it gets: a thumbnail on its first page, the sensor's values on the page below."""
    sensor = (np.arange(64 * 96, dtype="<u2") * 9 % 4000).tobytes()
    thumbnail = bytes(6 * 4 * 3)

    def directory(at: int, entries: dict[int, tuple[int, int, bytes]]) -> bytes:
        rest, table = b"", struct.pack("<H", len(entries))
        end = at + 2 + 12 * len(entries) + 4
        for tag, (kind, count, value) in sorted(entries.items()):
            if len(value) > 4:
                place = end + len(rest)
                rest += value + bytes(len(value) % 2)
                value = struct.pack("<I", place)
            table += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        return table + bytes(4) + rest

    def short(*values: int) -> tuple[int, int, bytes]:
        return 3, len(values), struct.pack(f"<{len(values)}H", *values)

    def long(value: int) -> tuple[int, int, bytes]:
        return 4, 1, struct.pack("<I", value)

    start = 8 + len(thumbnail) + len(sensor)
    below = {
        254: long(0), 256: long(96), 257: long(64), 258: short(16), 259: short(1), 262: short(32803), 277: short(1),
        273: long(8 + len(thumbnail)), 278: long(64), 279: long(len(sensor)), 33421: short(2, 2),
        33422: (1, 4, bytes([0, 1, 1, 2])),
    }  # fmt: skip
    lower = directory(start, below)
    above = {
        254: long(1), 256: long(6), 257: long(4), 258: short(8, 8, 8), 259: short(1), 262: short(2), 273: long(8),
        277: short(3), 278: long(4), 279: long(len(thumbnail)), 330: long(start),
        50706: (1, 4, bytes([1, 4, 0, 0])), 50708: (2, 5, b"Test\0"), **tags,
    }  # fmt: skip
    top = start + len(lower)
    return b"II*\0" + struct.pack("<I", top) + thumbnail + sensor + lower + directory(top, above)


COLOURS = [9000, -2000, -500, -4000, 12000, 1500, -500, 1500, 5000]  # XYZ to the camera's, in ten thousandths
MATRIX = {
    50778: (3, 1, struct.pack("<H", 21)),
    50721: (10, 9, b"".join(struct.pack("<ii", value, 10000) for value in COLOURS)),
    50728: (5, 3, struct.pack("<6I", 1, 2, 1, 1, 2, 3)),
}


def test_a_raw_is_developed_at_full_size(tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(raw(MATRIX))
    photo = images.read(tmp_path / "a.dng")
    assert (photo.size, photo.pixels.dtype, photo.format) == ((64, 96), np.uint16, "RAW")
    photo.write(tmp_path / "b.tif")
    assert np.array_equal(images.read(tmp_path / "b.tif").pixels, photo.pixels)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_words_of_a_raw_go_along_each_once(kind, tmp_path):
    pytest.importorskip("rawpy")
    xmp, iptc = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", b"\x1c\x02\x78\x00\x05night\x1c\x02\x19\x00\x01a"
    tags = {700: (1, len(xmp), xmp), 33723: (7, len(iptc), iptc), 315: (2, 6, b"J\xf6rg\0\0")}
    (tmp_path / "a.dng").write_bytes(raw(MATRIX | tags))
    data = images.encode(images.read(tmp_path / "a.dng"), kind)
    (tmp_path / "b").write_bytes(data)
    again = images.read(tmp_path / "b")
    assert (again.xmp, again.iptc) == (xmp, iptc)
    assert b"J\xf6rg" in again.exif
    assert data.count(xmp) == 1


def test_a_raw_of_unknown_colours_is_refused_not_shown_as_its_thumbnail(tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(raw({}))
    with pytest.raises(ImageError, match="export it as TIFF"):
        images.read(tmp_path / "a.dng")


def test_frames_that_are_left_behind_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]))
    assert images.remarks(images.read(tmp_path / "a.png"), "PNG") == [
        "the file holds 2 pictures; only the first is kept"
    ]
