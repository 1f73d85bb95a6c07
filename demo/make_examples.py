"""Make the example photos from scikit-image's free ones, and the README's picture: `python -m demo.make_examples`.

The astronaut, the cat and the coffee were taken in good light and are darkened here; the rocket's night is real.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage import data

from ranlen import networks, retouch
from ranlen.cli.sheet import contact_sheet
from ranlen.io.images import Photo, encode, preview, read
from ranlen.masks.regions import disc
from ranlen.methods import METHODS

STOPS = {"astronaut": 3.2, "chelsea": 3.0, "coffee": 3.4, "rocket": 0.0}


def darken(pixels: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 pixels as a camera would have taken them with `stops` less light: less signal, the same noise."""
    light = (pixels / 255.0) ** 2.2 * 2.0**-stops
    light += rng.normal(0, 0.0012, light.shape) + rng.normal(0, 1, light.shape) * np.sqrt(light * 1e-4)
    return np.round(255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def readme_picture(photo: Photo) -> Photo:
    """The astronaut under every method."""
    mask = retouch.region_mask(disc(photo.size, (225, 150), 120))
    results = retouch.compare(photo, mask, (networks.load(f"deepupe-{method}") for method in METHODS))
    sheet = contact_sheet(results, mask)
    return Photo(preview(sheet, 1200))


def main() -> None:
    """Write the JPEG files."""
    rng = np.random.default_rng(0)
    here = Path(__file__).parent
    for name, stops in STOPS.items():
        pixels = getattr(data, name)()
        pixels = darken(pixels, stops, rng) if stops else pixels
        (here / "examples" / f"{name}.jpg").write_bytes(encode(Photo(pixels), "JPEG", quality=90))
    picture = readme_picture(read(here / "examples" / "astronaut.jpg"))
    (here / "readme.jpg").write_bytes(encode(picture, "JPEG", quality=88))


if __name__ == "__main__":
    main()
