"""SAM's network as two graphs that ONNX Runtime runs; `python -m train.mobile_sam` makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ranlen import onnx
from ranlen.models import weights
from ranlen.segment.checkpoints import SegmenterError

if TYPE_CHECKING:
    import onnxruntime


class OnnxEngine:
    """An `Engine` of NAME_encoder.onnx and, beside it, NAME_decoder.onnx."""

    def __init__(self, encoder: Path, device: str = "cpu") -> None:
        decoder = encoder.with_name(encoder.name.replace("_encoder", "_decoder"))
        if decoder == encoder or not decoder.is_file():
            raise SegmenterError(
                f"{encoder.name} is one of two: give NAME_encoder.onnx, with NAME_decoder.onnx beside it"
            )
        try:
            self._encoder, self._decoder = (
                onnx.session(weights.read(path), device, pooled=True) for path in (encoder, decoder)
            )
            self.side: int = self._encoder.get_inputs()[0].shape[-1]
            mask = next(each for each in self._decoder.get_inputs() if each.name == "mask")
        except Exception as error:  # ONNX Runtime's own have no other base
            reason = " ".join(str(error).split())
            raise SegmenterError(f"{encoder.name} is damaged or not SAM's ({reason:.80}): get it again") from None
        self._none = np.zeros(mask.shape, np.float32)

    def encode(self, square: np.ndarray) -> np.ndarray:
        return onnx.run(self._encoder, {"square": square}, _shapes(self._encoder))[0]

    def decode(
        self, embedding: np.ndarray, points: np.ndarray, kinds: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs = {"embedding": embedding, "points": points, "kinds": kinds}
        inputs |= {"mask": self._none if mask is None else mask, "given": np.array(mask is not None)}
        logits, quality = onnx.run(self._decoder, inputs, _shapes(self._decoder))
        return logits, quality


def _shapes(session: onnxruntime.InferenceSession) -> list[list[int]]:
    """Of a graph's outputs, all of which are always as large."""
    return [output.shape for output in session.get_outputs()]
