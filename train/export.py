"""Write networks as ONNX files, for programs without torch: `python -m train.export NAME_OR_FILE ... -o FOLDER`.

A graph holds what has weights. What is geometry stays with the caller, who has the mask: resizing to 256 x 256, and how
far across Area B a pixel lies. docs/onnx.md shows a whole program.

Inputs, all float32, of any number N of photos:
    image (N, 3, 256, 256): RGB in [0, 1].
    mask (N, 3, 256, 256): Area A, Area A or B, and the ramp: 1 in A, smoothly down across B, 0 in C.
    fade (N, 1, h, w): the ramp where the light is wanted; only of networks that fade their light themselves (RANLEN).
    detail (N, 3, h, w): the photo there; h and w from 257 to 8192.

Outputs:
    maps (N, K, h, w): log gain (K = 3), or curves, see `ranlen.rendering.fields`; times a degree it is the slider.
    shoulder, desaturation (N, 1, 1, 1): of a network with a light meter, see `Illumination`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ranlen.io.files import write_atomically
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.enhancer import WORKING_SIZE, Enhancer
from ranlen.models.layers import ramp_of
from ranlen.models.weights import WeightsError
from ranlen.rendering.fields import Illumination
from train.command import says_in_one_line

OPSET = 20  # the first whose GridSample reads DeepUPE's grid of three dimensions
TOLERANCE = 1e-4  # of a log gain: a fortieth of an 8-bit level
SIZES = (270, 350), (300, 257)  # (height, width) of the light that a graph is made with, and checked with


class ExportError(ValueError):
    """A network that a graph does not reproduce; the message says by how much."""


class Graph(nn.Module):
    """A network as its graph: tensors in, tensors out."""

    def __init__(self, network: Enhancer) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, mask: Tensor, detail: Tensor, fade: Tensor | None = None) -> tuple[Tensor, ...]:
        light = self.network.parts(image, mask, fade, detail).light()
        if self.network.meter is None:
            return (light.maps,)
        assert isinstance(light, Illumination)
        return light.maps, torch.as_tensor(light.shoulder), torch.as_tensor(light.desaturation)


def shown(network: Enhancer, image: Tensor, mask: RegionMask, detail: Tensor) -> dict[str, Tensor]:
    """A graph's inputs by name; arguments as of `Enhancer.forward`."""
    image, areas, fade, detail = network.shown(image, mask.tensor, detail)
    inputs = {"image": image, "mask": torch.cat([areas, ramp_of(areas)], dim=1), "detail": detail}
    return inputs if fade is None else inputs | {"fade": fade}


def example(network: Enhancer, size: tuple[int, int], count: int) -> dict[str, Tensor]:
    """Inputs made of noise, darker and lighter, under the paper's circle."""
    generator = torch.Generator().manual_seed(0)
    side = (WORKING_SIZE, WORKING_SIZE)
    image, detail = (torch.rand(count, 3, *at, generator=generator) ** 3 for at in (side, size))
    circle = RegionMask.paper_circle(side).tensor.expand(count, -1, -1, -1)
    return shown(network, image, RegionMask(circle), detail)


def export(network: Enhancer, path: Path) -> float:
    """Write a network in evaluation mode as an ONNX file, and run that.

    Returns:
        The largest difference from torch, in the units of the outputs, over two sizes and numbers of photos.

    Raises:
        ExportError: it is above `TOLERANCE`, or what writes and runs graphs is missing; nothing is written then.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ModuleNotFoundError as error:
        raise ExportError(f"{error.name} is missing; pip install 'ranlen[onnx]'") from None

    inputs = example(network, SIZES[0], 2)
    batch = torch.export.Dim("batch", min=1, max=64)
    height, width = (torch.export.Dim(side, min=WORKING_SIZE + 1, max=8192) for side in ("height", "width"))
    free = {"image": {0: batch}, "mask": {0: batch}, "detail": {0: batch, 2: height, 3: width}}
    free |= {"fade": free["detail"]} if "fade" in inputs else {}
    outputs = ["maps"] + (["shoulder", "desaturation"] if network.meter is not None else [])
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Graph(network),
            kwargs=inputs,
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=free,
            opset_version=OPSET,
        )
    assert program is not None
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for size, count in zip(SIZES, (2, 1), strict=True):
        inputs = example(network, size, count)
        with torch.inference_mode():
            wanted = Graph(network)(**inputs)
        got = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        worst = max(worst, *((torch.from_numpy(g) - w).abs().max().item() for g, w in zip(got, wanted, strict=True)))
    if not worst <= TOLERANCE:
        raise ExportError(f"the graph of {path.name} differs from torch by {worst:g}, more than {TOLERANCE:g}")
    write_atomically(path, data)
    return worst


@says_in_one_line("export", ExportError, WeightsError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.export", description="Write networks as ONNX files.")
    parser.add_argument("models", nargs="+", metavar="NAME_OR_FILE", help="published names, or files of weights")
    parser.add_argument("-o", "--out", type=Path, default=Path("onnx"), help="folder, by default onnx")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for model in options.models:
        network = weights.load(model).eval()
        path = options.out / f"{Path(model).stem if Path(model).suffix else model}.onnx"
        worst = export(network, path)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, at most {worst:.0e} from torch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
