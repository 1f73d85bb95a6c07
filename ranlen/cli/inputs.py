"""What a command works on: a photo and its areas, as the arguments say.

Heavy modules are imported where they are used: what is wrong with a file is said at once.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ranlen.facts import DEFAULT_BACKBONE, DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

    from ranlen.io.images import Photo
    from ranlen.masks.regions import RegionMask
    from ranlen.segment import Prompts, Segmenter

LOADING = threading.Lock()


class UsageError(ValueError):
    """Arguments that make no sense together or for this photo."""


def read_inputs(options: argparse.Namespace, path: Path, mask: Path | None) -> tuple[Photo, RegionMask]:
    """The photo, and its areas as the options say."""
    from ranlen.io import images
    from ranlen.io.files import shown
    from ranlen.masks import boolean, shapes

    photo = images.read(path)
    if options.recipe:
        from ranlen import recipe, retouch

        view = retouch.view(photo)
        ask = asker(view, "auto", options.device)
        return photo, recipe.subject_areas(options.recipe.subjects[0], view, ask, {})[0]
    found = options.click is not None
    if mask:
        core, found = images.read_subject(mask, photo.size)
        if boolean.all_around(core):
            advice = "marks the whole edge of the photo; if black is the subject, invert it"
            sys.stderr.write(f"ranlen: {shown(mask.name)} {advice}\n")
    elif options.click:
        from ranlen.segment import Prompts

        core = find_subject(photo, Prompts((options.click,)), "auto", options.device)
    else:
        height, width = photo.size
        x, y, radius = options.circle
        if not (0 <= x <= width and 0 <= y <= height):
            raise UsageError(f"the point {x:g},{y:g} is outside the photo, which is {width} x {height} pixels")
        if radius <= 0:
            raise UsageError(f"--circle needs a radius above 0; got {radius:g}")
        core = shapes.disc(photo.size, (x, y), radius)
    from ranlen import retouch

    guide = retouch.view(photo).pixels if options.feather_edges else None
    feather, side = options.feather, options.feather_side
    return photo, retouch.region_mask(core, feather=feather, feather_side=side, found=found, guide=guide)


def read_edits(options: argparse.Namespace) -> None:
    """Read the file of --edits once, before any photo: options.recipe, and what a recipe says of the other options."""
    options.recipe = None
    if not options.edits:
        return
    from ranlen import recipe

    done = recipe.read_recipe(options.edits)
    if recipe.is_recipe(options.edits):
        usual = {"degree": 1.0, "feather": None, "feather_side": None, "feather_edges": False, "denoise": None}
        for name, value in (usual | {"model": DEFAULT_MODEL, "backbone": DEFAULT_BACKBONE}).items():
            if getattr(options, name, value) != value:
                flag = name.replace("_", "-")
                raise UsageError(f"{options.edits} is a recipe with settings of its own; leave out --{flag}")
        options.model, options.backbone = done.model, done.backbone
        options.degree, options.denoise = done.subjects[0].degree, done.subjects[0].denoise
    else:
        settings = (options.degree, options.feather, options.feather_side, options.denoise, options.feather_edges)
        own = recipe.Subject(done.subjects[0].edits, *settings)
        done = recipe.Recipe((own,))
    options.recipe = done


def find_subject(photo: Photo, prompts: Prompts, segmenter: str, device: str) -> np.ndarray:
    """The mask of what was clicked, booleans (H, W)."""
    from ranlen.segment.prompts import PromptError, check_prompts

    try:
        check_prompts(prompts, photo.size)
    except PromptError as error:
        raise UsageError(str(error)) from None
    return asker(photo, segmenter, device)(prompts)


def asker(photo: Photo, segmenter: str, device: str) -> Callable[[Prompts], np.ndarray]:
    """A segmenter that looks at the photo when it is first asked."""

    @functools.cache
    def looked() -> Callable[[Prompts], np.ndarray]:
        with LOADING:
            chosen = load_segmenter(segmenter, device)
        return functools.partial(chosen.segment, chosen.prepare(photo))

    return lambda said: looked()(said)


@functools.cache
def load_segmenter(name: str, device: str) -> Segmenter:
    """One for all photos of a run; `LOADING` keeps threads from loading one each."""
    from ranlen.segment import choose

    return choose(name, functools.partial(choose_device, device))[0]


def choose_device(name: str) -> str:
    """auto: the GPU where there is one, and torch to use it."""
    if name != "cpu" and has_gpu():
        return "cuda"
    if name == "cuda":
        raise UsageError("--device cuda: this machine has no usable GPU, or no torch to use it; use --device cpu")
    return "cpu"


def has_gpu() -> bool:
    """Whether torch has a GPU to run on; it is not imported, which takes seconds, where there is no driver of one."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        import torch
    except (OSError, ImportError):
        return False
    return torch.cuda.is_available()
