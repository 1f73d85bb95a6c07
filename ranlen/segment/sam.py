"""SAM (Kirillov et al., 2023), by default MobileSAM: a photo is encoded once, each click is a decode.

How a dark photo is shown to it was chosen on 29 DAVIS frames by the overlap that `benchmarks/segmentation.py` measures
with MobileSAM, after 1 / 3 / 5 clicks (in the dark; in deeper dark), one first click each:

    as it is (with an older choice)           0.55 / 0.71 / 0.77    0.37 / 0.57 / 0.66
    brightened                                0.63 / 0.76 / 0.85    0.61 / 0.74 / 0.78
    lit by our own global network, blurred    0.65 / 0.75 / 0.81    0.64 / 0.69 / 0.77
    brightened, blurred by 1                  0.63 / 0.74 / 0.84    0.62 / 0.76 / 0.81
    brightened, blurred by 1.5                0.67 / 0.80 / 0.82    0.66 / 0.77 / 0.80    `daylight`
    brightened, bilateral filter              0.62 / 0.81 / 0.84    0.61 / 0.73 / 0.79
    brightened, non-local means               0.60 / 0.78 / 0.81    0.60 / 0.71 / 0.79

Photos of 256 to 320 pixels are enlarged, and their noise with them. One click by day / in the dark / in deeper dark, on
76 photos of people and cats that `benchmarks.choice` learns on, two clicks each:

    as above, enlarged bilinearly             0.740 / 0.651 / 0.573
    the noise taken out first, by `denoise`   0.740 / 0.674 / 0.629
    and enlarged bicubically                  0.756 / 0.678 / 0.637

Less blur, now that noise goes, changes neither. On the DAVIS frames, which are hardly enlarged, taking noise out first
gained nothing, and at 450 pixels a cat's face lost its shadowed side.

What the mask so far counts as (`CONFIDENCE`) was chosen on DAVIS, too: 4 gives 0.83 / 0.86 after 3 / 5 clicks by day, 8
gives 0.81 / 0.85, none at all 0.75 / 0.78. A mask that ends where logits are -0.5, not 0, gains 0.005 after one click
and loses 0.03 after three. The padding of the square stays: an encoder that sees the photo's part only, with a margin
of two places, takes two thirds of the time at 3:2 and is as good on average, but loses a cat in the dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ranlen import denoise
from ranlen.geometry import Pixel, Size
from ranlen.io.images import Photo, preview
from ranlen.segment import checkpoints, edges, parts
from ranlen.segment.brighten import brightened, is_dark, lifted
from ranlen.segment.checkpoints import Kind, SegmenterError
from ranlen.segment.engine import CORNER, INSIDE, MEAN, NOWHERE, OPPOSITE, OUTSIDE, STD, Engine, open_engine
from ranlen.segment.prompts import PromptError, Prompts, check_prompts

CELL = 4  # pixels of what SAM sees, along a side, to one of its masks'
CONFIDENCE = 4.0  # logit of a mask that is given as a prompt
BLUR = 1.5  # sigma against what is left of a dark photo's noise, in pixels of what SAM sees
SMALL = 400  # longest side of a photo whose noise is enlarged beyond what a blur takes away


@dataclass(frozen=True)
class Prepared:
    """An encoded photo.

    Attributes:
        size: (height, width) of the photo.
        inner: (height, width) of the photo within the square that SAM sees.
        embedding: (1, C, h, w) float32, of the whole square.
        guide: (H, W, 3) uint8, brightened, what borders are refined on.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    embedding: np.ndarray
    guide: np.ndarray


class Sam:
    """A `Segmenter` around an engine; threads may share it, nothing of a photo is kept."""

    name = "sam"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        kind: Kind | None = None,
        device: str = "cpu",
        download: bool = False,
    ) -> Sam:
        """A model from a checkpoint: a path, RANLEN_SAM_CHECKPOINT, or the Hugging Face cache.

        Args:
            path: a file of SAM ViT-B, L or H, or of MobileSAM; which one it is, it says itself.
            kind: the model to look for in the cache or to download; the quickest if none.
            device: where to run.
            download: fetch what is not on this machine. Nothing goes online otherwise.

        Raises:
            SegmenterError: no checkpoint, a damaged or foreign one, or, for a ViT, no segment-anything package.
        """
        found = checkpoints.find(path, kind)
        if found is None and download:
            found = checkpoints.download(kind or "vit_t")
        if found is None:
            raise SegmenterError(
                f"no SAM checkpoint on this machine: set {checkpoints.VARIABLE} to a .pth file, or ask for a download"
            )
        return cls(open_engine(found, device))

    def prepare(self, photo: Photo) -> Prepared:
        """Encode a photo: seconds on a CPU. It is shown to SAM brightened, in the square the model was made for."""
        scale = self.engine.side / max(photo.size)
        height, width = (max(1, int(length * scale + 0.5)) for length in photo.size)
        guide = preview(photo, edges.GUIDE)
        small = resized(guide, (height, width))
        square = np.zeros((1, 3, self.engine.side, self.engine.side), np.float32)
        square[0, :, :height, :width] = normalized(daylight(small, guide)).transpose(2, 0, 1)
        embedding = self.engine.encode(square)
        return Prepared(photo.size, (height, width), embedding, brightened(guide, like=small))

    def segment(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The subject, booleans (H, W); see `Segmenter`. A level steps through SAM's three masks."""
        check_prompts(prompts, prepared.size)
        # One click may mean a button, a shirt or a person: SAM gives three masks. More prompts mean one thing.
        points = len(prompts.inside) + len(prompts.outside)
        ambiguous = points == 1 and prompts.box is None and prompts.mask is None
        logits, seen = self._seen(prepared, prompts, several=ambiguous or prompts.level != 0)
        chosen = logits[parts.choose(seen, clicked(prepared, prompts), prompts.level)]
        height, width = prepared.inner
        mask = cv2.resize(chosen, None, fx=CELL, fy=CELL, interpolation=cv2.INTER_LINEAR)[:height, :width] > 0
        if mask.any():
            mask = edges.refine(edges.without_specks(mask), prepared.guide, prepared.size)
        if not mask.any():  # in a photo of one pixel, refining may leave none
            raise PromptError("nothing was found there: click the subject again, or draw a box around it")
        return mask

    def part(self, prepared: Prepared, prompts: Prompts) -> tuple[int, int]:
        """Which of SAM's three masks the answer is; where one alone was asked for, the one that would be chosen."""
        check_prompts(prompts, prepared.size)
        _, seen = self._seen(prepared, prompts, several=True)
        chosen = parts.choose(seen, clicked(prepared, prompts), prompts.level)
        return parts.by_size(seen).index(chosen) + 1, len(seen)

    def _seen(self, prepared: Prepared, prompts: Prompts, *, several: bool) -> tuple[np.ndarray, np.ndarray]:
        """Logits (K, h, w) in the padded square, and those in the photo's part of it."""
        logits, _ = self._decode(prepared, prompts, several=several)
        height, width = (-(-length // CELL) for length in prepared.inner)
        return logits, logits[:, :height, :width]

    def _decode(self, prepared: Prepared, prompts: Prompts, *, several: bool) -> tuple[np.ndarray, np.ndarray]:
        """Logits (K, h, w) in the padded square, and the IoUs (K,) that SAM expects."""
        corners = [(0.0, 0.0)] if prompts.box is None else [prompts.box[:2], prompts.box[2:]]
        points = np.array([*prompts.inside, *prompts.outside, *corners], np.float32)
        scale = [prepared.inner[i] / prepared.size[i] / self.engine.side for i in (1, 0)]
        kinds = [INSIDE] * len(prompts.inside) + [OUTSIDE] * len(prompts.outside)
        kinds += [NOWHERE] if prompts.box is None else [CORNER, OPPOSITE]
        mask = None if prompts.mask is None else self._mask_prompt(prompts.mask, prepared.inner)
        logits, quality = self.engine.decode(
            prepared.embedding, points * np.array(scale, np.float32), np.array(kinds, np.int64), mask
        )
        which = slice(1, None) if several else slice(1)
        return logits[which], quality[which]

    def _mask_prompt(self, mask: np.ndarray, inner: tuple[int, int]) -> np.ndarray:
        """A mask (H, W) of the photo as logits (1, 1, h, w) of the padded square."""
        side = self.engine.side // CELL
        height, width = (max(1, round(length / CELL)) for length in inner)
        share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        padded = np.pad(share, ((0, side - height), (0, side - width)))
        return CONFIDENCE * (2 * padded[None, None] - 1)


def daylight(small: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """A photo as SAM knows photos: a dark one brightened and rid of its noise, a bright one as it is.

    Args:
        small: (h, w, 3) uint8, as large as SAM sees it.
        guide: (H, W, 3) uint8, as large as there is.

    Returns:
        (h, w, 3) uint8.
    """
    if not is_dark(small):
        return small
    pixels, photo = small, Photo(guide)
    if max(photo.size) <= SMALL and denoise.automatic(photo):
        pixels = denoise.clean(photo).pixels
    return cv2.GaussianBlur(resized(lifted(pixels, pixels), small.shape[:2]), (0, 0), BLUR)


def resized(pixels: np.ndarray, size: Size) -> np.ndarray:
    """Pixels (h, w, 3) at another size (height, width)."""
    smaller = size[0] < pixels.shape[0]
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def normalized(pixels: np.ndarray) -> np.ndarray:
    """Pixels (h, w, 3) uint8 as the encoders were trained to see them, float32."""
    return (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)


def clicked(prepared: Prepared, prompts: Prompts) -> Pixel | None:
    """The cell (x, y) of SAM's masks in which the click lies, where it is all that was said."""
    if len(prompts.inside) != 1 or prompts.outside or prompts.box is not None or prompts.mask is not None:
        return None
    x, y = (
        min(int(at * inner / size), inner - 1) // CELL
        for at, inner, size in zip(prompts.inside[0], prepared.inner[::-1], prepared.size[::-1], strict=True)
    )
    return x, y
