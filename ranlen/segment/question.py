"""What a list of edits asks a segmenter, in its own words: page, command line and programs ask alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ranlen.geometry import Size
from ranlen.masks.edits import BoundingBox, Click, Edit, Part, Prompt, pixel
from ranlen.segment.prompts import MOST_STEPS, Prompts

Question = tuple[Prompt, ...]  # the edits that a segmenter answers
Answers = Mapping[Question, np.ndarray]  # masks (H, W) by question; each is asked with the one before in hand


def asked(edits: Sequence[Edit]) -> Question:
    """Those of the edits that a segmenter answers."""
    return tuple(edit for edit in edits if isinstance(edit, Prompt))


def answer(question: Question, size: Size, ask: Callable[[Prompts], np.ndarray], known: Answers) -> Answers:
    """Answer a question edit by edit, each with the answer so far.

    Args:
        question: see `asked`.
        size: (height, width) of the photo.
        ask: a segmenter that has encoded the photo.
        known: earlier answers; what is in them is not asked again.

    Returns:
        The answers to the question and to its beginnings, as far as there was something to ask.

    Raises:
        PromptError: from `ask`.
    """
    found: dict[Question, np.ndarray] = {}
    for count in range(1, len(question) + 1):
        so_far = question[:count]
        said = prompts(so_far, size, found)
        if said.inside or said.box is not None:
            mask = known.get(so_far)
            found[so_far] = ask(said) if mask is None else mask
    return found


def prompts(question: Question, size: Size, found: Answers) -> Prompts:
    """A question in a segmenter's words, for a photo of `size`.

    Steps to a larger or smaller part ask the question before them again. A new box, too, starts afresh: all of the
    subject is in it, whatever was found before.
    """
    before, level = len(question), 0
    while before and isinstance(question[before - 1], Part):
        before -= 1
    for step in question[before:]:
        level = min(max(level + (1 if isinstance(step, Part) and step.larger else -1), -MOST_STEPS), MOST_STEPS)
    clicks = [edit for edit in question if isinstance(edit, Click)]
    inside, outside = (tuple(pixel(each.at, size) for each in clicks if each.add == add) for add in (True, False))
    boxes = [edit for edit in question if isinstance(edit, BoundingBox)]
    corners = [pixel(each, size) for each in (boxes[-1].start, boxes[-1].end)] if boxes else []
    box = tuple(pick(each) for pick in (min, max) for each in zip(*corners, strict=True)) if corners else None
    fresh = before > 0 and isinstance(question[before - 1], BoundingBox)
    return Prompts(inside, outside, box, None if fresh else found.get(question[: max(before - 1, 0)]), level)
