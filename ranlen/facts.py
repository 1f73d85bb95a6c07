"""What exists and within which limits, said once: names, defaults, ranges. Everything may import it.

The page gets them by `as_dict`, the command line for its help; whoever adds a backbone adds it here.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

# Its file in models/backbones/: the class in it, and what people call it.
BACKBONES = {
    "deepupe": ("DeepUpe", "DeepUPE"),
    "star_dce": ("StarDce", "STAR-DCE"),
    "zero_dce": ("ZeroDce", "Zero-DCE"),
}
METHODS = {"global": "Global", "blend": "Blend", "concat": "Concat", "ranlen": "RANLEN"}  # what people call them
DEFAULT_BACKBONE = "deepupe"
DEFAULT_METHOD = "ranlen"
DEFAULT_MODEL = f"{DEFAULT_BACKBONE}-{DEFAULT_METHOD}"

SEGMENTERS = ("auto", "sam", "grabcut")
ENGINES = ("local", "ray")  # what lights many photos

MAX_DEGREE = 2.0  # 0 is the photo as it is, 1 as trained
MAX_SUBJECTS = 8  # in a recipe
RECIPE_VERSION = 2
# What files of before call tools and settings, which are read all the same.
OLD_TOOLS = {"click": "circle", "box": "rectangle", "frame": "bounding_box"}
OLD_SETTINGS = {"transition": "feather", "grow": "feather_side"}
CIRCLE_RADIUS = 2 / 7  # of a circle that says none, in short sides (Section 4.2)

# The feather is Area B, where the light fades out: its width in short sides, and on which side of the subject's border
# it lies.
Side = Literal["out", "in", "both"]
SIDES: tuple[Side, ...] = get_args(Side)
# Outside what was drawn, as in the paper. A found border is the subject's own: light that fades far outside it is a
# halo, light that fades far inside it dims thin parts; narrow, half and half looked best on real dark photos.
DRAWN_FEATHER: tuple[float, Side] = (0.1, "out")
FOUND_FEATHER: tuple[float, Side] = (0.02, "both")

# What stays of a file that is written as its own kind: the one table of README, help and page.
KEPT_OF = ("format", "pixels outside the light", "depth", "profile", "EXIF", "XMP", "IPTC")
KEPT = (
    ("JPEG", "all but in blocks the light touches", "8", "yes", "yes, no thumbnail", "yes", "yes"),
    ("PNG", "all", "8, 16", "yes", "yes, no thumbnail", "yes", "as text"),
    ("TIFF", "all", "8, 16", "yes", "yes", "yes", "yes"),
    ("WebP, lossless", "all", "8", "yes", "yes, no thumbnail", "yes", "-"),
    ("WebP, lossy", "change a little", "8", "yes", "yes, no thumbnail", "yes", "-"),
    ("HEIC", "change a little", "8, 10, 12", "yes", "yes, no thumbnail", "yes", "-"),
    ("AVIF", "change a little", "8, 10, 12", "yes", "yes, no thumbnail", "yes", "-"),
    ("BMP", "all", "8", "yes", "-", "-", "-"),
    ("raw", "developed into TIFF or JPEG", "16", "sRGB", "yes", "yes", "yes"),
)


def as_dict() -> dict[str, Any]:
    """All of it as JSON can hold it, by the names above in lower case: {"backbones": [...], "max_degree": 2.0, ...}."""
    facts = {name.lower(): value for name, value in globals().items() if name.isupper()}
    return facts | {"backbones": list(BACKBONES)}
