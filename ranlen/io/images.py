"""Reading and writing photos: one way in, one way out.

A photo comes out upright, with its bit depth, alpha and colours, and goes back into a file of the same kind: into the
very file it came from, as far as that can be, so that pixels outside the light and every word beside them stay. Pixels
stay in the photo's own colour space; `preview` gives a small copy in sRGB for eyes and networks.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ranlen.geometry import Size
from ranlen.io import blocks, colour, decode, exif
from ranlen.io import encode as encoders
from ranlen.io.decode import HEIC, ImageError, Picture
from ranlen.io.files import FileError, read_bytes, shown, write_atomically

MAX_BYTES = 512 * 1024**2
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".avif": "AVIF",
}
RAW = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2")
SUFFIXES = (*FORMATS, *RAW)  # of what is read

# What the file of a mask says of a subject that a segmenter found: its soft edge is another one than a painted one's.
FOUND = b'ranlen:subject="found"'
FOUND_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:ranlen="urn:ranlen" ' + FOUND + b"/></rdf:RDF></x:xmpmeta>"
)


@dataclass(frozen=True)
class Photo:
    """A photo as its file holds it, upright.

    Attributes:
        pixels: (H, W, 3), uint8 or uint16, RGB in the photo's own colour space.
        alpha: (H, W) of the same type, or none.
        grey: the file had one channel; `pixels` repeats it.
        format: "JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF" or "RAW".
        icc: colour profile, or none for sRGB.
        exif: EXIF block with orientation 1, or none.
        xmp: XMP packet, or none.
        file: the bytes that it was read from, and what was found in them: where it goes back into.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    format: str = "PNG"
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    file: File | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> Size:
        """(height, width)."""
        return (self.pixels.shape[0], self.pixels.shape[1])

    def write(self, path: str | Path) -> None:
        """Write to a file whose suffix names the format; see `write`."""
        write(self, path)


@dataclass(frozen=True)
class File:
    """Where a photo came from.

    Attributes:
        data: all bytes of the file.
        found: what it holds, without its pixels.
        photo: what was made of that, without its pixels: a photo that differs in this is another one.
    """

    data: bytes
    found: Picture
    photo: tuple[object, ...]


def read(path: str | Path) -> Photo:
    """Read a photo file: JPEG, PNG, WebP, TIFF, BMP, HEIC or a camera's raw.

    Args:
        path: the file.

    Returns:
        The photo, turned upright: pixels (H, W, 3) of 8 or 16 bits, RGB in its own colour space, and all else that
        the file holds.

    Raises:
        ImageError: not an image we read, damaged, or too large.
    """
    path = Path(path)
    name = shown(path.name)
    try:
        data = read_bytes(path, MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata is ours to judge, not to print
            return _photo(data, decode.picture(data))
    except FileError as error:
        raise ImageError(str(error)) from None
    except ImageError as error:
        raise ImageError(f"cannot read {name}: {error}") from None
    except UnidentifiedImageError:
        raise ImageError(f"cannot read {name}: not an image of a known kind, or its beginning is damaged") from None
    except Image.DecompressionBombError:
        raise ImageError(f"cannot read {name}: at most {decode.MAX_PIXELS // 10**6} million pixels are read") from None
    except MemoryError:
        raise ImageError(f"cannot read {name}: not enough memory for its pixels, or the file is damaged") from None
    except Exception as error:  # over a damaged file decoders raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"cannot read {name}: the file is damaged or cut short ({reason})") from None


def _photo(data: bytes, found: Picture) -> Photo:
    """A photo from what its file holds."""
    icc, channels = found.icc, found.channels
    bands, kind = channels.shape[2], channels.dtype  # all that stays of what a file stores
    if found.inks:
        rgb = colour.from_inks(to_8_bit(channels[..., :4]), icc).astype(channels.dtype)
        rgb *= 257 if channels.itemsize == 2 else 1
        channels = np.concatenate([rgb, channels[..., 4:5]], axis=2)
        icc = None
    channels = decode.turned(channels, found.orientation)
    grey = channels.shape[2] <= 2
    colours = 1 if grey else 3
    alpha = np.ascontiguousarray(channels[..., colours]) if channels.shape[2] > colours else None
    pixels = np.repeat(channels[..., :1], 3, axis=2) if grey else np.ascontiguousarray(channels[..., :3])
    try:
        block = exif.upright(found.exif) if found.exif else None
    except (ValueError, struct.error):  # broken: left behind where it does not stay in its file
        block = None
    photo = Photo(pixels, alpha, grey, found.kind, icc, block, found.xmp)
    return replace(photo, file=File(data, replace(found, channels=np.empty((0, 0, bands), kind)), _said(photo)))


def _said(photo: Photo) -> tuple[object, ...]:
    return (photo.size, photo.pixels.dtype, photo.alpha is None, photo.grey, photo.icc, photo.exif, photo.xmp)


def named(folder: Path) -> dict[str, Path]:
    """The pictures in a folder by name, without suffix; accents however they are spelled. A PNG goes before others."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    order = sorted(found, key=lambda path: (path.suffix.lower() != ".png", path.name), reverse=True)
    return {name_of(path): path for path in order}


def name_of(path: Path) -> str:
    """What a photo and its mask have in common: the name without suffix, composed accents."""
    return unicodedata.normalize("NFC", path.stem)


def read_mask(path: str | Path, size: Size) -> np.ndarray:
    """Read a mask file: a picture that is white, opaque or otherwise told apart on the subject, see `marked`.

    Args:
        path: the file.
        size: (height, width) of the photo, in pixels. A mask of another size, but the same shape, is scaled to it.

    Returns:
        Booleans (H, W) of that size, True on the subject.

    Raises:
        ImageError: unreadable, or not of the shape of the photo's `size` (height, width).
    """
    return read_subject(path, size)[0]


def read_subject(path: str | Path, size: Size) -> tuple[np.ndarray, bool]:
    """`read_mask`, and whether its file says that a segmenter found the subject (`retouch.region_mask`)."""
    photo = read(path)
    return _at_size(marked(photo), size, path), FOUND in (photo.xmp or b"")


def _at_size(core: np.ndarray, size: Size, path: str | Path) -> np.ndarray:
    if core.shape == tuple(size):
        return core
    wide, high = size[1] / core.shape[1], size[0] / core.shape[0]
    if abs(wide - high) * min(core.shape) > max(wide, high):  # more than a pixel of rounding
        raise ImageError(
            f"the mask {shown(Path(path).name)} is {core.shape[1]} x {core.shape[0]} pixels but the photo is "
            f"{size[1]} x {size[0]}; give a mask of the photo's shape"
        )
    way = cv2.INTER_AREA if wide < 1 else cv2.INTER_LINEAR
    return cv2.resize(core.astype(np.float32), (size[1], size[0]), interpolation=way) >= 0.5


def marked(photo: Photo) -> np.ndarray:
    """What a picture of a mask marks, booleans (H, W), whatever its maker's habit.

    A cutout marks what is opaque. A drawn mask marks what is brighter than half; one of a few colours, or one that
    counts (0 and 1, 0 and 128), what is not black.
    """
    most = np.iinfo(photo.pixels.dtype).max
    bright = photo.pixels[..., 0] if photo.grey else photo.pixels.max(axis=2)
    core = bright > most / 2
    few = len(np.unique(bright[:: max(1, len(bright) // 500)])) <= 32
    if few and (bright.max() <= most / 2 or (not photo.grey and (photo.pixels.min(axis=2) != bright).any())):
        core = bright > 0
    elif bright.max() <= most / 2:
        core = bright > bright.max() / 2
    if photo.alpha is None or (opaque := photo.alpha > most / 2).all():
        return core
    seen = bright[opaque]
    drawn = seen.size > 0 and seen.min() == 0 and seen.max() == most and ((seen == 0) | (seen == most)).all()
    return opaque & core if drawn else opaque


def mask_photo(mask: np.ndarray, *, found: bool = False) -> Photo:
    """Booleans (H, W) as a grey photo, white where they are True, that says whether a segmenter found them."""
    return Photo(
        np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), grey=True, xmp=FOUND_XMP if found else None
    )


def write(photo: Photo, path: str | Path) -> None:
    """Write a photo, whole or not at all, in the format that the suffix names.

    Raises:
        ImageError: a suffix we do not write, or something the format cannot hold.
        OSError: the disk refuses.
    """
    writing(photo, path)()


def writing(photo: Photo, path: str | Path) -> Callable[[], None]:
    """`write`, begun: who drops the photo before the call has its memory while a JPEG's blocks are read."""
    path = Path(path)
    coded = encoding(photo, format_of(path))
    if not path.parent.is_dir():
        raise ImageError(f"cannot write {shown(path.name)}: there is no folder {shown(path.parent)}")
    return lambda: write_atomically(path, coded())


def format_of(path: str | Path) -> str:
    """The format that a file name stands for."""
    name, suffix = shown(Path(path).name), Path(path).suffix.lower()
    if suffix in RAW:
        raise ImageError(f"cannot write {name}: a camera's raw is only read; choose .tif or .jpg")
    if suffix not in FORMATS:
        raise ImageError(f"cannot write {name}: choose one of the suffixes {', '.join(FORMATS)}")
    if FORMATS[suffix] == "HEIF" and not HEIC:
        raise ImageError(f"cannot write {name}: HEIC needs `pip install pillow-heif`")
    return FORMATS[suffix]


def encode(photo: Photo, kind: str, *, quality: int = 96) -> bytes:
    """The bytes of a file of a format (of `FORMATS`); `quality`, 1 to 100, is for a new one that loses something.

    A photo goes back into the file that it came from where the format is the same and no more than its pixels differs.
    """
    return encoding(photo, kind, quality=quality)()


def encoding(photo: Photo, kind: str, *, quality: int = 96) -> Callable[[], bytes]:
    """`encode`, begun: a call without arguments that gives the bytes, and holds no pixels where changes are enough."""
    same = photo.file and _own(photo.file.found, kind) and photo.file.photo == _said(photo)
    if photo.alpha is not None and kind in ("JPEG", "BMP") and not same:
        raise ImageError(f"{kind} holds no transparency and the photo has some; write PNG, TIFF or WebP")
    code = photo.file.found.code if photo.file else None
    if same:
        with _refusals(kind):
            rest = encoders.again(photo)
    elif code and code[1] in (colour.PQ, colour.HLG):
        raise ImageError(f"the photo is HDR (PQ or HLG), which a new {kind} cannot say; write its own kind")
    else:
        rest = functools.partial(encoders.new, photo, kind, quality)
    return _refusals(kind)(rest)


def _own(found: Picture, kind: str) -> bool:
    """Whether a file of this kind can be changed where it lies."""
    return found.kind == kind and (kind != "JPEG" or blocks.CAN_CHANGE)


@contextlib.contextmanager
def _refusals(kind: str) -> Iterator[None]:
    """What an encoder complains of, as a sentence that says what to do."""
    try:
        yield
    except ImageError:
        raise
    except (ValueError, OSError, struct.error, RuntimeError) as error:  # too wide for it, or too much EXIF
        reason = " ".join(str(error).split())
        others = ".tif" if kind == "PNG" else ".png or .tif"
        raise ImageError(f"{kind} cannot hold this photo ({reason}); write a {others}") from None


def remarks(photo: Photo, kind: str) -> list[str]:
    """What writing a photo as a format loses, in a sentence each; none where every pixel outside the light stays."""
    found = photo.file.found if photo.file else None
    same = found is not None and _own(found, kind)
    said = []
    if (
        kind in ("HEIF", "AVIF")
        or (kind == "WEBP" and not (same and found and not found.lossy))
        or (kind == "JPEG" and not same)
    ):
        named = {"HEIF": "HEIC", "WEBP": "lossy WebP"}.get(kind, kind)
        said.append(f"{named} changes pixels outside the light a little too; PNG and TIFF keep them exactly")
    if photo.pixels.dtype == np.uint16 and kind in ("JPEG", "WEBP", "BMP"):
        said.append(f"{kind} holds 8 bits a channel and the photo has more; TIFF and PNG keep them")
    if found is not None and found.frames > 1:
        said.append(f"the file holds {found.frames} pictures; only the first is kept")
    if found is not None and found.beside:
        said.append(f"what the file holds beside the picture is not kept: {', '.join(found.beside)}")
    return said


def preview(photo: Photo, longest: int) -> np.ndarray:
    """A copy in sRGB for screens and networks, (h, w, 3) uint8, at most `longest` pixels on its long side.

    What is transparent has the mean colour of what is not: whatever is hidden there must not change the light.
    """
    height, width = preview_size(photo.size, longest)
    pixels = without_hidden(photo)
    if (height, width) != photo.size:
        while pixels.shape[0] >= 2 * height and pixels.shape[1] >= 2 * width:  # OpenCV halves five times as fast
            half = (-(-pixels.shape[1] // 2), -(-pixels.shape[0] // 2))
            pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    pixels = to_8_bit(pixels)
    return pixels if photo.icc is None else colour.to_srgb(pixels, photo.icc, photo.grey)


def without_hidden(photo: Photo) -> np.ndarray:
    """A photo's pixels with one colour, the mean of the others, where they are transparent."""
    hidden = hidden_of(photo)
    if hidden is None or hidden.all():
        return photo.pixels
    pixels = photo.pixels.copy()
    pixels[hidden] = np.rint(pixels[~hidden].mean(axis=0))
    return pixels


def hidden_of(photo: Photo) -> np.ndarray | None:
    """Where a photo is transparent, booleans (H, W), or none where it is nowhere."""
    hidden = None if photo.alpha is None else photo.alpha == 0
    return None if hidden is None or not hidden.any() else hidden


def preview_size(size: Size, longest: int) -> Size:
    """The size of a `preview`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


to_8_bit = encoders.to_8_bit
