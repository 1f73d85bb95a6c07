"""Make the example photos from scikit-image's free ones: `python -m demo.make_examples`.

The astronaut, the cat and the coffee were taken in good light and are darkened here; the rocket's night is real.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage import data

from ranlen.images import Photo, encode

STOPS = {"astronaut": 3.2, "chelsea": 3.0, "coffee": 3.4, "rocket": 0.0}


def darken(pixels: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 pixels as a camera would have taken them with `stops` less light: less signal, the same noise."""
    light = (pixels / 255.0) ** 2.2 * 2.0**-stops
    light += rng.normal(0, 0.0012, light.shape) + rng.normal(0, 1, light.shape) * np.sqrt(light * 1e-4)
    return np.round(255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def main() -> None:
    """Write the JPEG files."""
    rng = np.random.default_rng(0)
    for name, stops in STOPS.items():
        pixels = getattr(data, name)()
        pixels = darken(pixels, stops, rng) if stops else pixels
        path = Path(__file__).parent / "examples" / f"{name}.jpg"
        path.write_bytes(encode(Photo(pixels), "JPEG", quality=90))


if __name__ == "__main__":
    main()
