"""RANLEN: light the subject of a dark photo, and only the subject.

import ranlen

photo = ranlen.read("dark.jpg")
core = ranlen.disc(photo.size, center=(900, 700), radius=300)
lit = ranlen.light(photo, ranlen.region_mask(core), ranlen.load("deepupe-ranlen"))
lit.write("lit.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranlen.conversion import convert
    from ranlen.enhancer import Enhancer
    from ranlen.images import Photo, read, read_mask
    from ranlen.regions import RegionMask, disc, ellipse, rectangle, stroke
    from ranlen.retouch import Lighting, compare, light, predict, region_mask, render
    from ranlen.weights import load, published

__version__ = "0.1.0"

# Names are fetched when first used: importing torch takes two seconds that `ranlen --help` need not wait.
_HOME = {
    "conversion": ("convert",),
    "enhancer": ("Enhancer",),
    "images": ("Photo", "read", "read_mask"),
    "regions": ("RegionMask", "disc", "ellipse", "rectangle", "stroke"),
    "retouch": ("Lighting", "compare", "light", "predict", "region_mask", "render"),
    "weights": ("load", "published"),
}

__all__ = [
    "Enhancer",
    "Lighting",
    "Photo",
    "RegionMask",
    "compare",
    "convert",
    "disc",
    "ellipse",
    "light",
    "load",
    "predict",
    "published",
    "read",
    "read_mask",
    "rectangle",
    "region_mask",
    "render",
    "stroke",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"ranlen.{module}"), name)
    raise AttributeError(f"module 'ranlen' has no attribute {name!r}")
