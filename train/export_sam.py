"""Write a MobileSAM as the two graphs that answer clicks without torch: `python -m train.export_sam`.

The encoder takes the square (1, 3, 1024, 1024) of `Engine.encode` and gives the embedding (1, 256, 64, 64). Its
products of matrices are of whole numbers, activations of 8 bits and weights of 7 (with 8, sums overflow on processors
without VNNI): half the time of float32, for a difference of 2 %.

The decoder takes `embedding`, `points`, `kinds` and `mask` of `Engine.decode`, and `given`, a boolean: whether the mask
counts. It gives `logits` and `quality`. Weights are float16, as in the checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ranlen import onnx
from ranlen.io.files import write_atomically
from ranlen.models import weights
from ranlen.segment import checkpoints, engine_torch
from ranlen.segment.engine import INSIDE, NOWHERE, OUTSIDE
from ranlen.segment.network import Network
from train.command import says_in_one_line
from train.export import ExportError, small, traced

GRAPHS = ("mobile_sam_encoder.onnx", "mobile_sam_decoder.onnx")
APART = {GRAPHS[0]: 0.03, GRAPHS[1]: 0.003}  # from torch, as shares of the outputs' root mean squares


class Decoder(nn.Module):
    """A network's `decode` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor, points: Tensor, kinds: Tensor, mask: Tensor, given: Tensor) -> Any:
        return self.network.decode(embedding, points, kinds, mask, given)


def in_whole_numbers(model: Any) -> Any:
    """The same with products of matrices in int8, scaled for each column of weights and, when it runs, each input."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        logging.disable(logging.WARNING)  # it would advise to optimize first, for a runtime that optimizes
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        logging.disable(logging.NOTSET)
        return onnx.load(path)


def export(model: Network, folder: Path) -> dict[str, float]:
    """Write both graphs, and run them.

    Returns:
        How far the outputs of each lie from torch's: root mean squares, as a share of the outputs' own.

    Raises:
        ExportError: further than is known to be harmless, or what writes graphs is missing; nothing is written then.
    """
    model = engine_torch.TorchEngine(model).model
    generator = torch.Generator().manual_seed(0)
    side = model.image_encoder.img_size
    square = {"square": nn.functional.interpolate(torch.randn(1, 3, 64, 64, generator=generator), (side, side))}
    with torch.inference_mode():
        embedding = model.image_encoder(square["square"]).clone()
    inputs = {
        "embedding": embedding,
        "points": torch.rand(3, 2, generator=generator),
        "kinds": torch.tensor([INSIDE, OUTSIDE, NOWHERE]),
        "mask": torch.randn(1, 1, side // 4, side // 4, generator=generator),
        "given": torch.tensor(True),
    }
    count = torch.export.Dim("count", min=2, max=65536)
    parts: list[tuple[str, nn.Module, dict[str, Tensor], list[str], Any]] = [
        (GRAPHS[0], model.image_encoder, square, ["embedding"], None),
        (GRAPHS[1], Decoder(model), inputs, ["logits", "quality"], ({}, {0: count}, {0: count}, {}, {})),
    ]
    apart, written = {}, {}
    for name, module, given, outputs, free in parts:
        made = traced(module, given, outputs, free)
        written[name] = small(in_whole_numbers(made) if name == GRAPHS[0] else made).SerializeToString()
        got = onnx.session(written[name]).run(outputs, {key: value.numpy() for key, value in given.items()})[0]
        with torch.inference_mode():
            wanted = module(*given.values())
        wanted = (wanted if isinstance(wanted, Tensor) else wanted[0]).numpy()
        apart[name] = float(np.sqrt(np.square(got - wanted).mean() / np.square(wanted).mean()))
        if not apart[name] <= APART[name]:
            raise ExportError(f"{name} differs from torch by {apart[name]:.2%}, more than {APART[name]:.2%}")
    for name, data in written.items():
        write_atomically(folder / name, data)
    return apart


@says_in_one_line("export_sam", ExportError, checkpoints.SegmenterError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.export_sam", description="Write MobileSAM as ONNX files.")
    parser.add_argument("file", nargs="?", type=Path, default=weights.shipped() / checkpoints.TENSORS)
    parser.add_argument(
        "-o", "--out", type=Path, default=weights.shipped(), help="folder, by default the package's own"
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, share in export(engine_torch.load(options.file).model, options.out).items():
        path = options.out / name
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, {share:.2%} from torch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
