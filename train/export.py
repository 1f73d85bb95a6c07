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
    Others, of DeepUPE: what `ranlen.rendering.grid` makes the same maps of, a dozen times as fast.

What a graph is, its metadata say under "ranlen", as JSON: backbone, method, whether it has a light meter, the kind of
light, and the SHA-256 of the file of weights it was made of.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ranlen import denoise, onnx
from ranlen.io.files import write_atomically
from ranlen.masks.regions import RegionMask
from ranlen.methods import WORKING_SIZE, shown, smooth_ramp
from ranlen.models import weights
from ranlen.models.backbones.deepupe import DeepUpe
from ranlen.models.denoiser import Denoiser
from ranlen.models.enhancer import Enhancer, Parts, as_metered
from ranlen.models.layers import RanlenTail
from ranlen.models.meter import Exposure
from ranlen.models.weights import WeightsError
from ranlen.rendering.fields import Illumination
from train.command import says_in_one_line

OPSET = 20  # the first whose GridSample reads DeepUPE's grid of three dimensions
TOLERANCE = 1e-4  # of a log gain: a fortieth of an 8-bit level
LEAST = 64  # weights in one tensor that are not worth halving
SIZES = (270, 350), (300, 257)  # (height, width) of the light that a graph is made with, and checked with


class ExportError(ValueError):
    """A network that a graph does not reproduce; the message says by how much."""


class Graph(nn.Module):
    """A network as its graph: tensors in, tensors by name out."""

    def __init__(self, network: Enhancer) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, mask: Tensor, detail: Tensor, fade: Tensor | None = None) -> dict[str, Tensor]:
        network, backbone = self.network, self.network.backbone
        x, exposure, area = network.told(image, mask)
        if exposure is None:
            return {"maps": backbone(x, mask, detail)}
        seen = as_metered(detail, exposure)
        grid = backbone.grid(x, mask) if isinstance(backbone, DeepUpe) else None
        predicted = backbone(x, mask, seen) if grid is None else backbone.read(grid, mask, seen)
        light = Parts(backbone.field(predicted), exposure, area, fade, detail).light()
        assert isinstance(light, Illumination)
        out = {"maps": light.maps, "shoulder": exposure.shoulder, "desaturation": exposure.desaturation}
        return out if grid is None else out | read_elsewhere(backbone, grid, mask, exposure)


def read_elsewhere(backbone: DeepUpe, grid: Tensor, mask: Tensor, exposure: Exposure) -> dict[str, Tensor]:
    """What `ranlen.rendering.grid` reads a bilateral grid with, a dozen times as fast as a graph does."""
    scale, shift = torch.ones_like(grid[:, :3, 0, :1, :1]), torch.zeros_like(grid[:, :3, 0, :1, :1])
    if isinstance(backbone.tail, RanlenTail):
        grid = torch.einsum("ab,nbkdyx->nakdyx", backbone.tail.refine.weight[:, :, 0, 0], grid.unflatten(1, (3, 4)))
        grid = grid.flatten(1, 2)
        scale, shift = backbone.tail.modulation(smooth_ramp(mask))
    guide = backbone.guide
    matrix = torch.cat([guide.matrix.weight.flatten(1), guide.matrix.get_parameter("bias")[:, None]], dim=1)
    mix = torch.cat([guide.mix.weight.flatten(), guide.mix.get_parameter("bias")])
    return {
        "grid": grid,
        "scale": scale,
        "shift": shift,
        "metered": exposure.metered,
        "log_gain": exposure.log_gain,
        "guide": torch.cat([matrix, guide.shifts, guide.slopes, mix.expand(3, -1)], dim=1),
    }


def inputs_of(network: Enhancer, image: Tensor, mask: Tensor, detail: Tensor) -> dict[str, Tensor]:
    """A graph's inputs by name; arguments as of `Enhancer.forward`."""
    seen = shown(network.method, image, mask, detail, metered=network.meter is not None)
    mask = torch.cat([seen.mask[:, :2], smooth_ramp(seen.mask)], dim=1)
    inputs = {"image": seen.image, "mask": mask, "detail": seen.detail}
    return inputs if seen.fade is None else inputs | {"fade": seen.fade}


def example(network: Enhancer, size: tuple[int, int], count: int) -> dict[str, Tensor]:
    """Inputs made of noise, darker and lighter, under the paper's circle."""
    generator = torch.Generator().manual_seed(0)
    side = (WORKING_SIZE, WORKING_SIZE)
    # No whiter than 0.9: of what is all but white, logarithms are made of rounding errors, and light changes nothing.
    image, detail = (0.9 * torch.rand(count, 3, *at, generator=generator) ** 3 for at in (side, size))
    circle = RegionMask.paper_circle(side).to("cpu").tensor.expand(count, -1, -1, -1)
    return inputs_of(network, image, circle, detail)


def export(network: Enhancer, path: Path, made_of: Path | None = None) -> float:
    """Write a network in evaluation mode as an ONNX file, and run that.

    Args:
        network: what to write.
        path: an .onnx file.
        made_of: the network's file of weights; a graph beside another is refused later (`ranlen.networks`).

    Returns:
        The largest difference from torch, in the units of the outputs, over two sizes and numbers of photos.

    Raises:
        ExportError: it is above `TOLERANCE`, or what writes graphs is missing or cannot; nothing is written then.
    """
    examples = [example(network, size, count) for size, count in zip(SIZES, (2, 1), strict=True)]
    batch = torch.export.Dim("batch", min=1, max=64)
    height, width = (torch.export.Dim(side, min=WORKING_SIZE + 1, max=8192) for side in ("height", "width"))
    free = {"image": {0: batch}, "mask": {0: batch}, "detail": {0: batch, 2: height, 3: width}}
    free |= {"fade": free["detail"]} if "fade" in examples[0] else {}
    about = {
        "backbone": network.backbone_name,
        "method": network.method_name,
        "metered": network.meter is not None,
        "light": (Illumination if network.meter is not None else network.backbone.field).__name__,
    }
    return write_graph(Graph(network), examples, free, about, path, made_of)


def export_denoiser(path: Path, made_of: Path) -> float:
    """Write the denoiser likewise: image (1, 3, H, W) in [0, 1] to clean (1, 3, H, W); both sides multiples of 8."""
    generator = torch.Generator().manual_seed(0)
    examples = [{"image": torch.rand(1, 3, *size, generator=generator)} for size in ((64, 96), (48, 40))]
    height, width = (8 * torch.export.Dim(side, min=2, max=1024) for side in ("height", "width"))
    return write_graph(
        Cleaned(denoise.load_weights(made_of)), examples, {"image": {2: height, 3: width}}, {}, path, made_of
    )


class Cleaned(nn.Module):
    """The denoiser as its graph."""

    def __init__(self, network: Denoiser) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"clean": self.network(image)}


def write_graph(
    module: nn.Module,
    examples: Sequence[dict[str, Tensor]],
    free: dict[str, Any],
    about: dict[str, Any],
    path: Path,
    made_of: Path | None,
) -> float:
    """Write a module, tensors by name in and out, as a graph that is held to it; returns and errors as of `export`.

    Args:
        module: in evaluation mode.
        examples: inputs of several sizes; traced with the first, held to the module with all.
        free: the axes of the inputs that may have other sizes, as `torch.export` takes them.
        about: what the graph says that it is.
        path: an .onnx file.
        made_of: the file of weights.
    """
    with torch.inference_mode():
        wanted = [module(**inputs) for inputs in examples]
    model = small(traced(module, examples[0], list(wanted[0]), free))
    digest = None if made_of is None else weights.digest(made_of.read_bytes())
    model.metadata_props.add(key=weights.KEY, value=json.dumps(about | {"sha256": digest}))
    data = model.SerializeToString()
    session = onnx.session(data)
    worst = 0.0
    for inputs, outputs in zip(examples, wanted, strict=True):
        got = session.run(list(outputs), {name: tensor.numpy() for name, tensor in inputs.items()})
        apart = [np.abs(g - w.numpy()).max() for g, w in zip(got, outputs.values(), strict=True)]
        worst = max(worst, *map(float, apart))
    if not worst <= TOLERANCE:
        raise ExportError(f"the graph of {path.name} differs from torch by {worst:g}, more than {TOLERANCE:g}")
    write_atomically(path, data)
    return worst


def traced(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], free: Any) -> Any:
    """A module, called with these inputs in their order, as an ONNX model, float32.

    Raises:
        ExportError: what writes graphs is missing, or cannot write this one.
    """
    try:
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ModuleNotFoundError as error:
        raise ExportError(f"{error.name} is missing; pip install 'ranlen[onnx]'") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
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
        except torch.onnx.OnnxExporterError as error:
            reason = f"{' '.join(str(error.__cause__ or error).split()):.200}"  # its own words come with colours
            raise ExportError(f"torch cannot write this network as a graph: {reason}") from None
    assert program is not None
    return program.model_proto


def small(model: Any) -> Any:
    """A model without notes of this machine's files, its weights as float16 where that changes none of them."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size >= LEAST and np.array_equal(half.astype(np.float32), values):
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for each in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del each.metadata_props[:]
        each.ClearField("doc_string")
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    return model


def find(name: str) -> Path:
    """The file of weights that is meant; errors as of `weights.find`."""
    return weights.folder() / denoise.FILE if name == "denoiser" else weights.find(name)


@says_in_one_line("export", ExportError, WeightsError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.export", description="Write networks as ONNX files.")
    parser.add_argument(
        "models", nargs="+", metavar="NAME_OR_FILE", help="published names, denoiser, files of weights, or all"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("onnx"), help="folder, by default onnx")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    models = [*weights.published(), "denoiser"] if options.models == ["all"] else options.models
    for made_of in dict.fromkeys(find(model) for model in models):
        path = options.out / f"{made_of.stem}.onnx"
        if made_of.name == denoise.FILE:
            worst = export_denoiser(path, made_of)
        else:
            worst = export(weights.load(made_of), path, made_of)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, at most {worst:.0e} from torch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
