"""Which segmenter answers a click, and why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ranlen.facts import SEGMENTERS
from ranlen.segment import checkpoints
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.prompts import Segmenter

VARIABLE = "RANLEN_SEGMENTER"  # one of them; what auto means on this machine


def choose(name: str = "auto", device: Callable[[], str] = lambda: "cpu") -> tuple[Segmenter, str]:
    """A segmenter, loaded, and one sentence on why it is this one; arguments and errors as of `choice`.

    Args:
        name: likewise.
        device: says where SAM runs; asked only then, because the answer may take torch.
    """
    from ranlen.segment.grabcut import GrabCut

    kind, found, why = choice(name)
    if kind == "grabcut":
        return GrabCut(), why
    from ranlen.segment.sam import Sam

    return Sam.load(found, device=device()), why


def choice(name: str = "auto") -> tuple[str, Path | None, str]:
    """Which segmenter, "sam" or "grabcut", from which checkpoint, and one sentence on why; nothing is loaded.

    Args:
        name: one of `facts.SEGMENTERS`; auto is what RANLEN_SEGMENTER says, or SAM, or GrabCut where SAM's weights were
            left out. Which SAM: the one RANLEN_SAM_CHECKPOINT names, or MobileSAM, which comes with us and is quick
            on any machine; sam prefers what is in the Hugging Face cache to the latter.

    Raises:
        SegmenterError: an unknown name; SAM was asked for, or its weights were named, and it cannot be loaded.
    """
    name = os.environ.get(VARIABLE) or name if name == "auto" else name
    if name not in SEGMENTERS:
        raise SegmenterError(f"unknown segmenter {name!r}; known are {', '.join(SEGMENTERS)}")
    if name == "grabcut":
        return "grabcut", None, "GrabCut, as asked"
    found = checkpoints.find() if name == "sam" else checkpoints.named() or checkpoints.shipped()
    if name == "auto" and found is None:
        return "grabcut", None, f"GrabCut: no SAM checkpoint on this machine (set {checkpoints.VARIABLE} to have one)"
    ours = found is not None and found == checkpoints.shipped()
    return "sam", found, "MobileSAM, which comes with RANLEN" if ours else f"SAM, from {found}"
