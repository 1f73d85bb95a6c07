"""What somebody else would light the same circle with, as whole commands.

Each turns the JPEG into a JPEG in which a circle in the middle is about as bright as we make it, its edge feathered.
darktable's drawn masks cannot be written by hand, so it lights the whole photo, which is less work. The results were
looked at: 60 of 255 becomes 101 to 113 in the middle, and 55 stays 55 in the corners, but for darktable's.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

from ranlen.masks import shapes

NAMES = ("OpenCV, feathered mask", "ImageMagick", "RawTherapee", "darktable-cli, whole photo")
OPENCV = """
import sys, cv2, numpy as np
photo, mask = cv2.imread(sys.argv[1]), cv2.imread(sys.argv[2], cv2.IMREAD_GRAYSCALE)
lit = cv2.LUT(photo, np.uint8(255 * (np.arange(256) / 255) ** (1 / 1.8) + 0.5))
share = mask / np.float32(255)
cv2.imwrite(sys.argv[3], cv2.blendLinear(lit, photo, share, 1 - share), [cv2.IMWRITE_JPEG_QUALITY, 95])
"""
SPOT = """[Version]
AppVersion=5.9
Version=349
[Locallab]
Enabled=true
Selspot=0
Isvisible_0=true
Shape_0=ELI
SpotMethod_0=norm
Loc_0={x};{x};{y};{y};
CenterX_0=0
CenterY_0=0
Transit_0=60
Thresh_0=100
Structexp_0=0
Sensiex_0=100
Expexpose_0=true
Visiexpose_0=true
Complexexpose_0=0
ExpMethod_0=std
Expcomp_0=0.8
"""
EXPOSURE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="4"
 darktable:history_end="1" darktable:auto_presets_applied="1" darktable:iop_order_version="2">
<darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:operation="exposure" darktable:enabled="1"
 darktable:modversion="6" darktable:params="00000000000000000000403f00004842000080c000000000"
 darktable:multi_priority="0"/></rdf:Seq></darktable:history></rdf:Description></rdf:RDF></x:xmpmeta>
"""


def commands(photo: Path, out: Path, size: shapes.Size) -> dict[str, list[str]]:
    """Those of `NAMES` that are installed, by name; the files they need are written beside the photo.

    Args:
        photo: a JPEG of `size` (height, width).
        out: the JPEG to write, which must not be there: darktable would write another.
        size: of the photo.
    """
    height, width = size
    radius = 2 * height / 7
    mask, spot, exposure = (photo.with_name(name) for name in ("mask.png", "spot.pp3", "exposure.xmp"))
    if not mask.exists():
        disc = shapes.disc(size, (width / 2, height / 2), radius).astype(np.uint8) * 255
        small = cv2.resize(disc, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(mask), cv2.resize(cv2.GaussianBlur(small, (0, 0), height / 160), (width, height)))
        spot.write_text(SPOT.format(x=round(2400 * radius / width), y=round(2400 * radius / height)))
        exposure.write_text(EXPOSURE)
    known = {
        "OpenCV, feathered mask": [sys.executable, "-c", OPENCV, str(photo), str(mask), str(out)],
        "ImageMagick": [
            *(["magick"] if shutil.which("magick") else ["convert-im6"]),
            *(str(photo), "(", "+clone", "-gamma", "1.8", ")", str(mask), "-composite", str(out)),
        ],
        "RawTherapee": ["rawtherapee-cli", "-Y", "-o", str(out), "-p", str(spot), "-c", str(photo)],
        "darktable-cli, whole photo": [
            *("darktable-cli", str(photo), str(exposure), str(out), "--core", "-t", "1"),
            *("--configdir", str(photo.parent), "--library", ":memory:"),
        ],
    }
    return {name: words for name, words in known.items() if shutil.which(words[0])}
