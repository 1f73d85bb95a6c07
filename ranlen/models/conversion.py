"""Somebody else's network made local, from outside: named layers listen to a mask, the code stays as it is.

The mask is an argument here too. Tracing writes the network's `forward` out as a graph, in which the calls of the named
layers get one input more; whatever holds no named layer is not looked into, and may do what it likes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from ranlen.models.layers import MaskedLayer, RanlenNorm


class ConvertError(ValueError):
    """A network or layer that cannot be converted; the message says which and what to do."""


class Outline(fx.Tracer):
    """Traces around the named layers, and no deeper than they lie."""

    def __init__(self, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = layers

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(name.startswith(f"{module_qualified_name}.") for name in self.layers)


def convert(
    network: nn.Module, layers: Sequence[str], norm: Callable[[int], MaskedLayer] = RanlenNorm
) -> fx.GraphModule:
    """A copy of a network whose named layers listen to a mask; called with the mask after the other inputs.

    A normalization becomes region-aware (Eq. 1): its statistics stay, its scale and shift are where gamma and beta
    start. A convolution stays, and what it gives is modulated: gamma(M) * conv(x) + beta(M), from gamma = 1 and
    beta = 0. Either way the copy gives what the network gives, whatever the mask, until it is trained; to the bit
    with convolutions, to the last bits of a float with normalizations, whose terms are added up in another order.
    Weights keep their names, but that those of a layer `x` are now called `x.norm`.

    Args:
        network: any module; what is called between its input and the named layers must be what torch.fx can trace.
            Functional calls that look at `self.training` keep to the mode it is in now.
        layers: names as in `network.named_modules()`, of batch, group or instance normalizations or 2-D convolutions.
        norm: what listens: `RanlenNorm`, or `PlainNorm`, which does not (a backbone is built with either).

    Raises:
        ConvertError: a layer that is not there, not called or of another kind, or a network that cannot be traced.

    Example:
        >>> from torch import nn
        >>> theirs = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> ours = convert(theirs, ["1"])
        >>> image, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 2, 64, 64)
        >>> torch.allclose(ours(image, mask), theirs(image), atol=1e-6)
        True
    """
    network = copy.deepcopy(network)
    known = dict(network.named_modules())
    for name in layers:
        if not name or name not in known:
            raise ConvertError(f"there is no layer {name!r}; see named_modules(), which has {_some(known)}")
    try:
        graph = Outline(layers).trace(network)
    except Exception as error:  # whatever their code does with what it takes for a tensor
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConvertError(
            f"torch.fx cannot follow {type(network).__name__} around {', '.join(layers)} ({reason}); name layers that "
            "lie in a plainer part, or convert that part alone"
        ) from error

    calls = [node for node in graph.nodes if node.op == "call_module" and node.target in layers]
    for name in layers:
        if name not in {node.target for node in calls}:
            raise ConvertError(f"{name!r} is never called on the way from input to output; leave it out")
    inputs = [node for node in graph.nodes if node.op == "placeholder" and not node.args]  # those without a default
    with graph.inserting_after(inputs[-1]):
        mask = graph.placeholder("mask")
    for node in calls:
        node.args = (*node.args, mask)
    for name in layers:
        network.set_submodule(name, listening(known[name], norm, name))
    graph.lint()
    return fx.GraphModule(network, graph, type(network).__name__)


def listening(layer: nn.Module, norm: Callable[[int], MaskedLayer], name: str) -> MaskedLayer:
    """What stands in a layer's place; `name` is for the message."""
    masked = norm(_channels(layer, name)).train(layer.training)
    reference = next(layer.parameters(), torch.empty(0))
    masked.to(reference.device, reference.dtype)
    given: Any = layer
    if isinstance(masked, RanlenNorm) and not isinstance(layer, nn.Conv2d) and given.weight is not None:
        bias = masked.modulation.predict.get_parameter("bias")
        bias.data.copy_(torch.cat([given.weight.detach(), given.bias.detach()]))
        given.weight = given.bias = None
        given.affine = False
    masked.norm = layer
    return masked


def _channels(layer: nn.Module, name: str) -> int:
    """How many channels a layer gives."""
    kinds = {
        nn.BatchNorm2d: "num_features",
        nn.SyncBatchNorm: "num_features",
        nn.InstanceNorm2d: "num_features",
        nn.GroupNorm: "num_channels",
        nn.Conv2d: "out_channels",
    }
    for kind, attribute in kinds.items():
        if isinstance(layer, kind):
            return int(getattr(layer, attribute))
    allowed = ", ".join(kind.__name__ for kind in kinds)
    raise ConvertError(f"{name!r} is a {type(layer).__name__}; name layers that are one of {allowed}")


def _some(known: dict[str, nn.Module]) -> str:
    """A few names of layers that can be converted."""
    names = [name for name, layer in known.items() if isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm, nn.Conv2d))]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "none that could be converted"
