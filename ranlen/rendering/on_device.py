"""The same pixels on a GPU, where a field lies there: in strips, by the torch code of `fields`."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ranlen.geometry import Size
from ranlen.rendering.fields import ScaledField
from ranlen.rendering.noise import Noise

STRIP = 1 << 20  # pixels in a strip


def light_on_device(
    scaled: ScaledField,
    attenuation: Tensor | None,
    noise: Noise | None,
    pixels: np.ndarray,
    lit: np.ndarray,
    rows: range,
    cols: range,
) -> None:
    """Light rows and columns of `pixels` into `lit`; arguments as of `fullsize.render_pixels`."""
    size = (pixels.shape[0], pixels.shape[1])
    peak = float(np.iinfo(pixels.dtype).max)
    step = max(1, STRIP // len(cols))
    for top in range(rows.start, rows.stop, step):
        part = (slice(top, min(top + step, rows.stop)), slice(cols.start, cols.stop))
        device = scaled.field.maps.device
        image = _on_device(pixels[part], device)
        through = None if attenuation is None else sample(attenuation, size, *part)
        clean = _on_device(noise.clean.within(range(part[0].start, part[0].stop), cols), device) if noise else None
        part_of_light = scaled.each(partial(sample, size=size, rows=part[0], cols=part[1]))
        image = part_of_light.relight(image, through, clean, noise.denoise if noise else 0.0)
        lit[part] = (image[0].permute(1, 2, 0) * peak).round().clamp(0, peak).cpu().numpy().astype(pixels.dtype)


def _on_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels (h, w, 3) as an image (1, 3, h, w) in [0, 1]."""
    image = torch.from_numpy(pixels.astype(np.float32)).to(device)
    return image.permute(2, 0, 1)[None] / float(np.iinfo(pixels.dtype).max)


def sample(maps: Tensor, size: Size, rows: slice, cols: slice) -> Tensor:
    """The part [rows, cols] of maps (N, K, h, w) enlarged bilinearly to `size`, without enlarging the rest."""
    low, high, weight = _neighbours(maps.shape[-2], size[0], rows, maps.device)
    maps = torch.lerp(maps[:, :, low], maps[:, :, high], weight[:, None])
    low, high, weight = _neighbours(maps.shape[-1], size[1], cols, maps.device)
    return torch.lerp(maps[..., low], maps[..., high], weight)


def _neighbours(small: int, large: int, part: slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a part of the large axis: the two nearest cells of the small one, and the second's weight."""
    at = ((torch.arange(part.start, part.stop, device=device) + 0.5) * (small / large) - 0.5).clamp(0, small - 1)
    low = at.floor().long()
    return low, (low + 1).clamp(max=small - 1), (at - low).float()
