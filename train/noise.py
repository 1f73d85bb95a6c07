"""Noise as photos have it: a sensor's, after demosaicking, white balance, a camera's curve, 8 bits and JPEG.

`pixels` and `linear` are (H, W, 3) floats in [0, 1], coded as a file has them or in linear light.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from train.chance import normal, uniform, whole
from train.underexposure import GAMMA, falloff

CLEANED, ENLARGED = 0.35, 0.3  # shares of photos whose noise a camera, or another size, has made coarser
QUIET = 0.25  # share of photos with hardly any noise: fine detail is no noise
BILINEAR = {  # what a mosaic's missing values are made of
    "G": np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4,
    "RB": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4,
}


def sensor_noise(linear: np.ndarray, profile: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Noise (H, W, 3) that a camera adds to linear light, before its curve.

    Args:
        linear: what falls on the sensor; 1 is where it is full.
        profile: a, b of variance = a * signal + b.
        generator: of everything random.
    """
    balance = np.array([uniform(1.2, 2.4, generator), 1, uniform(1.2, 2.2, generator)], np.float32)
    a, b = (float(number) for number in profile)
    noise = np.sqrt(a * linear / balance + b).astype(np.float32) * normal(linear.shape, generator)
    if uniform(0, 1, generator) < 0.6:
        noise = demosaicked(noise, whole(4, generator))
    noise = noise * balance
    vivid = uniform(0, 0.7, generator)  # a camera's matrix makes colours stronger, and their noise
    noise = noise + vivid * (noise - noise.mean(2, keepdims=True))
    if (kind := uniform(0, 1, generator)) < CLEANED:
        return cleaned_by_camera(noise, generator)
    if kind < CLEANED + ENLARGED:
        coarse = cv2.GaussianBlur(noise, (0, 0), uniform(0.5, 2, generator))
        noise = coarse * uniform(1, 2.5, generator) + uniform(0, 0.7, generator) * noise
    return noise


def cleaned_by_camera(noise: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Noise (H, W, 3) as a camera's own cleaning leaves it: soft grain, and faint, wide blotches of colour."""
    grain = noise.mean(2, keepdims=True)
    strength = grain.std()
    colour = cv2.GaussianBlur(noise - grain, (0, 0), 2 ** uniform(0, 2.5, generator))
    colour *= strength * uniform(0.2, 1, generator) / (colour.std() + 1e-9)
    if uniform(0, 1, generator) < 0.8:
        grain = cv2.GaussianBlur(grain, (0, 0), uniform(0.5, 1.4, generator))[..., None]
        grain *= strength * uniform(0.4, 1.2, generator) / (grain.std() + 1e-9)
    return grain + colour


def demosaicked(noise: np.ndarray, corner: int) -> np.ndarray:
    """Independent noise as bilinear demosaicking leaves it; `corner`, 0 to 3, is where red lies in the mosaic."""
    y, x = divmod(corner, 2)
    red, blue = np.zeros(noise.shape[:2], np.float32), np.zeros(noise.shape[:2], np.float32)
    red[y::2, x::2] = 1
    blue[1 - y :: 2, 1 - x :: 2] = 1
    masks = [(red, "RB"), (1 - red - blue, "G"), (blue, "RB")]
    planes = [cv2.filter2D(noise[..., i] * mask, -1, BILINEAR[kind]) for i, (mask, kind) in enumerate(masks)]
    return cv2.merge(planes)


def noisy_and_clean(
    linear: np.ndarray, profiles: np.ndarray, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A dark photo with noise as a file has it, and without any: two arrays (H, W, 3) in [0, 1], float32.

    Args:
        linear: good linear light.
        profiles: (N, 2) from `underexposure.read_noise`.
        generator: of everything random.
    """
    stops = uniform(-0.5, 5.5, generator)
    if uniform(0, 1, generator) < 0.5:
        linear = linear * (2.0 ** -falloff(linear.shape[:2], generator))[..., None]
    linear = (linear * 2.0**-stops).clip(0, 1).astype(np.float32)
    quiet = uniform(0, 1, generator) < QUIET
    profile = profiles[whole(len(profiles), generator)]
    profile = profile * 2.0 ** (uniform(-10, -3.5, generator) if quiet else uniform(-3.5, 2.5, generator))
    noisy = (linear + sensor_noise(linear, profile, generator)).clip(0, 1)
    contrast = max(0.0, uniform(-0.4, 0.4, generator))

    def coded(light: np.ndarray) -> np.ndarray:
        out = light ** (1 / GAMMA)
        return out + contrast * (out * out * (3 - 2 * out) - out)

    return stored(coded(noisy), generator), coded(linear).astype(np.float32)


def stored(pixels: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """What a file keeps of pixels: 8 bits, often JPEG's blocks, seldom more bits."""
    if (kind := uniform(0, 1, generator)) < 0.1:
        return pixels.astype(np.float32)
    levels = np.rint(pixels * 255).astype(np.uint8)
    if kind < 0.7:
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if kind < 0.45 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(uniform(70, 99, generator))]
        _, data = cv2.imencode(".jpg", levels, [*quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
        levels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return levels.astype(np.float32) / 255
