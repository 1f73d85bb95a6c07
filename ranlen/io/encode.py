"""Photos into the bytes of files: into the file that a photo came from, or into a new one of any kind."""

from __future__ import annotations

import functools
import io
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ranlen.io import avif, blocks, colour, decode, exif, jpeg, png, tiff
from ranlen.io.decode import ImageError, Picture

if TYPE_CHECKING:
    from ranlen.io.images import Photo

BGRA = bytes.fromhex("0000ff00 00ff0000 ff000000 000000ff")  # masks of red, green, blue and alpha
DEPTH = threading.Lock()  # how deep a HEIC gets is a setting of the whole library


def again(photo: Photo) -> Callable[[], bytes]:
    """What gives the file that a photo came from, with its pixels as they are now; of a JPEG, it holds the changes."""
    assert photo.file is not None
    data, found = photo.file.data, photo.file.found
    if found.kind != "JPEG":
        return functools.partial(_again, photo, data, found)
    data = jpeg.ended(data)
    frame = jpeg.frame(data)
    after = decode.turned_back(photo.pixels, found.orientation)
    return functools.partial(jpeg.rewrite, data, frame, jpeg.changes(frame, _bands(data, after, found, frame)))


def _bands(
    data: bytes, pixels: np.ndarray, found: Picture, frame: blocks.Frame
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Channels of a JPEG as they are and as they are to be, some rows at a time."""
    top = 0
    for before in decode.jpeg_bands(data, jpeg.rows_of(frame)):
        yield before, _stored(before, pixels[top : top + len(before)], found)
        top += len(before)


def _again(photo: Photo, data: bytes, found: Picture) -> bytes:
    pixels = decode.turned_back(photo.pixels, found.orientation)
    if found.inks or found.channels.shape[2] > 4:  # what a photo does not hold is read once more
        return tiff.rewrite(data, _stored(decode.picture(data).channels, pixels, found))
    alpha = None if photo.alpha is None else decode.turned_back(photo.alpha[..., None], found.orientation)
    channels = _channels(pixels, alpha, photo.grey)
    if found.kind in ("PNG", "TIFF"):
        return (png if found.kind == "PNG" else tiff).rewrite(data, channels)
    if found.kind == "BMP":
        return _bmp_again(data, channels)
    block = exif.without_thumbnail(found.exif) if found.exif else None
    if found.kind == "AVIF":
        return _avif(channels, found.icc, block, found.xmp, found.bits)
    icc = None if found.code else found.icc
    if found.kind == "WEBP":
        return _webp(channels, icc, block, found.xmp, {} if found.lossy else {"lossless": True})
    return _heif(channels, icc, block, found.xmp, found)


def new(photo: Photo, kind: str, quality: int) -> bytes:
    """The bytes of a new file of a kind, a value of `images.FORMATS`; `quality`, 1 to 100, is for JPEG and the like."""
    alpha = None if photo.alpha is None else photo.alpha[..., None]
    channels = _channels(photo.pixels, alpha, photo.grey)
    block = exif.without_thumbnail(photo.exif.removeprefix(exif.NAME)) if photo.exif else None
    if kind == "PNG":
        return png.encode(channels, photo.icc, block, photo.xmp)
    if kind == "TIFF":
        return tiff.encode(channels, photo.icc, block, photo.xmp)
    if kind == "HEIF":
        return _heif(channels, photo.icc, block, photo.xmp, None, quality)
    if kind == "AVIF":
        return _avif(channels, photo.icc, block, photo.xmp, 8 if channels.itemsize == 1 else 10, quality)
    channels = to_8_bit(channels)
    if kind == "JPEG":
        return jpeg.encode(channels, photo.icc, block, photo.xmp, quality=quality)
    return _webp(channels, photo.icc, block, photo.xmp, {"quality": quality}) if kind == "WEBP" else _bmp(channels)


def _channels(pixels: np.ndarray, alpha: np.ndarray | None, grey: bool) -> np.ndarray:
    """Channels of a file, (H, W, C): one for grey, one more for alpha."""
    colours = pixels[..., :1] if grey else pixels
    return colours if alpha is None else np.concatenate([colours, alpha], axis=2)


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Pixels of any shape as uint8: uint8 as they are, uint16 divided by 257 and rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stored(before: np.ndarray, pixels: np.ndarray, found: Picture) -> np.ndarray:
    """Channels as the file stores them, for pixels that are not as before."""
    if not found.inks:
        colours = 1 if before.shape[2] <= 2 else 3
        more = before[..., colours:]
        return np.concatenate([pixels[..., :colours], more], axis=2) if more.size else pixels[..., :colours]
    inks = to_8_bit(before[..., :4])
    relit = colour.relit_inks(inks, colour.from_inks(inks, found.icc), to_8_bit(pixels), found.icc)
    step = 257 if before.itemsize == 2 else 1
    after = before.copy()
    change = (relit.astype(np.int32) - inks) * step
    after[..., :4] = np.clip(before[..., :4] + change, 0, np.iinfo(before.dtype).max)
    return after


def _webp(
    channels: np.ndarray, icc: bytes | None, block: bytes | None, xmp: bytes | None, how: dict[str, Any]
) -> bytes:
    channels = _coloured(channels)
    said = {"icc_profile": icc, "exif": exif.NAME + block if block else None, "xmp": xmp}
    how = {"quality": 96, "method": 2, "exact": True, **how}
    return _saved(_image(channels), "WEBP", **how, **{name: value for name, value in said.items() if value})


def _avif(
    channels: np.ndarray, icc: bytes | None, block: bytes | None, xmp: bytes | None, bits: int, quality: int = 98
) -> bytes:
    return avif.encode(_coloured(channels), icc, block, xmp, bits=bits, quality=quality)


def _coloured(channels: np.ndarray) -> np.ndarray:
    """Channels of a kind that knows no grey."""
    return channels if channels.shape[2] > 2 else channels[..., [0, 0, 0, 1][: 2 + channels.shape[2]]]


def _bmp_again(data: bytes, channels: np.ndarray) -> bytes:
    """A BMP with other pixels where they lie; one of fewer bits is written anew."""
    start, size, _, height, _, bits, how = struct.unpack_from("<IIiiHHI", data, 10)
    count = channels.shape[2]
    known = (bits, how) == (24, 0) or ((bits, how) == (32, 3) and data[54:70] == BGRA)
    if size < 40 or bits != 8 * count or not known:
        if count == 4:
            raise ImageError("BMP holds no transparency of this sort; write PNG, TIFF or WebP")
        return _bmp(channels)
    rows = channels[:: -1 if height > 0 else 1, :, [2, 1, 0, 3][:count]].reshape(abs(height), -1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return data[:start] + rows.tobytes() + data[start + rows.size :]


def _bmp(channels: np.ndarray) -> bytes:
    return _saved(_image(channels), "BMP")


def _image(channels: np.ndarray) -> Image.Image:
    return Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else np.ascontiguousarray(channels))


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _heif(
    channels: np.ndarray,
    icc: bytes | None,
    block: bytes | None,
    xmp: bytes | None,
    found: Picture | None,
    quality: int = 92,
) -> bytes:
    """HEIC by x265 in a hurry: its usual care takes seven times as long for a tenth of the bytes."""
    if not decode.HEIC:
        raise ImageError("HEIC needs `pip install pillow-heif`")
    import pillow_heif

    if channels.shape[2] == 2:
        channels = channels[..., [0, 0, 0, 1]]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels.shape[2]] + (";16" if channels.itemsize == 2 else "")
    height, width = channels.shape[:2]
    file = pillow_heif.from_bytes(mode, (width, height), np.ascontiguousarray(channels).tobytes())
    if icc:
        file.info["icc_profile"], file.info["icc_profile_type"] = icc, "prof"
    options: dict[str, Any] = {"quality": quality, "chroma": str(found.chroma if found else 444)}
    if found is not None and found.code:
        primaries, transfer = found.code
        options |= {"color_primaries": primaries, "transfer_characteristics": transfer}
        options |= {"matrix_coefficients": 9 if primaries == 9 else 6, "full_range_flag": 1}
    buffer = io.BytesIO()
    with DEPTH:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = found is not None and found.bits > 10
        said = {"exif": exif.NAME + block if block else None, "xmp": xmp}
        file.save(buffer, enc_params={"preset": "ultrafast"}, save_nclx_profile=True, **said, **options)
    return buffer.getvalue()
