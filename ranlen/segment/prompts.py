"""What a person says about the subject, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ranlen.geometry import Box, Point, Size
from ranlen.io.images import Photo

MOST_STEPS = 2  # to a larger or smaller part: from the largest of three to the smallest


@dataclass(frozen=True)
class Prompts:
    """Hints in pixels of the upright photo; points are (x, y).

    Attributes:
        inside: points on the subject, in the order they were set.
        outside: points that are not on it.
        box: (left, top, right, bottom) around it, or none.
        mask: the answer so far, (H, W) booleans, or none.
        level: steps to a larger (above 0) or smaller (below 0) part than the one that these prompts find first.
    """

    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    box: Box | None = None
    mask: np.ndarray | None = None
    level: int = 0


class Segmenter(Protocol):
    """Finds the subject. Keeps nothing of a photo: what is worth keeping is the value that `prepare` returns."""

    name: str

    def prepare(self, photo: Photo) -> Any:
        """Everything that depends on the photo only, done once; threads may share it."""
        ...

    def segment(self, prepared: Any, prompts: Prompts) -> np.ndarray:
        """The subject as booleans (H, W) of the photo's size; raises `PromptError` for prompts that say nothing."""
        ...

    def part(self, prepared: Any, prompts: Prompts) -> tuple[int, int]:
        """Which of how many parts that answer is, from the smallest: (2, 3) where a level of -1 and of 1 change it."""
        ...


class PromptError(ValueError):
    """Prompts that cannot be answered; the message says what was received and what to do."""


def check_prompts(prompts: Prompts, size: Size) -> Prompts:
    """Return prompts that make sense for a photo of `size` (height, width), or raise `PromptError`."""
    height, width = size
    for x, y in (*prompts.inside, *prompts.outside):
        if not (0 <= x <= width and 0 <= y <= height):
            raise PromptError(f"the point {x:g},{y:g} is outside the photo, which is {width} x {height} pixels")
    if prompts.box is not None:
        left, top, right, bottom = prompts.box
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise PromptError(
                f"a box is left,top,right,bottom inside the photo, {width} x {height} pixels; got "
                + ",".join(f"{value:g}" for value in prompts.box)
            )
    if not prompts.inside and prompts.box is None:
        raise PromptError("nothing says where the subject is: click it, or draw a box around it")
    return prompts
