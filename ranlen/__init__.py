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
    from ranlen.io.images import Photo, read, read_mask
    from ranlen.masks.regions import RegionMask
    from ranlen.masks.shapes import disc, ellipse, rectangle, stroke
    from ranlen.models.conversion import convert
    from ranlen.models.enhancer import Enhancer
    from ranlen.models.weights import published
    from ranlen.networks import Network, load
    from ranlen.retouch import Lighting, compare, light, predict, region_mask, render

__version__ = "0.1.0"

# Names are fetched when first used: `ranlen --help` need not wait for OpenCV, nor anybody for torch who trains nothing.
_HOME = {
    "models.conversion": ("convert",),
    "models.enhancer": ("Enhancer",),
    "io.images": ("Photo", "read", "read_mask"),
    "masks.regions": ("RegionMask",),
    "masks.shapes": ("disc", "ellipse", "rectangle", "stroke"),
    "retouch": ("Lighting", "compare", "light", "predict", "region_mask", "render"),
    "models.weights": ("published",),
    "networks": ("Network", "load"),
}

__all__ = [
    "Enhancer",
    "Lighting",
    "Network",
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
