"""What stands beside a picture goes along into other kinds of file, or a remark says that it does not."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin

from ranlen.io import images, tiff
from ranlen.io.images import Photo

PIXELS = np.random.default_rng(7).integers(0, 200, (48, 64, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x78\x00\x05night\x1c\x02\x19\x00\x05fr\xfchx"  # record, caption, keyword
CAPTION = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
PATH = b"8BIM\x07\xd0\x04path\x00\x00\x00\x00\x04line"
SMALL = io.BytesIO()
RGB.resize((40, 30)).save(SMALL, "JPEG")
SMALL = SMALL.getvalue() + bytes(len(SMALL.getvalue()) % 2)
THUMBNAIL = b"8BIM\x04\x0c\x00\x00" + struct.pack(">I", 28 + len(SMALL)) + bytes(28) + SMALL
TIFF = b"II*\0" + struct.pack("<IHHHII", 8, 1, 315, 2, 6, 26) + bytes(4) + b"\xc4rtist"  # an artist in Latin-1
TURNED = b"II*\0" + struct.pack("<IHHHII", 8, 1, 274, 3, 1, 6) + bytes(4)


def saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    RGB.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    data = saved("JPEG")
    words = [struct.pack(">BBH", 255, marker, len(content) + 2) + content for marker, content in segments]
    return data[:20] + b"".join(words) + data[20:]


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    data = saved("PNG")
    said = [
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    ]
    return data[:33] + b"".join(said) + data[33:]


def tiff_with(*tags: tuple[int, int, int, bytes], **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, PIXELS, photometric="rgb", extratags=[(*tag, True) for tag in tags], **options)
    return buffer.getvalue()


def digits(kind: str, block: bytes) -> bytes:
    return f"Raw profile type {kind}\0\n{kind}\n{len(block):8}\n{block.hex()}\n".encode()


def packed(kind: str, block: bytes) -> bytes:
    name, _, text = digits(kind, block).partition(b"\0")
    return name + b"\0\0" + zlib.compress(text)


PADDED = IPTC + bytes(-len(IPTC) % 4)
CARRIERS = {
    "jpg": jpeg_with((0xED, b"Photoshop 3.0\0" + PATH + CAPTION)),
    "png": png_with((b"tEXt", digits("iptc", CAPTION))),
    "tif": tiff_with((33723, 4, len(PADDED) // 4, PADDED)),
    "Photoshop's tif": tiff_with((34377, 1, len(PATH + CAPTION), PATH + CAPTION)),
}


def read(data: bytes, folder: Path, suffix: str) -> Photo:
    (folder / f"in.{suffix}").write_bytes(data)
    return images.read(folder / f"in.{suffix}")


def lit(photo: Photo) -> Photo:
    return dataclasses.replace(photo, pixels=np.minimum(photo.pixels.astype(int) + 9, 255).astype(np.uint8))


@pytest.mark.parametrize("to", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("name", CARRIERS)
def test_iptc_goes_along(name, to, tmp_path):
    photo = read(CARRIERS[name], tmp_path, name[-3:])
    written = images.encode(lit(photo), to)
    image = Image.open(io.BytesIO(written))
    if to == "PNG":
        text = image.text["Raw profile type iptc"]
        assert text.split("\n")[1] == "iptc"
        assert IPTC in bytes.fromhex("".join(text.split("\n")[3:]))
    elif name != "Photoshop's tif" or to == "JPEG":
        said = IptcImagePlugin.getiptcinfo(image)
        assert (said[2, 120], said[2, 25]) == (b"night", b"fr\xfchx")
    assert read(written, tmp_path, to.lower()[:4]).iptc[: len(IPTC)] == IPTC
    assert [each for each in images.remarks(photo, to) if "IPTC" in each] == []


@pytest.mark.parametrize(("to", "lost"), [("WEBP", "WebP holds no IPTC,"), ("AVIF", "AVIF holds no IPTC,")])
def test_where_iptc_cannot_go_a_remark_says_so(to, lost, tmp_path):
    photo = read(CARRIERS["jpg"], tmp_path, "jpg")
    assert [each for each in images.remarks(photo, to) if each.startswith(lost)]
    assert not [each for each in images.remarks(dataclasses.replace(photo, iptc=None), to) if "IPTC" in each]


def test_a_bmp_holds_no_words_and_says_which(tmp_path):
    photo = dataclasses.replace(read(CARRIERS["jpg"], tmp_path, "jpg"), exif=TIFF, icc=b"profile")
    assert "BMP holds no profile and no EXIF and no IPTC, which the photo has; TIFF, PNG and JPEG do" in images.remarks(
        photo, "BMP"
    )


def test_what_only_its_own_kind_keeps_is_said_of_others(tmp_path):
    comment = read(jpeg_with((0xFE, b"seen at night")) + b"film", tmp_path, "jpg")
    more = read(jpeg_with((0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40))), tmp_path, "jpg")
    text = read(png_with((b"tEXt", b"Title\0night")), tmp_path, "png")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(PIXELS, photometric="rgb")
        file.write(PIXELS, photometric="rgb")
    pages = read(buffer.getvalue(), tmp_path, "tif")
    kept = "; write the photo's own kind"
    assert (
        f"PNG does not keep its comment and what follows the picture, as a gain map or a film{kept}"
        in images.remarks(comment, "PNG")
    )
    assert images.remarks(more, "TIFF") == [f"TIFF does not keep its XMP beyond 64 kB{kept}"]
    assert images.remarks(text, "TIFF") == [f"TIFF does not keep its text{kept}"]
    assert images.remarks(pages, "PNG") == [f"PNG does not keep its other pages{kept}"]
    deeper = dataclasses.replace(text, pixels=text.pixels.astype(np.uint16) * 257)
    assert images.remarks(deeper, "PNG") == [f"PNG does not keep its text{kept}"]  # for it is a new one
    assert images.remarks(comment, "JPEG") == images.remarks(text, "PNG") == images.remarks(pages, "TIFF") == []


def test_inks_that_become_rgb_are_said(tmp_path):
    buffer = io.BytesIO()
    RGB.convert("CMYK").save(buffer, "JPEG")
    photo = read(buffer.getvalue(), tmp_path, "jpg")
    said = "the photo is in CMYK, which only its own kind, JPEG, keeps; it becomes sRGB"
    assert images.remarks(photo, "TIFF") == [said]
    assert images.remarks(photo, "JPEG") == []


@pytest.mark.parametrize("left", [PATH + CAPTION, b""])
def test_photoshops_thumbnail_leaves_a_tiff(left, tmp_path):
    block = PATH + THUMBNAIL + CAPTION if left else THUMBNAIL
    written = images.encode(lit(read(tiff_with((34377, 1, len(block), block)), tmp_path, "tif")), "TIFF")
    assert SMALL[:-2] not in written
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        assert (bytes(file.pages[0].tags[34377].value) if 34377 in file.pages[0].tags else b"") == left
        assert (34377 in tiff.page(written).entries) == bool(left)
        assert np.array_equal(file.pages[0].asarray(), np.minimum(PIXELS.astype(int) + 9, 255))


def test_photoshops_thumbnail_leaves_a_jpeg_though_it_begins_in_one_segment_and_ends_in_the_next(tmp_path):
    block = CAPTION + THUMBNAIL + PATH
    parts = [b"Photoshop 3.0\0" + part for part in (block[: len(CAPTION) + 100], block[len(CAPTION) + 100 :])]
    written = images.encode(lit(read(jpeg_with(*((0xED, part) for part in parts)), tmp_path, "jpg")), "JPEG")
    assert SMALL[100:-2] not in written
    assert b"\xff\xed" + struct.pack(">H", 16 + len(CAPTION + PATH)) + b"Photoshop 3.0\0" + CAPTION + PATH in written


def test_exif_in_a_pngs_text_goes_along_turns_nothing_and_loses_its_thumbnail(tmp_path):
    photo = read(png_with((b"tEXt", digits("exif", b"Exif\0\0" + TIFF))), tmp_path, "png")
    assert Image.open(io.BytesIO(images.encode(photo, "JPEG"))).getexif()[315] == "\xc4rtist"
    turned = read(png_with((b"tEXt", digits("APP1", b"Exif\0\0" + TURNED))), tmp_path, "png")
    assert turned.size == (48, 64)  # as browsers show it
    assert Image.open(io.BytesIO(images.encode(turned, "JPEG"))).getexif().get(274, 1) == 1
    behind = len(TIFF)
    small = struct.pack("<HHHIIHHII", 2, 513, 4, 1, behind + 30, 514, 4, 1, len(SMALL)) + bytes(4) + SMALL
    block = TIFF[:22] + struct.pack("<I", behind) + TIFF[26:] + small
    data = png_with((b"zTXt", packed("exif", b"Exif\0\0" + block)))
    written = images.encode(lit(read(data, tmp_path, "png")), "PNG")
    kept = bytes.fromhex("".join(Image.open(io.BytesIO(written)).text["Raw profile type exif"].split("\n")[3:]))
    assert kept == b"Exif\0\0" + TIFF + small[:30] + bytes(len(SMALL))


def test_xmp_that_a_png_holds_compressed_goes_along(tmp_path):
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    content = b"XML:com.adobe.xmp\0\1\0de\0Wort\0" + zlib.compress(xmp)
    assert (
        Image.open(io.BytesIO(images.encode(read(png_with((b"iTXt", content)), tmp_path, "png"), "JPEG"))).info["xmp"]
        == xmp
    )


def test_text_that_unpacks_to_too_much_is_left_where_it_is(tmp_path):
    bomb = packed("xmp", b"<x:xmpmeta/>" + bytes(9_000_000))
    data = png_with((b"zTXt", bomb))
    photo = read(data, tmp_path, "png")
    assert photo.xmp is None
    assert bomb in images.encode(lit(photo), "PNG")
