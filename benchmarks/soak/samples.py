"""Files of every kind that the reader opens, made on the fly: whole ones to damage, and odd ones to try as they are."""

from __future__ import annotations

import functools
import io
import itertools
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from ranlen.io import decode, images
from ranlen.io.images import Photo

SIZE = (24, 32)


@functools.cache
def profile() -> bytes:
    """An sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: object = 6, extra: int = 0) -> bytes:
    """A camera's EXIF block, with as many bytes of maker's notes as wanted."""
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    block[ExifTags.Base.Make] = "Camera"
    details = block.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ExposureTime] = 0.02
    if extra:
        details[ExifTags.Base.MakerNote] = b"n" * extra
    block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (47.0, 22.0, 10.0)
    return block.tobytes()


def picture(size: tuple[int, int] = SIZE, depth: type = np.uint8, channels: int = 3) -> np.ndarray:
    """Slopes with a little noise, (H, W, C)."""
    rng = np.random.default_rng(size[0] + channels)
    y, x = np.mgrid[: size[0], : size[1]]
    planes = [np.sin(x / 9 + c) * np.cos(y / 7) * 0.4 + 0.5 + rng.uniform(-0.05, 0.05, size) for c in range(channels)]
    return np.round(np.stack(planes, -1) * np.iinfo(depth).max).astype(depth)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def whole() -> dict[str, bytes]:
    """Files that can be read, by a name whose suffix is the kind's."""
    rgb = Image.fromarray(picture())
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    both = {"exif": exif(), "icc_profile": profile()}
    alpha = rgb.copy()
    alpha.putalpha(rgb.convert("L"))
    palette = rgb.quantize(16)
    tiff = functools.partial(saved, kind="TIFF")
    files = {
        "plain.jpg": saved(rgb, "JPEG", **both),
        "progressive.jpg": saved(rgb, "JPEG", progressive=True, optimize=True, **both),
        "grey.jpg": saved(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG"),
        "two.mpo.jpg": saved(rgb, "MPO", save_all=True, append_images=[rgb.rotate(180)]),
        "plain.png": saved(rgb, "PNG", **both),
        "grey_alpha.png": saved(alpha.convert("LA"), "PNG"),
        "alpha.png": saved(alpha, "PNG"),
        "palette.png": saved(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "named_clear.png": saved(rgb, "PNG", transparency=(1, 2, 3)),
        "one_bit.png": saved(rgb.convert("1"), "PNG"),
        "animated.png": saved(rgb, "PNG", **frames),
        "deep.png": images.encode(Photo(picture(depth=np.uint16), icc=profile(), exif=exif()), "PNG"),
        "deep_alpha.png": images.encode(Photo(picture(depth=np.uint16), picture(depth=np.uint16)[..., 0]), "PNG"),
        "deep_grey.png": saved(Image.fromarray(picture(depth=np.uint16)[..., 0]), "PNG"),
        "lossy.webp": saved(rgb, "WEBP", **both),
        "lossless.webp": saved(alpha, "WEBP", lossless=True),
        "animated.webp": saved(rgb, "WEBP", **frames),
        "plain.tif": tiff(rgb, **both),
        "lzw.tif": tiff(rgb, compression="tiff_lzw"),
        "deflate.tif": tiff(rgb, compression="tiff_adobe_deflate"),
        "packbits.tif": tiff(rgb, compression="packbits"),
        "jpeg.tif": tiff(rgb, compression="jpeg"),
        "fax.tif": tiff(rgb.convert("1"), compression="group4"),
        "alpha.tif": tiff(alpha),
        "cmyk.tif": tiff(rgb.convert("CMYK")),
        "lab.tif": tiff(rgb.convert("LAB")),
        "palette.tif": tiff(palette),
        "pages.tif": tiff(rgb, **frames),
        "large.tif": tiff(rgb, big_tiff=True),
        "ours.tif": images.encode(Photo(picture(), exif=exif(), icc=profile()), "TIFF"),
        "deep.tif": images.encode(Photo(picture(depth=np.uint16), exif=exif()), "TIFF"),
        "deep_alpha.tif": images.encode(Photo(picture(depth=np.uint16), picture(depth=np.uint16)[..., 0]), "TIFF"),
        "deep_grey.tif": tiff(Image.fromarray(picture(depth=np.uint16)[..., 0])),
        "plain.bmp": saved(rgb, "BMP"),
        "grey.bmp": saved(rgb.convert("L"), "BMP"),
        "palette.bmp": saved(palette, "BMP"),
        "alpha.bmp": saved(alpha, "BMP"),
    }
    files |= {
        "plain.avif": saved(rgb, "AVIF", **both),
        "alpha.avif": saved(alpha, "AVIF"),
        "film.avif": saved(rgb, "AVIF", **frames),
        "deep.avif": images.encode(Photo(picture(depth=np.uint16), exif=exif()), "AVIF"),
    }
    if images.HEIC:
        files["plain.heic"] = saved(rgb, "HEIF", quality=80, **both)
        files["alpha.heic"] = saved(alpha, "HEIF", quality=80)
        files["burst.heic"] = saved(rgb, "HEIF", quality=80, **frames)
    return files


def odd() -> dict[str, bytes]:
    """Files that are strange but sound, and some that only pretend: each is to be read, or refused in one sentence."""
    rgb = Image.fromarray(picture())
    floats = Image.fromarray(picture()[..., 0].astype(np.float32))
    files = {
        "empty.jpg": b"",
        "text.jpg": b"<script>alert(1)</script>",
        "zeros.png": bytes(4096),
        "png_named.jpg": saved(rgb, "PNG"),
        "jpeg_named.tif": saved(rgb, "JPEG"),
        "gif_named.png": saved(rgb.quantize(8), "GIF"),
        "float.tif": saved(floats, "TIFF"),
        "whole_numbers.tif": saved(Image.fromarray(picture()[..., 0].astype(np.int32)), "TIFF"),
        "one_pixel.png": saved(rgb.crop((0, 0, 1, 1)), "PNG"),
        "one_pixel.jpg": saved(rgb.crop((0, 0, 1, 1)), "JPEG"),
        "tall.png": saved(rgb.resize((1, 20000)), "PNG"),
        "wide.jpg": saved(rgb.resize((20000, 1)), "JPEG"),
        "wide.tif": saved(rgb.resize((20000, 1)), "TIFF"),
        "broken_profile.jpg": saved(rgb, "JPEG", icc_profile=profile()[:200] + bytes(300)),
        "broken_profile_cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG", icc_profile=profile()[:200] + bytes(300)),
        "grey_profile.jpg": saved(rgb, "JPEG", icc_profile=profile().replace(b"RGB ", b"GRAY", 1)),
        "huge_profile.tif": saved(rgb, "TIFF", icc_profile=profile() + bytes(decode.MAX_METADATA)),
        "huge_exif.png": saved(rgb, "PNG", exif=exif(extra=decode.MAX_METADATA)),
        "long_exif.png": saved(rgb, "PNG", exif=exif(extra=200_000)),
        "profile_bomb.png": png_with(b"iCCP", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)),
        "text_bomb.png": png_with(b"zTXt", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)),
        "pixel_bomb.png": png_of(20_000, 20_000, b""),
        "pixel_bomb_deep.tif": tiff_of(60_000, 60_000, 16),
        "promised.png": png_of(12_000, 12_000, zlib.compress(bytes(1000))),
        "promised.tif": tiff_of(12_000, 12_000, 16),
        "no_pixels.png": png_of(0, 0, b""),
        "most_pixels.bmp": bmp_of(2**31 - 1, 2**31 - 1),
        "upside_down.bmp": bmp_of(4, -4, bytes(48)),
    }
    for name, (kind, count, value) in {
        "0": (3, 1, 0), "9": (3, 1, 9), "65535": (3, 1, 65535), "text": (2, 2, 0x36), "bytes": (7, 4, 6),
        "two": (3, 2, 0x60006), "fraction": (5, 1, 8), "huge": (4, 2**31, 8), "of_no_kind": (99, 1, 6),
    }.items():  # fmt: skip
        block = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 274, kind, count, value, 0)
        files[f"orientation_{name}.jpg"] = saved(rgb, "JPEG", exif=block)
    return files


def png_of(width: int, height: int, pixels: bytes, bits: int = 8) -> bytes:
    """A PNG that promises a size, with whatever pixel data."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_with(kind: bytes, data: bytes) -> bytes:
    """A sound PNG with one more chunk."""
    plain = saved(Image.fromarray(picture()), "PNG")
    return plain[:33] + chunk(kind, data) + plain[33:]


def tiff_of(width: int, height: int, bits: int) -> bytes:
    """A TIFF that promises a size in one strip and holds a few bytes."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    directory.tagtype.update({273: 4, 279: 4})
    directory.update(
        {256: width, 257: height, 258: (bits,) * 3, 259: 1, 262: 2, 273: 400, 277: 3, 278: height, 279: 99}
    )
    return (b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8)).ljust(600, b"\0")


def layouts() -> dict[str, bytes]:
    """TIFFs of 8 and 16 bits whose channels lie beside each other or in planes, in one strip a plane or in many."""
    return {
        f"{depth.__name__}_{count}_{'planes' if planes else 'beside'}_{rows}{'_deflate' * deflate}.tif": laid_out(
            picture(depth=depth, channels=count), planes, rows, deflate
        )
        for depth in (np.uint8, np.uint16)
        for count in (1, 3, 4)
        for planes in (False, True)
        for rows in (SIZE[0], 7)
        for deflate in (False, True)
    }


def laid_out(channels: np.ndarray, planes: bool, rows: int, deflate: bool) -> bytes:
    """Channels (H, W, C) as a TIFF of so many rows a strip."""
    height, width, count = channels.shape
    parts = list(np.moveaxis(channels, 2, 0)) if planes else [channels]
    strips = [part[top : top + rows].tobytes() for part in parts for top in range(0, height, rows)]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    sizes = [len(strip) for strip in strips]
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    directory.update({256: width, 257: height, 258: (8 * channels.itemsize,) * count, 259: 8 if deflate else 1})
    directory.update({262: 1 if count == 1 else 2, 277: count, 278: rows, 284: 2 if planes else 1})
    directory.tagtype.update({273: 4, 279: 4})
    directory.update({273: tuple([0, *itertools.accumulate(sizes)][:-1]), 279: tuple(sizes)})
    if count == 4:
        directory[338] = 2
    return b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8) + b"".join(strips)


def bmp_of(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A BMP that promises a size; a negative height is from the top down."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with the right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
