"""Local under-exposure: good photos as a camera takes them when the light is somewhere else.

In linear light every place of a photo loses stops of its own: the subject many and the rest none, or the other way
round, or both, or two things differently; light falls off across the frame. Then sensor noise as it was measured on
cameras, a white balance that is a little off, a camera's curve, 8 bits and JPEG. What was there before is the
reference. Sizes are (height, width); `pixels` are (H, W, 3) floats in [0, 1] unless said otherwise.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import torch

from train.chance import normal, uniform

GAMMA = 2.2
SCENARIOS = {"backlit": 0.45, "dark": 0.25, "rest": 0.1, "two": 0.2}  # and how often


def read_noise(path: Path, most: int = 12_800) -> np.ndarray:
    """Profiles (N, 2) of a CSV file with columns iso, aG, bG: variance = a * signal + b, signal in [0, 1], linear.

    Those of ISO 200 to `most`.
    """
    with path.open(newline="") as file:
        rows = [(float(row["iso"]), float(row["aG"]), float(row["bG"])) for row in csv.DictReader(file)]
    return np.array([(a, max(b, 0.0)) for iso, a, b in rows if 200 <= iso <= most and a > 0])


def exposed(pixels: np.ndarray, core: np.ndarray, mean: float) -> np.ndarray:
    """A photo under the exposure that gives its subject, booleans (H, W), this mean; white stays white."""
    inside = pixels[core][::5]
    low, high = -2.0, 2.5
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if shouldered(inside, middle).mean() < mean else (low, middle)
    return shouldered(pixels, (low + high) / 2)


def shouldered(pixels: np.ndarray, log_gain: float) -> np.ndarray:
    """Values in [0, 1] times a gain, with the shoulder of an ordinary camera."""
    gain = math.exp(log_gain)
    return np.minimum(pixels * gain / (1 + (gain**3 - 1) * pixels**3) ** (1 / 3), 1)


def soft(core: np.ndarray, sigma: float) -> np.ndarray:
    """Booleans (H, W) as floats with a soft edge."""
    return cv2.GaussianBlur(core.astype(np.float32), (0, 0), sigma)


def falloff(size: tuple[int, int], generator: torch.Generator) -> np.ndarray:
    """Stops (H, W) lost on the way from a window or from one or two lamps, with a mean of 0."""
    y, x = (np.mgrid[: size[0], : size[1]] + 0.5) / max(size) - 0.5

    def lamp() -> np.ndarray:
        return 2.5 * np.hypot(x - uniform(-0.5, 0.5, generator), y - uniform(-0.5, 0.5, generator))

    kind = uniform(0, 1, generator)
    if kind < 0.5:
        angle = uniform(0, 2 * math.pi, generator)
        lost = 2 * (x * math.cos(angle) + y * math.sin(angle))
    else:
        lost = lamp() if kind < 0.85 else np.minimum(lamp(), lamp())
    return (uniform(0, 0.9, generator) * (lost - lost.mean())).astype(np.float32)


def stops_lost(
    core: np.ndarray, other: np.ndarray, generator: torch.Generator, scenario: str | None = None
) -> np.ndarray:
    """How many stops (H, W) each place lost.

    Args:
        core: the subject, booleans (H, W).
        other: another thing, likewise, for the scenario "two".
        generator: of everything random.
        scenario: a key of `SCENARIOS`, or none for any.
    """
    if scenario is None:
        often = torch.tensor(list(SCENARIOS.values()))
        scenario = list(SCENARIOS)[int(torch.multinomial(often, 1, generator=generator))]
    subject, rest = {
        "backlit": lambda: (uniform(1, 4.2, generator), uniform(-0.5, 0.7, generator)),
        "dark": lambda: (uniform(0.5, 4, generator),) * 2,
        "rest": lambda: (uniform(-0.2, 0.4, generator), uniform(1.5, 4, generator)),
        "two": lambda: (uniform(0.5, 4, generator), uniform(-0.3, 1.5, generator)),
    }[scenario]()
    if scenario == "dark":
        rest += uniform(-0.8, 0.8, generator)
    share = soft(core, uniform(0.5, 2.5, generator))
    lost = subject * share + rest * (1 - share)
    if scenario == "two":
        share = soft(other & ~core, uniform(0.5, 6, generator))
        lost = lost * (1 - share) + uniform(0, 4, generator) * share
    if uniform(0, 1, generator) < 0.35:
        lost = lost + falloff(core.shape, generator)
    return lost


def taken(linear: np.ndarray, noise: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """What a camera makes of linear light (H, W, 3): uint8 pixels.

    Args:
        linear: 1 is where the sensor is full.
        noise: profiles (N, 2) from `read_noise`; with none there is no noise. A photo is smaller here than on its
            sensor, by up to 16 on a side, and so is its noise.
        generator: of everything random.
    """
    cast = np.array([2 ** uniform(-0.12, 0.12, generator) for _ in range(3)], np.float32)
    linear = linear * cast
    if len(noise):
        a, b = noise[int(torch.randint(len(noise), (), generator=generator))]
        variance = (a * linear.clip(0) + b) * 2.0 ** -uniform(0, 8, generator)
        linear = linear + np.sqrt(variance).astype(np.float32) * normal(linear.shape, generator)
    coded = linear.clip(0, 1) ** (1 / GAMMA)
    contrast = max(0.0, uniform(-0.3, 0.3, generator))
    coded = coded + contrast * (coded * coded * (3 - 2 * coded) - coded)
    pixels = np.rint(coded * 255).astype(np.uint8)
    if uniform(0, 1, generator) < 0.6:
        quality = int(uniform(70, 99, generator))
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def underexposed(
    pixels: np.ndarray,
    core: np.ndarray,
    other: np.ndarray,
    noise: np.ndarray,
    generator: torch.Generator,
    scenario: str | None = None,
) -> np.ndarray:
    """A good photo in [0, 1] as it would have been taken in bad light, uint8; arguments as of the functions above."""
    lost = stops_lost(core, other, generator, scenario)
    return taken(pixels**GAMMA * (2.0**-lost)[..., None].astype(np.float32), noise, generator)


def developed(linear: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """True linear light (H, W, 3), of any brightness, as a good photo in [0, 1]: exposed, with a shoulder, coded."""
    light = np.maximum(linear, 0) * 2 ** uniform(-0.3, 1, generator)
    return (light / (1 + light**1.5) ** (1 / 1.5)) ** (1 / GAMMA)
