"""From a few clicks to a subject: what the mask is made from when nobody wants to paint it."""

from ranlen.segment.choice import choose
from ranlen.segment.prompts import Prompts, Segmenter

__all__ = ["Prompts", "Segmenter", "choose"]
