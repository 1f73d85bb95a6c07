"""SAM (Kirillov et al., 2023), by default MobileSAM: a photo is encoded once, each click is a decode.

The network is our own; the image encoders of SAM's own sizes, ViT-B, L and H, come from the `segment-anything` package.

How a dark photo is shown to it was chosen on 29 DAVIS frames by the overlap that `benchmarks/segmentation.py` measures
with MobileSAM, after 1 / 3 / 5 clicks (in the dark; in deeper dark), one first click each:

    as it is (with an older choice)           0.55 / 0.71 / 0.77    0.37 / 0.57 / 0.66
    brightened                                0.63 / 0.76 / 0.85    0.61 / 0.74 / 0.78
    lit by our own global network, blurred    0.65 / 0.75 / 0.81    0.64 / 0.69 / 0.77
    brightened, blurred by 1                  0.63 / 0.74 / 0.84    0.62 / 0.76 / 0.81
    brightened, blurred by 1.5                0.67 / 0.80 / 0.82    0.66 / 0.77 / 0.80    `daylight`
    brightened, bilateral filter              0.62 / 0.81 / 0.84    0.61 / 0.73 / 0.79
    brightened, non-local means               0.60 / 0.78 / 0.81    0.60 / 0.71 / 0.79

What the mask so far counts as (`CONFIDENCE`) was chosen there too: 4 gives 0.83 / 0.86 after 3 / 5 clicks by day, 8
gives 0.81 / 0.85, none at all 0.75 / 0.78. A mask that ends where logits are -0.5, not 0, gains 0.005 after one click
and loses 0.03 after three. In bfloat16 the encoder is six times slower on the processor at hand.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ranlen.geometry import Pixel
from ranlen.io.images import Photo, preview
from ranlen.segment import checkpoints, edges, parts
from ranlen.segment.brighten import brightened, is_dark
from ranlen.segment.checkpoints import Kind, SegmenterError
from ranlen.segment.network import CORNER, INSIDE, OPPOSITE, OUTSIDE, Network
from ranlen.segment.prompts import PromptError, Prompts, check_prompts
from ranlen.segment.tiny_vit import ConvNorm, TinyViT

CELL = 4  # pixels of what SAM sees, along a side, to one of its masks'
CONFIDENCE = 4.0  # logit of a mask that is given as a prompt
BLUR = 1.5  # sigma against the noise of a dark photo, in pixels of what SAM sees
UNUSED = ("image_encoder.norm_head.", "image_encoder.head.")  # MobileSAM's classifier


@dataclass(frozen=True)
class Prepared:
    """An encoded photo.

    Attributes:
        size: (height, width) of the photo.
        inner: (height, width) of the photo within the square that SAM sees.
        embedding: (1, C, h, w) float32.
        guide: (H, W, 3) uint8, brightened, what borders are refined on.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    embedding: Tensor
    guide: np.ndarray


class Sam:
    """A `Segmenter` around a network; threads may share it, nothing of a photo is kept."""

    name = "sam"

    def __init__(self, model: Network, device: str | torch.device = "cpu") -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        fold_norms(self.model.image_encoder)
        self.model.image_encoder.to(memory_format=torch.channels_last)  # convolutions run an eighth faster
        self.device = torch.device(device)

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        kind: Kind | None = None,
        device: str | torch.device = "cpu",
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
        state = checkpoints.read(found)
        model = build(checkpoints.kind_of(state))
        try:
            model.load_state_dict({name: value for name, value in state.items() if not name.startswith(UNUSED)})
        except RuntimeError as error:
            reason = str(error).splitlines()[1 if "\n" in str(error) else 0].strip()
            raise SegmenterError(f"{found.name} does not fit SAM ({reason:.80}): get it again") from None
        return cls(model, device)

    @torch.inference_mode()
    def prepare(self, photo: Photo) -> Prepared:
        """Encode a photo: seconds on a CPU. It is shown to SAM brightened, in the square the model was made for."""
        scale = self.model.side / max(photo.size)
        height, width = (max(1, int(length * scale + 0.5)) for length in photo.size)
        guide = preview(photo, edges.GUIDE)
        small = cv2.resize(guide, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        image = torch.tensor(daylight(small), device=self.device).permute(2, 0, 1)[None].float()
        with half_precision(self.device):
            embedding = self.model.encode(image)
        return Prepared(photo.size, (height, width), embedding.float(), brightened(guide, like=small))

    @torch.inference_mode()
    def segment(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The subject, booleans (H, W); see `Segmenter`. A level steps through SAM's three masks."""
        check_prompts(prompts, prepared.size)
        # One click may mean a button, a shirt or a person: SAM gives three masks. More prompts mean one thing.
        points = len(prompts.inside) + len(prompts.outside)
        ambiguous = points == 1 and prompts.box is None and prompts.mask is None
        logits, seen = self._seen(prepared, prompts, several=ambiguous or prompts.level != 0)
        chosen = logits[parts.choose(seen, clicked(prepared, prompts), prompts.level)]
        height, width = prepared.inner
        enlarged = F.interpolate(chosen[None, None], scale_factor=CELL, mode="bilinear")[0, 0, :height, :width]
        mask = (enlarged > 0).cpu().numpy()
        if mask.any():
            mask = edges.refine(edges.without_specks(mask), prepared.guide, prepared.size)
        if not mask.any():  # in a photo of one pixel, refining may leave none
            raise PromptError("nothing was found there: click the subject again, or draw a box around it")
        return mask

    @torch.inference_mode()
    def part(self, prepared: Prepared, prompts: Prompts) -> tuple[int, int]:
        """Which of SAM's three masks the answer is; where one alone was asked for, the one that would be chosen."""
        check_prompts(prompts, prepared.size)
        _, seen = self._seen(prepared, prompts, several=True)
        chosen = parts.choose(seen, clicked(prepared, prompts), prompts.level)
        return parts.by_size(seen).index(chosen) + 1, len(seen)

    def _seen(self, prepared: Prepared, prompts: Prompts, *, several: bool) -> tuple[Tensor, np.ndarray]:
        """Logits (K, h, w) in the padded square, and those in the photo's part of it."""
        logits, _ = self._decode(prepared, prompts, several=several)
        height, width = (-(-length // CELL) for length in prepared.inner)
        return logits, logits[:, :height, :width].cpu().numpy()

    def _decode(self, prepared: Prepared, prompts: Prompts, *, several: bool) -> tuple[Tensor, Tensor]:
        """Logits (K, h, w) in the padded square, and the IoUs (K,) that SAM expects."""
        corners = () if prompts.box is None else (prompts.box[:2], prompts.box[2:])
        points = torch.tensor([*prompts.inside, *prompts.outside, *corners], dtype=torch.float32, device=self.device)
        scale = [prepared.inner[i] / prepared.size[i] / self.model.side for i in (1, 0)]
        kinds = [INSIDE] * len(prompts.inside) + [OUTSIDE] * len(prompts.outside) + [CORNER, OPPOSITE][: len(corners)]
        mask = None if prompts.mask is None else self._mask_prompt(prompts.mask, prepared.inner)
        logits, quality = self.model.decode(
            prepared.embedding, points * torch.tensor(scale, device=self.device), kinds, mask
        )
        which = slice(1, None) if several else slice(1)
        return logits[which], quality[which]

    def _mask_prompt(self, mask: np.ndarray, inner: tuple[int, int]) -> Tensor:
        """A mask (H, W) of the photo as logits (1, 1, h, w) of the padded square."""
        side = self.model.side // CELL
        height, width = (max(1, round(length / CELL)) for length in inner)
        share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        padded = np.pad(share, ((0, side - height), (0, side - width)))
        return CONFIDENCE * (2 * torch.tensor(padded, device=self.device)[None, None] - 1)


def daylight(pixels: np.ndarray) -> np.ndarray:
    """A photo (h, w, 3) uint8 as SAM knows photos: a dark one brightened and rid of noise, a bright one as it is."""
    return cv2.GaussianBlur(brightened(pixels), (0, 0), BLUR) if is_dark(pixels) else pixels


def clicked(prepared: Prepared, prompts: Prompts) -> Pixel | None:
    """The cell (x, y) of SAM's masks in which the click lies, where it is all that was said."""
    if len(prompts.inside) != 1 or prompts.outside or prompts.box is not None or prompts.mask is not None:
        return None
    x, y = (
        min(int(at * inner / size), inner - 1) // CELL
        for at, inner, size in zip(prompts.inside[0], prepared.inner[::-1], prepared.size[::-1], strict=True)
    )
    return x, y


def half_precision(device: torch.device) -> torch.autocast:
    """The encoder's precision: half on a GPU, full on a CPU, where bfloat16 can be several times slower."""
    return torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")


def fold_norms(encoder: torch.nn.Module) -> None:
    """Make each batch norm part of the convolution before it: a third less time for the same numbers."""
    for module in encoder.modules():
        if isinstance(module, ConvNorm) and isinstance(module.bn, torch.nn.BatchNorm2d):
            module.c, module.bn = fuse_conv_bn_eval(module.c, module.bn), torch.nn.Identity()


def build(kind: Kind) -> Network:
    """A network with random weights; the errors are those of `vit`."""
    return Network(TinyViT() if kind == "vit_t" else vit(kind))


def vit(kind: Kind) -> torch.nn.Module:
    """The image encoder of SAM's own ViT-B, L or H, from the `segment-anything` package.

    Only the package's builder is imported, under a name of ours: to import all of it takes a torchvision that fits this
    torch, and there is none for every torch.

    Raises:
        SegmenterError: the package is not installed.
    """
    found = find_spec("segment_anything")
    if found is None or found.submodule_search_locations is None:
        raise SegmenterError("a ViT checkpoint of SAM needs a package: pip install segment-anything")
    package = ModuleType("ranlen.segment.segment_anything")
    package.__path__ = found.submodule_search_locations
    sys.modules.setdefault(package.__name__, package)
    return import_module(f"{package.__name__}.build_sam").sam_model_registry[kind]().image_encoder
