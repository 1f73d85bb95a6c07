"""Pictures out of the bytes of files, a function for each kind: channels as they are stored, and what is said of them.

Which library reads what was decided by odd files: simplejpeg and Pillow JPEG, libvips PNG and TIFF in all their
layouts and AVIF, Pillow WebP and BMP, libheif HEIC at its own depth, LibRaw a camera's own files.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pyvips
from PIL import Image

from ranlen.io import avif, blocks, colour, exif, jpeg, png, tiff
from ranlen.io.colour import Code, ColourError

# Pillow itself opens nothing above 178.9 million. A public server may want less (SECURITY.md).
MAX_PIXELS = min(178_000_000, int(os.environ.get("RANLEN_MAX_PIXELS") or 178_000_000))
MAX_METADATA = 8 * 1024**2  # bytes of a profile, or of EXIF: printers' profiles have three million at most
UNREADABLE = "the file is damaged or cut short, or of a layout that libvips does not read"
SENSOR = (b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb")  # what is not quite a TIFF

Image.init()  # all readers, or asking for one by name fails
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say in one line what is wrong
pyvips.cache_set_max(0)  # what was decoded is ours to keep or to drop
try:
    import pillow_heif
except ImportError:
    HEIC = False
else:
    pillow_heif.register_heif_opener()  # for those who open files with Pillow beside us
    HEIC = True


class ImageError(ValueError):
    """A file that cannot be read or written as an image; the message says what it is and what to do."""


@dataclass(frozen=True)
class Picture:
    """What a file holds.

    Attributes:
        kind: "JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF" or "RAW".
        channels: (H, W, C), uint8 or uint16, as stored, before it is turned upright: grey, grey and alpha, RGB, RGB and
            alpha (not multiplied in), each with what else the file holds; or four inks.
        orientation: one of the eight of EXIF.
        icc: colour profile, as said or as made of what is said otherwise; none for sRGB.
        exif: EXIF block, without a name before it.
        xmp: XMP packet.
        inks: the channels are CMYK, 0 for no ink.
        code: primaries and transfer, where the file names them by number.
        bits: of a channel, in the file.
        lossy: the file's kind loses something whenever it is written.
        frames: how many pictures are in the file; the first is read.
        chroma: a HEIC's sampling.
        beside: pictures of another sort in it, in words, which are not read.
    """

    kind: str
    channels: np.ndarray
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    inks: bool = False
    code: Code | None = None
    bits: int = 8
    lossy: bool = False
    frames: int = 1
    chroma: int = 420
    beside: tuple[str, ...] = ()


def picture(data: bytes) -> Picture:
    """What a file holds; metadata that is broken is left behind.

    Raises:
        ImageError: no image of a known kind, or one that cannot be read as it was meant.
        Exception: damaged; decoders raise anything.
    """
    for test, reader in KINDS:
        if test(data):
            try:
                found = reader(data)
            except ColourError as error:
                raise ImageError(str(error)) from None
            for what, block in (("a colour profile", found.icc), ("EXIF", found.exif), ("XMP", found.xmp)):
                if block and len(block) > MAX_METADATA:
                    raise ImageError(_too_much(what, len(block)))
            return replace(found, channels=_three_axes(found.channels))
    known = "JPEG, PNG, WebP, TIFF, BMP, HEIC, AVIF, or a camera's raw"
    raise ImageError(f"not an image of a known kind ({known})")


def _jpeg(data: bytes) -> Picture:
    marker, bits = jpeg.coding(data)
    if bits not in (0, 8) or marker not in (0, 0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        how = f"{bits} bits a channel" if bits != 8 else "a lossless or hierarchical kind"
        raise ImageError(f"a JPEG of {how}, which is not read; save it as TIFF")
    if marker in blocks.PROGRESSIVE and jpeg.lacks_scans(data):
        raise ImageError("the file is cut short: a progressive JPEG without its last scans; save it anew")
    data = jpeg.ended(data)
    image = _opened(data, "JPEG")
    block, xmp = jpeg.metadata(data)
    channels = jpeg.decode(image, data)
    if image.mode not in ("L", "RGB", "CMYK"):
        raise ImageError(f"its pixels are of the kind {image.mode}; save it as RGB")
    return Picture("JPEG", channels, exif.orientation(block), _icc(image), block, xmp, image.mode == "CMYK")


def jpeg_bands(data: bytes, rows: int) -> Iterator[np.ndarray]:
    """The channels of a JPEG that has been read, (rows, W, C) uint8 at a time."""
    return jpeg.bands(_opened(data, "JPEG"), data, rows)


def _png(data: bytes) -> Picture:
    head = data[8:33]
    if head[4:8] != b"IHDR" or len(head) < 25:
        raise ImageError("not an image of a known kind: a PNG without a header")
    width, height, depth = struct.unpack(">IIB", head[8:17])
    _check_size(width, height)
    if not png.is_whole(data):  # decoders would make room for whatever length a chunk claims
        raise ImageError("the file is damaged or cut short")
    icc, block, xmp, code = png.words(data, MAX_METADATA)
    channels = _array(_lazy(pyvips.Image.pngload_buffer, data))
    return Picture(
        "PNG", channels, exif.orientation(block), icc, block, xmp, code=code, bits=depth, frames=png.frames(data)
    )


def _tiff(data: bytes) -> Picture:
    try:
        page = tiff.page(data)
    except (ValueError, struct.error):
        raise ImageError("the file is damaged or cut short (no directory of its picture)") from None
    if page.raw:
        return _raw(data)
    _check_size(tiff.number(data, page, tiff.WIDTH, 0), tiff.number(data, page, 257, 0))
    for what, tag in (("a colour profile", tiff.ICC), ("XMP", tiff.XMP)):
        if tag in page.entries and page.entries[tag].length > MAX_METADATA:
            raise ImageError(_too_much(what, page.entries[tag].length))
    meaning = tiff.number(data, page, tiff.PHOTOMETRIC, 1)
    if meaning == tiff.LAB and page.number == 0:
        return _lab(data)
    image = _lazy(pyvips.Image.tiffload_buffer, data, page=page.number)
    _check_size(image.width, image.height)
    if meaning in (9, 10) or image.format not in ("uchar", "ushort"):
        kind = "Lab" if meaning in (9, 10) else f"{image.format}, which is no whole number of 8 or 16 bits"
        raise ImageError(f"its pixels are of the kind {kind}; save it as RGB with 8 or 16 bit a channel")
    channels = _array(image)
    block = exif.of_tiff(data[:]) if page.number == 0 else None
    orientation = exif.values(data, page.entries[exif.ORIENTATION]) if exif.ORIENTATION in page.entries else ()
    turned = orientation[0] if orientation and orientation[0] in range(1, 9) else 1
    return Picture(
        "TIFF", channels, turned, tiff.content(data, page, tiff.ICC), block, tiff.content(data, page, tiff.XMP),
        meaning == tiff.INKS, bits=8 * channels.itemsize, frames=1,
    )  # fmt: skip


def _lab(data: bytes) -> Picture:
    """A TIFF in Lab, which is read as sRGB and written so."""
    channels = colour.from_lab(_opened(data, "TIFF"))
    return Picture("TIFF", channels, 1, None, exif.of_tiff(data))


def _webp(data: bytes) -> Picture:
    image = _opened(data, "WEBP")
    frames = getattr(image, "n_frames", 1)
    block = image.info.get("exif")
    block = block.removeprefix(exif.NAME) if block else None
    return Picture(
        "WEBP", np.asarray(image), exif.orientation(block), _icc(image), block, image.info.get("xmp"),
        lossy=b"VP8L" not in _riff(data), frames=frames,
    )  # fmt: skip


def _riff(data: bytes) -> list[bytes]:
    """The names of the chunks of a WebP, those within the frames of a film too."""
    at, names = 12, []
    while at + 8 <= len(data):
        names.append(data[at : at + 4])
        at += 24 if names[-1] == b"ANMF" else 8 + (struct.unpack_from("<I", data, at + 4)[0] + 1) // 2 * 2
    return names


def _bmp(data: bytes) -> Picture:
    image = _opened(data, "BMP")
    icc = None
    if data[70:74] == b"DEBM":  # its header says: embedded
        start, length = struct.unpack_from("<II", data, 126)
        icc = data[14 + start : 14 + start + length]
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return Picture("BMP", np.asarray(image), icc=icc)


def _heif(data: bytes) -> Picture:
    if not HEIC:
        raise ImageError("HEIC needs `pip install pillow-heif`")
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    _check_size(*file.size)
    said, code = file.info, None
    icc = said.get("icc_profile") or None
    if icc is None and (nclx := said.get("nclx_profile")):
        code = (nclx["color_primaries"], nclx["transfer_characteristics"])
        icc = colour.by_code(*code)
    channels, bits = np.asarray(file), said.get("bit_depth", 8)
    if channels.dtype == np.uint16:
        channels = channels | (channels >> bits)  # white is white
    block = said.get("exif")
    block = _turned(block.removeprefix(exif.NAME) if block else None)
    return Picture(
        "HEIF", channels, 1, icc, block, said.get("xmp"), code=code, bits=bits, lossy=True, frames=len(file),
        chroma=said.get("chroma") or 420, beside=_beside(said),
    )  # fmt: skip


def _beside(said: dict[str, Any]) -> tuple[str, ...]:
    """The maps that a phone puts beside a picture: of depth, of skin or hair, of how bright a screen may get."""
    depth = ("a depth map",) if said.get("depth_images") else ()
    return (*depth, *(name.rpartition(":")[2] or name for name in said.get("aux") or ()))


def _turned(block: bytes | None) -> bytes | None:
    """EXIF of a picture that libheif has turned."""
    return exif.upright(block) if block and exif.orientation(block) != 1 else block


def _avif(data: bytes) -> Picture:
    image = _lazy(pyvips.Image.heifload_buffer, data)
    _check_size(image.width, image.height)
    icc, block, xmp = avif.words(image)
    code = avif.code(data) if icc is None else None
    if code and code[1] in (colour.PQ, colour.HLG):  # which could not be said again
        raise ImageError("an AVIF in HDR (PQ or HLG); convert it to HEIC or PNG")
    channels, bits = _array(image), image.get("bits-per-sample")
    if channels.itemsize == 2:
        channels = channels | (channels >> bits)  # white is white
    return Picture(
        "AVIF", channels, 1, icc or (colour.by_code(*code) if code else None), _turned(block), xmp, bits=bits,
        lossy=True, frames=2 if data[8:12] == b"avis" else image.get("n-pages"),
    )  # fmt: skip


def _raw(data: bytes) -> Picture:
    """A camera's raw at full size, in its white balance, without automatic exposure; 16 bits in sRGB, upright."""
    try:
        import rawpy
    except ImportError:
        raise ImageError("a camera's raw needs `pip install rawpy`") from None
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            _check_size(raw.sizes.width, raw.sizes.height)
            if raw.num_colors >= 3 and not (raw.color_matrix.any() or raw.rgb_xyz_matrix.any()):
                raise ImageError("a raw of a camera whose colours LibRaw does not know; export it as TIFF")
            pixels = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    except (rawpy.LibRawError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"a camera's raw that LibRaw cannot develop ({error}); export it as TIFF") from None
    try:
        block = exif.of_tiff(data)
        block = exif.upright(block) if block else None
    except (ValueError, struct.error):
        block = None
    return Picture("RAW", pixels, exif=block, bits=16)


def _lazy(load: Callable[..., pyvips.Image], data: bytes, **options: int) -> pyvips.Image:
    """A picture of libvips before its pixels are decoded; what libvips complains of may be of an earlier file."""
    try:
        return load(data, fail_on="error", **options)
    except pyvips.Error:
        raise ImageError(UNREADABLE) from None


def _array(image: pyvips.Image) -> np.ndarray:
    kind = np.dtype({"uchar": "uint8", "ushort": "uint16"}[image.format])
    try:
        pixels = image.write_to_memory()
    except pyvips.Error:
        raise ImageError(UNREADABLE) from None
    return np.frombuffer(pixels, kind).reshape(image.height, image.width, image.bands)


def _opened(data: bytes, kind: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata and size are ours to judge, not to print
        image = Image.open(io.BytesIO(data), formats=[kind])  # a phone's MPO opens as JPEG
    _check_size(image.width, image.height)
    return image


def _icc(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile") or None
    return profile if isinstance(profile, bytes) else None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} pixels; at most {MAX_PIXELS // 10**6} million pixels are read")
    if width * height == 0:
        raise ImageError("not an image: it has no pixels")


def _too_much(what: str, size: int) -> str:
    return f"{size / 1e6:.0f} MB of {what}; at most {MAX_METADATA / 1e6:.0f} MB are read: save it without"


def _three_axes(channels: np.ndarray) -> np.ndarray:
    return channels[..., None] if channels.ndim == 2 else channels


def _is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


KINDS: list[tuple[Callable[[bytes], Any], Callable[[bytes], Picture]]] = [
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda data: data.startswith(png.SIGNATURE), _png),
    (lambda data: data.startswith(SENSOR) or data[4:12] == b"ftypcrx ", _raw),
    (lambda data: _is_tiff(data) and data[8:10] == b"CR", _raw),
    (_is_tiff, _tiff),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    (lambda data: data.startswith(b"BM"), _bmp),
    (avif.is_avif, _avif),
    (lambda data: data[4:8] == b"ftyp", _heif),
]


def turned(channels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, C) turned upright from one of the eight EXIF orientations, as a view of them."""
    if orientation >= 5:
        channels = channels.transpose(1, 0, 2)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}  # 0 swaps top and bottom, 1 left and right
    if orientation in flips:
        channels = np.flip(channels, flips[orientation])
    return channels


def turned_back(channels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright pixels (H, W, C) as a file of an EXIF orientation stores them: the inverse of `turned`."""
    return turned(channels, {6: 8, 8: 6}.get(orientation, orientation))
