"""What the numbers of a photo mean: profiles, also for files that name their colours by code, and inks."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
PQ, HLG = 16, 18  # codes of transfers for brighter than white
Code = tuple[int, int]  # primaries and transfer, as ITU-T H.273 numbers them
Corners = tuple[float, ...]  # x and y of red, green, blue and white
D65 = (0.3127, 0.329)
PRIMARIES: dict[int, Corners] = {
    1: (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, *D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.31, 0.316),
    5: (0.64, 0.33, 0.29, 0.6, 0.15, 0.06, *D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *D65),
}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
SRGB_CURVES = (1, 6, 13, 14, 15)  # the video curves are shown like sRGB's
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class ColourError(ValueError):
    """Colours that are not understood; the message says which."""


def by_code(primaries: int, transfer: int) -> bytes | None:
    """A profile for colours named by code; none for sRGB and for what is not said.

    Raises:
        ColourError: a code without a meaning here.
    """
    primaries, transfer = (1 if primaries == 2 else primaries), (13 if transfer == 2 else transfer)
    if primaries not in PRIMARIES or transfer not in (*SRGB_CURVES, *GAMMAS, PQ, HLG):
        raise ColourError(
            f"its colours (primaries {primaries}, transfer {transfer}) are not known here; save it in sRGB"
        )
    if primaries == 1 and transfer in SRGB_CURVES:
        return None
    return made(PRIMARIES[primaries], _curve(transfer))


def by_gamma(corners: Corners | None, gamma: float | None) -> bytes | None:
    """A profile for the corners and the exponent that a PNG names; none for sRGB's."""
    usual = PRIMARIES[1]
    if (gamma is None or abs(gamma - 2.2) < 0.01) and np.allclose(corners or usual, usual, atol=0.002):
        return None
    return made(corners or usual, _curve(13) if gamma is None else np.linspace(0, 1, 1024) ** gamma)


def made(corners: Corners, curve: np.ndarray) -> bytes:
    """An ICC profile of three primaries and one curve.

    Raises:
        ColourError: corners that span nothing.
    """
    xy = np.array(corners).reshape(4, 2)
    try:
        xyz = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
        matrix = xyz[:3].T * np.linalg.solve(xyz[:3].T, xyz[3])
        cones = BRADFORD @ xyz[3]
        matrix = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / cones) @ BRADFORD @ matrix
        columns = [struct.pack(">3i", *np.rint(column * 65536).astype(int)) for column in matrix.T]
    except (np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError, struct.error, ValueError):
        raise ColourError("its colours are of corners that span nothing; save it in sRGB") from None
    steps = np.rint(np.clip(curve, 0, 1) * 65535).astype(">u2")
    response = b"curv" + bytes(4) + struct.pack(">I", len(steps)) + steps.tobytes()
    name = b"from the file\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(D50 * 65536).astype(int)),
        **{key: b"XYZ " + bytes(4) + column for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)},
        b"rTRC": response,
    }
    table, body, places = b"", b"", {}
    start = 128 + 4 + 12 * (len(tags) + 2)
    for key, content in tags.items():
        places[key] = (start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    places |= {b"gTRC": places[b"rTRC"], b"bTRC": places[b"rTRC"]}
    for key, place in places.items():
        table += key + struct.pack(">II", *place)
    d50 = struct.pack(">3i", *np.rint(D50 * 65536).astype(int))
    head = (
        bytes(4) + struct.pack(">I", 0x02400000) + b"mntrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    )
    head += bytes(28) + d50 + bytes(48)
    return struct.pack(">I", start + len(body)) + head + struct.pack(">I", len(places)) + table + body


def _curve(transfer: int) -> np.ndarray:
    """Light for coded values from 0 to 1; brighter than paper white is white."""
    v = np.linspace(0, 1, 4096)
    if transfer in GAMMAS:
        return v ** GAMMAS[transfer]
    if transfer == PQ:
        power = v ** (1 / 78.84375)
        light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return np.minimum(light * 10000 / 203, 1)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(v <= 0.5, v**2 / 3, (np.exp((v - c) / a) + b) / 12)
        return np.minimum(light / np.interp(0.75, v, light), 1)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def to_srgb(pixels: np.ndarray, icc: bytes, grey: bool) -> np.ndarray:
    """Pixels (h, w, 3) uint8 of a profile in sRGB; as they are where the profile is broken."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    converted = _converted(image, icc, SRGB, "RGB")
    return pixels if converted is None else np.asarray(converted)


def from_inks(inks: np.ndarray, icc: bytes | None) -> np.ndarray:
    """CMYK (H, W, 4) uint8, 0 for no ink, as sRGB (H, W, 3) uint8."""
    image = Image.frombytes("CMYK", inks.shape[1::-1], np.ascontiguousarray(inks).tobytes())
    converted = _converted(image, icc, SRGB, "RGB") if icc else None
    return np.asarray(converted or image.convert("RGB"))


def from_lab(image: Image.Image) -> np.ndarray:
    """A picture in Lab as sRGB (H, W, 3) uint8.

    Raises:
        ColourError: another kind of Lab than Pillow reads.
    """
    converted = _converted(image, ImageCms.createProfile("LAB"), SRGB, "RGB") if image.mode == "LAB" else None
    if converted is None:
        raise ColourError("its pixels are of a kind of Lab that is not read; save it as RGB")
    return np.asarray(converted)


def relit_inks(inks: np.ndarray, before: np.ndarray, after: np.ndarray, icc: bytes | None) -> np.ndarray:
    """Inks (H, W, 4) for a picture that was `before` and is to be `after`, sRGB (H, W, 3) uint8; the same elsewhere."""
    touched = (before != after).any(axis=2)
    relit = inks.copy()
    if not touched.any():
        return relit
    old, new, result = before[touched], after[touched], inks[touched].astype(np.int16)
    old_inks, new_inks = (
        _converted(Image.fromarray(each[None]), SRGB, icc, "CMYK") if icc else None for each in (old, new)
    )
    if old_inks is not None and new_inks is not None:
        result += np.asarray(new_inks)[0].astype(np.int16) - np.asarray(old_inks)[0]
    else:  # as little black as leaves room for the light
        black = np.minimum(result[:, 3], 255 - new.max(axis=1))
        room = np.maximum(255 - black, 1)[:, None]
        result[:, :3] = np.rint(255 - 255.0 * new / room)
        result[:, 3] = black
    relit[touched] = result.clip(0, 255)
    return relit


def _converted(image: Image.Image, source: Any, target: Any, mode: Any) -> Image.Image | None:
    try:
        first, last = (ImageCms.ImageCmsProfile(io.BytesIO(p)) if isinstance(p, bytes) else p for p in (source, target))
        return ImageCms.profileToProfile(image, first, last, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile, or one of other colours
        return None
