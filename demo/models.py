"""The page's models, one of each for all visitors, and where their two calls run: the network, SAM encoding a photo.

On a ZeroGPU Space the package `spaces` is there and lends a GPU to a call, in a process of its own; nothing else
touches one, a slider tick least of all. Without that package they run where the models are.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ranlen import denoise as denoising
from ranlen import networks, retouch
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.networks import Network
from ranlen.segment import Segmenter
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.choice import choice, choose

try:
    import spaces
except ImportError:
    spaces = None

NETWORK = threading.Lock()  # nothing is read, rendered or written under it
Call = TypeVar("Call", bound=Callable[..., Any])


@functools.cache
def load(name: str) -> Network:
    """One of each for all visitors: calls keep nothing on it."""
    return networks.load_published(name)


def engine() -> str:
    """What runs the networks, and why."""
    name = next(iter(weights.published()), None)
    if name is None:
        return "nothing: there are no weights"
    runs, why = networks.choose(weights.find(name))
    return f"{'ONNX Runtime' if runs == 'onnx' else 'torch'}, {why}"


def finder() -> tuple[str, str]:
    """Which segmenter answers clicks, and why; it is loaded when somebody needs it."""
    try:
        kind, _, why = choice()
    except SegmenterError as error:
        return "grabcut", f"GrabCut, because {error}"
    return kind, why


@functools.cache
def segmenter() -> tuple[Segmenter, str]:
    """One segmenter for all visitors too, and why it is this one; a broken checkpoint does not stop the page."""
    try:
        return choose()
    except SegmenterError as error:
        return choose("grabcut")[0], f"GrabCut, because {error}"


def lent(seconds: int) -> Callable[[Call], Call]:
    """Mark a function that a GPU is lent to, for at most so long."""
    return spaces.GPU(duration=seconds) if spaces else lambda call: call


def borrowed() -> bool:
    """Whether this runs on a GPU that was lent."""
    if spaces is None:
        return False
    import torch

    return torch.cuda.is_available()


def predict(view: Photo, mask: RegionMask, network: Network) -> retouch.Lighting:
    """`retouch.predict`, for one visitor at a time; the light comes back to where it is rendered."""
    with NETWORK:
        return _predict(view, mask, network)


@lent(15)
def _predict(view: Photo, mask: RegionMask, network: Network) -> retouch.Lighting:
    if not borrowed():
        return retouch.predict(view, mask, network)
    name = f"{network.backbone_name}-{network.method_name}"
    return retouch.predict(view, mask, networks.load(name, "cuda"))  # for this call; its light is NumPy's


def light(
    photo: Photo,
    mask: RegionMask,
    network: Network,
    degree: float,
    *,
    in_place: bool = False,
) -> Photo:
    """`retouch.light`, whose network is lent a GPU."""
    view = Photo(images.preview(photo, retouch.DETAIL), grey=photo.grey)  # all that the network sees
    lighting = predict(view, mask, network)
    denoise = denoising.automatic(photo)
    clean = retouch.clean(photo, [lighting]) if degree and denoise else None
    return retouch.render(photo, lighting, degree, clean=clean, denoise=denoise, in_place=in_place)


@lent(30)
def _encode(segmenter: Any, view: Photo) -> Any:
    """SAM's `prepare`, on a GPU by the same SAM opened there."""
    return (choose(device=lambda: "cuda")[0] if borrowed() else segmenter).prepare(view)


def prepare(segmenter: Segmenter, view: Photo) -> Any:
    """A segmenter's `prepare`, with a GPU if it has a use for one: GrabCut has none."""
    return _encode(segmenter, view) if segmenter.name == "sam" else segmenter.prepare(view)
