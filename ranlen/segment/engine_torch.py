"""SAM's network as torch runs it: any published checkpoint, on any device.

The network is our own; the image encoders of SAM's own sizes, ViT-B, L and H, come from the `segment-anything` package.
In bfloat16 the encoder is six times slower on the processor at hand.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ranlen.segment import checkpoints
from ranlen.segment.checkpoints import Kind, SegmenterError
from ranlen.segment.network import Network
from ranlen.segment.tiny_vit import ConvNorm, TinyViT

UNUSED = ("image_encoder.norm_head.", "image_encoder.head.")  # MobileSAM's classifier


class TorchEngine:
    """An `Engine` around a network."""

    def __init__(self, model: Network, device: str | torch.device = "cpu") -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        fold_norms(self.model.image_encoder)
        self.model.image_encoder.to(memory_format=torch.channels_last)  # convolutions run an eighth faster
        self.device = torch.device(device)
        self.side: int = model.image_encoder.img_size

    @torch.inference_mode()
    def encode(self, square: np.ndarray) -> np.ndarray:
        image = torch.tensor(square, device=self.device).contiguous(memory_format=torch.channels_last)
        with half_precision(self.device):
            embedding = self.model.image_encoder(image)
        return embedding.float().cpu().numpy()

    @torch.inference_mode()
    def decode(
        self, embedding: np.ndarray, points: np.ndarray, kinds: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        cells = [4 * places for places in embedding.shape[2:]]
        given = np.zeros((1, 1, *cells), np.float32) if mask is None else mask
        inputs = (
            torch.tensor(each, device=self.device) for each in (embedding, points, kinds, given, mask is not None)
        )
        logits, quality = self.model.decode(*inputs)
        return logits.cpu().numpy(), quality.cpu().numpy()


def load(path: Path, device: str = "cpu") -> TorchEngine:
    """The network of a checkpoint.

    Raises:
        SegmenterError: damaged or foreign, or, for a ViT, no segment-anything package.
    """
    state = checkpoints.read(path)
    model = build(checkpoints.kind_of(state))
    try:
        model.load_state_dict({name: value for name, value in state.items() if not name.startswith(UNUSED)})
    except RuntimeError as error:
        reason = str(error).splitlines()[1 if "\n" in str(error) else 0].strip()
        raise SegmenterError(f"{path.name} does not fit SAM ({reason:.80}): get it again") from None
    return TorchEngine(model, device)


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
