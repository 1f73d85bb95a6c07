"""Weights: one safetensors file that says itself what it holds. The only code that opens weight files.

Nothing is ever unpickled. Tensors are stored as float16 and loaded as float32. safetensors opens no file whose header
and length disagree about the sizes of tensors, so `MAX_BYTES` bounds what a file can make us allocate.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from ranlen.io.files import FileError, read_bytes, shown, write_atomically
from ranlen.models import hub
from ranlen.models.backbones import BACKBONES
from ranlen.models.enhancer import METHODS, Enhancer

KEY = "ranlen"  # of our entry in the file's metadata
SCORES = "scores.json"  # beside the weights
MAX_BYTES = 256 * 1024**2  # the largest of ours has one


class WeightsError(ValueError):
    """Weights that are missing, damaged or not ours; the message says which and what to do."""


def folder() -> Path:
    """Where published networks are looked for: in RANLEN_WEIGHTS, or where the package has its own."""
    return Path(os.environ.get("RANLEN_WEIGHTS") or shipped())


def shipped() -> Path:
    """Where the weights lie that came with the code: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "published"
    return installed if installed.exists() else package.parent / "weights"


def published() -> list[str]:
    """Names of the networks that come with weights, which `load` takes: "deepupe-ranlen" and so on.

    They are every backbone and method whose weights are there; `blend` runs on those of `global`.
    """
    return [name for name, path in _names().items() if path.exists()]


def save(enhancer: Enhancer, path: Path, card: Mapping[str, Any]) -> None:
    """Write an enhancer's weights with what they are.

    Args:
        enhancer: what to save.
        path: a .safetensors file.
        card: anything JSON can hold that a reader should know: data, settings, scores.
    """
    count = sum(parameter.numel() for parameter in enhancer.parameters())
    about = {
        "backbone": enhancer.backbone_name,
        "method": enhancer.method_name,
        "metered": enhancer.meter is not None,
        "parameters": count,
        "card": dict(card),
    }
    write_file(path, enhancer.state_dict(), about)


def write_file(path: Path, state: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, floating ones as float16 where they fit (variances may not), and what JSON says about them."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    halves = {name: tensor.half() if _fits(tensor) else tensor for name, tensor in tensors.items()}
    write_atomically(path, to_bytes(halves, metadata={KEY: json.dumps(dict(about))}))


def _fits(tensor: torch.Tensor) -> bool:
    """Whether float16 can hold these floating numbers."""
    return tensor.is_floating_point() and bool((tensor.abs() <= torch.finfo(torch.float16).max).all())


def load(name: str | Path, device: str | torch.device = "cpu", *, revision: str | None = None) -> Enhancer:
    """Load a model, ready to predict.

    Args:
        name: a published model ("deepupe-ranlen"), a .safetensors file, the folder of a run or of a repository, or a
            repository on the Hugging Face Hub ("user/repo"), whose cached copy is taken if there is one.
        device: where it shall run, "cpu" or "cuda".
        revision: of a repository on the Hub: a branch, a tag or a commit.

    Returns:
        The network, float32, on the device and in evaluation mode: what `retouch.light` and `retouch.predict` take.

    Raises:
        WeightsError: unknown name, missing or damaged file, one that does not fit its own description, another than was
            published, or a repository that cannot be had.
    """
    path = find(name, revision)
    about, state = read_file(path)
    try:
        # A published name says more than the file: blend runs on the weights of global.
        backbone, method = str(name).split("-") if str(name) in _names() else (about["backbone"], about["method"])
        enhancer = Enhancer(backbone, method, metered=about.get("metered", False))
        enhancer.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = f"{' '.join(str(error).split()):.200}"
        raise WeightsError(
            f"{shown(path.name)} does not fit the model it names: {reason}; get the file again"
        ) from None
    return enhancer.to(device).eval()


def card(name: str | Path) -> dict[str, Any]:
    """What a published model's file, or any file of weights, says about itself, and its size in bytes."""
    path = find(name)
    return {**read_file(path)[0], "bytes": path.stat().st_size}


def scores() -> dict[str, Any]:
    """What the published models scored, as `train.publish` wrote it: {} where that was never done."""
    path = folder() / SCORES
    return json.loads(path.read_text()) if path.exists() else {}


def load_published(name: str) -> Enhancer:
    """Load a published model for somebody who may not name files on this machine.

    Raises:
        WeightsError: any other name, too.
    """
    if name not in published():
        raise WeightsError(f"unknown model {shown(name)!r}; known are {', '.join(published())}")
    return load(name)


def digests() -> dict[str, str]:
    """SHA-256 of each file of weights in the folder of published ones."""
    return {path.name: hashlib.sha256(_bytes(path)).hexdigest() for path in sorted(folder().glob("*.safetensors"))}


def read_file(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a file of this project says about itself, and its tensors; a published file is what `scores` says it is.

    Raises:
        WeightsError: a missing or damaged file, another one than was published, or somebody else's.
    """
    data, name = _bytes(path), shown(path.name)
    promised = scores().get("sha256", {}).get(path.name) if path.parent == folder() else None
    if promised is not None and promised != hashlib.sha256(data).hexdigest():
        raise WeightsError(f"{name} is not the file that was published (sha256 differs); get it again")
    try:
        state = from_bytes(data)  # which checks the header against what is there
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        about = json.loads(metadata[KEY]) if KEY in metadata else None
    except (SafetensorError, ValueError, RecursionError) as error:
        reason = f"{' '.join(str(error).split()):.200}"
        raise WeightsError(f"{name} is damaged or not a safetensors file ({reason}); get it again") from None
    if not isinstance(about, dict):
        raise WeightsError(f"{name} holds no RANLEN model; use a file that this project wrote")
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        raise WeightsError(f"{name} holds weights that are no finite numbers; get the file again")
    return about, state


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise WeightsError(f"no such weights file: {shown(path)}")
    try:
        return read_bytes(path, MAX_BYTES)
    except FileError as error:
        raise WeightsError(str(error)) from None


def _names() -> dict[str, Path]:
    """Every name that could be published, and its file."""
    return {
        f"{backbone}-{name}": folder() / f"{backbone}-{method.weights or name}.safetensors"
        for backbone in BACKBONES
        for name, method in METHODS.items()
    }


def find(name: str | Path, revision: str | None = None) -> Path:
    """The file a name stands for, from the Hub if need be; arguments and errors as of `load`."""
    path, given = _names().get(str(name)), Path(name)
    remote = path is None and not given.exists() and hub.is_repository(str(name))
    if revision and not remote:
        raise WeightsError(f"a revision is for repositories on the Hub; {name} is none")
    if remote:
        try:
            return hub.download(str(name), revision)
        except hub.HubError as error:
            raise WeightsError(str(error)) from None
    if path is None and given.is_dir():
        inside = [given / file for file in (hub.FILE, "best.safetensors") if (given / file).exists()]
        if not inside:
            raise WeightsError(f"{given} holds neither {hub.FILE} nor best.safetensors; name a file of weights")
        return inside[0]
    if path is None and given.suffix == ".safetensors":
        return given
    if path is None:
        known = ", ".join(published()) or "none"
        raise WeightsError(f"unknown model {shown(name)!r}; known are {known}, or a .safetensors file")
    if not path.exists():
        raise WeightsError(f"no weights for {name}: {path} is missing; get the file or train it (train/README.md)")
    return path
