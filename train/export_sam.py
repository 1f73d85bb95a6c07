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
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ranlen import onnx as runtime
from ranlen.io.files import write_atomically
from ranlen.models import weights
from ranlen.segment import checkpoints, engine_torch
from ranlen.segment.engine import INSIDE, NOWHERE, OUTSIDE
from ranlen.segment.network import Network
from train.command import says_in_one_line
from train.export import OPSET, ExportError

GRAPHS = ("mobile_sam_encoder.onnx", "mobile_sam_decoder.onnx")
SMALL = 256  # numbers of a tensor that is not worth a cast
APART = {GRAPHS[0]: 0.03, GRAPHS[1]: 0.003}  # from torch, as shares of the outputs' root mean squares


class Decoder(nn.Module):
    """A network's `decode` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor, points: Tensor, kinds: Tensor, mask: Tensor, given: Tensor) -> Any:
        return self.network.decode(embedding, points, kinds, mask, given)


def graph(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], free: Any) -> Any:
    """A module as an ONNX model, float32."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=free,
            opset_version=OPSET,
        )
    assert program is not None
    return program.model_proto


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


def halved(model: Any, names: set[str]) -> Any:
    """The same with the named tensors in float16, and casts that ONNX Runtime does when it opens the file."""
    import onnx
    from onnx import helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in names or values.dtype != np.float32 or values.size < SMALL:
            continue
        half = f"{tensor.name}.half"
        casts.append(helper.make_node("Cast", [half], [tensor.name], name=f"{half}.cast", to=onnx.TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def anonymous(model: Any) -> Any:
    """The same without what was noted on the way of this machine's files and lines."""
    for each in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
    ):
        del each.metadata_props[:]
        each.ClearField("doc_string")
    return model


def export(model: Network, folder: Path) -> dict[str, float]:
    """Write both graphs, and run them.

    Returns:
        How far the outputs of each lie from torch's: root mean squares, as a share of the outputs' own.

    Raises:
        ExportError: further than is known to be harmless, or what writes graphs is missing; nothing is written then.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ModuleNotFoundError as error:
        raise ExportError(f"{error.name} is missing; pip install 'ranlen[onnx]'") from None

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
        made = graph(module, given, outputs, free)
        names = {tensor.name for tensor in made.graph.initializer}
        made = halved(in_whole_numbers(made) if name == GRAPHS[0] else made, names)
        written[name] = anonymous(made).SerializeToString()
        with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
            (Path(scratch) / name).write_bytes(written[name])
            session = runtime.session(Path(scratch) / name)
            got = session.run(outputs, {key: value.numpy() for key, value in given.items()})[0]
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
