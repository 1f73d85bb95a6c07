"""How much noise a photo has, and the photo without it.

A photo of any size is cleaned tile by tile, and comes out the same whatever the tiles. What comes out is a value that
the caller keeps: `rendering` takes noise out by it as far as a light would bring it up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from ranlen import onnx
from ranlen.io.images import Photo, hidden_of, without_hidden
from ranlen.models import weights
from ranlen.rendering.noise import CELL, REACH, Clean

if TYPE_CHECKING:
    from ranlen.models.denoiser import Denoiser

FILE = "denoiser.safetensors"
TILE = 640  # height and width: larger is faster, and takes more memory
STRENGTH = 0.5  # what people get who do not choose, of a noisy photo
# Standard deviations of noise, in 8-bit levels in the dark, that are not worth cleaning, and that surely are.
UNSEEN, SEEN = 0.1, 0.4
DARK = 0.06  # where that is asked
BLOCK, CELLS, MOST_BLOCKS = 64, 8, 12  # pixels of a sample of the photo and of what is measured at once; samples a side
LEAST = 0.1  # the share of measured cells that are taken to be smooth
OF_LEAST = 0.8  # variance of noise in the smoothest tenth of them, where all are
LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # white noise stays as strong
GAMMA = 2.2
AROUND = 7  # pixels to each side that are taken together to tell noise from detail
NO_DETAIL = 1.5  # what may go, as a multiple of the standard deviation of the photo's noise


@dataclass(frozen=True)
class NoiseLevel:
    """Noise of a photo as its file is: variance = shot * signal + read, in linear light, signal in [0, 1]."""

    shot: float
    read: float

    def std(self, value: Any) -> Any:
        """Its standard deviation in the file's own values, in [0, 1], around one of them: a number, array or tensor."""
        variance = self.shot * value**GAMMA + self.read
        return variance**0.5 / (GAMMA * value ** (GAMMA - 1))


Run: TypeAlias = Callable[[np.ndarray], np.ndarray]  # (1, 3, H, W) in [0, 1] to the same without noise


@functools.cache
def load(device: str = "cpu") -> Run:
    """The published denoiser, ready to run: by ONNX Runtime if its graph is there, or by torch.

    Raises:
        WeightsError: its file is missing or damaged.
    """
    path = weights.folder() / FILE
    path = path if path.exists() else weights.shipped() / FILE
    graph = path.with_suffix(".onnx")
    if device == "cpu" and graph.exists():
        session, _ = weights.open_graph(graph, pooled=True)
        return lambda image: onnx.run(session, {"image": image}, [image.shape])[0]
    return _by_torch(path, device)


def _by_torch(path: Path, device: str) -> Run:
    import torch

    network = load_weights(path).to(device)

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            seen = torch.from_numpy(image).to(device).contiguous(memory_format=torch.channels_last)
            return network(seen).cpu().numpy()

    return run


def load_weights(path: Path) -> Denoiser:
    """A file of its weights as a network of torch, in evaluation mode; errors as of `load`."""
    import torch

    from ranlen.models.denoiser import Denoiser

    network = Denoiser()
    _, state = weights.read_file(path)
    network.load_state_dict({name: torch.tensor(array).float() for name, array in state.items()})
    return network.eval()


def estimate(photo: Photo) -> NoiseLevel:
    """Measure the noise of a photo in its smoothest places, at two scales: after demosaicking or JPEG it is coarse."""
    if min(photo.size) < 2 * CELLS:
        return NoiseLevel(0.0, 0.0)
    samples = [_measured(block) for block in _samples(photo.pixels, hidden_of(photo))]
    mean, variance = (np.concatenate(each) for each in zip(*samples, strict=True))
    inside = (mean > 0.02) & (mean < 0.95) & np.isfinite(variance)
    mean, variance = mean[inside], variance[inside]
    rows = []
    for part in np.array_split(np.argsort(mean), min(12, len(mean) // 40)) if len(mean) >= 40 else []:
        value = float(mean[part].mean())
        rows.append((value, float(np.quantile(variance[part], LEAST)) / OF_LEAST))
    if not rows:
        return NoiseLevel(0.0, 0.0)
    value, found = np.array(rows).T
    step = 1 / float(np.iinfo(photo.pixels.dtype).max)  # rounding makes noise of its own, which is none of the photo's
    found = np.maximum(found - step**2 / 12, 0)
    linear = found * (GAMMA * value ** (GAMMA - 1)) ** 2
    return NoiseLevel(*_fitted(value**GAMMA, linear))


def automatic(photo: Photo) -> float:
    """How much denoising suits a photo, in [0, 1]: none where it has no noise that light could bring up."""
    levels = 255 * estimate(photo).std(DARK)
    return round(STRENGTH * min(1.0, max(0.0, (levels - UNSEEN) / (SEEN - UNSEEN))), 2)


def clean(
    photo: Photo,
    rows: range | None = None,
    cols: range | None = None,
    *,
    device: str = "cpu",
    tell: Callable[[float], None] = lambda share: None,
) -> Clean:
    """Take the noise out of a photo, or of a part of it.

    Args:
        photo: 8 or 16 bits.
        rows: of the part, or none for all.
        cols: its columns, likewise.
        device: where the network runs.
        tell: called with the share that is done, in (0, 1].

    Returns:
        The part without noise.

    Raises:
        WeightsError: the denoiser's file is missing or damaged.
    """
    height, width = photo.size
    rows, cols = range(height) if rows is None else rows, range(width) if cols is None else cols
    network, level = load(device), estimate(photo)
    pixels, hidden = without_hidden(photo), hidden_of(photo)
    out = np.empty((len(rows), len(cols), 3), np.uint16)
    tiles = [(top, left) for top in range(0, len(rows), TILE) for left in range(0, len(cols), TILE)]
    for number, (top, left) in enumerate(tiles, 1):
        part = rows[top : top + TILE], cols[left : left + TILE]
        out[top : top + len(part[0]), left : left + len(part[1])] = _clean_tile(network, level, pixels, *part)
        tell(number / len(tiles))
    if hidden is not None:  # what nobody sees stays as it is
        here = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
        out[hidden[here]] = photo.pixels[here][hidden[here]] * np.uint16(65535 // np.iinfo(pixels.dtype).max)
    return Clean(out, rows.start, cols.start)


def _clean_tile(run: Run, level: NoiseLevel, pixels: np.ndarray, rows: range, cols: range) -> np.ndarray:
    """Rows and columns of a photo without noise; the network sees all that could change them, mirrored at the edges."""
    seen = [_seen(part) for part in (rows, cols)]
    index = [_mirrored(part, length) for part, length in zip(seen, pixels.shape, strict=False)]
    image = pixels[np.ix_(*index)].astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    network = run(np.ascontiguousarray(image.transpose(2, 0, 1))[None])[0].transpose(1, 2, 0)
    cleaned = without_noise(image, np.ascontiguousarray(network), level)
    top, left = rows.start - seen[0].start, cols.start - seen[1].start
    return np.rint(cleaned[top : top + len(rows), left : left + len(cols)] * 65535).astype(np.uint16)


def without_noise(image: np.ndarray, cleaned: np.ndarray, level: NoiseLevel) -> np.ndarray:
    """What the network made of an image, but where more would go than the photo's noise, the rest stays: it is detail.

    The network sees a few dozen pixels, and there hair and weave may look like noise; how much noise there is, the
    whole photo tells.

    Args:
        image: (H, W, 3) in [0, 1].
        cleaned: what the network made of it.
        level: of the photo.
    """
    change = cleaned - image
    taken = np.sqrt(_mean_around(_mean_of_channels(change * change)))
    noise = level.std(np.maximum(_mean_around(_mean_of_channels(cleaned)), 1 / 255))
    share = np.minimum(NO_DETAIL * noise / np.maximum(taken, 1e-6), 1)
    return image + share[..., None] * change


def _mean_of_channels(image: np.ndarray) -> np.ndarray:
    """(H, W) of (H, W, 3)."""
    return cv2.transform(image, np.full((1, 3), 1 / 3, np.float32))


def _mean_around(plane: np.ndarray) -> np.ndarray:
    """Means of a plane (H, W) over squares; not right at its edges, `AROUND` pixels wide."""
    side = 2 * AROUND + 1
    return cv2.blur(plane, (side, side))


def _seen(part: range) -> range:
    """What the network sees for a part of an axis: whole cells of the photo, so that tiles have the same ones."""
    reach = REACH + AROUND
    start = (part.start - reach) // CELL * CELL
    return range(start, start - (start - part.stop - reach) // CELL * CELL)


def _mirrored(part: range, length: int) -> np.ndarray:
    """Places on an axis for those that may lie beyond its ends: mirrored there, as often as need be."""
    if length == 1:
        return np.zeros(len(part), int)
    at = np.abs(np.arange(part.start, part.stop)) % (2 * length - 2)
    return np.minimum(at, 2 * length - 2 - at)


def _samples(pixels: np.ndarray, hidden: np.ndarray | None) -> list[np.ndarray]:
    """Blocks (h, w, 3) from all over a photo, floats in [0, 1], and no number where it is transparent."""
    peak = float(np.iinfo(pixels.dtype).max)

    def starts(length: int) -> list[int]:
        room = length - BLOCK
        return [round(at) for at in np.linspace(0, max(room, 0), min(MOST_BLOCKS, max(1, length // BLOCK)))]

    corners = [(top, left) for top in starts(pixels.shape[0]) for left in starts(pixels.shape[1])]
    blocks = [pixels[top : top + BLOCK, left : left + BLOCK].astype(np.float32) / peak for top, left in corners]
    for block, (top, left) in zip(blocks, corners, strict=True):
        if hidden is not None:
            block[hidden[top : top + BLOCK, left : left + BLOCK]] = np.nan
    return blocks


def _measured(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of noise in the cells of a block, of all channels in one row; the larger of two scales."""
    found = []
    for scale in (1, 2):
        small = (
            cv2.resize(block, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA) if scale > 1 else block
        )
        cell = CELLS // scale
        variance = cv2.filter2D(small, -1, LAPLACE, borderType=cv2.BORDER_REFLECT_101) ** 2
        found.append((_cells(small, cell), scale**2 * _cells(variance, cell)))
    (mean, fine), (_, coarse) = found
    count = min(len(fine), len(coarse))
    return mean[:count], np.maximum(fine[:count], coarse[:count])


def _cells(layer: np.ndarray, cell: int) -> np.ndarray:
    """Means over the whole cells of a layer (h, w, 3), in one row."""
    height, width = (length // cell * cell for length in layer.shape[:2])
    return layer[:height, :width].reshape(height // cell, cell, width // cell, cell, 3).mean((1, 3)).ravel()


def _fitted(signal: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """shot, read >= 0 of variance = shot * signal + read, by least relative squares."""
    weight = 1 / np.maximum(variance, variance.max() / 1e3 + 1e-12)
    both = np.stack([signal, np.ones_like(signal)], 1) * weight[:, None]
    fits = [np.linalg.lstsq(both[:, use], np.ones_like(signal), rcond=None)[0] for use in ([0, 1], [0], [1])]
    shot, read = fits[0]
    if shot >= 0 and read >= 0:
        return float(shot), float(read)
    return (float(fits[1][0]), 0.0) if read < 0 else (0.0, float(fits[2][0]))
