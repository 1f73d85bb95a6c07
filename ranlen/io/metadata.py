"""What a file says about its picture beside the pixels: depth, orientation, EXIF, colour profile.

Broken metadata is no reason to lose a photo, so it is left behind; too much of it is refused by name.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from ranlen.io.lossless import without_pixel_tags

MAX_METADATA = 8 * 1024**2  # bytes of a profile, or of EXIF: printers' profiles have three million at most


class MetadataError(ValueError):
    """More metadata than a photo has."""


def orientation_of(image: Image.Image) -> int:
    """One of the eight EXIF orientations; 1 where there is none or nonsense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a parser of what anyone may have written raises anything
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def turned(channels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, C) turned upright from one of the eight EXIF orientations."""
    if orientation >= 5:
        channels = cv2.transpose(channels)
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # 1 swaps left and right, 0 top and bottom, -1 both
    return np.atleast_3d(cv2.flip(channels, flips[orientation]) if orientation in flips else channels)


def bits_of(image: Image.Image, data: bytes) -> int:
    """Bits per channel in the file; Pillow itself reads 16-bit colour as 8."""
    if image.format == "PNG":
        return data[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, (8,))
        integer = image.tag_v2.get(339, (1,))[0] == 1
        return max(bits) if integer else 32
    return 8


def in_planes(image: Image.Image) -> bool:
    """Whether a TIFF holds its channels one after the other."""
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(284, 1) != 1
        and image.tag_v2.get(277, 1) != 1
    )


def upright_exif(image: Image.Image) -> bytes | None:
    """The EXIF block saying orientation 1, without the thumbnail, which would show the old picture.

    Raises:
        MetadataError: too much of it.
    """
    _check("EXIF", image.info.get("exif"))
    try:
        exif = image.getexif()
        if image.format == "TIFF":  # a TIFF's EXIF is its whole header; the tags about its pixels are not to be kept
            exif = without_pixel_tags(exif)
        if not exif:
            return None
        exif[ExifTags.Base.Orientation] = 1
        block = exif.tobytes()
    except Exception:  # as above
        return None
    _check("EXIF", block)
    return block


def profile_of(image: Image.Image) -> bytes | None:
    """The colour profile, or none.

    Raises:
        MetadataError: a larger one than there are.
    """
    profile = image.info.get("icc_profile") or None
    _check("a colour profile", profile)
    return profile if isinstance(profile, bytes) else None


def _check(what: str, block: object) -> None:
    if isinstance(block, bytes) and len(block) > MAX_METADATA:
        limit = MAX_METADATA / 1e6
        raise MetadataError(f"{len(block) / 1e6:.0f} MB of {what}; at most {limit:.0f} MB are read: save it without")
