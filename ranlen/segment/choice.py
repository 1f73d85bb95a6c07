"""Which segmenter answers a click, and why."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from ranlen.segment import checkpoints
from ranlen.segment.prompts import Segmenter

SEGMENTERS = ("auto", "sam", "grabcut")


def choose(name: str = "auto", device: Callable[[], str] = lambda: "cpu") -> tuple[Segmenter, str]:
    """A segmenter and one sentence on why it is this one.

    Args:
        name: one of `SEGMENTERS`; auto is SAM where its weights and package are on this machine, else GrabCut.
        device: says where SAM runs; asked only then, because the answer may take torch.

    Raises:
        SegmenterError: SAM was asked for, or its weights were found, and it cannot be loaded.
    """
    from ranlen.segment.grabcut import GrabCut

    if name not in SEGMENTERS:
        raise ValueError(f"unknown segmenter {name!r}; known are {', '.join(SEGMENTERS)}")
    if name == "grabcut":
        return GrabCut(), "GrabCut, as asked"
    found = checkpoints.find()
    if name == "auto" and found is None:
        return GrabCut(), f"GrabCut: no SAM checkpoint on this machine (set {checkpoints.VARIABLE} to have one)"
    if name == "auto" and find_spec("segment_anything") is None:
        return GrabCut(), "GrabCut: SAM needs `pip install segment-anything`"
    from ranlen.segment.sam import Sam

    segmenter = Sam.load(found, device=device())
    return segmenter, f"SAM, from {found}"
