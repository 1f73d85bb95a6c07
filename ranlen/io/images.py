"""Reading and writing photos: the only code that opens image files.

A photo comes out upright, with its bit depth, alpha, EXIF and colour profile, and goes back into a file of the same
kind. Pixels stay in the photo's own colour space; `preview` gives a small copy in sRGB for eyes and networks.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from ranlen.geometry import Size
from ranlen.io import jpeg, lossless
from ranlen.io.files import FileError, read_bytes, shown, write_atomically
from ranlen.io.lossless import RGB_ORDER
from ranlen.io.metadata import MetadataError, bits_of, in_planes, orientation_of, profile_of, turned, upright_exif

MAX_BYTES = 512 * 1024**2
# Pillow itself opens nothing above 178.9 million. A public server may want less (SECURITY.md).
MAX_PIXELS = min(178_000_000, int(os.environ.get("RANLEN_MAX_PIXELS") or 178_000_000))
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
READERS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP"]  # a phone's MPO opens as JPEG
SRGB = ImageCms.createProfile("sRGB")

Image.init()  # all readers, or asking for one by name fails
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say in one line what is wrong
try:
    import pillow_heif
except ImportError:
    HEIC = False
else:
    pillow_heif.register_heif_opener()
    HEIC = True


class ImageError(ValueError):
    """A file that cannot be read or written as an image; the message says what it is and what to do."""


@dataclass(frozen=True)
class Photo:
    """A photo as its file holds it, upright.

    Attributes:
        pixels: (H, W, 3), uint8 or uint16, RGB in the photo's own colour space.
        alpha: (H, W) of the same type, or none.
        grey: the file had one channel; `pixels` repeats it.
        format: "JPEG", "PNG", "WEBP", "TIFF", "BMP" or "HEIF".
        icc: colour profile, or none for sRGB.
        exif: EXIF block with orientation 1, or none.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    format: str = "PNG"
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def size(self) -> Size:
        """(height, width)."""
        return (self.pixels.shape[0], self.pixels.shape[1])

    def write(self, path: str | Path) -> None:
        """Write to a file whose suffix names the format; see `write`."""
        write(self, path)


def read(path: str | Path) -> Photo:
    """Read a photo.

    Raises:
        ImageError: not an image we read, damaged, or too large.
    """
    path = Path(path)
    name = shown(path.name)
    try:
        data = read_bytes(path, MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata is ours to judge, not to print
            return _decode(data)
    except FileError as error:
        raise ImageError(str(error)) from None
    except (ImageError, MetadataError) as error:
        raise ImageError(f"cannot read {name}: {error}") from None
    except UnidentifiedImageError:
        known = "JPEG, PNG, WebP, TIFF, BMP" + (", HEIC" if HEIC else "")
        hint = "" if HEIC else "; HEIC needs `pip install pillow-heif`"
        raise ImageError(f"cannot read {name}: not an image of a known kind ({known}{hint})") from None
    except Image.DecompressionBombError:
        raise ImageError(f"cannot read {name}: at most {MAX_PIXELS // 10**6} million pixels are read") from None
    except MemoryError:
        raise ImageError(f"cannot read {name}: not enough memory for its pixels, or the file is damaged") from None
    except Exception as error:  # over a damaged file decoders raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"cannot read {name}: the file is damaged or cut short ({reason})") from None


def read_mask(path: str | Path, size: Size) -> np.ndarray:
    """Read a mask file: (H, W) booleans, True where it is brighter than half and not transparent.

    Raises:
        ImageError: unreadable, or not of the photo's `size` (height, width).
    """
    photo = read(path)
    if photo.size != tuple(size):
        raise ImageError(
            f"the mask {shown(Path(path).name)} is {photo.size[1]} x {photo.size[0]} pixels but the photo is "
            f"{size[1]} x {size[0]}; give a mask of the photo's size"
        )
    half = np.iinfo(photo.pixels.dtype).max / 2
    core = photo.pixels[..., 0] > half
    for channel in () if photo.grey else (1, 2):
        core |= photo.pixels[..., channel] > half
    return core if photo.alpha is None else core & (photo.alpha > half)


def mask_photo(mask: np.ndarray) -> Photo:
    """Booleans (H, W) as a grey photo, white where they are True: what `read_mask` reads."""
    return Photo(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), grey=True)


def write(photo: Photo, path: str | Path) -> None:
    """Write a photo, whole or not at all, in the format that the suffix names.

    Raises:
        ImageError: a suffix we do not write, or something the format cannot hold.
        OSError: the disk refuses.
    """
    path = Path(path)
    data = encode(photo, format_of(path))
    if not path.parent.is_dir():
        raise ImageError(f"cannot write {path.name}: there is no folder {path.parent}")
    write_atomically(path, data)


def format_of(path: str | Path) -> str:
    """The format that a file name stands for."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(f"cannot write {Path(path).name}: choose one of the suffixes {', '.join(FORMATS)}")
    if FORMATS[suffix] == "HEIF" and not HEIC:
        raise ImageError(f"cannot write {Path(path).name}: HEIC needs `pip install pillow-heif`")
    return FORMATS[suffix]


def encode(photo: Photo, kind: str, *, quality: int = 96) -> bytes:
    """The bytes of a file of the given format; `quality` is for those that lose something."""
    if photo.alpha is not None and kind in ("JPEG", "BMP"):
        raise ImageError(f"{kind} holds no transparency and the photo has some; write PNG, TIFF or WebP")
    try:
        return _encode(photo, kind, quality)
    except (ValueError, OSError, struct.error) as error:  # too wide for it, or too much EXIF
        reason = " ".join(str(error).split())
        others = ".tif" if kind == "PNG" else ".png or .tif"
        raise ImageError(f"{kind} cannot hold this photo ({reason}); write a {others}") from None


def _encode(photo: Photo, kind: str, quality: int) -> bytes:
    if kind in ("PNG", "TIFF"):
        return {"PNG": lossless.png, "TIFF": lossless.tiff}[kind](_channels(photo), photo.icc, photo.exif)
    channels = to_8_bit(_channels(photo))
    if kind == "JPEG":
        return jpeg.encode(channels, photo.icc, photo.exif, quality=quality)
    image = Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else channels)
    options: dict[str, Any] = {
        "WEBP": {"quality": quality, "method": 2},
        "HEIF": {"quality": quality},
        "BMP": {},
    }[kind]
    metadata = {"icc_profile": photo.icc, "exif": photo.exif} if kind != "BMP" else {}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options, **{name: value for name, value in metadata.items() if value})
    return buffer.getvalue()


def preview(photo: Photo, longest: int) -> np.ndarray:
    """A copy in sRGB for screens and networks, (h, w, 3) uint8, at most `longest` pixels on its long side."""
    height, width = preview_size(photo.size, longest)
    pixels = photo.pixels
    if (height, width) != photo.size:
        while pixels.shape[0] >= 2 * height and pixels.shape[1] >= 2 * width:  # OpenCV halves five times as fast
            half = (-(-pixels.shape[1] // 2), -(-pixels.shape[0] // 2))
            pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    pixels = to_8_bit(pixels)
    if photo.icc is None or photo.grey:
        return pixels
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.icc))
        converted = ImageCms.profileToProfile(Image.fromarray(pixels), profile, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a broken profile: show the numbers as they are
        return pixels
    return np.asarray(converted)


def preview_size(size: Size, longest: int) -> Size:
    """The size of a `preview`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Pixels as uint8, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _decode(data: bytes) -> Photo:
    """A photo from the bytes of a file."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=[*READERS, *(["HEIF"] if HEIC else [])])
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{image.width} x {image.height} pixels; at most {MAX_PIXELS // 10**6} million are read")
    icc = profile_of(image)
    kind = {"MPO": "JPEG"}.get(image.format or "", image.format or "PNG")
    orientation = orientation_of(image)
    exif = upright_exif(image)

    if bits_of(image, data) == 16:
        channels = _decode_16_bit(image, data)
    else:
        image, icc = _plain_mode(image, icc)
        channels = np.atleast_3d(jpeg.decode(image, data) if kind == "JPEG" else np.asarray(image))
    if kind != "TIFF":  # whose readers turn it themselves
        channels = turned(channels, orientation)

    grey = channels.shape[2] <= 2
    alpha = np.ascontiguousarray(channels[..., -1]) if channels.shape[2] in (2, 4) else None
    pixels = np.repeat(channels[..., :1], 3, axis=2) if grey else np.ascontiguousarray(channels[..., :3])
    return Photo(pixels, alpha, grey, kind, icc, exif)


def _plain_mode(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """The image in one of the modes L, LA, RGB, RGBA, and the profile that its numbers are then in."""
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        if "transparency" in image.info:  # a colour named transparent: make it a channel
            return image.convert("LA" if image.mode == "L" else "RGBA"), icc
        return image, icc
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if transparent else "RGB"), icc
    if image.mode == "YCbCr":
        return image.convert("RGB"), icc
    if image.mode in ("CMYK", "LAB"):  # ink or Lab in, sRGB out: a light field is about RGB
        source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else None
        try:
            if icc is not None and source is None:
                source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            if source is not None:
                converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
                return converted or image.convert("RGB"), None
        except (ImageCms.PyCMSError, OSError):  # a broken profile: convert without one
            pass
        return image.convert("RGB"), None
    raise ImageError(f"its pixels are of the kind {image.mode}; save it with 8 or 16 bits a channel, without floats")


def _decode_16_bit(image: Image.Image, data: bytes) -> np.ndarray:
    """(H, W, C) uint16, C from 1 to 4, from a PNG or TIFF."""
    if in_planes(image):  # of which OpenCV fills the first, and leaves the rest as it was: pixels of other photos
        raise ImageError("its 16-bit channels lie one after the other; save it with those of each pixel side by side")
    if not lossless.png_is_whole(data):  # OpenCV would make room for whatever length a chunk claims, 4 GB too
        raise ImageError("the file is damaged or cut short")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageError("its 16-bit pixels cannot be decoded; save it as 16-bit RGB PNG or TIFF")
    channels = np.atleast_3d(decoded)
    return channels[..., RGB_ORDER[channels.shape[2]]]


def _channels(photo: Photo) -> np.ndarray:
    """Pixels as the file wants them: (H, W, C), one channel for grey, one more for alpha; never 16 bits with two."""
    pixels = photo.pixels[..., :1] if photo.grey and (photo.alpha is None or _is_8_bit(photo)) else photo.pixels
    return pixels if photo.alpha is None else np.concatenate([pixels, photo.alpha[..., None]], axis=2)


def _is_8_bit(photo: Photo) -> bool:
    return photo.pixels.dtype == np.uint8
