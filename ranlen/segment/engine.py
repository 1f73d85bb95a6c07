"""What runs SAM's network: ONNX Runtime for MobileSAM's graphs, torch for other checkpoints and on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ranlen.segment import checkpoints

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of R, G and B, as the encoders were trained
OUTSIDE, INSIDE, CORNER, OPPOSITE, NOWHERE = range(5)  # what a point says; corners are of a box; the last says nothing


class Engine(Protocol):
    """SAM's network in arrays; all but `kinds` are float32. Threads may share it. The square it sees is `side` long."""

    side: int

    def encode(self, square: np.ndarray) -> np.ndarray:
        """A photo (1, 3, side, side), normalized by `MEAN` and `STD` and filled up with zeros, to (1, 256, g, g)."""
        ...

    def decode(
        self, embedding: np.ndarray, points: np.ndarray, kinds: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks of one photo.

        Args:
            embedding: (1, 256, g, g), of `encode`.
            points: (N, 2), x and y from 0 to 1 across the square; at least two.
            kinds: (N,) int64, what each of them says: OUTSIDE, INSIDE, or CORNER and OPPOSITE, the upper left and the
                lower right corner of a box; without a box NOWHERE, once: the checkpoints were trained so.
            mask: logits (1, 1, 4g, 4g) of the answer so far, or none.

        Returns:
            Logits (4, 4g, 4g), and the IoUs that SAM expects of them (4,).
        """
        ...


def open_engine(path: Path, device: str = "cpu") -> Engine:
    """What runs the checkpoint at `path` on a device; imports torch only if it is torch.

    Raises:
        SegmenterError: damaged or foreign, or a package is missing.
    """
    tensors = path.with_name(checkpoints.TENSORS)
    if path.suffix == ".onnx" and (device == "cpu" or not tensors.is_file()):
        from ranlen.segment.engine_onnx import OnnxEngine

        return OnnxEngine(path, device)
    try:
        from ranlen.segment import engine_torch
    except ModuleNotFoundError as error:
        raise checkpoints.SegmenterError(f"{path.name} needs {error.name}: pip install 'ranlen[torch]'") from None
    return engine_torch.load(tensors if path.suffix == ".onnx" else path, device)
