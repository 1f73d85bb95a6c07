"""Weights: one safetensors file that says itself what it holds, and beside it its graph, which runs without torch.

The only code that opens such files; `ranlen.networks` runs what is in them. Nothing is ever unpickled. Tensors are
stored as float16 and loaded as float32. safetensors opens no file whose header and length disagree about the sizes of
tensors, so `MAX_BYTES` bounds what a file can make us allocate.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from ranlen import onnx
from ranlen.arrays import numpy_of
from ranlen.facts import BACKBONES
from ranlen.io.files import FileError, read_bytes, shown, write_atomically
from ranlen.methods import METHODS
from ranlen.models import hub

if TYPE_CHECKING:
    import onnxruntime
    import torch

    from ranlen.models.enhancer import Enhancer

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
    arrays = {name: np.ascontiguousarray(numpy_of(tensor)) for name, tensor in state.items()}
    halves = {name: array.astype(np.float16) if _fits(array) else array for name, array in arrays.items()}
    write_atomically(path, to_bytes(halves, metadata={KEY: json.dumps(dict(about))}))


def _fits(array: np.ndarray) -> bool:
    """Whether float16 can hold these floating numbers."""
    return array.dtype.kind == "f" and bool((np.abs(array) <= np.finfo(np.float16).max).all())


def load(name: str | Path, device: str | torch.device = "cpu", *, revision: str | None = None) -> Enhancer:
    """Load a model, ready to predict.

    Args:
        name: a published model ("deepupe-ranlen"), a .safetensors file, the folder of a run or of a repository, or a
            repository on the Hugging Face Hub ("user/repo"), whose cached copy is taken if there is one.
        device: where it shall run, "cpu" or "cuda".
        revision: of a repository on the Hub: a branch, a tag or a commit.

    Returns:
        The network in torch, float32, on the device and in evaluation mode: to train, to score, to export. What lights
        photos is `networks.load`.

    Raises:
        WeightsError: unknown name, missing or damaged file, one that does not fit its own description, another than was
            published, or a repository that cannot be had.
    """
    import torch

    from ranlen.models.enhancer import Enhancer

    path = find(name, revision)
    about, arrays = read_file(path)
    try:
        backbone, method = kind_of(name, about)
        enhancer = Enhancer(backbone, method, metered=about.get("metered", False))
        enhancer.load_state_dict({key: torch.tensor(array).float() for key, array in arrays.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = f"{' '.join(str(error).split()):.200}"
        raise WeightsError(
            f"{shown(path.name)} does not fit the model it names: {reason}; get the file again"
        ) from None
    return enhancer.to(device).eval()


def kind_of(name: str | Path, about: Mapping[str, Any]) -> tuple[str, str]:
    """Backbone and method of a network, by the name it was asked for and what its file says.

    A published name says more than the file: blend runs on the weights of global.
    """
    backbone, method = str(name).split("-") if str(name) in _names() else (about["backbone"], about["method"])
    return backbone, method


def card(name: str | Path) -> dict[str, Any]:
    """What a published model's file, or any file of weights, says about itself, and its size in bytes."""
    path = find(name)
    return {**read_file(path)[0], "bytes": path.stat().st_size}


def scores() -> dict[str, Any]:
    """What the published models scored, as `train.publish` wrote it: {} where that was never done."""
    path = folder() / SCORES
    return json.loads(path.read_text()) if path.exists() else {}


def digests() -> dict[str, str]:
    """SHA-256 of each file of weights, and each graph, in the folder of published ones."""
    paths = sorted(path for path in folder().iterdir() if path.suffix in (".safetensors", ".onnx"))
    return {path.name: digest(_bytes(path)) for path in paths}


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes:
    """A file of weights, or a graph; a published one is what `scores` says it is.

    Raises:
        WeightsError: a missing file, or another one than was published.
    """
    data = _bytes(path)
    promised = scores().get("sha256", {}).get(path.name) if path.parent == folder() else None
    if promised is not None and promised != digest(data):
        raise WeightsError(f"{shown(path.name)} is not the file that was published (sha256 differs); get it again")
    return data


def read_file(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file of weights of this project says about itself, and its tensors.

    Raises:
        WeightsError: a missing or damaged file, another one than was published, or somebody else's.
    """
    data, name = read(path), shown(path.name)
    try:
        arrays = from_bytes(data)  # which checks the header against what is there
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        about = json.loads(metadata[KEY]) if KEY in metadata else None
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        reason = f"{' '.join(str(error).split()):.200}"
        raise WeightsError(f"{name} is damaged or not a safetensors file ({reason}); get it again") from None
    if not isinstance(about, dict):
        raise WeightsError(f"{name} holds no RANLEN model; use a file that this project wrote")
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise WeightsError(f"{name} holds weights that are no finite numbers; get the file again")
    return about, arrays


def open_graph(
    path: Path, device: str = "cpu", *, optimized: bool = True, pooled: bool = False
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """A graph of this project, ready to run, and what it says about itself.

    Args:
        path: an .onnx file; the weights that it was made of may lie beside it.
        device: "cpu" or "cuda".
        optimized: as of `onnx.session`.
        pooled: likewise.

    Raises:
        WeightsError: missing, damaged, not ours, another than was published, or made of other weights.
    """
    data, name, made_of = read(path), shown(path.name), path.with_suffix(".safetensors")
    try:
        session = onnx.session(data, device, optimized=optimized, pooled=pooled)
        about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    except (onnx.GraphError, KeyError, ValueError) as error:
        reason = f"{' '.join(str(error).split()):.200}"
        raise WeightsError(f"{name} is damaged or no graph of RANLEN ({reason}); get it again") from None
    if made_of.exists() and about.get("sha256") != digest(_bytes(made_of)):
        raise WeightsError(
            f"{name} was made of other weights than lie beside it; delete it, or make it again: "
            f"python -m train.export {shown(made_of)} -o {shown(path.parent)}"
        )
    return session, about


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
    if path is None and given.suffix in (".safetensors", ".onnx"):
        return given
    if path is None:
        known = ", ".join(published()) or "none"
        raise WeightsError(f"unknown model {shown(name)!r}; known are {known}, or a .safetensors or .onnx file")
    if not path.exists():
        raise WeightsError(f"no weights for {name}: {path} is missing; get the file or train it (train/README.md)")
    return path
