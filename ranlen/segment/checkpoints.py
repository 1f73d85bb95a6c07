"""Checkpoints of SAM: where they lie, whether they are whole, and which model they hold.

MobileSAM comes with the package, as graphs and as safetensors. Others are files that were published with torch's
pickles in them, so they are read with `weights_only=True`, which makes tensors and nothing else. Nothing is looked up
online unless a download is asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # the name of torch.load's refusal; nothing is unpickled here
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Kind = Literal["vit_t", "vit_b", "vit_l", "vit_h"]
VARIABLE = "RANLEN_SAM_CHECKPOINT"
SHIPPED = "mobile_sam_encoder.onnx"  # beside it, its decoder
TENSORS = "mobile_sam.safetensors"  # of the same network, for torch
WIDTHS: dict[int, Kind] = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


class SegmenterError(ValueError):
    """A segmenter that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hugging Face Hub."""

    repository: str
    file: str
    sha256: str


# The quickest first: MobileSAM encodes a photo on two cores in the time that the others take to warm up.
PUBLISHED: dict[Kind, Published] = {
    "vit_t": Published(
        "dhkim2810/MobileSAM",
        "mobile_sam.pt",
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
    "vit_b": Published(
        "ybelkada/segment-anything",
        "checkpoints/sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "vit_l": Published(
        "ybelkada/segment-anything",
        "checkpoints/sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "vit_h": Published(
        "ybelkada/segment-anything",
        "checkpoints/sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
}


def find(path: str | Path | None = None, kind: Kind | None = None) -> Path | None:
    """A checkpoint on this machine, in milliseconds: a named one, one in the Hugging Face cache, or the package's own.

    Args:
        path: a file, which must then exist.
        kind: the model to look for in the cache; any of them if none, the quickest first.

    Raises:
        SegmenterError: a path or a variable that leads nowhere.
    """
    found = named(path)
    for published in [PUBLISHED[kind]] if kind else PUBLISHED.values():
        found = found or _from_hub(published, local_files_only=True)
    return found or (shipped() if kind in (None, "vit_t") else None)


def named(path: str | Path | None = None) -> Path | None:
    """The checkpoint that somebody asked for by `path` or RANLEN_SAM_CHECKPOINT; errors as of `find`."""
    given = path or os.environ.get(VARIABLE)
    if given and not Path(given).is_file():
        source = "" if path else f" (from {VARIABLE})"
        raise SegmenterError(f"no SAM checkpoint at {given}{source}: give the path of a .pth or .pt file")
    return Path(given) if given else None


def shipped() -> Path | None:
    """MobileSAM as it comes with the package (weights/README.md says from where); none if it was left out."""
    from ranlen.models import weights  # takes torch, which who names a file or asks for GrabCut may not need

    path = weights.shipped() / SHIPPED
    return path if path.is_file() else None


def download(kind: Kind = "vit_t") -> Path:
    """Fetch a checkpoint from the Hugging Face Hub into its cache, with a progress bar, and check it.

    Raises:
        SegmenterError: no network, no huggingface_hub, or a file that is not the published one.
    """
    published = PUBLISHED[kind]
    path = _from_hub(published, local_files_only=False)
    if path is None:
        raise SegmenterError(
            f"cannot download {published.file} from {published.repository}: check the network and "
            f"`pip install huggingface_hub`, or set {VARIABLE} to a file"
        )
    if digest(path, "sha256") != published.sha256:
        raise SegmenterError(
            f"{path.name} is not the file that was published (sha256 differs): delete it and try again"
        )
    return path


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, by name.

    Official names end in the first six digits of the file's md5, as in sam_vit_b_01ec64.pth; such a name is checked.

    Raises:
        SegmenterError: damaged, cut short, or something other than a dictionary of tensors.
    """
    import torch

    from ranlen.models import weights

    if path.suffix == ".safetensors":
        try:
            return {name: torch.tensor(array) for name, array in weights.read_file(path)[1].items()}
        except weights.WeightsError as error:
            raise SegmenterError(str(error)) from None
    promised = re.search(r"_([0-9a-f]{6})\.pth$", path.name)
    if promised and not digest(path, "md5").startswith(promised[1]):
        raise SegmenterError(f"{path.name} is damaged (its md5 does not begin with {promised[1]}): get it again")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError):
        raise SegmenterError(f"{path.name} is damaged or not a checkpoint of SAM: get it again") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise SegmenterError(f"{path.name} holds something other than a model's tensors: use a checkpoint of SAM")
    return state


def kind_of(state: dict[str, torch.Tensor]) -> Kind:
    """Which model a checkpoint is of, by its names and shapes."""
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return "vit_t"
    position = state.get("image_encoder.pos_embed")
    if position is None or position.shape[-1] not in WIDTHS:
        raise SegmenterError(f"this is no checkpoint of a SAM that is known here ({', '.join(PUBLISHED)})")
    return WIDTHS[position.shape[-1]]


def digest(path: Path, algorithm: str) -> str:
    """A file's hash, in hexadecimal digits."""
    hasher = hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _from_hub(published: Published, *, local_files_only: bool) -> Path | None:
    try:
        import huggingface_hub
    except ImportError:
        return None
    try:
        found: Any = huggingface_hub.hf_hub_download(
            published.repository, published.file, local_files_only=local_files_only
        )
    except (OSError, ValueError):  # the Hub's own errors are among them
        return None
    return Path(found)
