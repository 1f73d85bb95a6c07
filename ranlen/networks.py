"""Networks as they light photos: `load` one, and `predict` a light. Two engines run them, which give the same light.

ONNX Runtime runs the graph that lies beside a network's weights, without torch. PyTorch runs the weights: on a GPU, of
networks that have no graph yet, and wherever it is asked for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranlen.arrays import numpy_of, resize
from ranlen.io.files import shown as printable
from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.methods import ABLATIONS, METHODS, WORKING_SIZE, Method, Shown, shown, smooth_ramp
from ranlen.models import weights
from ranlen.models.weights import WeightsError
from ranlen.rendering import grid
from ranlen.rendering.fields import Curves, Illumination, LightField

if TYPE_CHECKING:
    from ranlen.models.enhancer import Enhancer

Engine = Literal["onnx", "torch"]
VARIABLE = "RANLEN_ENGINE"  # one of them, where nobody asks for another
LEAST = WORKING_SIZE + 1  # height and width of the smallest detail that graphs take


class Network(ABC):
    """A network that lights photos; threads may share it, calls keep nothing on it.

    Attributes:
        backbone_name: "deepupe" for one.
        method_name: "ranlen" for one.
        method: what that means.
        metered: whether it has a light meter.
        engine: what runs it, "onnx" or "torch".
        device: where, "cpu" or "cuda".
    """

    engine: Engine

    def __init__(self, backbone: str, method: str, *, metered: bool, device: str) -> None:
        self.device = device
        self.backbone_name = backbone
        self.method_name = method
        self.method: Method = (METHODS | ABLATIONS)[method]
        self.metered = metered

    def predict(self, image: np.ndarray, mask: RegionMask) -> LightField:
        """Predict the light of images.

        Args:
            image: (N, 3, H, W) in [0, 1], RGB, float32; the network sees it at 256 x 256.
            mask: N masks of any size.

        Returns:
            A light for all N, as the network made it: not attenuated anywhere, its maps those of NumPy. Log gains are
            as large as the image, but at least 257 on either side, to which smaller images are enlarged.

        Raises:
            ValueError: another shape, or not as many masks as images.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"an image is an array (N, 3, H, W); got {tuple(image.shape)}")
        if len(image) != len(mask.tensor):
            raise ValueError(f"{len(image)} images but {len(mask.tensor)} masks")
        detail = resize(image, (max(image.shape[2], LEAST), max(image.shape[3], LEAST)))
        areas, ramp = mask.tensor, smoothstep(mask.ramp()) if self.method.spot and self.method.told_b else None
        if mask.own_ramp is not None:
            areas = np.concatenate([areas, smoothstep(mask.own_ramp)], 1)
        return self.run(shown(self.method, image, areas, detail, metered=self.metered, ramp=ramp))

    @abstractmethod
    def run(self, seen: Shown) -> LightField:
        """What the network makes of what it is shown."""


class OnnxNetwork(Network):
    """A network that ONNX Runtime runs, by the graph that `python -m train.export` wrote.

    Args:
        path: the graph, an .onnx file.
        name: what it was asked for by.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: missing, damaged, not ours, or made of other weights than lie beside it.
    """

    engine = "onnx"

    def __init__(self, path: Path, name: str | Path, device: str = "cpu") -> None:
        self.opened = (path, name, device)
        self.session, about = weights.open_graph(path, device, optimized=False)  # too small to get faster by it
        try:
            super().__init__(*weights.kind_of(name, about), metered=about["metered"], device=device)
            self.curves = about["light"] == Curves.__name__
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{printable(path.name)} does not say what it is ({error}); get it again") from None
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file again."""
        return OnnxNetwork, self.opened

    def run(self, seen: Shown) -> LightField:
        mask = np.concatenate([seen.mask[:, :2], smooth_ramp(seen.mask)], 1)
        detail, fade = seen.detail, seen.fade
        read_here = set(grid.OUTPUTS) <= set(self.outputs)
        if read_here:  # in an eighth of the time; the graph reads as few pixels as it can
            detail, fade = (None if maps is None else maps[..., :LEAST, :LEAST] for maps in (detail, fade))
        inputs = {"image": seen.image, "mask": mask, "detail": detail}
        values = self.session.run(self.outputs, inputs if fade is None else inputs | {"fade": fade})
        out = dict(zip(self.outputs, values, strict=True))
        maps = grid.light(out, seen.detail, seen.fade) if read_here else out["maps"]
        if self.curves:
            return Curves(maps)
        return Illumination(maps, out.get("shoulder", 1.0), out.get("desaturation", 1.0))


class TorchNetwork(Network):
    """A network that torch runs, in evaluation mode, wherever its weights are."""

    engine = "torch"

    def __init__(self, enhancer: Enhancer) -> None:
        device, metered = next(enhancer.parameters()).device.type, enhancer.meter is not None
        super().__init__(enhancer.backbone_name, enhancer.method_name, metered=metered, device=device)
        self.enhancer = enhancer

    def run(self, seen: Shown) -> LightField:
        import torch

        def there(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)

        fade = None if seen.fade is None else there(seen.fade)
        with torch.inference_mode():
            parts = self.enhancer.parts(there(seen.image), there(seen.mask), fade, there(seen.detail))
            return parts.light().each(numpy_of)


def load(
    name: str | Path, device: str = "cpu", *, engine: Engine | None = None, revision: str | None = None
) -> Network:
    """Load a network, ready to light photos.

    Args:
        name: a published network ("deepupe-ranlen"), an .onnx or .safetensors file, the folder of a run or of a
            repository, or a repository on the Hugging Face Hub ("user/repo"), whose cached copy is taken if there is
            one.
        device: where it shall run, "cpu" or "cuda".
        engine: "onnx" or "torch"; by default what RANLEN_ENGINE says, or torch on a GPU, and otherwise ONNX Runtime if
            there is a graph, NAME.onnx beside NAME.safetensors.
        revision: of a repository on the Hub: a branch, a tag or a commit.

    Returns:
        What `retouch.light` and `retouch.predict` take.

    Raises:
        WeightsError: unknown name, missing or damaged file, one that does not fit its own description, another than was
            published, a repository that cannot be had, or an engine that is not there.
    """
    path = weights.find(name, revision)
    if choose(path, device, engine)[0] == "onnx":
        return OnnxNetwork(path.with_suffix(".onnx"), name, device)
    return TorchNetwork(weights.load(name, device, revision=revision))


def choose(path: Path, device: str = "cpu", engine: str | None = None) -> tuple[Engine, str]:
    """What runs a file of weights or a graph, and in a few words why; arguments and errors as of `load`."""
    graph, there = path.with_suffix(".onnx"), find_spec("torch") is not None
    asked = engine or os.environ.get(VARIABLE)
    if asked not in (None, "onnx", "torch"):
        raise WeightsError(f"unknown engine {asked!r}; known are onnx, torch")
    if path == graph:
        return "onnx", "it is a graph"
    if asked == "onnx":
        return "onnx", "as asked"
    if asked is None and graph.exists() and not (device == "cuda" and there):
        return "onnx", "it has a graph"
    if not there:
        lacking = "torch is not installed" if graph.exists() else "it has no graph, and torch is not installed"
        raise WeightsError(f"{printable(path.name)} cannot be run: {lacking}; pip install 'ranlen[torch]'")
    return "torch", "as asked" if asked else "on a GPU" if device == "cuda" else "it has no graph"


def load_published(name: str) -> Network:
    """Load a published network for somebody who may not name files on this machine.

    Raises:
        WeightsError: any other name, too.
    """
    if name not in weights.published():
        raise WeightsError(f"unknown model {printable(name)!r}; known are {', '.join(weights.published())}")
    return load(name)
