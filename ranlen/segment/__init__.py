"""From a few clicks to a subject: what the mask is made from when nobody wants to paint it.

`choice.choose` gives the segmenter that fits this machine.
"""

from ranlen.segment.prompts import Prompts, Segmenter

__all__ = ["Prompts", "Segmenter"]
