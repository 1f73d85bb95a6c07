"""The `segment-anything` package, imported when it is needed, whatever torchvision there is or is not."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from PIL import Image

from ranlen.segment.checkpoints import SegmenterError

_importing = threading.Lock()


def segment_anything() -> ModuleType:
    """The package, imported when first needed.

    Raises:
        SegmenterError: it is not installed.
    """
    with _importing:
        if "segment_anything" in sys.modules:
            return sys.modules["segment_anything"]
        try:
            with some_torchvision():
                return importlib.import_module("segment_anything")
        except ImportError:
            raise SegmenterError("SAM needs a package: pip install segment-anything") from None


@contextmanager
def some_torchvision() -> Iterator[None]:
    """The real torchvision where it can be imported, or else a stand-in for the few names that the package imports.

    There is no torchvision for every build of torch, and the wrong one fails in its own ways. None of its functions is
    needed for clicks. A stand-in is gone afterwards, and `sys.modules` as it was.
    """
    before = _torchvision_modules()
    try:
        importlib.import_module("torchvision.ops.boxes")
        importlib.import_module("torchvision.transforms.functional")
    except (ImportError, RuntimeError, OSError):  # absent; made for another torch; a library it needs is missing
        _put_torchvision(stand_ins())
        try:
            yield
        finally:
            _put_torchvision(before)
    else:
        yield


def stand_ins() -> dict[str, ModuleType]:
    """Modules under the names of torchvision's, with what segment-anything imports from them."""

    def unavailable(*_: Any) -> Any:
        raise SegmenterError("automatic masks need a torchvision that fits this torch; clicks do not")

    def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return image.resize(size[::-1], Image.Resampling.BILINEAR)

    names = ("", ".ops", ".ops.boxes", ".transforms", ".transforms.functional")
    modules = {f"torchvision{name}": ModuleType(f"torchvision{name}") for name in names}
    vars(modules["torchvision.ops.boxes"]).update(batched_nms=unavailable, box_area=unavailable)
    vars(modules["torchvision.transforms.functional"]).update(resize=resize, to_pil_image=Image.fromarray)
    return modules


def _torchvision_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchvision"}


def _put_torchvision(modules: dict[str, ModuleType]) -> None:
    """Make these the only modules of torchvision that are imported."""
    for name in _torchvision_modules():
        del sys.modules[name]
    sys.modules.update(modules)
